#!/usr/bin/env bash
# Runs the fuzz targets with libFuzzer, the address sanitizer, debug assertions and checks of overflow. Says for each how many inputs
# it ran, how many edges of the code they reached, and what failed. Inputs that fail are kept in fuzz/artifacts: they become seeds.
#
# Needs a nightly toolchain and a C++ compiler. Usage: scripts/fuzz.sh [SECONDS [TARGET…]]
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
seconds=${1:-60}
shift || true
target=x86_64-unknown-linux-gnu
# What `cargo fuzz` passes.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Zsanitizer=address -Cdebug-assertions -Coverflow-checks -Ccodegen-units=16"
cargo +nightly build --locked --release --target $target
if [ $# = 0 ]; then
    set -- $(ls fuzz_targets | sed 's/\.rs$//')
fi
# `huggingface` writes files: on a disk it would wait for them most of the time.
[ ! -d /dev/shm ] || export TMPDIR=/dev/shm
# A pool's worker may end after the pool.
export ASAN_OPTIONS=detect_leaks=0
failed=0
for name in "$@"; do
    mkdir -p "corpus/$name" "artifacts/$name"
    # The limits: no input may take a minute, or 2 GB.
    if ! "target/$target/release/$name" "corpus/$name" "seeds/$name" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=2048 \
        -artifact_prefix="artifacts/$name/" -print_final_stats=1 -max_len=16384 >"corpus/$name.log" 2>&1; then
        failed=1
        grep -m 3 -E "panicked|ERROR|SUMMARY" "corpus/$name.log" || true
        echo "$name: FAILED: see fuzz/corpus/$name.log and fuzz/artifacts/$name"
    fi
    echo "$name: $(awk '/stat::number_of_executed_units/ { print $2 }' "corpus/$name.log") inputs," \
        "$(grep -oE 'cov: [0-9]+' "corpus/$name.log" | tail -1 | tr -dc 0-9) edges"
done
exit $failed
