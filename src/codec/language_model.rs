//! A transformer for the codec: the model, and its vocabulary as a trie.

use super::device::Device;
use crate::error::Error;
use crate::experts::token::expert::Cuts;
use crate::experts::token::hypotheses::MAX_PATH;
use crate::experts::token::merges;
use crate::experts::token::trie::{Trie, VIRTUAL};
use crate::transformer::checkpoint::Checkpoint;
use crate::transformer::load::{from_gguf, load};
use crate::transformer::{Activity, Backend, Model, Replica, Session, Step, open_gpu};
use std::io::Cursor;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use xxhash_rust::xxh3::Xxh3;

static EMBEDDED: &[u8] = nzip_transformer::TRANSFORMER;

/// Tokens in the attention window of the only lane and of one of two lanes, if the model is an external one.
const LONG_WINDOWS: [usize; 2] = [8192, 1024];
/// The same of the embedded model, in one lane or two, and of any in more.
const WINDOW: usize = 512;
const SHORT_WINDOW: usize = 256;
/// Bytes of int8 weights from which a GPU is used unasked. Below, a CPU is about as fast as the launches of a GPU.
const GPU_BYTES: u64 = 30_000_000;
static EMBEDDED_MODEL: OnceLock<Arc<LanguageModel>> = OnceLock::new();
/// The text of [`LanguageModel::probe`].
const PROBE: &[u8] = b"The quick brown fox jumps over 13 lazy dogs.\n{\"a\": [1, 2.5]}\nfn main() { return; }\n";

/// A transformer that predicts text: the embedded one, or any Llama-family model.
pub struct LanguageModel {
    model: Arc<Model>,
    trie: Arc<Trie>,
    id: [u8; 16],
    name: String,
    cuts: Cuts,
    probe: OnceLock<u64>,
    /// See [`LanguageModel::is_strong`].
    pub(super) measured: OnceLock<f64>,
    gpu: OnceLock<Arc<Replica>>,
    activity: Arc<Activity>,
}

impl LanguageModel {
    /// Length of the embedded transformer's file, a lower bound of the memory that it takes.
    pub const EMBEDDED_LEN: u64 = EMBEDDED.len() as u64;

    /// The embedded transformer, loaded on first use.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Model`] if the program file is damaged.
    pub fn embedded() -> Result<Arc<LanguageModel>, Error> {
        if let Some(language_model) = EMBEDDED_MODEL.get() {
            return Ok(language_model.clone());
        }
        let checkpoint = from_gguf(&mut Cursor::new(EMBEDDED), "the embedded transformer")?;
        let language_model = Arc::new(LanguageModel::new(checkpoint, "", Cuts::Longest)?);
        Ok(EMBEDDED_MODEL.get_or_init(|| language_model).clone())
    }

