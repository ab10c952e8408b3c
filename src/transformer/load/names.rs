//! The names of tensors in both file forms.

/// Tensor names of a file form. Layer tensors are called `{layer}.{number}.{part}.weight`, biases `{layer}.{number}.{part}.bias`.
pub struct Names {
    pub embedding: &'static str,
    pub head: &'static str,
    pub norm: &'static str,
    /// Prefix of layer tensors.
    pub layer: &'static str,
    pub attention_norm: &'static str,
    pub q: &'static str,
    pub k: &'static str,
    pub v: &'static str,
    pub o: &'static str,
    pub feed_forward_norm: &'static str,
    pub gate: &'static str,
    pub up: &'static str,
    pub down: &'static str,
    pub q_norm: &'static str,
    pub k_norm: &'static str,
    pub attention_post_norm: &'static str,
    pub feed_forward_post_norm: &'static str,
}

/// Names in Hugging Face files.
pub const HUGGING_FACE: Names = Names {
    embedding: "model.embed_tokens.weight",
    head: "lm_head.weight",
    norm: "model.norm.weight",
    layer: "model.layers",
    attention_norm: "input_layernorm",
    q: "self_attn.q_proj",
    k: "self_attn.k_proj",
    v: "self_attn.v_proj",
    o: "self_attn.o_proj",
    feed_forward_norm: "post_attention_layernorm",
    gate: "mlp.gate_proj",
    up: "mlp.up_proj",
    down: "mlp.down_proj",
    q_norm: "self_attn.q_norm",
    k_norm: "self_attn.k_norm",
    attention_post_norm: "",
    feed_forward_post_norm: "",
};

/// Names in Hugging Face files of Gemma 3.
pub const GEMMA: Names = Names {
    attention_post_norm: "post_attention_layernorm",
    feed_forward_norm: "pre_feedforward_layernorm",
    feed_forward_post_norm: "post_feedforward_layernorm",
    ..HUGGING_FACE
};

/// Names in GGUF files.
pub const GGUF: Names = Names {
    embedding: "token_embd.weight",
    head: "output.weight",
    norm: "output_norm.weight",
    layer: "blk",
    attention_norm: "attn_norm",
    q: "attn_q",
    k: "attn_k",
    v: "attn_v",
    o: "attn_output",
    feed_forward_norm: "ffn_norm",
    gate: "ffn_gate",
    up: "ffn_up",
    down: "ffn_down",
    q_norm: "attn_q_norm",
    k_norm: "attn_k_norm",
    attention_post_norm: "post_attention_norm",
    feed_forward_post_norm: "post_ffw_norm",
};

impl Names {
    /// The full name of a layer's tensor.
    pub fn of_layer(&self, layer: usize, part: &str) -> String {
        format!("{}.{layer}.{part}.weight", self.layer)
    }
}
