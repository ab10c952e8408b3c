#!/usr/bin/env bash
# Archives are the same on every machine: builds nzip for this machine and for others, runs the one as it is, with scalar
# kernels, and on emulated x86-64 processors of 2008 and 2006, without AVX2 and without SSE4, the others on emulated machines:
# aarch64, s390x (big-endian), i686 (32 bits), riscv64. Compares all archives, by level and kind of content, byte by byte; then
# has all machines decode each other's and the golden ones. Transformers are slow there: the embedded one gets a few lines, a
# small one (../shared/models/stories260K-hf, if it is there) more.
#
# Not part of `cargo test`: takes ten minutes or more for each machine, and needs (Debian's names)
#     apt install qemu-user gcc-{aarch64,s390x,i686,riscv64}-linux-gnu
#     rustup target add {aarch64,s390x,i686}-unknown-linux-gnu riscv64gc-unknown-linux-gnu
# Usage: [MACHINES="scalar s390x"] tests/qemu.sh [FILE…]     more content to compare; small files, emulation is slow
set -euo pipefail
cd "$(dirname "$0")/.."
read -ra machines <<<"${MACHINES:-scalar nehalem conroe aarch64 s390x i686 riscv64}"
target=${CARGO_TARGET_DIR:-target}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

triple() { case $1 in riscv64) echo riscv64gc-unknown-linux-gnu ;; *) echo "$1-unknown-linux-gnu" ;; esac; }
cargo build --locked --release
for machine in "${machines[@]}"; do
    case $machine in
        scalar | nehalem | conroe) continue ;;
    esac
    rust=$(triple "$machine")
    linker=CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$rust")_LINKER
    # Without CUDA, which has no driver there.
    env "$linker=$machine-linux-gnu-gcc" \
        cargo build --locked --release --target "$rust" --no-default-features --features cli
done

native() { "$target/release/nzip" "$@"; }
scalar() { NZIP_FORCE_SCALAR=1 "$target/release/nzip" "$@"; }
# qemu warns of features that these processors lack.
emulated() { qemu-x86_64 -cpu "$1" "$target/release/nzip" "${@:2}" 2>"$work/said" || { cat "$work/said"; return 1; }; }
nehalem() { emulated Nehalem "$@"; }
conroe() { emulated Conroe "$@"; }
foreign() { "qemu-$2" -L "/usr/$1-linux-gnu" "$target/$(triple "$1")/release/nzip" "${@:3}"; }
aarch64() { foreign aarch64 aarch64 "$@"; }
s390x() { foreign s390x s390x "$@"; }
i686() { foreign i686 i386 "$@"; }
riscv64() { foreign riscv64 riscv64 "$@"; }

# Content: text, tables, logs, code, noise, nothing, one byte, x86 and Arm code, and what golden archives hold.
mkdir "$work/content"
cp corpora/samples/* "$work/content"
head -c 30000 docs/FORMAT.md > "$work/content/document"
head -c 20000 models/prior/prior.bin > "$work/content/noise"
head -c 400000 "$target/release/nzip" | tail -c 60000 > "$work/content/tables"
code() { tail -c "+$((16#$(objdump -h "$1" | awk '$2 == ".text" { print $6 }')))" "$1" | head -c 60000; }
code "$target/release/nzip" > "$work/content/x86" || true
if [ -e "$target/$(triple aarch64)/release/nzip" ]; then
    code "$target/$(triple aarch64)/release/nzip" > "$work/content/arm" || true
fi
head -c 100000 /dev/zero > "$work/content/zeros"
: > "$work/content/empty"
printf n > "$work/content/one"
mkdir "$work/golden"
for golden in tests/golden/*.nz; do native d -c "$golden" > "$work/golden/$(basename "$golden")"; done
for kind in blocks executable log mixed records run utf8; do cp "$work/golden/$kind-1.nz" "$work/content/$kind"; done
for file in "$@"; do cp "$file" "$work/content/given-$(basename "$file")"; done

compared=0
failed=0
differ() { echo "DIFFERENT: $*"; failed=$((failed + 1)); }
# compare CONTENT OPTION…: the content's archive is the same everywhere, and everywhere decoded.
compare() {
    local content=$1 machine
    shift
    native c -c "$@" "$content" > "$work/native.nz"
    for machine in "${machines[@]}"; do
        $machine c -c "$@" "$content" | cmp - "$work/native.nz" || differ "$machine c $* $(basename "$content")"
        $machine d -c "${model[@]}" "$work/native.nz" | cmp - "$content" || differ "$machine d $* $(basename "$content")"
        compared=$((compared + 2))
    done
}
model=()
for content in "$work"/content/*; do
    for level in 1 2 4; do compare "$content" -$level; done
done
echo "levels 1, 2 and 4: $compared comparisons, $failed differ"
mkdir "$work/short"
head -c 600 corpora/samples/prose.txt > "$work/short/prose"
head -c 1 "$work/content/noise" > "$work/short/byte"
for content in "$work"/short/*; do compare "$content" -6; done
echo "level 6 too: $compared comparisons, $failed differ"
small=../shared/models/stories260K-hf
if [ -d $small ]; then
    model=(--model $small)
    for name in document noise utf8 prose.txt table.csv x86; do
        head -c 2500 "$work/content/$name" > "$work/short/$name"
        compare "$work/short/$name" -6 "${model[@]}"
    done
    echo "level 6 with a small model too: $compared comparisons, $failed differ"
else
    echo "$small is not there: no other model was compared"
fi
skipped=0
for golden in tests/golden/*.nz; do
    content=$work/golden/$(basename "$golden")
    for machine in "${machines[@]}"; do
        # The transformer takes minutes for thousands of bytes.
        if [[ $golden == *-6.nz && $machine != scalar && $(stat -c %s "$content") -gt 1000 ]]; then
            skipped=$((skipped + 1))
            continue
        fi
        $machine d -c "$golden" | cmp - "$content" || differ "$machine d $golden"
        compared=$((compared + 1))
    done
done
echo "native ${machines[*]}: $compared comparisons, $failed differ; $skipped decodings of golden archives left out"
[ $failed = 0 ]
