#!/usr/bin/env python3
"""Measures a language model: what it is worth alone, and in the mixture of nzip c -9.

    scripts/models.py MODEL FILE... [--nzip NZIP] [--lengths N,N...] [--whole BYTES]

MODEL is what --model takes; to measure it alone, tokenizer.json must be in its folder. NZIP defaults to target/release/nzip. For
the first N bytes of each FILE (3,000 and 20,000) prints bits per byte of the model alone, its text cut by its own tokenizer, and of the
whole archive, and the archive as a share of the former. The bars are 1.00 below 20,000 bytes, 0.97 from there on; the exit code is 1
if one is missed. With --whole also compresses and decompresses the first BYTES bytes, and prints bits per byte and user seconds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

LONG = 20_000


def check(nzip, model, path):
    command = [nzip, "model", "info", "--json", model, "--check", str(path)]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return report[0]["check"]


def user_seconds(command, **files):
    before = os.times().children_user
    subprocess.run(command, check=True, **files)
    return os.times().children_user - before


def whole(nzip, model, path, folder):
    packed, back = folder / "packed", folder / "back"
    with packed.open("wb") as out:
        there = user_seconds([nzip, "c", "-9", "--no-verify", "--model", model, "-c", str(path)], stdout=out)
    with packed.open("rb") as source, back.open("wb") as out:
        again = user_seconds([nzip, "d", "--model", model], stdin=source, stdout=out)
    if back.read_bytes() != path.read_bytes():
        sys.exit(f"{path}: other bytes came back")
    return packed.stat().st_size, there, again


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--nzip", default="target/release/nzip")
    parser.add_argument("--lengths", default="3000,20000")
    parser.add_argument("--whole", type=int)
    args = parser.parse_args()
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        for file in args.files:
            content = file.read_bytes()
            piece = Path(folder) / file.name
            for length in map(int, args.lengths.split(",")):
                piece.write_bytes(content[:length])
                found = check(args.nzip, args.model, piece)
                alone, mixed = found["tokenizer"], found["mixed"]
                if alone is None:
                    sys.exit(f"{file}: {found['no_tokenizer']}")
                share, bar = mixed / alone, 0.97 if found["bytes"] >= LONG else 1.0
                missed |= share > bar
                verdict = "met" if share <= bar else "missed"
                print(f"{file.name}, {found['bytes']}: alone {alone:.4f}, mixed {mixed:.4f}: {share:.3f}, {bar} {verdict}", flush=True)
            if args.whole:
                piece.write_bytes(content[: args.whole])
                size, there, again = whole(args.nzip, args.model, piece, Path(folder))
                length = piece.stat().st_size
                print(f"{file.name}, {length}: {size} bytes, {8 * size / length:.4f} bpb, {there:.0f} and {again:.0f} s", flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
