#!/usr/bin/env python3
"""What the kernels should do on an H200, on paper: counts of instructions of the assembled code, and times from data sheets.

    pip install nvidia-cuda-nvcc-cu12==12.9.86 nvidia-cuda-nvdisasm
    estimate.py            prints the tables of docs/CUDA.md

Needs no GPU. Nothing here is a measurement of one.
"""

import math
import pathlib
import re
import subprocess
import tempfile

import nvidia.cu13
import nvidia.cuda_nvcc

FOLDER = pathlib.Path(__file__).resolve().parent

# H200 (data sheet): multiprocessors, clock, warp instructions a clock of each, bytes/s of memory. PCIe 5 with 16 lanes.
PROCESSORS, CLOCK, ISSUE, MEMORY, PCIE = 132, 1.755e9, 4, 4.8e12, 50e9
REGISTERS, WARPS = 65536, 64
# Assumptions: clocks until global memory answers, seconds between two launches of a graph, seconds of a short kernel.
ANSWER, LAUNCH, SHORT = 700, 1.0e-6, 2.0e-6
# SmolLM2-135M.
LAYERS, HIDDEN, HEADS, KV_HEADS, DIM, INNER, OUTPUTS, PLACES = 30, 576, 9, 3, 64, 1536, 49152, 256
PRODUCTS = [(HIDDEN + 2 * KV_HEADS * DIM, HIDDEN), (HIDDEN, HIDDEN), (2 * INNER, HIDDEN), (HIDDEN, INNER)]
# The CPU, seconds a token of 4 bytes: the ensemble (docs/BENCHMARKS.md: -4 takes 2.8 s for 1,000,000 bytes); assumed: the gradient
# step of the head; the copy of keys and values, 12.5 KB at 8 GB/s.
ENSEMBLE, STEP, KEEP = 4 * 2.8e-6, 3e-6, 1.6e-6
# `multiply` with mma in place of dp4a, tried and not kept: instructions for a block of 32, registers.
TENSOR = (8.5, 56)
# Kernels of a layer, but for products and attention: two norms, rotation, two that quantise.
SHORT_KERNELS = 5


def assemble(ptx: pathlib.Path) -> tuple[str, dict[str, int]]:
    """The code for sm_90, and the registers of each kernel."""
    ptxas = pathlib.Path(list(nvidia.cuda_nvcc.__path__)[0]) / "bin" / "ptxas"
    nvdisasm = pathlib.Path(list(nvidia.cu13.__path__)[0]) / "bin" / "nvdisasm"
    with tempfile.TemporaryDirectory() as folder:
        binary = pathlib.Path(folder) / "kernels.cubin"

        def run(*command):
            return subprocess.run(command, capture_output=True, text=True, check=True)

        report = run(ptxas, "-v", "-arch=sm_90", ptx, "-o", binary).stderr
        found = re.findall(r"entry function '(\w+)'.*?Used (\d+) registers", report, flags=re.S)
        return run(nvdisasm, "-c", binary).stdout, {name: int(registers) for name, registers in found}


def bodies(code: str) -> dict[str, list[str]]:
    """The lines of each kernel: labels and instructions."""
    kernels: dict[str, list[str]] = {}
    name = ""
    for line in code.splitlines():
        if match := re.match(r"\.text\.(\w+):", line):
            name = match.group(1)
            kernels[name] = []
        elif name and (re.match(r"\.L_", line) or "/*" in line):
            kernels[name].append(line)
    return kernels


def instructions(lines: list[str]) -> int:
    return sum(1 for line in lines if "/*" in line and "NOP" not in line)


def per_block(lines: list[str]) -> float:
    """Instructions of a thread of `multiply` for an output's block of 32: in the part that multiplies four blocks of four outputs,
    with 8 `dp4a` each."""
    best, start = math.inf, 0
    for i, line in enumerate(lines + [".L_end:"]):
        if line.startswith("."):
            part = lines[start:i]
            if sum("IDP.4A" in instruction for instruction in part) == 4 * 4 * 8:
                best = min(best, instructions(part) / 16)
            start = i + 1
    return best