    /// Loads a model. `path` is a Hugging Face directory, a GGUF file, or the name of a model in the Hugging Face cache folder
    /// `cache`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Model`] if the model is not valid or not supported; [`crate::ErrorKind::Io`] if it cannot be read.
    pub fn load(path: &Path, cache: Option<&Path>) -> Result<Arc<LanguageModel>, Error> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Arc::new(LanguageModel::new(load(path, cache)?, &name, Cuts::ByModel)?))
    }

    pub(super) fn new(checkpoint: Checkpoint, name: &str, cuts: Cuts) -> Result<LanguageModel, Error> {
        let mut trie = Trie::new(&checkpoint.tokens);
        trie.ids_are_merges = cuts == Cuts::ByModel && merges::are_known(&trie, &checkpoint.tokens);
        let id = checkpoint.id();
        let model = Model::new(checkpoint, &trie.model_order())?;
        Ok(LanguageModel {
            model: Arc::new(model),
            trie: Arc::new(trie),
            id,
            name: name.into(),
            cuts,
            probe: OnceLock::new(),
            measured: OnceLock::new(),
            gpu: OnceLock::new(),
            activity: Arc::default(),
        })
    }

    /// The embedded transformer if it is loaded.
    pub fn embedded_if_loaded() -> Option<Arc<LanguageModel>> {
        EMBEDDED_MODEL.get().cloned()
    }

    /// Chooses what evaluates the model, for all backends that are made from now on. A GPU is used only if it computes what
    /// the CPU computes for some tokens, bit for bit. Once chosen, a GPU stays.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Device`] if a GPU is asked for and cannot be used.
    pub fn use_device(&self, device: Device) -> Result<(), Error> {
        let ordinal = match device {
            Device::Cpu => return Ok(()),
            Device::Auto if self.shared_memory() + self.memory(1, 0) < GPU_BYTES => return Ok(()),
            Device::Auto => 0,
            Device::Cuda(ordinal) => ordinal,
        };
        if self.gpu.get().is_some() {
            return Ok(());
        }
        match open_gpu(ordinal, &self.model) {
            Ok(replica) => drop(self.gpu.set(replica)),
            Err(error) if device == Device::Auto => self.activity.fail(&error),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// One line on what evaluated how many tokens, how fast, and why not on the GPU; nothing if there were none.
    pub fn report(&self) -> Option<String> {
        let (tokens, rate) = self.activity.tokens();
        let device = match self.gpu.get() {
            Some(replica) => replica.report(),
            None => format!("the CPU, {}", self.model.kernel()),
        };
        let failure = self.activity.failure().map_or(String::new(), |reason| format!("; the CPU stood in: {reason}"));
        (tokens > 0).then(|| format!("transformer: {tokens} tokens, {rate:.0}/s, on {device}{failure}"))
    }

    /// A hash of the weights, the vocabulary and the version of the arithmetic.
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// The name of the file or folder that it was loaded from; empty for the embedded one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A hash of the distributions that this machine computes for a fixed text. A machine that computes others cannot decode.
    ///
    /// # Errors
    /// As [`LanguageModel::backend`].
    pub fn probe(&self) -> Result<u64, Error> {
        if let Some(&probe) = self.probe.get() {
            return Ok(probe);
        }
        let mut backend = self.backend(1, 0, 1)?;
        let mut hash = Xxh3::new();
        for token in self.prompt(PROBE) {
            backend.advance(&[Step { lane: 0, tokens: &[token], from: 0, open: 1 }], &mut |_, _, cumulative| {
                cumulative.iter().for_each(|count| hash.update(&count.to_le_bytes()));
            });
        }
        Ok(*self.probe.get_or_init(|| hash.digest()))
    }

    /// The model.
    pub(super) fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// How text is cut into tokens.
    pub fn cuts(&self) -> Cuts {
        self.cuts
    }

    /// The vocabulary.
    pub fn trie(&self) -> &Arc<Trie> {
        &self.trie
    }

    /// A backend with `lanes` lanes on `threads` threads, in which the head and the last `learning` feed-forward layers learn.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] if the system refuses threads or memory.
    pub fn backend(&self, lanes: usize, learning: usize, threads: usize) -> Result<Box<dyn Backend>, Error> {
        let session = Session::new(self.model.clone(), lanes, threads, self.window(lanes))?.adaptive(learning)?;
        let mut session = session.reporting(self.activity.clone());
        if self.cuts == Cuts::ByModel {
            session = session.sparing(MAX_PATH + 1)?;
        }
        if let Some(replica) = self.gpu.get()
            && let Err(error) = session.accelerate(replica.clone())
        {
            self.activity.fail(&error);
        }
        Ok(Box::new(session))
    }

    /// Tokens in the attention window of each of `lanes` lanes.
    pub fn window(&self, lanes: usize) -> usize {
        let most = match (self.cuts, lanes) {
            (Cuts::ByModel, 1 | 2) => LONG_WINDOWS[lanes - 1],
            (Cuts::Longest, 1 | 2) => WINDOW,
            _ => SHORT_WINDOW,
        };
        self.model.config().context.clamp(16, most)
    }

    /// Whether more lanes take hardly more time: the weights come from memory, which takes as long for one token as for sixteen.
    pub fn is_large(&self) -> bool {
        self.model.config().is_large()
    }

    /// Bytes of memory of the weights, which all backends share.
    pub fn shared_memory(&self) -> u64 {
        2 * self.model.config().weights() as u64
    }

    /// Bytes of memory for a backend, without [`Self::shared_memory`].
    pub fn memory(&self, lanes: usize, learning: usize) -> u64 {
        let config = self.model.config();
        // Fewer lanes may have longer windows in all, and a block may have any number up to `lanes`.
        let places = (0..=lanes.max(1).ilog2()).map(|log| self.window(1 << log) << log).max().unwrap_or(0);
        let kv_cache = config.layers * config.kv_heads * config.head_dim * 3 * places;
        // Trainable weights in binary32 and int8, and the gradient of one layer.
        let matrix = config.hidden * config.feed_forward;
        let trainable = learning * 3 * matrix;
        let gradient = learning.min(1) * 2 * matrix;
        let adaptive = 5 * (config.vocabulary * config.hidden + trainable) + 4 * gradient;
        // Distributions, one for each hypothesis of where tokens end; and what learning from tokens that may be retracted needs.
        let (distributions, open) = match self.cuts {
            Cuts::Longest => (4, 0),
            Cuts::ByModel => (12, MAX_PATH + 1),
        };
        let trace = learning * (config.hidden + 2 * config.feed_forward) + 2 * config.hidden;
        let lane = 4 * (distributions * config.vocabulary + open * trace);
        (adaptive + kv_cache + lanes * lane) as u64
    }

    /// The model's input for a token of [`LanguageModel::trie`]: the start token for a virtual one.
    pub fn input_token(&self, token: u32) -> u32 {
        if token == VIRTUAL { self.model.start() } else { token }
    }

    /// The model's input for a text: the start token, then the tokens of `bytes`.
    pub fn prompt(&self, bytes: &[u8]) -> Vec<u32> {
        let tokens = self.trie.tokenize(bytes).map(|token| self.input_token(self.trie.find(token).unwrap_or(VIRTUAL)));
        std::iter::once(self.model.start()).chain(tokens).collect()
    }
}
