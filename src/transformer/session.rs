//! Lanes of text on their way through a model.

use std::sync::Arc;

use super::cache::{Cache, CacheShape};
use super::forward::{Batch, Row};
use super::model::Model;
use super::rope::Rope;
use super::threads::Threads;
use crate::num::int8::BLOCK;
use crate::{Error, ErrorKind};

/// Most rows evaluated at once: enough for the kernels' full speed, and memory stays bounded.
const ROWS: usize = 32;

/// One lane: the tokens of its window, and what they left in the cache.
pub struct Lane {
    tokens: Vec<u32>,
    pub(super) cache: Cache,
}

/// Several texts (lanes) with one model. What a lane's tokens are followed by depends on that lane's tokens alone: not on
/// the other lanes, on how tokens are dealt out to calls, or on threads.
pub struct Session {
    model: Arc<Model>,
    lanes: Vec<Lane>,
    window: usize,
    keep: usize,
    rope: Rope,
    threads: Threads,
    rows: Vec<Row>,
    ones: Vec<f32>,
    product: Vec<f32>,
}

/// What to append to one lane.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    pub lane: usize,
    pub tokens: &'a [u32],
}

/// A step's progress: its next token, and those that are evaluated anew before it.
#[derive(Default)]
struct Progress {
    next: usize,
    replay: std::vec::IntoIter<u32>,
}

impl Session {
    /// A session of `lanes` empty lanes. Each sees a window of up to `window` tokens; when that is full, the model's start
    /// token and the newest `keep` tokens become the beginning of a new window.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] unless `keep + 2 <= window <= 2^20` and there are lanes; [`ErrorKind::Io`] if the system gives
    /// no threads.
    pub fn new(model: Arc<Model>, lanes: usize, threads: usize, window: usize, keep: usize) -> Result<Session, Error> {
        if lanes == 0 || window > 1 << 20 || keep.checked_add(2).is_none_or(|least| least > window) {
            return Err(Error::new(ErrorKind::Usage, format!("{lanes} lanes with {keep} of {window} tokens kept")));
        }
        let config = model.config();
        let shape = CacheShape {
            layers: config.layers,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim.next_multiple_of(BLOCK),
            positions: window.next_multiple_of(BLOCK),
            offset: model.kernel.offset,
        };
        Ok(Session {
            lanes: (0..lanes).map(|_| Lane { tokens: Vec::new(), cache: Cache::new(shape) }).collect(),
            window,
            keep,
            rope: Rope::new(window, config.head_dim, config.rope_theta),
            threads: Threads::new(threads)?,
            rows: Vec::new(),
            ones: vec![1.0; shape.scales()],
            product: Vec::new(),
            model,
        })
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Empties a lane. Its text then begins with the token that is appended first, the model's start token as a rule.
    pub fn reset(&mut self, lane: usize) {
        self.lanes[lane].tokens.clear();
    }

    /// Takes a lane's last token away, if there is one.
    pub fn retract(&mut self, lane: usize) {
        self.lanes[lane].tokens.pop();
    }

    /// Appends each step's tokens to its lane (a lane has one step at most), and calls `out` for every token with the
    /// step's number, the token's number in it, and the distribution of what follows that token: entry `i` of
    /// `outputs + 1` entries is the mass of the tokens before the `i`-th in the model's order, each having at least 1,
    /// together less than 2^31. Tokens of one step come in order.
    ///
    /// # Panics
    /// If a lane or a token isn't there.
    pub fn advance(&mut self, steps: &[Step<'_>], mut out: impl FnMut(usize, usize, &[u32])) {
        let mut progress: Vec<Progress> = steps.iter().map(|_| Progress::default()).collect();
        loop {
            let count = self.fill(steps, &mut progress);
            if count == 0 {
                return;
            }
            let Session { model, lanes, rope, threads, rows, ones, product, .. } = self;
            let rows = &mut rows[..count];
            let mut batch = Batch { model, rope, threads, ones, product };
            threads.run(|| batch.forward(rows, lanes));
            for row in &*rows {
                if let Some((step, token)) = row.output {
                    out(step, token, &row.table);
                }
            }
        }
    }

    /// Chooses the rows of the next batch; gives their number. A lane's window isn't begun anew amid a batch.
    fn fill(&mut self, steps: &[Step<'_>], progress: &mut [Progress]) -> usize {
        let mut count = 0;
        for (number, (step, progress)) in steps.iter().zip(progress).enumerate() {
            let lane = &mut self.lanes[step.lane];
            let begun = count;
            while count < ROWS {
                let (token, output) = match progress.replay.next() {
                    Some(token) => (token, None),
                    None if progress.next == step.tokens.len() => break,
                    None if lane.tokens.len() < self.window => {
                        progress.next += 1;
                        (step.tokens[progress.next - 1], Some((number, progress.next - 1)))
                    }
                    None if count > begun => break,
                    None => {
                        let newest = lane.tokens.drain(..).skip(self.window - self.keep);
                        let replay: Vec<u32> = std::iter::once(self.model.start()).chain(newest).collect();
                        progress.replay = replay.into_iter();
                        continue;
                    }
                };
                if self.rows.len() == count {
                    self.rows.push(Row::default());
                }
                let row = &mut self.rows[count];
                (row.lane, row.position, row.token, row.output) = (step.lane, lane.tokens.len(), token, output);
                lane.tokens.push(token);
                count += 1;
            }
        }
        count
    }
}
