#!/usr/bin/env bash
# Makes the crates as they would be published, and compares their sizes with the limit of crates.io:
#   scripts/package.sh [cargo package's options, such as --no-verify]
set -euo pipefail
cd "$(dirname "$0")/.."
limit=$((10 << 20))
target=${CARGO_TARGET_DIR:-target}
crates=(nzip-code-prior nzip-prior nzip-transformer nzip)
rm -rf "$target/package"
cargo package --locked "${crates[@]/#/--package=}" "$@"
failed=0
for crate in "$target"/package/*.crate; do
    bytes=$(wc -c <"$crate")
    echo "$crate: $bytes bytes"
    if [ "$bytes" -gt $limit ]; then
        echo "$crate: more than the $limit bytes that crates.io takes" >&2
        failed=1
    fi
done
exit $failed
