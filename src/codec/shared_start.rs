//! The start that the blocks of an archive share: the state in which its first block ended.
//!
//! Blocks are coded side by side only if none waits for another, so each would have to learn anew what its predecessors have learned.
//! With a shared start all wait for the first one, and begin with copies of what it has learned.

use super::bits::Learner;
use super::block_coder::Progress;
use super::mixing::LeftOut;
use crate::content::{DataKind, Kind};
use crate::error::{Error, ErrorKind};
use std::any::Any;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The state of a stream is kept if the stream has at least the length of a block divided by this. There is one state, since it may
/// take hundreds of megabytes.
const MIN_FIRST: usize = 2;
/// A stream begins with it if it has at least the length of a block divided by this. Otherwise copying would take longer than coding.
const MIN_LATER: usize = 16;
/// Time between two looks at whether to stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// Streams that have so much in common that one begins with the state of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Text,
    Binary,
    Code,
}

impl Class {
    fn of(content: Kind, kind: DataKind) -> Option<Class> {
        match (content, kind) {
            (Kind::Text | Kind::Binary, DataKind::Text) => Some(Class::Text),
            (Kind::Text | Kind::Binary, DataKind::Binary) => Some(Class::Binary),
            (Kind::Code, _) => Some(Class::Code),
            _ => None,
        }
    }
}

/// A state, and what it is kept for.
type State = (Class, LeftOut, Arc<dyn Any + Send + Sync>);

/// How a block relates to the start that its archive's blocks share.
#[derive(Clone, Default)]
pub enum Sharing {
    /// The archive has none, or the block does not use it.
    #[default]
    None,
    /// It is the first block, whose states are kept.
    Makes(Arc<SharedStart>),
    /// It begins with them.
    Begins(Arc<SharedStart>),
}

impl Sharing {
    /// Bytes of text that come before a stream of `len` bytes.
    pub fn text_before(&self, len: usize) -> usize {
        match self {
            Sharing::Begins(_) => self.start_for(len).map_or(0, |start| start.first_len),
            _ => 0,
        }
    }

    /// Whether the block is the first one, whose states are kept.
    pub fn makes(&self) -> bool {
        matches!(self, Sharing::Makes(_))
    }

    /// For a decoder that proves what the encoder does, which keeps the states.
    pub fn to_verify(&self) -> Sharing {
        match self {
            Sharing::Makes(start) => Sharing::Makes(Arc::new(SharedStart::new(start.block_size, start.first_len))),
            other => other.clone(),
        }
    }

    /// The shared start, if a stream of `len` bytes has to do with it.
    fn start_for(&self, len: usize) -> Option<&SharedStart> {
        let (start, part) = match self {
            Sharing::None => return None,
            Sharing::Makes(start) => (start, MIN_FIRST),
            Sharing::Begins(start) => (start, MIN_LATER),
        };
        (len >= start.block_size / part).then_some(start)
    }

    /// The most bytes that a stream's tables are made for.
    pub fn table_len(&self, len: usize) -> usize {
        self.start_for(len).map_or(len, |start| start.table_len(start.first_len.max(len)))
    }

    /// The most bytes that the tables of the shared state are made for, and the most bytes of its text, if there is one.
    pub fn longest(&self) -> Option<(usize, usize)> {
        match self {
            Sharing::None => None,
            Sharing::Makes(start) | Sharing::Begins(start) => Some((start.table_len(start.first_len), start.first_len)),
        }
    }

    /// A stream's predictor at its start, if it has to do with a shared one. `new` takes the length that tables are made for.
    ///
    /// # Errors
    /// Those of `new`; [`ErrorKind::Io`] if there is not enough memory.
    pub fn predictor<P: Learner>(
        &self,
        (content, kind): (Kind, DataKind),
        left_out: LeftOut,
        len: usize,
        new: impl FnOnce(usize) -> Result<P, Error>,
    ) -> Result<P, Error> {
        let class = Class::of(content, kind);
        let (Some(start), Some(class)) = (self.start_for(len), class) else { return new(len) };
        let mut predictor = match self {
            Sharing::Begins(_) => match start.state::<P>(class, left_out) {
                Some(state) => state.try_clone().map_err(super::no_memory)?,
                None => return new(len),
            },
            _ => new(start.table_len(len))?,
        };
        predictor.follow(len, 1);
        Ok(predictor)
    }

