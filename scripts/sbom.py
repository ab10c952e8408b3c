#!/usr/bin/env python3
"""Writes a software bill of materials of the program: CycloneDX 1.5, JSON, to standard output.

    scripts/sbom.py [TARGET]        TARGET: x86_64-unknown-linux-musl

The crates that are compiled into it for TARGET, with their versions, licences, checksums and dependencies, as Cargo.lock and
`cargo metadata` say; build scripts' and macros' crates, too, but not those of tests. (Two that only tests' features bring are named
all the same: cargo metadata does not tell.)
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    target = sys.argv[1] if len(sys.argv) > 1 else "x86_64-unknown-linux-musl"
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    checksums = {(crate["name"], crate["version"]): crate.get("checksum") for crate in lock}
    crates = {crate["id"]: crate for crate in metadata["packages"]}
    # A dependency that only tests need has no kind but "dev".
    used = {
        node["id"]: [dep["pkg"] for dep in node["deps"] if any(kind["kind"] != "dev" for kind in dep["dep_kinds"])]
        for node in metadata["resolve"]["nodes"]
    }
    root = next(id for id, crate in crates.items() if crate["name"] == "nzip")
    reached, left = [], [root]
    while left:
        if (id := left.pop()) not in reached:
            reached.append(id)
            left += used[id]
    purl = {id: f"pkg:cargo/{crates[id]['name']}@{crates[id]['version']}" for id in reached}

    def component(id: str) -> dict:
        crate = crates[id]
        checksum = checksums[crate["name"], crate["version"]]
        return {
            "type": "application" if id == root else "library",
            "bom-ref": purl[id],
            "purl": purl[id],
            "name": crate["name"],
            "version": crate["version"],
            "licenses": [{"expression": licence(crate["license"])}] if crate["license"] else [],
            "hashes": [{"alg": "SHA-256", "content": checksum}] if checksum else [],
        }

    def licence(expression: str) -> str:
        # "/" is an older spelling of "or".
        return " ".join(expression.replace("/", " OR ").split())

    reached.sort(key=purl.get)
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component(root)},
        "components": [component(id) for id in reached if id != root],
        "dependencies": [{"ref": purl[id], "dependsOn": sorted({purl[dep] for dep in used[id]})} for id in reached],
    }
    json.dump(bom, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
