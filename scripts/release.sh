#!/usr/bin/env bash
# Builds what a release consists of into target/dist: crates, a static program for Linux, a Debian package, manual pages,
# completions, a bill of materials of the program, checksums.
#   scripts/release.sh
# Needs musl-gcc (Debian: musl-tools) and cargo-deb; the wheel is scripts/python.sh's. Publishes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
target=x86_64-unknown-linux-musl
dist=target/dist
version=$(cargo pkgid --package nzip | sed 's/.*[#@]//')
rm -rf "$dist"
mkdir -p "$dist"

scripts/package.sh
cp target/package/*.crate "$dist"

cargo build --release --locked
./target/release/nzip man "$dist/man"
./target/release/nzip completions bash >"$dist/nzip.bash"
./target/release/nzip completions fish >"$dist/nzip.fish"
./target/release/nzip completions zsh >"$dist/_nzip"
cargo deb --no-build --output "$dist"

rustup target add $target
cargo build --release --locked --target $target
name=nzip-$version-$target
mkdir "$dist/$name"
cp target/$target/release/nzip README.md LICENSE CHANGELOG.md "$dist/$name"
cp -r "$dist/man" "$dist/nzip.bash" "$dist/nzip.fish" "$dist/_nzip" contrib "$dist/$name"
strip "$dist/$name/nzip"
"$dist/$name/nzip" c -6 -o "$dist/check.nz" README.md
"$dist/$name/nzip" d -c "$dist/check.nz" | cmp - README.md
rm "$dist/check.nz"
tar -czf "$dist/$name.tar.gz" --owner=0 --group=0 -C "$dist" "$name"
rm -r "${dist:?}/$name"
scripts/sbom.py $target >"$dist/$name.cdx.json"

(cd "$dist" && find . -maxdepth 1 -type f ! -name SHA256SUMS -printf '%f\n' | sort | xargs sha256sum >SHA256SUMS)
ls -l "$dist"
