#!/usr/bin/env python3
"""Measures trained priors: what they save on records of one kind, and beside zstd -19 with a trained dictionary.

    scripts/prior.py CORPORA [NZIP] [LEVEL...]

CORPORA is what corpora/fetch makes. NZIP defaults to target/release/nzip, LEVELs to 2 and 4. Needs zstd. Each set is halved: a prior and
a dictionary are trained on the first half. Of the other half, up to RECORDS records are compressed each by itself, and the half as
one file. Prints bytes, and how much smaller they are than without the prior and than zstd's. All are decompressed and compared.
zstd's frames are without the optional checksum; nzip's archives have one.
"""

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

RECORDS = 100


def github_events(corpora):
    events = json.loads((corpora / "json/github_events.json").read_text())
    return [json.dumps(event, indent=1) for event in events]


def log_records(path):
    """Lines of a log, as many as make at least 200 bytes."""
    records = [""]
    for line in path.read_text(errors="surrogateescape").splitlines(keepends=True):
        if len(records[-1]) >= 200:
            records.append("")
        records[-1] += line
    return records


def small_records():
    """1,000 answers of an API that takes orders, of 0.3 to 1.5 KB."""
    draw = random.Random(25)
    names = "Ana Ben Chloé David Emre Fatima Goran Hana Igor Jun Kofi Lena Mei Nadia Omar Priya Quinn Rosa Sven Tara".split()
    cities = ["Berlin", "São Paulo", "Osaka", "Lagos", "Toronto", "Kraków", "Lima", "Pune", "Oslo", "Austin"]
    goods = ["usb-c cable 2m", "espresso machine", "trail running shoes", "desk lamp, brass", "notebook A5 dotted",
             "rain jacket", "mechanical keyboard", "cast iron pan", "bluetooth speaker", "yoga mat"]
    notes = ["", "", "leave at the door", "call before delivery", "gift, please wrap", "second attempt"]

    def record(number):
        items = [{"sku": f"{draw.choice('ABCDEF')}{draw.randrange(10**5):05}", "name": draw.choice(goods),
                  "quantity": draw.choice([1, 1, 1, 2, 3]), "unit_price": {"amount": draw.randrange(199, 29999),
                  "currency": "EUR"}} for _ in range(draw.choice([1, 1, 2, 3, 5]))]
        first = draw.choice(names)
        seconds = 1_764_000_000 + number * 37 + draw.randrange(37)
        return {"id": f"ord_{draw.randrange(16**16):016x}", "object": "order", "created": seconds,
                "status": draw.choice(["paid", "paid", "paid", "shipped", "refunded", "pending"]),
                "customer": {"id": f"cus_{draw.randrange(36**8):08d}", "name": f"{first} {draw.choice('BCDFGHKLMNPRSTW')}.",
                             "email": f"{first.lower()}{draw.randrange(1000)}@example.com", "locale": draw.choice(["en", "de", "pt-BR", "ja"])},
                "shipping": {"city": draw.choice(cities), "zip": f"{draw.randrange(10**5):05}", "express": draw.random() < 0.2,
                             "note": draw.choice(notes) or None},
                "items": items, "total": sum(item["quantity"] * item["unit_price"]["amount"] for item in items),
                "tax_rate": draw.choice([0.19, 0.07, 0.21]), "tags": draw.sample(["new", "vip", "b2b", "web", "app"], draw.randrange(3)),
                "links": {"self": f"https://api.example.com/v2/orders/{number}", "invoice": None}}

    return [json.dumps(record(number), ensure_ascii=False) for number in range(1000)]


def run(*command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True).stdout


def size(folder, suffix):
    return sum(path.stat().st_size for path in folder.glob(f"*{suffix}"))


def nzip(binary, folder, whole, level, options):
    """Bytes of the records in folder, each an archive, and of the file `whole`."""
    sums = []
    for files in [sorted(folder.glob("*.txt")), [whole]]:
        run(binary, "c", f"-{level}", "-q", "-f", *options, *files)
        archives = [f"{file}.nz" for file in files]
        assert run(binary, "d", "-q", "-c", *options, *archives) == b"".join(file.read_bytes() for file in files)
        sums.append(sum(Path(archive).stat().st_size for archive in archives))
    return sums


def zstd(folder, whole, dictionary):
    sums = []
    for files in [sorted(folder.glob("*.txt")), [whole]]:
        run("zstd", "-19", "-q", "-f", "--no-check", "-D", dictionary, *files)
        assert run("zstd", "-d", "-q", "-c", "-D", dictionary, *[f"{file}.zst" for file in files]) == b"".join(
            file.read_bytes() for file in files)
        sums.append(sum(Path(f"{file}.zst").stat().st_size for file in files))
    return sums


def measure(name, records, binary, levels):
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        half = len(records) // 2
        step = max(1, (len(records) - half) // RECORDS)
        for folder in ["train", "test"]:
            (work / folder).mkdir()
        encode = lambda text: text.encode(errors="surrogateescape")
        for i, record in enumerate(records[:half]):
            (work / "train" / f"{i:05}.txt").write_bytes(encode(record))
        for i, record in enumerate(records[half::step][:RECORDS]):
            (work / "test" / f"{i:05}.txt").write_bytes(encode(record))
        whole = work / "whole"
        whole.write_bytes(b"".join(encode(record if record.endswith("\n") else record + "\n") for record in records[half:]))
        samples = sorted((work / "train").glob("*.txt"))
        run(binary, "train", "-q", "-o", work / "my.prior", *samples)
        try:
            run("zstd", "--train", "-q", "-o", work / "dictionary", *samples)
        except subprocess.CalledProcessError:
            # Too few samples: pieces of them.
            run("zstd", "--train", "-q", "-B512", "-o", work / "dictionary", *samples)
        content = [size(work / "test", ".txt"), whole.stat().st_size]
        peer = zstd(work / "test", whole, work / "dictionary")
        for level in levels:
            without = nzip(binary, work / "test", whole, level, [])
            primed = nzip(binary, work / "test", whole, level, ["--prior", work / "my.prior"])
            for kind, i in [("records", 0), ("one file", 1)]:
                less = lambda other: f"{100 - 100 * primed[i] / other[i]:.0f} %"
                print(f"| {name} | {kind} | -{level} | {content[i]} | {peer[i]} | {without[i]} | {primed[i]} "
                      f"| {less(without)} | {less(peer)} |", flush=True)


def main():
    corpora = Path(sys.argv[1])
    binary = Path(sys.argv[2] if len(sys.argv) > 2 else "target/release/nzip").resolve()
    levels = [int(level) for level in sys.argv[3:]] or [2, 4]
    print("| set | | level | content | zstd | without | with | smaller than without | smaller than zstd |")
    print("|---|---|---|---|---|---|---|---|---|")
    measure("GitHub events", github_events(corpora), binary, levels)
    measure("1,000 JSON records", small_records(), binary, levels)
    for log in sorted((corpora / "logs").glob("*_2k.log")):
        measure(log.stem, log_records(log), binary, levels)


main()