def product_time(rows: int, outputs: int, width: int, count: float, registers: int) -> float:
    blocks = width // 32
    throughput = outputs * blocks * rows * count / 32 / (PROCESSORS * ISSUE)
    grid = math.ceil(outputs / 32) * math.ceil(rows / 16)
    resident = min(REGISTERS // (128 * registers), WARPS // 4)
    waves = math.ceil(grid / (PROCESSORS * resident))
    # The next four blocks come while four are multiplied.
    steps = math.ceil(blocks / 4)
    latency = waves * (ANSWER + steps * max(ANSWER, 16 * count * min(resident, math.ceil(grid / PROCESSORS))))
    weights = outputs * width * 36 / 32 / MEMORY
    return max(max(throughput, latency) / CLOCK, weights)


def batch(rows: int, count: float, registers: int) -> dict[str, float]:
    layer = sum(product_time(rows, outputs, width, count, registers) for outputs, width in PRODUCTS)
    head = product_time(rows, OUTPUTS, HIDDEN, count, registers)
    cached = rows * LAYERS * KV_HEADS * PLACES * (2 * DIM + 4 * DIM // 32 + 4) / MEMORY
    launches = LAYERS * (len(PRODUCTS) + SHORT_KERNELS + 1) + 4
    return {
        "products": LAYERS * layer + head,
        "attention": max(cached, LAYERS * 5e-6),
        "short kernels": LAYERS * SHORT_KERNELS * SHORT,
        "launches": launches * LAUNCH,
        "tables over PCIe": rows * 4 * (OUTPUTS + 1) / PCIE,
        "the rest over PCIe": rows * (LAYERS * KV_HEADS * (2 * DIM + 12) + 2048 + 4 * HIDDEN) / PCIE + 80e-6,
    }


COPIES = ["tables over PCIe", "the rest over PCIe"]


def main() -> None:
    code, registers = assemble(FOLDER / "kernels.ptx")
    kernels = bodies(code)
    print("| kernel | registers | instructions |\n|---|---|---|")
    for kernel, lines in sorted(kernels.items()):
        print(f"| {kernel} | {registers[kernel]} | {instructions(lines)} |")
    counts = {"dp4a": (per_block(kernels["multiply"]), registers["multiply"]), "mma": TENSOR}
    blocks = (sum(outputs * width for outputs, width in PRODUCTS) * LAYERS + OUTPUTS * HIDDEN) / 32
    print()
    for name, (count, _) in counts.items():
        print(f"{name}: {count:.1f} instructions for a block of 32, {blocks * count / 32e6:.2f} million of a warp a token")

    columns = [(name, rows) for rows in (128, 512) for name in counts]
    times = [batch(rows, *counts[name]) for name, rows in columns]

    def row(title: str, cells) -> None:
        print(f"| {title} | {' | '.join(cells)} |")

    print()
    row("microseconds a batch", (f"{rows} rows, {name}" for name, rows in columns))
    row("---", ["---"] * len(columns))
    for part in times[0]:
        row(part, (f"{1e6 * time[part]:.0f}" for time in times))
    row("all", (f"{1e6 * sum(time.values()):.0f}" for time in times))
    alone = (rows / (sum(time.values()) + rows * KEEP) for (_, rows), time in zip(columns, times))
    row("tokens/s, one batch after the other, the CPU's copies included", (f"{rate:,.0f}" for rate in alone))

    print()
    row("blocks of 128 lanes, on as many cores", counts)
    row("---", ["---"] * len(counts))
    for blocks in (1, 2, 4, 8, 16):
        # Two passes share the blocks. Copies of one go beside the kernels of the other.
        rows = min(512, 128 * math.ceil(blocks / 2))
        speeds = []
        for numbers in counts.values():
            parts = batch(rows, *numbers)
            whole, copies = sum(parts.values()), sum(parts[part] for part in COPIES)
            device = rows / (max(whole - copies, copies) if blocks > 1 else whole)
            threads = blocks * 128 / (128 * (ENSEMBLE + STEP + KEEP) + whole)
            speeds.append(f"{4 * min(device, threads) / 1e6:.2f} MB/s")
        row(str(blocks), speeds)


main()
