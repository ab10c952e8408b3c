#!/usr/bin/env python3
"""Bits per byte of a model on held-out text, per category.

usage: evaluate.py MODEL [--valid valid.tar.xz] [--bytes 12000] [--int8]

MODEL: whatever weights.load reads; a GGUF file is evaluated with the int8 weights that it holds. --int8 also rounds what
goes into each matrix to int8, per 32 values, as nzip's engine does. Text is cut as nzip cuts it (cut.py), and each token
predicted from half a context or more.
"""
import argparse, math, os, tarfile
import torch, torch.nn.functional as F
from cut import Cutter
from weights import load

HERE = os.path.dirname(os.path.abspath(__file__))


def round_to_int8(x):
    blocks = x.unflatten(-1, (-1, 32))
    scale = blocks.abs().amax(-1, keepdim=True).clamp(min=1e-30) / 127
    return ((blocks / scale).round() * scale).flatten(-2)


class Llama:
    """A plain float32 Llama, apart from the training code so that it checks it too."""

    def __init__(self, model, int8):
        self.config, self.tensors, self.int8 = model.config, model.tensors, int8
        size = self.config["head_dim"]
        frequency = self.config["rope_theta"] ** (-torch.arange(0, size, 2).float() / size)
        angle = torch.arange(self.config["max_position_embeddings"]).float()[:, None] * frequency
        self.cos, self.sin = angle.cos(), angle.sin()

    def linear(self, x, name):
        return F.linear(round_to_int8(x) if self.int8 else x, self.tensors[name + ".weight"])

    def norm(self, x, name):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.config["rms_norm_eps"]) * self.tensors[name + ".weight"]

    def rotate(self, x):
        a, b = x.chunk(2, -1)
        cos, sin = self.cos[: x.shape[-2]], self.sin[: x.shape[-2]]
        return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)

    def logits(self, ids):
        h = self.tensors["model.embed_tokens.weight"][ids]
        for i in range(self.config["num_hidden_layers"]):
            at = f"model.layers.{i}."
            y = self.norm(h, at + "input_layernorm")
            q, k, v = (self.linear(y, f"{at}self_attn.{c}_proj").unflatten(-1, (-1, self.config["head_dim"])).transpose(1, 2) for c in "qkv")
            mixed = F.scaled_dot_product_attention(self.rotate(q), self.rotate(k), v, is_causal=True, enable_gqa=True)
            h = h + self.linear(mixed.transpose(1, 2).flatten(-2), at + "self_attn.o_proj")
            y = self.norm(h, at + "post_attention_layernorm")
            inner = F.silu(self.linear(y, at + "mlp.gate_proj")) * self.linear(y, at + "mlp.up_proj")
            h = h + self.linear(inner, at + "mlp.down_proj")
        return self.linear(self.norm(h, "model.norm"), "model.embed_tokens")

    @torch.no_grad()
    def bits(self, ids, batch=8):
        """Bits of all ids but zeros, in windows that overlap by half."""
        length = self.config["max_position_embeddings"]
        half = length // 2
        ids = F.pad(torch.tensor(ids), (0, length + 1 + -len(ids) % half))
        windows = ids.unfold(0, length + 1, half)
        inputs, targets = windows[:, :-1], windows[:, 1:].clone()
        targets[1:, :half] = 0  # the window before has them
        loss = lambda x, y: F.cross_entropy(self.logits(x).flatten(0, 1), y.flatten(), ignore_index=0, reduction="sum")
        return sum(loss(x, y).item() for x, y in zip(inputs.split(batch), targets.split(batch))) / math.log(2)


def sample(text, size, piece=3000):
    """Pieces of some `size` bytes in all, from the middle of documents all over the text."""
    documents = [d for d in text.split("\0") if len(d) >= 100]
    for document in documents[:: max(1, len(documents) // 64)]:
        start = max(0, len(document) - piece) // 2
        yield document[start : start + min(piece, size)]
        size -= min(piece, size, len(document))
        if size < 100:
            break


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("--valid", default=f"{HERE}/../../../shared/train/valid.tar.xz")
    p.add_argument("--bytes", type=int, default=12_000, help="of text per category")
    p.add_argument("--int8", action="store_true")
    args = p.parse_args()
    torch.set_num_threads(1)
    model = load(args.model)
    cutter, llama = Cutter(model.tokenizer), Llama(model, args.int8)
    every = []
    with tarfile.open(args.valid) as archive:
        for member in filter(tarfile.TarInfo.isfile, archive.getmembers()):
            text = archive.extractfile(member).read().decode(errors="ignore")
            pieces = [piece.encode() for piece in sample(text, args.bytes)]
            ids = [id for piece in pieces for id in [0, *cutter.cut(piece).tolist()]]
            size = sum(map(len, pieces))
            every.append(llama.bits(ids) / size)
            name = os.path.basename(member.name).removesuffix(".txt")
            print(f"{name:14} {every[-1]:.3f} bpb of {size} bytes", flush=True)
    print(f"{'mean':14} {sum(every) / len(every):.3f}")


if __name__ == "__main__":
    main()
