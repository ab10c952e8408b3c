#!/usr/bin/env bash
# Archives are the same on every machine: builds nzip for this machine and for aarch64, runs the one as it is, with
# scalar kernels, and on an emulated x86-64 without AVX2, the other on an emulated aarch64, and compares all archives,
# by level and kind of content, byte by byte; then has all of them decode each other's and the golden ones.
#
# Not part of `cargo test`: takes five minutes or more, and needs (Debian's names)
#     apt install qemu-user gcc-aarch64-linux-gnu; rustup target add aarch64-unknown-linux-gnu
# Usage: tests/qemu.sh [FILE…]     more content to compare; small files, emulation is slow
set -euo pipefail
cd "$(dirname "$0")/.."
arm=aarch64-unknown-linux-gnu
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
cargo build --locked --release
cargo build --locked --release --target $arm
target=${CARGO_TARGET_DIR:-target}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

native() { "$target/release/nzip" "$@"; }
scalar() { NZIP_FORCE_SCALAR=1 "$target/release/nzip" "$@"; }
nehalem() { qemu-x86_64 -cpu Nehalem "$target/release/nzip" "$@" 2>"$work/said" || { cat "$work/said"; return 1; }; }
aarch64() { qemu-aarch64 -L /usr/aarch64-linux-gnu "$target/$arm/release/nzip" "$@"; }
machines=(scalar nehalem aarch64)
if [ "$(uname -m)" != x86_64 ]; then machines=(scalar); fi

# Content: text, tables, logs, code, noise, nothing, one byte, x86 and Arm code, and what golden archives hold.
mkdir "$work/content"
cp corpora/samples/* "$work/content"
head -c 30000 docs/FORMAT.md > "$work/content/document"
head -c 20000 models/prior.bin > "$work/content/noise"
head -c 400000 "$target/release/nzip" | tail -c 60000 > "$work/content/tables"
code() { tail -c "+$((16#$(objdump -h "$1" | awk '$2 == ".text" { print $6 }')))" "$1" | head -c 60000; }
code "$target/release/nzip" > "$work/content/x86" || true
code "$target/$arm/release/nzip" > "$work/content/arm" || true
head -c 100000 /dev/zero > "$work/content/zeros"
: > "$work/content/empty"
printf n > "$work/content/one"
mkdir "$work/golden"
for golden in tests/golden/*.nz; do native d -c "$golden" > "$work/golden/$(basename "$golden")"; done
for kind in blocks executable log mixed records run utf8; do cp "$work/golden/$kind-1.nz" "$work/content/$kind"; done
for file in "$@"; do cp "$file" "$work/content/given-$(basename "$file")"; done

failed=0
differ() { echo "DIFFERENT: $*"; failed=1; }
for content in "$work"/content/*; do
    name=$(basename "$content")
    for level in 1 2 6; do
        native c -c -$level "$content" > "$work/native.nz"
        for machine in "${machines[@]}"; do
            $machine c -c -$level "$content" | cmp - "$work/native.nz" || differ "$machine c -$level $name"
            $machine d -c "$work/native.nz" | cmp - "$content" || differ "$machine d -$level $name"
        done
    done
done
for golden in tests/golden/*.nz; do
    for machine in "${machines[@]}"; do
        $machine d -c "$golden" | cmp - "$work/golden/$(basename "$golden")" || differ "$machine d $golden"
    done
done
[ $failed = 0 ] && echo "The same on: native ${machines[*]} ($(ls "$work/content" | wc -l) contents, levels 1, 2 and 6)"
exit $failed
