//! A transformer as the codec needs it: the model, and its vocabulary as a trie.

use crate::error::Error;
use crate::experts::token::trie::{Trie, VIRTUAL};
use crate::transformer::checkpoint::Checkpoint;
use crate::transformer::load::{from_gguf, load};
use crate::transformer::{Backend, Model, Session, Step};
use std::io::Cursor;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use xxhash_rust::xxh3::Xxh3;

static EMBEDDED: &[u8] = include_bytes!("../../models/transformer.gguf");

/// What a lane's window holds, in tokens, where lanes are few and where they are many.
const WINDOW: usize = 512;
const SHORT_WINDOW: usize = 256;
/// What [`LanguageModel::probe`] is about.
const PROBE: &[u8] = b"The quick brown fox jumps over 13 lazy dogs.\n{\"a\": [1, 2.5]}\nfn main() { return; }\n";

/// A transformer that predicts text: the embedded one, or any Llama-family model.
pub struct LanguageModel {
    model: Arc<Model>,
    trie: Arc<Trie>,
    id: [u8; 16],
    probe: OnceLock<u64>,
}

impl LanguageModel {
    /// The one that is part of the program.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) when the program file is damaged.
    pub fn embedded() -> Result<Arc<LanguageModel>, Error> {
        static NETWORK: OnceLock<Arc<LanguageModel>> = OnceLock::new();
        if let Some(network) = NETWORK.get() {
            return Ok(network.clone());
        }
        let checkpoint = from_gguf(&mut Cursor::new(EMBEDDED), "the embedded transformer")?;
        let network = Arc::new(LanguageModel::new(checkpoint)?);
        Ok(NETWORK.get_or_init(|| network).clone())
    }

    /// A Hugging Face directory, a GGUF file, or a name of a model in the Hugging Face folder `cache`.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) names what is wrong with it; [`ErrorKind::Io`](crate::ErrorKind::Io) where it can't be read.
    pub fn load(path: &Path, cache: Option<&Path>) -> Result<Arc<LanguageModel>, Error> {
        Ok(Arc::new(LanguageModel::new(load(path, cache)?)?))
    }

    fn new(checkpoint: Checkpoint) -> Result<LanguageModel, Error> {
        let trie = Trie::new(&checkpoint.tokens);
        let id = checkpoint.id();
        let model = Model::new(checkpoint, &trie.known())?;
        Ok(LanguageModel { model: Arc::new(model), trie: Arc::new(trie), id, probe: OnceLock::new() })
    }

    /// A hash of weights, vocabulary and arithmetic.
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// A hash of what this machine computes for a fixed text: the same everywhere, or nothing can be decoded.
    ///
    /// # Errors
    /// As [`LanguageModel::backend`].
    pub fn probe(&self) -> Result<u64, Error> {
        if let Some(&probe) = self.probe.get() {
            return Ok(probe);
        }
        let mut backend = self.backend(1, 0, 1)?;
        let mut hash = Xxh3::new();
        for token in self.context(PROBE) {
            backend.advance(&[Step { lane: 0, tokens: &[token], from: 0 }], &mut |_, _, totals| {
                totals.iter().for_each(|total| hash.update(&total.to_le_bytes()));
            });
        }
        Ok(*self.probe.get_or_init(|| hash.digest()))
    }

    /// The vocabulary.
    pub fn trie(&self) -> &Arc<Trie> {
        &self.trie
    }

    /// What runs it: `lanes` lanes, on `threads` threads; the head and the last `learning` feed-forward layers learn.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the system gives no threads or no memory.
    pub fn backend(&self, lanes: usize, learning: usize, threads: usize) -> Result<Box<dyn Backend>, Error> {
        Ok(Box::new(Session::new(self.model.clone(), lanes, threads, self.window(lanes))?.adaptive(learning)?))
    }

    fn window(&self, lanes: usize) -> usize {
        self.model.config().context.clamp(16, if lanes <= 2 { WINDOW } else { SHORT_WINDOW })
    }

    /// Bytes of memory that a backend of `lanes` lanes takes with the weights; these are counted with each.
    pub fn memory(&self, lanes: usize, learning: usize) -> u64 {
        let config = self.model.config();
        let layer = config.hidden * (config.head_dim * (config.heads + config.kv_heads) * 2 + 3 * config.feed_forward);
        let weights = config.layers * layer + 2 * config.vocabulary * config.hidden;
        let cache = config.layers * config.kv_heads * config.head_dim * 3 * self.window(lanes);
        // Weights in binary32 and int8; of a layer's one gradient besides.
        let matrix = config.hidden * config.feed_forward;
        let learned = learning * 3 * matrix;
        let gradient = learning.min(1) * 2 * matrix;
        let adaptive = 5 * (config.vocabulary * config.hidden + learned) + 4 * gradient;
        (2 * weights + adaptive + lanes * (cache + 16 * config.vocabulary)) as u64
    }

    /// What the model is told of a token: where it has none for a byte, that a text begins.
    pub fn told(&self, token: u32) -> u32 {
        if token == VIRTUAL { self.model.start() } else { token }
    }

    /// A context that ends with the tokens of `bytes`.
    pub fn context(&self, bytes: &[u8]) -> Vec<u32> {
        let tokens = self.trie.cut(bytes).map(|token| self.told(self.trie.find(token).unwrap_or(VIRTUAL)));
        std::iter::once(self.model.start()).chain(tokens).collect()
    }
}
