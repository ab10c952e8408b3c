"""A model as plain Llama weights: read from a training state, a Hugging Face directory or a GGUF file; written as GGUF."""
import json, os
from dataclasses import dataclass
import gguf

NAME = "nzip"
# Hugging Face's name of each matrix and norm of a block, and GGUF's.
BLOCK = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}


@dataclass
class Model:
    config: dict     # Hugging Face's keys
    tensors: dict    # float32 tensors by Hugging Face's names
    tokenizer: dict  # tokenizer.json


def load(path):
    if path.endswith(".pt"):
        return from_state(path)
    return from_directory(path) if os.path.isdir(path) else from_gguf(path)


def from_state(path):
    import torch
    from model import EMBED_SCALE, EPS, NAMES
    state = torch.load(path, map_location="cpu", weights_only=False)
    args, weights = state["args"], state["model"]
    # A residual stream EMBED_SCALE times smaller: so are the branches that add to it, and the norms' epsilon by its square.
    tensors = {"model.embed_tokens.weight": weights["embed"], "model.norm.weight": weights["norm"]}
    for i in range(args["layers"]):
        for short, name in NAMES.items():
            scale = EMBED_SCALE if short in ("o", "down") else 1.0
            tensors[f"model.layers.{i}.{name}.weight"] = weights[f"blocks.{i}.{short}"] / scale
    config = dict(vocab_size=len(weights["embed"]), hidden_size=args["d"], intermediate_size=args["ff"],
                  num_hidden_layers=args["layers"], num_attention_heads=args["heads"], num_key_value_heads=args["kv_heads"],
                  head_dim=args["head_dim"], rms_norm_eps=EPS / EMBED_SCALE**2, rope_theta=10000.0,
                  max_position_embeddings=args["ctx"])
    return Model(config, tensors, json.load(open(f"{args['data']}/tokenizer.json")))


def from_directory(path):
    from safetensors.torch import load_file
    tensors = {name: x.float() for name, x in load_file(f"{path}/model.safetensors").items()}
    return Model(json.load(open(f"{path}/config.json")), tensors, json.load(open(f"{path}/tokenizer.json")))


def from_gguf(path):
    import torch
    file = gguf.Reader(path)
    meta = {key.removeprefix("llama."): v for key, v in file.metadata.items()}
    heads, kv_heads = meta["attention.head_count"], meta["attention.head_count_kv"]
    config = dict(vocab_size=len(meta["tokenizer.ggml.tokens"]), hidden_size=meta["embedding_length"],
                  intermediate_size=meta["feed_forward_length"], num_hidden_layers=meta["block_count"],
                  num_attention_heads=heads, num_key_value_heads=kv_heads, head_dim=meta["rope.dimension_count"],
                  rms_norm_eps=meta["attention.layer_norm_rms_epsilon"], rope_theta=meta["rope.freq_base"],
                  max_position_embeddings=meta["context_length"])
    tensors = {"model.embed_tokens.weight": file.tensors["token_embd.weight"], "model.norm.weight": file.tensors["output_norm.weight"]}
    for i in range(config["num_hidden_layers"]):
        for name, short in BLOCK.items():
            x = file.tensors[f"blk.{i}.{short}.weight"]
            if short in ("attn_q", "attn_k"):
                x = halves_from_pairs(x, heads if short == "attn_q" else kv_heads)
            tensors[f"model.layers.{i}.{name}.weight"] = x
    tensors = {name: torch.from_numpy(x.copy()) for name, x in tensors.items()}
    return Model(config, tensors, tokenizer_from_gguf(meta))


def to_gguf(model, path):
    config, tokenizer = model.config, model.tokenizer
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    size = config["head_dim"]
    vocabulary = sorted(tokenizer["model"]["vocab"].items(), key=lambda item: item[1])
    special = {token["id"] for token in tokenizer["added_tokens"]}
    split = tokenizer["pre_tokenizer"]["pretokenizers"][0]
    metadata = {
        "general.architecture": "llama", "general.name": NAME, "general.file_type": 7, "general.quantization_version": 2,
        "llama.context_length": config["max_position_embeddings"], "llama.embedding_length": config["hidden_size"],
        "llama.block_count": config["num_hidden_layers"], "llama.feed_forward_length": config["intermediate_size"],
        "llama.attention.head_count": heads, "llama.attention.head_count_kv": kv_heads,
        "llama.attention.key_length": size, "llama.attention.value_length": size,
        "llama.attention.layer_norm_rms_epsilon": config["rms_norm_eps"],
        "llama.rope.dimension_count": size, "llama.rope.freq_base": config["rope_theta"],
        "llama.vocab_size": config["vocab_size"],
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": NAME, "nzip.pre_tokenizer.regex": split["pattern"]["Regex"],
        "tokenizer.ggml.tokens": [token for token, _ in vocabulary],
        "tokenizer.ggml.token_type": [3 if id in special else 1 for _, id in vocabulary],  # control, normal
        "tokenizer.ggml.merges": [" ".join(pair) for pair in tokenizer["model"]["merges"]],
        "tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.eos_token_id": 0, "tokenizer.ggml.add_bos_token": True,
    }
    source = {name: x.numpy() for name, x in model.tensors.items()}
    tensors = {"token_embd.weight": source["model.embed_tokens.weight"], "output_norm.weight": source["model.norm.weight"]}
    for i in range(config["num_hidden_layers"]):
        for name, short in BLOCK.items():
            x = source[f"model.layers.{i}.{name}.weight"]
            if short in ("attn_q", "attn_k"):
                x = pairs_from_halves(x, heads if short == "attn_q" else kv_heads)
            tensors[f"blk.{i}.{short}.weight"] = x
    gguf.write(path, metadata, tensors)


def tokenizer_from_gguf(meta):
    """tokenizer.json of a file that to_gguf wrote."""
    tokens, types = meta["tokenizer.ggml.tokens"], meta["tokenizer.ggml.token_type"]
    return {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
        "added_tokens": [dict(id=id, content=token, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
                         for id, (token, kind) in enumerate(zip(tokens, types)) if kind == 3],
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": meta["nzip.pre_tokenizer.regex"]}, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {token: id for id, token in enumerate(tokens)},
                  "merges": [pair.split(" ") for pair in meta["tokenizer.ggml.merges"]]},
    }


def pairs_from_halves(x, heads):
    """GGUF's Llamas rotate neighbouring rows of q and k against each other, Hugging Face's the halves of a head."""
    return x.reshape(heads, 2, -1, x.shape[-1]).swapaxes(1, 2).reshape(x.shape)


def halves_from_pairs(x, heads):
    return x.reshape(heads, -1, 2, x.shape[-1]).swapaxes(1, 2).reshape(x.shape)
