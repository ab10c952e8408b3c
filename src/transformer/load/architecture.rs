//! The architectures that the engine runs, and how their files differ.

use super::names::{GEMMA, HUGGING_FACE, Names};
use crate::transformer::checkpoint::Activation;

/// An architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Also SmolLM2 and TinyLlama.
    Llama,
    /// A Llama whose layers see a window of the context.
    Mistral,
    /// Qwen2 and Qwen2.5.
    Qwen2,
    Qwen3,
    SmolLm3,
    /// The text models of Gemma 3: 270M and 1B.
    Gemma3,
}

/// The architectures that are supported, for messages.
pub const SUPPORTED: &str = "llama, mistral, qwen2, qwen3, smollm3 and gemma3 (text only) are";

impl Architecture {
    /// From config.json's `model_type`.
    pub fn of_hugging_face(model_type: &str) -> Option<Self> {
        Some(match model_type {
            "llama" => Architecture::Llama,
            "mistral" => Architecture::Mistral,
            "qwen2" => Architecture::Qwen2,
            "qwen3" => Architecture::Qwen3,
            "smollm3" => Architecture::SmolLm3,
            "gemma3_text" => Architecture::Gemma3,
            _ => return None,
        })
    }

    /// From a GGUF file's `general.architecture`. Files of Mistral models say llama.
    pub fn of_gguf(name: &str) -> Option<Self> {
        Some(match name {
            "llama" => Architecture::Llama,
            "qwen2" => Architecture::Qwen2,
            "qwen3" => Architecture::Qwen3,
            "smollm3" => Architecture::SmolLm3,
            "gemma3" => Architecture::Gemma3,
            _ => return None,
        })
    }

    /// The names of tensors in Hugging Face files.
    pub fn hugging_face_names(self) -> &'static Names {
        if self == Architecture::Gemma3 { &GEMMA } else { &HUGGING_FACE }
    }

    /// Whether q, k and v have biases.
    pub fn has_biases(self) -> bool {
        self == Architecture::Qwen2
    }

    /// Whether the heads of q and k are normalised.
    pub fn has_head_norms(self) -> bool {
        matches!(self, Architecture::Qwen3 | Architecture::Gemma3)
    }

    /// Whether the outputs of attention and of the feed-forward layers are normalised.
    pub fn has_post_norms(self) -> bool {
        self == Architecture::Gemma3
    }

    /// What Hugging Face files leave out of the weights of norms.
    pub fn norm_offset(self) -> f32 {
        if self == Architecture::Gemma3 { 1.0 } else { 0.0 }
    }

    /// Whether GGUF files have the elements of a rotary pair side by side, not half a head apart.
    pub fn has_adjacent_pairs(self) -> bool {
        matches!(self, Architecture::Llama | Architecture::SmolLm3)
    }

    /// The activation of the feed-forward layers.
    pub fn activation(self) -> Activation {
        if self == Architecture::Gemma3 { Activation::Gelu } else { Activation::Silu }
    }

    /// Whether the head is the embedding if config.json does not say.
    pub fn is_tied(self) -> bool {
        matches!(self, Architecture::SmolLm3 | Architecture::Gemma3)
    }

    /// One layer of so many is not local, the last of them (in SmolLM3 the other way round): the default, and what GGUF files
    /// leave out. `None` if there are no local layers.
    pub fn period(self) -> Option<usize> {
        match self {
            Architecture::Gemma3 => Some(6),
            Architecture::SmolLm3 => Some(4),
            _ => None,
        }
    }

    /// Which of `layers` layers are local, one layer of `period` being different.
    pub fn local_layers(self, layers: usize, period: usize) -> Vec<bool> {
        let last = |layer: usize| (layer + 1).is_multiple_of(period);
        match self {
            Architecture::Gemma3 => (0..layers).map(|layer| !last(layer)).collect(),
            Architecture::SmolLm3 => (0..layers).map(last).collect(),
            _ => Vec::new(),
        }
    }
}
