#!/usr/bin/env bash
# Runs unit tests of the safe core with small inputs under miri, which finds undefined behaviour, data races and leaks of unsafe code
# below it, and of its own: the coder, tables, text, mixing, heads of the container, content, trained priors, memory that threads share.
# Kernels run as portable code: miri has no AVX2.
#
# Needs: rustup toolchain install nightly --component miri,rust-src. Usage: tests/miri.sh [NAME…]     tests whose names contain NAME
set -euo pipefail
cd "$(dirname "$0")/.."
# Files are read: isolation is off. Threads that the standard library leaves behind are no leaks.
export MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-ignore-leaks"
tests=(
    coder::tests::
    fields::
    container::checksum:: container::frame:: container::header:: container::index:: container::peek_reader::
    tables::counter:: tables::state_map:: tables::apm::
    text::block_buffer:: text::symbol_tree:: text::lane_state::
    num::tiles:: num::elementary::
    content::gif:: content::tar:: content::png::
)
[ $# = 0 ] || tests=("$@")
cargo +nightly miri test --locked --lib --no-default-features -- "${tests[@]}"
# The threads, in a crate of their own: each run takes another schedule.
MIRIFLAGS="$MIRIFLAGS -Zmiri-many-seeds=0..4" cargo +nightly miri test --locked --no-default-features --lib \
    --manifest-path schedules/Cargo.toml -- team pool
