//! How the blocks of an archive relate to the start that they share, if they do: see docs/FORMAT.md, "Shared start".

use std::sync::Arc;

use super::frame::{BlockHead, Mode};
use super::header::Header;
use crate::codec::{CodecConfig, FirstBlock, Progress, SharedStart, Sharing};
use crate::error::Error;
use crate::options::BlockSize;

/// The shared start of the most recent archive.
#[derive(Default)]
pub(super) struct Shared {
    /// The archive's id, and its start.
    latest: Option<(u32, Arc<SharedStart>)>,
}

/// What a block has to do with it.
pub(super) enum Role {
    /// Nothing.
    None,
    /// It is the first block, in which the start is made.
    First(FirstBlock),
    /// It comes after the first block.
    Later(Arc<SharedStart>),
}

impl Shared {
    /// The role of a block with this head, in an archive with this header.
    pub fn role(&mut self, header: &Header, head: &BlockHead) -> Role {
        if !header.shared {
            return Role::None;
        }
        let plain_len = match head.mode {
            Mode::Segmented { plain_len, .. } => plain_len,
            _ => head.raw_len,
        };
        self.role_in(header.block_size, head, plain_len as usize)
    }

    /// The role of a block of `plain_len` bytes of plain data, in an archive with a shared start and blocks of `block_size`. Those after
    /// the first need it to have been there.
    pub fn role_in(&mut self, block_size: BlockSize, head: &BlockHead, plain_len: usize) -> Role {
        if head.number == 0 {
            let start = Arc::new(SharedStart::new(block_size.bytes(), plain_len));
            self.latest = Some((head.archive, Arc::clone(&start)));
            return Role::First(FirstBlock(start));
        }
        Role::Later(match &self.latest {
            Some((archive, start)) if *archive == head.archive => Arc::clone(start),
            _ => Arc::new(SharedStart::lost()),
        })
    }

    /// Whether the start of a block's archive is known, or will be.
    pub fn knows(&self, head: &BlockHead) -> bool {
        self.latest.as_ref().is_some_and(|(archive, start)| *archive == head.archive && !start.is_lost())
    }
}

impl Role {
    /// The configuration of the block's codec, if `config` is that of its archive.
    pub fn configure(&self, config: Arc<CodecConfig>) -> Arc<CodecConfig> {
        match self {
            Role::None => config,
            Role::First(first) => Arc::new(config.sharing(Sharing::Makes(Arc::clone(&first.0)))),
            Role::Later(start) => Arc::new(config.sharing(Sharing::Begins(Arc::clone(start)))),
        }
    }

    /// Waits until the block can be coded.
    ///
    /// # Errors
    /// Those of [`SharedStart::wait`].
    pub fn wait(&self, progress: &mut Progress) -> Result<(), Error> {
        match self {
            Role::Later(start) => start.wait(progress),
            _ => Ok(()),
        }
    }

    /// The block is coded as `mode` says.
    pub fn done(self, mode: Mode) {
        if let Role::First(first) = self {
            first.done(mode == Mode::Stored);
        }
    }
}
