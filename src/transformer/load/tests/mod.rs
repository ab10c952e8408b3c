//! Loads tiny models made here, intact and damaged in many ways, and the real ones of ../shared.

mod gguf;
mod huggingface;
mod real;

use std::collections::BTreeMap;

/// A model of one layer with 6 tokens: hidden size 4, 2 heads of dimension 2 with 1 key head, feed-forward size 3.
pub fn shapes() -> Vec<(&'static str, &'static str, Vec<usize>)> {
    vec![
        ("model.embed_tokens.weight", "token_embd.weight", vec![6, 4]),
        ("model.norm.weight", "output_norm.weight", vec![4]),
        ("model.layers.0.input_layernorm.weight", "blk.0.attn_norm.weight", vec![4]),
        ("model.layers.0.self_attn.q_proj.weight", "blk.0.attn_q.weight", vec![4, 4]),
        ("model.layers.0.self_attn.k_proj.weight", "blk.0.attn_k.weight", vec![2, 4]),
        ("model.layers.0.self_attn.v_proj.weight", "blk.0.attn_v.weight", vec![2, 4]),
        ("model.layers.0.self_attn.o_proj.weight", "blk.0.attn_output.weight", vec![4, 4]),
        ("model.layers.0.post_attention_layernorm.weight", "blk.0.ffn_norm.weight", vec![4]),
        ("model.layers.0.mlp.gate_proj.weight", "blk.0.ffn_gate.weight", vec![3, 4]),
        ("model.layers.0.mlp.up_proj.weight", "blk.0.ffn_up.weight", vec![3, 4]),
        ("model.layers.0.mlp.down_proj.weight", "blk.0.ffn_down.weight", vec![4, 3]),
    ]
}

/// Tensors of floats by name.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// The model's weights. Binary16 and bfloat16 represent them exactly.
pub fn tensors(gguf: bool) -> Tensors {
    let values = |shape: &[usize]| (0..shape.iter().product()).map(|i: usize| (i as f32 - 5.0) / 8.0).collect();
    let name = |hf: &str, other: &str| if gguf { other.to_owned() } else { hf.to_owned() };
    shapes().into_iter().map(|(hf, other, shape)| (name(hf, other), (shape.clone(), values(&shape)))).collect()
}
