#!/usr/bin/env bash
# The thread sanitizer over the threads, and the address sanitizer over the kernels, which are the unsafe code. (It also watches all
# that `scripts/fuzz.sh` runs.) The standard library is built with the thread sanitizer, too.
#
# Needs: rustup toolchain install nightly --component rust-src, and a C compiler.
set -euo pipefail
cd "$(dirname "$0")/../schedules"
test=(cargo +nightly test --locked --target x86_64-unknown-linux-gnu --no-default-features --lib)
RUSTFLAGS=-Zsanitizer=thread "${test[@]}" -Zbuild-std -- transformer:: container::pool
RUSTFLAGS=-Zsanitizer=address "${test[@]}" -- num:: tables:: mix::
