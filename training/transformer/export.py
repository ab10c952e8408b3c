#!/usr/bin/env python3
"""usage: export.py MODEL OUT.gguf
       export.py SHARE=MODEL... OUT.gguf    the average of models of one training, weighted

MODEL: a training state (state.pt), a Hugging Face directory or a GGUF file"""
import sys
from weights import load, to_gguf


def average(shares, models):
    for name in models[0].tensors:
        models[0].tensors[name] = sum(share * model.tensors[name].float() for share, model in zip(shares, models))
    return models[0]


*models, out = sys.argv[1:]
pairs = [model.split("=", 1) if "=" in model else (1, model) for model in models]
shares = [float(share) for share, _ in pairs]
if abs(sum(shares) - 1) > 1e-6:
    sys.exit(__doc__)
to_gguf(average(shares, [load(path) for _, path in pairs]), out)
