#!/usr/bin/env python3
"""Measures the corpora with `nzip bench --json` and writes the tables of docs/BENCHMARKS.md.

    cargo build --release
    scripts/benchmarks.py CORPORA [--nzip PATH] [--limit LEVEL=BYTES]...

CORPORA is a folder made by `corpora/fetch`, or one that has the same files somewhere below it. Files that are missing are left
out of the tables. A level only codes files up to its limit: the transformer takes minutes for a megabyte.
Text outside the two markers in docs/BENCHMARKS.md is written by hand and kept.
"""

import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "BENCHMARKS.md"
BEGIN = "<!-- made by scripts/benchmarks.py: begin -->\n"
END = "<!-- made by scripts/benchmarks.py: end -->\n"

GROUPS = {
    "Canterbury": [
        "alice29.txt", "asyoulik.txt", "cp.html", "fields.c", "grammar.lsp", "kennedy.xls", "lcet10.txt", "plrabn12.txt",
        "ptt5", "sum", "xargs.1",
    ],
    "Large text": ["enwik6", "world192.txt", "bible.txt"],
    "Logs, JSON, tables": [
        "Apache_2k.log", "HPC_2k.log", "Zookeeper_2k.log", "github_events.json", "twitter.json", "vega_airports.csv",
    ],
    "Silesia": ["xml", "ooffice"],
}
LIMITS = {1: 10_000_000, 2: 10_000_000, 4: 5_000_000, 6: 200_000}


def find(corpora, name):
    """The file of that name below `corpora`, or None."""
    return next((path for path in sorted(corpora.rglob(name)) if path.is_file()), None)


def bench(nzip, level, path):
    """One row of `nzip bench --json`."""
    command = [nzip, "bench", "--json", "--no-peers", "-T1", f"-{level}", str(path)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)[0]


def cpu():
    """The processor's name, and which of the vector extensions that nzip has kernels for it has."""
    fields = {}
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    known = [flag for flag in ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "asimd") if flag in flags]
    family = f", family {fields['cpu family']} model {fields['model']}" if "cpu family" in fields else ""
    return f"{fields.get('model name', os.uname().machine)}{family} ({', '.join(known) or 'no vector extension'})"


def table(files, rows, levels):
    """A Markdown table: a line per file, and for each level bytes, and KB/s each way."""
    lines = [
        "| file | bytes | " + " | ".join(f"-{level} | KB/s" for level in levels) + " |",
        "|---|---|" + "---|---|" * len(levels),
    ]
    for name, size in files.items():
        cells = []
        for level in levels:
            row = rows.get((name, level))
            cells += ["", ""] if row is None else [
                f"{row['archive_bytes']:,}",
                f"{row['compress_kb_per_s']:.0f} / {row['decompress_kb_per_s']:.0f}",
            ]
        lines.append(f"| {name} | {size:,} | " + " | ".join(cells) + " |")
    sums = []
    for level in levels:
        whole = all((name, level) in rows for name in files)
        sums += [f"{sum(rows[name, level]['archive_bytes'] for name in files):,}" if whole else "", ""]
    if len(files) > 1:
        lines.append(f"| all {len(files)} | {sum(files.values()):,} | " + " | ".join(sums) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=pathlib.Path)
    parser.add_argument("--nzip", default=str(ROOT / "target" / "release" / "nzip"))
    parser.add_argument("--limit", action="append", default=[], metavar="LEVEL=BYTES")
    args = parser.parse_args()
    limits = LIMITS | {int(level): int(size) for level, size in (limit.split("=") for limit in args.limit)}
    levels = sorted(limits)

    document = DOCUMENT.read_text()
    before, rest = document.split(BEGIN)
    _, after = rest.split(END)

    version = subprocess.run([args.nzip, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    text = (
        f"{version}. {datetime.date.today()}, one thread, {cpu()}.\n\n"
        "Columns are archive bytes, then KB/s to compress / to decompress (1 KB = 1000 bytes). Empty: not measured, "
        + ", ".join(f"`-{level}` takes files up to {limits[level]:,} bytes" for level in levels)
        + ".\n"
    )
    for group, names in GROUPS.items():
        found = {name: path for name in names if (path := find(args.corpora, name))}
        if missing := [name for name in names if name not in found]:
            print(f"{group}: not found: {', '.join(missing)}", file=sys.stderr)
        files = {name: path.stat().st_size for name, path in found.items()}
        rows = {}
        for name, path in found.items():
            for level in levels:
                if files[name] <= limits[level]:
                    rows[name, level] = bench(args.nzip, level, path)
                    print(f"{name} -{level}: {rows[name, level]['archive_bytes']}", file=sys.stderr)
        if files:
            text += f"\n### {group}\n\n{table(files, rows, levels)}"
            DOCUMENT.write_text(before + BEGIN + text + END + after)


if __name__ == "__main__":
    main()
