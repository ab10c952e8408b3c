#!/usr/bin/env bash
# Builds the Python wheel, installs it into an environment of its own and runs its tests:
#   scripts/python.sh [maturin's options; default: --release]
set -euo pipefail
cd "$(dirname "$0")/.."
venv=target/python
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet maturin pytest
rm -rf target/wheels
"$venv/bin/maturin" build --manifest-path python/Cargo.toml --out target/wheels "${@:---release}"
"$venv/bin/pip" install --quiet --force-reinstall target/wheels/nzip-*.whl
"$venv/bin/python" -m pytest --quiet python/tests
