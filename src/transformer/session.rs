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

/// One lane: how many tokens it has, the most it had at once, and what they left in the cache.
pub struct Lane {
    len: usize,
    most: usize,
    pub(super) cache: Cache,
}

/// Several texts (lanes) with one model. What a lane's tokens are followed by depends on that lane's tokens alone: not on
/// the other lanes, on how tokens are dealt out to calls, or on threads.
pub struct Session {
    model: Arc<Model>,
    lanes: Vec<Lane>,
    window: usize,
    rope: Rope,
    threads: Threads,
    rows: Vec<Row>,
    /// Each step's next token.
    next: Vec<usize>,
    ones: Vec<f32>,
    product: Vec<f32>,
}

/// What to append to one lane.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    pub lane: usize,
    pub tokens: &'a [u32],
    /// What follows the tokens before this one isn't asked.
    pub from: usize,
}

impl Session {
    /// A session of `lanes` empty lanes. What follows a token depends on those before it in a window: the text's first
    /// token and the newest `window - 2`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] unless `3 <= window <= 2^20` and there are lanes; [`ErrorKind::Io`] if the system gives no
    /// threads.
    pub fn new(model: Arc<Model>, lanes: usize, threads: usize, window: usize) -> Result<Session, Error> {
        if lanes == 0 || !(3..=1 << 20).contains(&window) {
            return Err(Error::new(ErrorKind::Usage, format!("{lanes} lanes with windows of {window} tokens")));
        }
        let config = model.config();
        let shape = CacheShape {
            layers: config.layers,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim.next_multiple_of(BLOCK),
            window,
            offset: model.kernel.offset,
        };
        Ok(Session {
            lanes: (0..lanes).map(|_| Lane { len: 0, most: 0, cache: Cache::new(shape) }).collect(),
            window,
            rope: Rope::new(window, config.head_dim, config.rope_theta),
            threads: Threads::new(threads)?,
            rows: Vec::new(),
            next: Vec::new(),
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
        let lane = &mut self.lanes[lane];
        (lane.len, lane.most) = (0, 0);
    }

    /// Takes a lane's last token away, if there is one.
    ///
    /// # Panics
    /// If a third is taken from a window that has moved before one was appended.
    pub fn retract(&mut self, lane: usize) {
        let lane = &mut self.lanes[lane];
        lane.len = lane.len.saturating_sub(1);
        assert!(lane.most <= self.window || lane.len + 2 >= lane.most, "what the window would hold is gone");
    }

    /// Appends each step's tokens to its lane (a lane has one step at most), and calls `out` for every token from `from` on with the
    /// step's number, the token's number in it, and the distribution of what follows that token: entry `i` of
    /// `outputs + 1` entries is the mass of the tokens before the `i`-th in the model's order, each having at least 1,
    /// together less than 2^31. Tokens of one step come in order.
    ///
    /// # Panics
    /// If a lane or a token isn't there.
    pub fn advance(&mut self, steps: &[Step<'_>], mut out: impl FnMut(usize, usize, &[u32])) {
        self.next.clear();
        self.next.resize(steps.len(), 0);
        loop {
            let count = self.fill(steps);
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

    /// Chooses the rows of the next batch; gives their number. Two rows of a lane whose window moves can be in a batch: a
    /// third would take the place of what the first sees.
    fn fill(&mut self, steps: &[Step<'_>]) -> usize {
        let mut count = 0;
        for (number, (step, next)) in steps.iter().zip(&mut self.next).enumerate() {
            let lane = &mut self.lanes[step.lane];
            let begun = count;
            while count < ROWS && *next < step.tokens.len() && (lane.len < self.window || count < begun + 2) {
                if self.rows.len() == count {
                    self.rows.push(Row::default());
                }
                let row = &mut self.rows[count];
                (row.lane, row.position, row.token) = (step.lane, lane.len, step.tokens[*next]);
                row.output = (*next >= step.from).then_some((number, *next));
                self.rope.reach(lane.len);
                lane.len += 1;
                lane.most = lane.most.max(lane.len);
                *next += 1;
                count += 1;
            }
        }
        count
    }
}
