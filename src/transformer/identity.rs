//! A model's identity in archives: a hash of everything that its predictions depend on.

use xxhash_rust::xxh3::Xxh3;

use super::checkpoint::{Activation, Checkpoint, Extras, LayerExtras, Matrix};

/// Version of the operations that `docs/ARITHMETIC.md` defines. Any change of a result, by a single bit, needs a new one.
pub const ARITHMETIC_VERSION: u32 = 6;

impl Checkpoint {
    /// XXH3-128, little-endian, of [`ARITHMETIC_VERSION`], the configuration, the int8 weights and the tokens' bytes, then of the
    /// separator, if it is not the start token, and of what a Llama does not have, if there is anything.
    /// The same model has the same identity whichever file form it was loaded from.
    pub fn id(&self) -> [u8; 16] {
        let mut hash = Hash(Xxh3::new());
        let config = &self.config;
        hash.numbers(&[ARITHMETIC_VERSION]);
        for size in [
            config.vocabulary,
            config.hidden,
            config.layers,
            config.heads,
            config.kv_heads,
            config.head_dim,
            config.feed_forward,
            config.context,
        ] {
            hash.length(size);
        }
        hash.numbers(&[config.norm_eps.to_bits(), config.rope_theta.to_bits(), self.start, self.head.is_some().into()]);
        hash.matrix(&self.embedding);
        self.head.iter().for_each(|head| hash.matrix(head));
        for layer in &self.layers {
            hash.floats(&layer.attention_norm);
            [&layer.q, &layer.k, &layer.v, &layer.o].into_iter().for_each(|matrix| hash.matrix(matrix));
            hash.floats(&layer.feed_forward_norm);
            [&layer.gate, &layer.up, &layer.down].into_iter().for_each(|matrix| hash.matrix(matrix));
        }
        hash.floats(&self.norm);
        for token in &self.tokens {
            hash.length(token.len());
            hash.0.update(token);
        }
        if self.separator != self.start {
            hash.0.update(b"separator");
            hash.numbers(&[self.separator]);
        }
        self.extras(&mut hash);
        hash.0.digest128().to_le_bytes()
    }

    fn extras(&self, hash: &mut Hash) {
        let extras = &self.config.extras;
        if *extras == Extras::default() && self.layers.iter().all(|layer| layer.extras == LayerExtras::default()) {
            return;
        }
        let Extras { activation, scaled_embedding, rope_divisors, local_layers, local_theta } = extras;
        hash.numbers(&[(*activation == Activation::Gelu).into(), (*scaled_embedding).into()]);
        hash.numbers(&[local_theta.is_some().into(), local_theta.unwrap_or_default().to_bits()]);
        hash.sized(rope_divisors);
        hash.length(local_layers.len());
        local_layers.iter().for_each(|&local| hash.numbers(&[local.into()]));
        for layer in &self.layers {
            let LayerExtras { biases, q_norm, k_norm, attention_post_norm, feed_forward_post_norm } = &layer.extras;
            for vector in [biases, q_norm, k_norm, attention_post_norm, feed_forward_post_norm] {
                hash.sized(vector);
            }
        }
    }
}

/// Feeds numbers to the hash as little-endian bytes, many at once for speed.
struct Hash(Xxh3);

impl Hash {
    fn numbers(&mut self, numbers: &[u32]) {
        for part in numbers.chunks(256) {
            let bytes: Vec<u8> = part.iter().flat_map(|number| number.to_le_bytes()).collect();
            self.0.update(&bytes);
        }
    }

    fn length(&mut self, length: usize) {
        self.0.update(&(length as u64).to_le_bytes());
    }

    fn floats(&mut self, floats: &[f32]) {
        for part in floats.chunks(256) {
            let bytes: Vec<u8> = part.iter().flat_map(|float| float.to_bits().to_le_bytes()).collect();
            self.0.update(&bytes);
        }
    }

    fn sized(&mut self, floats: &[f32]) {
        self.length(floats.len());
        self.floats(floats);
    }

    fn matrix(&mut self, matrix: &Matrix) {
        for part in matrix.quants.chunks(4096) {
            let bytes: Vec<u8> = part.iter().map(|&quant| quant as u8).collect();
            self.0.update(&bytes);
        }
        self.floats(&matrix.scales);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transformer::checkpoint::{Config, Layer, LayerExtras};

    fn tiny() -> Checkpoint {
        let matrix = |rows, columns| {
            let weights: Vec<f32> = (0..rows * columns).map(|i| i as f32 - 3.0).collect();
            Matrix::quantise(rows, columns, &weights).unwrap()
        };
        let layer = Layer {
            attention_norm: vec![1.0; 4],
            q: matrix(4, 4),
            k: matrix(2, 4),
            v: matrix(2, 4),
            o: matrix(4, 4),
            feed_forward_norm: vec![1.0; 4],
            gate: matrix(3, 4),
            up: matrix(3, 4),
            down: matrix(4, 3),
            extras: LayerExtras::default(),
        };
        Checkpoint {
            config: Config {
                vocabulary: 3,
                hidden: 4,
                layers: 1,
                heads: 2,
                kv_heads: 1,
                head_dim: 2,
                feed_forward: 3,
                norm_eps: 1e-5,
                rope_theta: 1e4,
                context: 16,
                extras: Extras::default(),
            },
            embedding: matrix(3, 4),
            head: None,
            layers: vec![layer],
            norm: vec![1.0; 4],
            tokens: vec![b"".to_vec(), b"a".to_vec(), b"ab".to_vec()],
            start: 0,
            separator: 0,
        }
    }

    /// Archives store the identity, so it may change with [`ARITHMETIC_VERSION`] only.
    #[test]
    fn identity_is_stable() {
        let id: String = tiny().id().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(id, "f59b515e37456473421dd055471771f2");
    }

    #[test]
    fn identity_depends_on_every_field() {
        let changes: [fn(&mut Checkpoint); 19] = [
            |model| model.config.context += 1,
            |model| model.config.norm_eps = 1e-6,
            |model| model.embedding.quants[5] ^= 1,
            |model| model.layers[0].down.scales[1] = 0.0,
            |model| model.layers[0].feed_forward_norm[3] = -0.0,
            |model| model.head = Some(model.embedding.clone()),
            |model| model.norm[0] = 2.0,
            |model| model.tokens = vec![b"a".to_vec(), b"".to_vec(), b"ab".to_vec()],
            |model| model.start = 1,
            |model| model.separator = 1,
            |model| model.config.extras.activation = Activation::Gelu,
            |model| model.config.extras.scaled_embedding = true,
            |model| model.config.extras.rope_divisors = vec![8.0],
            |model| model.config.extras.local_layers = vec![true],
            |model| model.config.extras.local_theta = Some(1e4),
            |model| model.layers[0].extras.biases = vec![1.0; 8],
            |model| model.layers[0].extras.q_norm = vec![1.0; 2],
            |model| model.layers[0].extras.k_norm = vec![1.0; 2],
            |model| model.layers[0].extras.feed_forward_post_norm = vec![1.0; 4],
        ];
        let mut ids = vec![tiny().id()];
        for change in changes {
            let mut model = tiny();
            change(&mut model);
            ids.push(model.id());
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 20);
    }
}