    /// Keeps the predictor at the end of a stream of the first block, if none is kept yet.
    pub fn keep<P: Learner>(&self, (content, kind): (Kind, DataKind), left_out: LeftOut, predictor: P) {
        let class = Class::of(content, kind);
        let start = self.start_for(predictor.text().content().len());
        if let (Sharing::Makes(_), Some(start), Some(class)) = (self, start, class) {
            let state = &mut start.lock().state;
            if state.as_ref().is_none_or(|(_, known, _)| *known != left_out) {
                *state = Some((class, left_out, Arc::new(predictor)));
            }
        }
    }
}

/// The state in which a stream of an archive's first block ended.
pub struct SharedStart {
    block_size: usize,
    first_len: usize,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    phase: Phase,
    state: Option<State>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    /// The first block is being coded.
    #[default]
    Open,
    Ready,
    /// The first block is damaged, missing, or was given up.
    Lost,
}

impl SharedStart {
    /// A start for an archive with blocks of `block_size` bytes, the first of which has `first_len` bytes of plain data.
    pub fn new(block_size: usize, first_len: usize) -> SharedStart {
        SharedStart { block_size, first_len, inner: Mutex::default(), changed: Condvar::new() }
    }

    /// The start of an archive whose first block is missing.
    pub fn lost() -> SharedStart {
        let start = SharedStart::new(0, 0);
        start.lock().phase = Phase::Lost;
        start
    }

    /// Whether the first block is damaged or missing, or was given up.
    pub fn is_lost(&self) -> bool {
        self.lock().phase == Phase::Lost
    }

    /// Waits until the first block is done.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it is lost; [`ErrorKind::Interrupted`] if `progress` returns false.
    pub fn wait(&self, progress: &mut Progress) -> Result<(), Error> {
        let mut inner = self.lock();
        loop {
            match inner.phase {
                Phase::Open => {}
                Phase::Ready => return Ok(()),
                Phase::Lost => {
                    return Err(Error::new(
                        ErrorKind::Corrupt,
                        "it begins where block 0 ends, which is damaged or missing",
                    ));
                }
            }
            if !progress(0, 0) {
                return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
            }
            inner = self.changed.wait_timeout(inner, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The length that the tables of a stream of `len` bytes in the first block are made for. Others go on with them: tables for as much
    /// again save 0.03 to 0.06 % at level 1, nothing above, and take twice the memory.
    fn table_len(&self, len: usize) -> usize {
        len.max(self.block_size)
    }

    fn state<P: 'static + Send + Sync>(&self, class: Class, left_out: LeftOut) -> Option<Arc<P>> {
        let inner = self.lock();
        let (_, _, state) = inner.state.as_ref().filter(|state| (state.0, state.1) == (class, left_out))?;
        Arc::clone(state).downcast().ok()
    }

    /// Forgets the state: what it comes from is stored.
    pub fn clear(&self) {
        self.lock().state = None;
    }

    fn end(&self, phase: Phase, keeps: bool) {
        let mut inner = self.lock();
        if inner.phase == Phase::Open {
            inner.phase = phase;
        }
        if !keeps {
            inner.state = None;
        }
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first block's side: dropped before [`FirstBlock::done`], the start is lost.
pub struct FirstBlock(pub Arc<SharedStart>);

impl FirstBlock {
    /// The block is done. If it was `stored`, there is no state.
    pub fn done(self, stored: bool) {
        self.0.end(Phase::Ready, !stored);
    }
}

impl Drop for FirstBlock {
    fn drop(&mut self) {
        self.0.end(Phase::Lost, true);
    }
}
