#!/usr/bin/env python3
"""Damages archives of several programs in the same ways, has each decode its own, and counts what happens.

    scripts/campaign_peers.py N [NZIP]      N damaged archives for each program; NZIP: target/release/nzip

Needs xz, zstd, lzip and bzip3 (apt install xz-utils zstd lzip bzip3); those that are missing are left out. Every program gets the same
content, the same seed, 2 GB of address space and 20 s. The content is three parts, each compressed by itself and then
joined, as `cat a.xz b.xz` does, so that parts can be swapped, doubled and dropped.

right: exit 0 and the content, or a sequence of whole parts where parts were swapped, doubled or dropped.
wrong: exit 0 and anything else. refused: another exit code. crashed: a signal. hung: more than 20 s.
"""

import pathlib
import random
import resource
import shutil
import subprocess
import sys
import tempfile

PROGRAMS = {
    "xz": (["xz", "-6", "-c"], ["xz", "-dc"]),
    "zstd": (["zstd", "-q", "--check", "-c"], ["zstd", "-dqc"]),
    "lzip": (["lzip", "-c"], ["lzip", "-dc"]),
    "bzip3": (["bzip3", "-e", "-c"], ["bzip3", "-d", "-c"]),
}
SECONDS = 20
MEMORY = 2 << 30


def content(seed: int) -> list[bytes]:
    source = random.Random(seed)
    words = [bytes(source.choices(b"abcdefghijklmnopqrst", k=source.randint(2, 9))) for _ in range(300)]
    text = b" ".join(source.choices(words, k=400))
    numbers = b"".join((i * i // 7 % 5000).to_bytes(4, "little") for i in range(500))
    return [text, numbers, source.randbytes(1500)]


def damaged(parts: list[bytes], source: random.Random) -> bytes:
    parts = list(parts)
    for _ in range(source.randint(0, 1)):
        i, j = source.randrange(len(parts)), source.randrange(len(parts))
        match source.randrange(3):
            case 0:
                parts[i], parts[j] = parts[j], parts[i]
            case 1:
                parts.insert(i, parts[j])
            case _:
                del parts[i]
    data = bytearray(b"".join(parts))
    for _ in range(source.randint(1, 2)):
        at = source.randrange(len(data))
        end = min(len(data), at + source.randint(1, 40))
        match source.randrange(5):
            case 0 | 1:
                data[at] ^= 1 << source.randrange(8)
            case 2:
                data[at] = source.randrange(256)
            case 3:
                del data[at:end]
            case _:
                data[at:at] = source.randbytes(end - at)
    return bytes(data)


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def is_sequence(data: bytes, parts: list[bytes]) -> bool:
    while data:
        part = next((part for part in parts if data.startswith(part)), None)
        if part is None:
            return False
        data = data[len(part) :]
    return True


def main() -> None:
    count = int(sys.argv[1])
    nzip = sys.argv[2] if len(sys.argv) > 2 else str(pathlib.Path(__file__).parents[1] / "target/release/nzip")
    programs = {"nzip": ([nzip, "c", "-1", "-q", "-c"], [nzip, "d", "-q", "-c"]), **PROGRAMS}
    parts = content(1)
    print(f"{'':6} {'right':>7} {'refused':>7} {'wrong':>7} {'crashed':>7} {'hung':>7}")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "archive"
        for name, (encode, decode) in programs.items():
            if shutil.which(encode[0]) is None:
                continue
            archives = [subprocess.run(encode, input=part, capture_output=True, check=True).stdout for part in parts]
            counts = dict.fromkeys(["right", "refused", "wrong", "crashed", "hung"], 0)
            source = random.Random(2)
            for _ in range(count):
                path.write_bytes(damaged(archives, source))
                try:
                    with path.open("rb") as stdin:
                        run = subprocess.run(decode, stdin=stdin, capture_output=True, timeout=SECONDS, preexec_fn=limit)
                except subprocess.TimeoutExpired:
                    counts["hung"] += 1
                    continue
                if run.returncode == 0:
                    counts["right" if is_sequence(run.stdout, parts) else "wrong"] += 1
                elif run.returncode > 0:
                    counts["refused"] += 1
                else:
                    counts["crashed"] += 1
            print(f"{name:6}", *(f"{value:>7}" for value in counts.values()), flush=True)


main()
