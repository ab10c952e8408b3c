//! Lanes of text on their way through a model.

use std::sync::Arc;
use std::time::Instant;

use super::adaptive::{Adaptive, Lessons};
use super::backend::{Backend, Step};
use super::cache::{Cache, CacheShape};
use super::forward::{Forward, Part, Row, Shared};
use super::model::Model;
use super::rope::Rope;
use super::threads::{Pace, Threads};
use crate::num::tiles::BLOCK;
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
    /// Of which parts have other copies only while they are being evaluated.
    shared: Arc<Shared>,
    lanes: Vec<Lane>,
    window: usize,
    threads: Threads<Part>,
    pace: Pace,
    /// One for each thread.
    forwards: Vec<Forward>,
    rows: Vec<Row>,
    /// Each step's next token.
    next: Vec<usize>,
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
            threads: Threads::new(threads)?,
            pace: Pace::default(),
            forwards: (0..threads.max(1)).map(|_| Forward::default()).collect(),
            rows: Vec::new(),
            next: Vec::new(),
            shared: Arc::new(Shared {
                rope: Rope::new(window, config.head_dim, config.rope_theta),
                ones: vec![1.0; shape.scales()],
                adaptive: None,
                model,
            }),
        })
    }

    /// The same, with a head that learns from what comes, in all lanes together, and so many of the last feed-forward layers.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where there is no memory.
    pub fn adaptive(mut self, layers: usize) -> Result<Session, Error> {
        let adaptive = Adaptive::new(self.model(), layers)?;
        own(&mut self.shared).adaptive = Some(adaptive);
        Ok(self)
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.shared.model
    }

    /// Learns what the steps' tokens make sure.
    fn learn(&mut self, steps: &[Step<'_>]) {
        let Shared { model, adaptive: Some(adaptive), .. } = own(&mut self.shared) else { return };
        for step in steps {
            self.lanes[step.lane].lessons.append(step.tokens, |prediction, token| {
                if let Some(output) = model.output(token) {
                    adaptive.learn(model, prediction, output);
                }
            });
        }
    }

    /// Chooses the rows of the next batch; gives their number.
    fn fill(&mut self, steps: &[Step<'_>]) -> usize {
        let mut count = 0;
        let rope = &mut own(&mut self.shared).rope;
        for (number, (step, next)) in steps.iter().zip(&mut self.next).enumerate() {
            let lane = &mut self.lanes[step.lane];
            while count < ROWS && *next < step.tokens.len() {
                if self.rows.len() == count {
                    self.rows.push(Row::default());
                }
                let row = &mut self.rows[count];
                (row.lane, row.position, row.token) = (step.lane, lane.len, step.tokens[*next]);
                row.output = (*next >= step.from).then_some((number, *next));
                rope.reach(lane.len);
                lane.len += 1;
                lane.most = lane.most.max(lane.len);
                *next += 1;
                count += 1;
            }
        }
        count
    }

    /// Cuts the first `count` rows into at most as many parts of about as many rows as there are threads, each with its lanes;
    /// into one where it doesn't pay to share them.
    fn divide(&mut self, count: usize) -> Vec<Part> {
        let mut rows = self.rows.drain(..count).collect::<Vec<_>>();
        let mut parts = Vec::new();
        let mut first = 0;
        let most = if self.pace.shares() { self.threads.count() } else { 1 };
        for left in (1..=most).rev() {
            let end = rows.len().div_ceil(left);
            let Some(last) = rows[..end].last().map(|row| row.lane) else { break };
            let end = end + rows[end..].iter().take_while(|row| row.lane == last).count();
            let others = rows.split_off(end);
            parts.push(Part {
                shared: self.shared.clone(),
                rows: std::mem::replace(&mut rows, others),
                lanes: self.lanes.drain(..last + 1 - first).collect(),
                first,
                forward: self.forwards.pop().expect("one for each thread"),
            });
            first = last + 1;
        }
        parts
    }

    /// Takes back what the parts have.
    fn unite(&mut self, parts: Vec<Part>) {
        for part in parts.into_iter().rev() {
            self.rows.splice(..0, part.rows);
            self.lanes.splice(..0, part.lanes);
            self.forwards.push(part.forward);
        }
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
            let start = Instant::now();
            let parts = self.divide(count);
            self.unite(self.threads.run(parts));
            self.pace.learn(start.elapsed().as_secs_f64() / count as f64);
            let Session { rows, lanes, .. } = self;
            for row in &mut rows[..count] {
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

/// What only the session has at the moment.
fn own(shared: &mut Arc<Shared>) -> &mut Shared {
    Arc::get_mut(shared).expect("parts are gone when they are done")
}
