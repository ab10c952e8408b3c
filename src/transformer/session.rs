//! Lanes of text on their way through a model.

use std::sync::Arc;

use super::adaptive::{AdaptiveHead, Lessons};
use super::backend::{Backend, Step};
use super::cache::{Cache, CacheShape};
use super::forward::{Forward, Row, Shared};
use super::model::Model;
use super::rope::Rope;
use super::threads::Threads;
use crate::num::int8::BLOCK;
use crate::{Error, ErrorKind};

/// Most rows evaluated at once: enough for two tokens of each of 32 lanes, and memory stays bounded.
const ROWS: usize = 64;

/// One lane: how many tokens it has, the most it had at once, what they left in the cache, and what they teach.
pub struct Lane {
    len: usize,
    most: usize,
    pub(super) cache: Cache,
    lessons: Lessons,
}

/// The processor as a backend: lanes with one model, on some threads.
pub struct Session {
    model: Arc<Model>,
    lanes: Vec<Lane>,
    window: usize,
    rope: Rope,
    threads: Threads,
    /// One for each thread.
    forwards: Vec<Forward>,
    rows: Vec<Row>,
    /// Each step's next token.
    next: Vec<usize>,
    ones: Vec<f32>,
    head: Option<AdaptiveHead>,
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
            lanes: (0..lanes)
                .map(|_| Lane { len: 0, most: 0, cache: Cache::new(shape), lessons: Lessons::default() })
                .collect(),
            window,
            rope: Rope::new(window, config.head_dim, config.rope_theta),
            threads: Threads::new(threads)?,
            forwards: (0..threads.max(1)).map(|_| Forward::default()).collect(),
            rows: Vec::new(),
            next: Vec::new(),
            ones: vec![1.0; shape.scales()],
            head: None,
            model,
        })
    }

    /// The same, with a last layer that learns from what comes, in all lanes together.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where there is no memory.
    pub fn adaptive(mut self) -> Result<Session, Error> {
        self.head = Some(AdaptiveHead::new(&self.model)?);
        Ok(self)
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Learns what the steps' tokens make sure.
    fn learn(&mut self, steps: &[Step<'_>]) {
        let Some(head) = &mut self.head else { return };
        for step in steps {
            self.lanes[step.lane].lessons.append(step.tokens, |prediction, token| {
                if let Some(output) = self.model.output(token) {
                    head.learn(&self.model, prediction, output);
                }
            });
        }
    }

    /// Chooses the rows of the next batch; gives their number.
    fn fill(&mut self, steps: &[Step<'_>]) -> usize {
        let mut count = 0;
        for (number, (step, next)) in steps.iter().zip(&mut self.next).enumerate() {
            let lane = &mut self.lanes[step.lane];
            while count < ROWS && *next < step.tokens.len() {
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

impl Backend for Session {
    fn reset(&mut self, lane: usize) {
        let lane = &mut self.lanes[lane];
        (lane.len, lane.most) = (0, 0);
        lane.lessons.reset();
    }

    fn retract(&mut self, lane: usize) {
        let lane = &mut self.lanes[lane];
        lane.len = lane.len.saturating_sub(1);
        lane.lessons.retract();
        assert!(lane.most <= self.window || lane.len + 2 >= lane.most, "what the window would hold is gone");
    }

    fn advance(&mut self, steps: &[Step<'_>], out: &mut dyn FnMut(usize, usize, &mut Vec<u32>)) {
        assert!(steps.is_sorted_by(|a, b| a.lane < b.lane), "steps out of order");
        self.learn(steps);
        self.next.clear();
        self.next.resize(steps.len(), 0);
        loop {
            let count = self.fill(steps);
            if count == 0 {
                return;
            }
            let Session { model, lanes, rope, threads, forwards, rows, ones, head, .. } = self;
            let rows = &mut rows[..count];
            let shared = Shared { model, rope, ones, head: head.as_ref() };
            threads.each(divide(rows, lanes, threads.count).into_iter().zip(forwards), |((rows, lanes), forward)| {
                forward.run(shared, rows, lanes);
            });
            for row in rows {
                if let Some((step, token)) = row.output {
                    if let Some(prediction) = row.prediction.take() {
                        lanes[row.lane].lessons.predicted(prediction);
                    }
                    out(step, token, &mut row.table);
                }
            }
        }
    }
}

/// Cuts a batch into at most `most` parts of about as many rows, each with its lanes from that of its first row on.
fn divide<'a>(mut rows: &'a mut [Row], mut lanes: &'a mut [Lane], most: usize) -> Vec<(&'a mut [Row], &'a mut [Lane])> {
    let mut parts = Vec::new();
    let mut skipped = 0;
    for left in (1..=most).rev() {
        let Some(first) = rows.first().map(|row| row.lane) else { break };
        let end = rows.len().div_ceil(left);
        let last = rows[end - 1].lane;
        let end = end + rows[end..].iter().take_while(|row| row.lane == last).count();
        let (part, rest) = rows.split_at_mut(end);
        let (own, others) = lanes[first - skipped..].split_at_mut(last + 1 - first);
        parts.push((part, own));
        (rows, lanes, skipped) = (rest, others, last + 1);
    }
    parts
}
