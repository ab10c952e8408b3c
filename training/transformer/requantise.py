#!/usr/bin/env python3
"""usage: requantise.py MODEL.gguf OUT.gguf

Rounds the Q8_0 matrices of a GGUF file to quants from -63 to 63, for which nzip has faster kernels. Each block of 32 gets the
scale, of 21 candidates, with the least squared error. Everything else stays byte for byte."""
import sys
import numpy as np
from gguf import Q8_0, TENSOR_Q8_0, Reader, dequantise

LIMIT = 63


def requantise(packed):
    weights = dequantise(packed)
    largest = np.abs(weights).max(1)
    best, least = packed.copy(), np.full(len(packed), np.inf)
    for share in np.linspace(0.8, 1, 21):
        scales = (largest * share / LIMIT).astype(np.float16)
        scale = scales.astype(np.float32)[:, None]
        ratio = np.divide(weights, scale, out=np.zeros_like(weights), where=scale > 0)
        quants = np.clip(np.rint(ratio), -LIMIT, LIMIT).astype(np.int8)
        error = ((weights - quants * scale) ** 2).sum(1)
        better = error < least
        best["scale"][better], best["quants"][better], least[better] = scales[better], quants[better], error[better]
    return best, least.sum() / (weights**2).sum()


source, target = sys.argv[1:]
reader = Reader(source)
data = bytearray(reader.bytes)
for name, (kind, start, count) in reader.places.items():
    if kind == TENSOR_Q8_0:
        packed, error = requantise(np.frombuffer(reader.bytes, Q8_0, count // 32, start))
        data[start : start + packed.nbytes] = packed.tobytes()
        print(f"{name}: relative squared error {error:.2e}")
with open(target, "wb") as file:
    file.write(data)
