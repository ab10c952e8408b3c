//! A transformer as the codec needs it: the model, its vocabulary as a trie, and the rules that cut text into tokens.

use crate::error::{Error, ErrorKind};
use crate::experts::token::trie::{Trie, VIRTUAL};
use crate::transformer::checkpoint::Checkpoint;
use crate::transformer::load::{Loaded, from_gguf};
use crate::transformer::{Model, Session};
use std::sync::{Arc, LazyLock};

static EMBEDDED: &[u8] = include_bytes!("../../models/transformer.gguf");

/// What a lane's window holds, in tokens.
const WINDOW: usize = 256;

/// The network.
pub struct Network {
    model: Arc<Model>,
    trie: Arc<Trie>,
    start: u32,
}

impl Network {
    /// The one that is part of the program.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if it is damaged.
    pub fn embedded() -> Result<&'static Network, Error> {
        static NETWORK: LazyLock<Result<Network, Error>> =
            LazyLock::new(|| Network::new(from_gguf(&mut std::io::Cursor::new(EMBEDDED), "the embedded transformer")?));
        NETWORK.as_ref().map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))
    }

    /// A network of what was loaded.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] for a model that can't be.
    pub fn new((checkpoint, _): Loaded) -> Result<Network, Error> {
        let trie = Trie::new(&checkpoint.tokens);
        let Checkpoint { start, .. } = checkpoint;
        let model = Model::new(checkpoint, &trie.known())?;
        Ok(Network { model: Arc::new(model), trie: Arc::new(trie), start })
    }

    /// The vocabulary.
    pub fn trie(&self) -> &Arc<Trie> {
        &self.trie
    }

    /// A session of `lanes` lanes.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if the system gives no threads.
    pub fn session(&self, lanes: usize) -> Result<Session, Error> {
        Session::new(self.model.clone(), lanes, 1, WINDOW)
    }

    /// What the model is told of a token: where it has none for a byte, that a text begins.
    pub fn told(&self, token: u32) -> u32 {
        if token == VIRTUAL { self.start } else { token }
    }

    /// A context that ends with the tokens of `bytes`.
    pub fn context(&self, bytes: &[u8]) -> Vec<u32> {
        let tokens = self.trie.cut(bytes).map(|token| self.told(self.trie.find(token).unwrap_or(VIRTUAL)));
        std::iter::once(self.start).chain(tokens).collect()
    }
}
