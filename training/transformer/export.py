#!/usr/bin/env python3
"""usage: export.py MODEL OUT.gguf      MODEL: a training state (state.pt), a Hugging Face directory or a GGUF file"""
import sys
from weights import load, to_gguf

to_gguf(load(sys.argv[1]), sys.argv[2])
