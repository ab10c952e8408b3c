"""The model in training: bf16 matrices around a float32 residual stream, and what makes a step cheap."""
import math
import torch, torch.nn as nn, torch.nn.functional as F

BF16 = torch.bfloat16
EPS = 1e-5
# The residual stream starts at the embedding times this. The shipped model has it folded away: `weights` and `set_weights`.
EMBED_SCALE = 4.0
NAMES = dict(n1="input_layernorm", q="self_attn.q_proj", k="self_attn.k_proj", v="self_attn.v_proj", o="self_attn.o_proj",
             n2="post_attention_layernorm", gate="mlp.gate_proj", up="mlp.up_proj", down="mlp.down_proj")


def linear(x, w):
    return F.linear(x, w.to(BF16))


def rms(x, w):
    return (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS) * w).to(BF16)


def rotate(x, cos, sin):
    a, b = x.float().chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(BF16)


def attention_as_products(queries, keys, values):
    """At these lengths faster on a CPU than PyTorch's fused attention. The query heads that share a key head lie below each
    other, rows of one matrix. Shapes: [batch, key heads, group, length, size] and [batch, key heads, length, size]."""
    *_, group, length, size = queries.shape
    mask = torch.full((length, length), -math.inf, device=queries.device).triu(1).repeat(group, 1)
    scores = (queries.flatten(2, 3) @ keys.transpose(-1, -2)).float() / math.sqrt(size) + mask
    return (scores.softmax(-1).to(BF16) @ values).view(queries.shape)


def fused_attention(queries, keys, values):
    mixed = F.scaled_dot_product_attention(queries.flatten(1, 2), keys, values, is_causal=True, enable_gqa=True)
    return mixed.view(queries.shape)


@torch.compile
def block(x, n1, q, k, v, o, n2, gate, up, down, cos, sin, kv_heads):
    batch, length, _ = x.shape
    size = 2 * cos.shape[-1]
    y = rms(x, n1)
    queries = rotate(linear(y, q).view(batch, length, kv_heads, -1, size).permute(0, 2, 3, 1, 4), cos, sin)
    keys = rotate(linear(y, k).view(batch, length, kv_heads, size).transpose(1, 2), cos, sin)
    values = linear(y, v).view(batch, length, kv_heads, size).transpose(1, 2)
    attention = fused_attention if x.is_cuda else attention_as_products
    mixed = attention(queries, keys, values).permute(0, 3, 1, 2, 4).reshape(batch, length, -1)
    x = x + linear(mixed, o).float()
    y = rms(x, n2)
    return x + linear(F.silu(linear(y, gate)) * linear(y, up), down).float()


class Model(nn.Module):
    def __init__(self, vocabulary, d, layers, heads, kv_heads, ff, size):
        super().__init__()
        matrix = lambda rows, columns: nn.Parameter(torch.randn(rows, columns) * 0.6 / math.sqrt(columns))
        ones = lambda: nn.Parameter(torch.ones(d))
        zeros = lambda rows, columns: nn.Parameter(torch.zeros(rows, columns))
        self.kv_heads = kv_heads
        self.embed, self.norm = nn.Parameter(torch.randn(vocabulary, d) * 0.02), ones()
        self.blocks = nn.ModuleList(nn.ParameterDict(dict(
            n1=ones(), q=matrix(heads * size, d), k=matrix(kv_heads * size, d), v=matrix(kv_heads * size, d), o=zeros(d, heads * size),
            n2=ones(), gate=matrix(ff, d), up=matrix(ff, d), down=zeros(d, ff))) for _ in range(layers))
        angle = torch.arange(8192).float()[:, None] / (10000 ** (torch.arange(0, size, 2).float() / size))
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, ids):
        length, h = ids.shape[1], self.embed[ids] * EMBED_SCALE
        for b in self.blocks:
            h = block(h, *(b[name] for name in NAMES), self.cos[:length], self.sin[:length], self.kv_heads)
        return rms(h, self.norm)

    @torch.no_grad()
    def set_weights(self, model):
        """Takes the weights of a plain Llama (weights.Model), the inverse of weights.from_state."""
        self.embed.copy_(model.tensors["model.embed_tokens.weight"])
        self.norm.copy_(model.tensors["model.norm.weight"])
        for i, b in enumerate(self.blocks):
            for short, name in NAMES.items():
                scale = EMBED_SCALE if short in ("o", "down") else 1.0
                b[short].copy_(model.tensors[f"model.layers.{i}.{name}.weight"] * scale)


@torch.compile
def cross_entropy(logits, y):
    """The summed loss of rows of logits and its gradient."""
    logits = logits.float()
    lse = logits.logsumexp(-1, keepdim=True)
    hit = torch.arange(logits.shape[1], device=logits.device) == y[:, None]
    loss = (lse - logits.gather(1, y[:, None])).sum()
    return loss, ((logits - lse).exp() - hit.float()).to(BF16)


class FusedCrossEntropy(torch.autograd.Function):
    """Mean cross entropy of h @ E^T. Only a chunk's logits exist at a time: the gradients are made on the way."""

    @staticmethod
    def forward(ctx, h, E, y):
        chunk = 32_768 if h.is_cuda else 512
        matrix, total, dh, dE = E.to(BF16), 0.0, torch.empty_like(h), torch.zeros_like(E)
        for i in range(0, len(h), chunk):
            rows = h[i : i + chunk]
            loss, g = cross_entropy(rows @ matrix.t(), y[i : i + chunk])
            total = total + loss
            dh[i : i + chunk] = g @ matrix
            dE.add_(g.t() @ rows)
        ctx.save_for_backward(dh, dE)
        ctx.scale = 1 / len(h)
        return total / len(h)

    @staticmethod
    def backward(ctx, g):
        dh, dE = ctx.saved_tensors
        g = g * ctx.scale
        return dh * g.to(dh.dtype), dE * g, None, None


def orthogonalise(G):
    """Muon's Newton-Schulz step (Jordan et al. 2024): the nearest semi-orthogonal matrices, five bf16 iterations."""
    X = G.to(BF16)
    X = X / (X.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    tall = X.size(-2) > X.size(-1)
    X = X.mT if tall else X
    for _ in range(5):
        A = X @ X.mT
        X = 3.4445 * X + (-4.7750 * A + 2.0315 * A @ A) @ X
    return (X.mT if tall else X).float()
