#!/usr/bin/env bash
# Runs unit tests of the core with small inputs under miri, which finds undefined behaviour and data races: threads, the coder, heads of
# the container, fields, tables, text. Kernels run as portable code: miri has no AVX2. Takes minutes to hours.
#
# Needs: rustup toolchain install nightly --component miri,rust-src. Usage: tests/miri.sh [NAME…]     tests whose names contain NAME
set -euo pipefail
cd "$(dirname "$0")/../schedules"
# Tests measure time and read the environment: isolation is off. Workers may outlive a pool: they are no leaks.
export MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-ignore-leaks"
[ $# -gt 0 ] || set -- transformer::team container:: fields:: coder:: tables:: text::
cargo +nightly miri test --locked --no-default-features --lib -- "$@"
