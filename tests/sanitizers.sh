#!/usr/bin/env bash
# The thread sanitizer over the pools of threads, and the address sanitizer over the kernels, which are the unsafe code. (The
# address sanitizer also watches all that `scripts/fuzz.sh` runs.) The standard library is built with the thread sanitizer, too.
#
# Needs: rustup toolchain install nightly --component rust-src, and a C compiler.
set -euo pipefail
cd "$(dirname "$0")/.."
target=x86_64-unknown-linux-gnu
RUSTFLAGS=-Zsanitizer=thread cargo +nightly test --locked -Zbuild-std --target $target --no-default-features --lib \
    --manifest-path schedules/Cargo.toml
RUSTFLAGS=-Zsanitizer=address cargo +nightly test --locked --target $target --no-default-features --lib -- \
    num:: tables:: mix:: transformer::team transformer::threads codec::tests
