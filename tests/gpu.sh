#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: archives made on the GPU and on the CPU must be the same bytes, and each must decode on
# the other. Prints speeds. Needs the nzip program (carry it along; no Rust needed), files to compress and, for models other than
# the embedded one, their folders or GGUF files.
#
#   NZIP=target/release/nzip MODELS="SmolLM2-135M stories260K.gguf" tests/gpu.sh FILE...
set -euo pipefail
nzip=${NZIP:-target/release/nzip}
read -ra models <<<"${MODELS:-}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader

compare() { # file level model...
    local file=$1 level=$2
    shift 2
    for device in cuda cpu; do
        "$nzip" c "-$level" "$@" --device $device --no-verify -vkf -o "$folder/$device.nz" "$file"
    done
    cmp "$folder/cuda.nz" "$folder/cpu.nz"
    "$nzip" d "$@" --device cpu -vc "$folder/cuda.nz" | cmp - "$file"
    "$nzip" d "$@" --device cuda -vc "$folder/cpu.nz" | cmp - "$file"
    echo "same: $file -$level $*"
}

for file in "$@"; do
    for level in 6 9; do
        compare "$file" $level
        for model in "${models[@]}"; do
            compare "$file" $level --model "$model"
            compare "$file" $level --model "$model" --lanes 128
        done
    done
done
