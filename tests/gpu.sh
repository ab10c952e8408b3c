#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: archives made on the GPU and on the CPU must be the same bytes, and each must decode on
# the other. Then it measures: several blocks at a time. Needs the nzip program (carry it along; no Rust needed), files to
# compress (20 small ones take minutes) and, for models other than the embedded one, their folders or GGUF files.
#
#   NZIP=target/release/nzip MODELS="SmolLM2-135M stories260K.gguf" tests/gpu.sh FILE...
#
# Without a GPU, GPU=cpu tries the script itself: both sides are then the CPU.
set -euo pipefail
nzip=${NZIP:-target/release/nzip}
gpu=${GPU:-cuda}
read -ra models <<<"${MODELS:-}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
[[ $gpu != cuda* ]] || nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
same=0

# -v must not say that the CPU stood in for the GPU.
report() { # file
    cat "$1"
    if [[ $gpu == cuda* ]] && grep -q 'the CPU stood in' "$1"; then
        exit 1
    fi
}

compare() { # file level option...
    local file=$1 level=$2
    shift 2
    local model=()
    [[ ${1:-} != --model ]] || model=(--model "$2")
    "$nzip" c "-$level" "$@" --device "$gpu" -vkf -o "$folder/gpu.nz" "$file" 2>"$folder/report"
    report "$folder/report"
    "$nzip" c "-$level" "$@" --device cpu -qkf -o "$folder/cpu.nz" "$file"
    cmp "$folder/gpu.nz" "$folder/cpu.nz"
    "$nzip" d "${model[@]}" --device cpu -qc "$folder/gpu.nz" | cmp - "$file"
    "$nzip" d "${model[@]}" --device "$gpu" -vc "$folder/cpu.nz" 2>"$folder/report" | cmp - "$file"
    report "$folder/report"
    same=$((same + 1))
    echo "same: $file -$level $*"
}

for file in "$@"; do
    for level in 6 9; do
        compare "$file" $level
        for model in "${models[@]}"; do
            compare "$file" $level --model "$model"
        done
    done
    for model in "${models[@]}"; do
        compare "$file" 6 --model "$model" --lanes 128
    done
done
echo "$same archives are the same on both"

# One block of 128 lanes shows tokens/s; one for each core shows MB/s.
cat "$@" >"$folder/text"
size=$(stat -c %s "$folder/text")
for model in "${models[@]}"; do
    for blocks in 1 "$(nproc)"; do
        part=$((size / blocks + 1))
        # Blocks have at least 64 KiB.
        ((part >= 65536)) || part=65536
        echo "$model, $size bytes in blocks of $part, 128 lanes:"
        start=$(date +%s%N)
        "$nzip" c -6 --model "$model" --lanes 128 --block-size "$part" --device "$gpu" -vkf -o "$folder/text.nz" "$folder/text"
        echo "$((size * 1000000 / (($(date +%s%N) - start) / 1000))) bytes/s, start and probe included"
    done
done
