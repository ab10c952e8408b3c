#!/usr/bin/env python3
"""Compresses shards with Ray Data, on as many machines as the cluster has, and survives workers that are killed.

    pip install 'ray[data]'
    examples/ray_shards.py compress FOLDER OUT [--nzip PATH] [--options='-4']     FOLDER/*.jsonl to OUT/*.jsonl.nz
    examples/ray_shards.py decompress FOLDER OUT [--nzip PATH]                     FOLDER/*.nz to OUT
    examples/ray_shards.py check                                                   makes shards, kills a worker, compares

The folders must be the same for all workers: a shared file system. A shard is one task on one core. Ray runs a task again if its
worker dies; nzip gives an archive its name only when it is complete, so what has its name is done and is left alone.
"""

import argparse
import pathlib
import random
import shlex
import subprocess
import sys
import tempfile
import threading
import time


def run_nzip(nzip, arguments):
    """Runs nzip; its message is the error's."""
    done = subprocess.run([nzip, *arguments], stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"{shlex.join([nzip, *arguments])}: exit code {done.returncode}: {done.stderr.strip()}")


def compress(row, nzip, out, options):
    """One shard to an archive, which is then decoded and compared."""
    shard = pathlib.Path(row["path"])
    archive = pathlib.Path(out, shard.name + ".nz")
    if not archive.exists():
        run_nzip(nzip, ["c", "-q", "-T1", *options, "-o", str(archive), str(shard)])
        run_nzip(nzip, ["t", "-q", "-T1", str(archive)])
    return {"path": str(archive), "bytes": shard.stat().st_size, "archive_bytes": archive.stat().st_size}


def decompress(row, nzip, out):
    """One archive to a shard."""
    archive = pathlib.Path(row["path"])
    shard = pathlib.Path(out, archive.name.removesuffix(".nz"))
    if not shard.exists():
        run_nzip(nzip, ["d", "-q", "-T1", "-o", str(shard), str(archive)])
    return {"path": str(shard), "bytes": shard.stat().st_size, "archive_bytes": archive.stat().st_size}


def map_shards(function, paths, **arguments):
    """Applies `function` to each path: one task a shard, one core a task. Returns its rows in the order of their paths."""
    import ray

    shards = ray.data.from_items([{"path": str(path)} for path in paths], override_num_blocks=max(len(paths), 1))
    rows = shards.map(function, fn_kwargs=arguments, num_cpus=1).take_all()
    return sorted(rows, key=lambda row: row["path"])


def report(rows):
    content, archives = (sum(row[key] for row in rows) for key in ("bytes", "archive_bytes"))
    print(f"{len(rows)} shards, {content:,} bytes, {archives:,} as archives")


def make_shards(folder, count):
    """Shards of JSON lines that look like events."""
    random.seed(1)
    words = "request response cache miss hit user order item price retry queue worker index".split()
    for shard in range(count):
        lines = (
            f'{{"id": {shard * 1000 + i}, "level": "{random.choice(["info", "warning"])}", '
            f'"message": "{" ".join(random.choices(words, k=6))}", "ms": {random.randrange(5000)}}}\n'
            for i in range(4000)
        )
        (folder / f"events-{shard:03}.jsonl").write_text("".join(lines))


def kill_a_worker(stop, killed):
    """Kills one worker of Ray while it runs nzip, and nzip with it, as a machine that fails would."""
    import psutil

    while not stop.is_set() and not killed:
        for process in psutil.process_iter(["name"]):
            try:
                if process.info["name"] != "nzip":
                    continue
                worker = process.parent()
                if worker and "ray::" in worker.name() + " ".join(worker.cmdline()):
                    worker.kill()
                    process.kill()
                    killed.append(worker.pid)
                    return
            except psutil.Error:
                continue
        time.sleep(0.01)


def check(nzip):
    """Compresses and decompresses with two workers, one of which is killed. Nothing may be lost, and no byte may differ."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        shards, archives, back, alone = (pathlib.Path(folder, name) for name in ("shards", "archives", "back", "alone"))
        for path in (shards, archives, back, alone):
            path.mkdir()
        make_shards(shards, 8)
        paths = sorted(shards.iterdir())
        stop, killed = threading.Event(), []
        killer = threading.Thread(target=kill_a_worker, args=(stop, killed))
        killer.start()
        report(map_shards(compress, paths, nzip=nzip, out=str(archives), options=["-2"]))
        stop.set()
        killer.join()
        report(map_shards(decompress, sorted(archives.glob("*.nz")), nzip=nzip, out=str(back)))
        assert killed, "no worker was killed: the check shows nothing"
        assert sorted(path.name for path in back.iterdir()) == [path.name for path in paths]
        for path in paths:
            assert (back / path.name).read_bytes() == path.read_bytes(), path.name
            # The bytes of an archive don't depend on who made it.
            compress({"path": str(path)}, nzip, alone, ["-2"])
            assert (alone / f"{path.name}.nz").read_bytes() == (archives / f"{path.name}.nz").read_bytes(), path.name
        print(f"worker {killed[0]} was killed; all {len(paths)} shards came back, and the archives are the same as without Ray")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["compress", "decompress", "check"])
    parser.add_argument("folders", nargs="*", type=pathlib.Path, metavar="FOLDER OUT")
    parser.add_argument("--nzip", default="nzip", help="the program, on every machine at this path")
    parser.add_argument("--options", default="-4", help="nzip's options for compression")
    args = parser.parse_args()
    if args.verb == "check":
        return check(args.nzip)
    if len(args.folders) != 2:
        parser.error("FOLDER and OUT are needed")
    folder, out = args.folders
    out.mkdir(parents=True, exist_ok=True)
    if args.verb == "compress":
        rows = map_shards(
            compress, sorted(folder.glob("*.jsonl")), nzip=args.nzip, out=str(out), options=shlex.split(args.options)
        )
    else:
        rows = map_shards(decompress, sorted(folder.glob("*.nz")), nzip=args.nzip, out=str(out))
    report(rows)


if __name__ == "__main__":
    sys.exit(main())
