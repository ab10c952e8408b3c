//! Sessions: lanes of text that one model evaluates on the CPU or, as long as it works, on a GPU.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::activity::Activity;
use super::adaptive::Adaptive;
use super::backend::{Backend, Step};
use super::batch::{Lane, Row, Shared};
use super::cache::{Cache, CacheShape};
use super::cuda::{Accelerator, Replica};
use super::forward::{Forward, Job};
use super::model::Model;
use super::rope::Rope;
use super::table::Table;
use super::team::Team;
use super::thread_tuner::ThreadTuner;
use super::threads::Threads;
use crate::error::{Error, ErrorKind};
use crate::num::tiles::BLOCK;

/// Maximum rows of a batch: enough for two tokens of each of 32 lanes; it bounds the memory of long steps.
const ROWS: usize = 64;

/// Maximum threads of a session. The parts of a product would become so small that exchanging them takes longer.
const MAX_THREADS: usize = 16;

/// The backend: the CPU, or a GPU for which the CPU stands in when it fails.
pub struct Session {
    /// Jobs hold further references to this, the lanes and the rows, but only during [`Threads::run`].
    shared: Arc<Shared>,
    lanes: Arc<Vec<Lane>>,
    window: usize,
    threads: Threads<Job>,
    tuner: ThreadTuner,
    /// Buffers, one set for each thread.
    forwards: Vec<Forward>,
    /// The threads of a batch on one thread, and of one in parallel.
    teams: [Arc<Team>; 2],
    /// Rows of the current batch, and unused ones that keep their memory.
    rows: Arc<Vec<Row>>,
    /// For each step, the index of its next token to evaluate.
    next: Vec<usize>,
    /// The GPU's part, until it fails.
    accelerator: Option<Accelerator>,
    /// Whether the CPU evaluates the GPU's rows again, and compares.
    checked: bool,
    /// Why the GPU is no longer used.
    gpu_error: Option<Error>,
    activity: Arc<Activity>,
}

impl Session {
    /// A session of `lanes` empty lanes on `threads` threads. A distribution depends on the tokens in the lane's window: the
    /// first token of the text and the newest `window - 2`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] unless `3 <= window <= 2^20` and there are lanes.
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
            spare: 1,
            offset: model.kernel.offset,
        };
        let threads = Threads::new(threads.min(MAX_THREADS));
        Ok(Session {
            lanes: Arc::new((0..lanes).map(|_| Lane::new(Cache::new(shape))).collect()),
            window,
            tuner: ThreadTuner::default(),
            forwards: (0..threads.count()).map(|_| Forward::default()).collect(),
            teams: [1, threads.count()].map(|count| Arc::new(Team::new(count))),
            threads,
            rows: Arc::default(),
            next: Vec::new(),
            accelerator: None,
            checked: false,
            gpu_error: None,
            activity: Arc::default(),
            shared: Arc::new(Shared {
                rope: Rope::new(window, config),
                unit_scales: vec![1.0; shape.scales()],
                adaptive: None,
                model,
            }),
        })
    }

    /// Hides `spare` places of a full window, at least one, so that as many tokens can be retracted. A distribution depends on the
    /// first token of the text and the newest `window - 1 - spare` then.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if there are not more places than these and two.
    pub fn sparing(mut self, spare: usize) -> Result<Session, Error> {
        if spare == 0 || spare + 2 > self.window {
            let message = format!("{spare} spare places in windows of {} tokens", self.window);
            return Err(Error::new(ErrorKind::Usage, message));
        }
        exclusive(&mut self.lanes).iter_mut().for_each(|lane| lane.cache.set_spare(spare));
        Ok(self)
    }

    /// Makes the head and the last `layers` feed-forward layers adaptive: the session trains its own copies of them on the
    /// tokens of all lanes.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if memory cannot be allocated.
    pub fn adaptive(mut self, layers: usize) -> Result<Session, Error> {
        let adaptive = Adaptive::new(self.model(), layers)?;
        exclusive(&mut self.shared).adaptive = Some(adaptive);
        Ok(self)
    }

    /// From now on rows are evaluated on the GPU that has `replica`. If it fails, the CPU goes on.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] if the GPU has too little memory, or if its kernels have no room for the window.
    pub fn accelerate(&mut self, replica: Arc<Replica>) -> Result<(), Error> {
        self.accelerator = Some(Accelerator::new(replica, &self.shared, self.lanes.len(), self.window)?);
        Ok(())
    }

    /// From now on the CPU repeats what the GPU does. The GPU is dropped at the first difference.
    pub fn check(&mut self) {
        self.checked = true;
    }

    /// Counts tokens and failures in `activity`.
    pub fn reporting(mut self, activity: Arc<Activity>) -> Session {
        self.activity = activity;
        self
    }

    /// Why the GPU is no longer used.
    pub fn gpu_error(&self) -> Option<&Error> {
        self.gpu_error.as_ref()
    }

    /// The model that the session evaluates.
    pub fn model(&self) -> &Arc<Model> {
        &self.shared.model
    }

    /// Lets adaptive layers learn from all predictions that the steps' tokens make certain.
    fn learn(&mut self, steps: &[Step<'_>]) {
        let Shared { model, adaptive: Some(adaptive), .. } = exclusive(&mut self.shared) else { return };
        adaptive.forget_changes();
        let lanes = exclusive(&mut self.lanes);
        for step in steps {
            lanes[step.lane].pending.append(step.tokens, step.open, |prediction, token| {
                if let Some(output) = model.output(token) {
                    adaptive.learn(model, prediction, output);
                }
            });
        }
        adaptive.finish_changes(model);
        if let Some(accelerator) = &mut self.accelerator {
            accelerator.update(adaptive);
        }
    }

    /// Fills the rows of the next batch from the steps and returns their number; 0 if all tokens are done.
    fn fill(&mut self, steps: &[Step<'_>]) -> usize {
        let mut count = 0;
        let most = if self.accelerator.is_some() { Accelerator::ROWS } else { ROWS };
        let rope = &mut exclusive(&mut self.shared).rope;
        let (rows, lanes) = (exclusive(&mut self.rows), exclusive(&mut self.lanes));
        for (number, (step, next)) in steps.iter().zip(&mut self.next).enumerate() {
            let lane = &mut lanes[step.lane];
            while count < most && *next < step.tokens.len() {
                if rows.len() == count {
                    rows.push(Row::default());
                }
                let row = &mut rows[count];
                (row.lane, row.position, row.token) = (step.lane, lane.len, step.tokens[*next]);
                row.output = (*next >= step.from).then_some((number, *next));
                rope.extend_to(lane.len);
                lane.len += 1;
                lane.max_len = lane.max_len.max(lane.len);
                *next += 1;
                count += 1;
            }
        }
        count
    }

    /// Evaluates the first `count` rows on the GPU, or on the CPU if there is none or if it fails.
    fn evaluate(&mut self, count: usize) {
        let Some(accelerator) = &mut self.accelerator else { return self.evaluate_on_cpu(count) };
        let rows = &mut exclusive(&mut self.rows)[..count];
        let result = accelerator.run(&self.shared, rows, &self.lanes);
        if let Err((error, done)) = result {
            self.use_cpu(error);
            // The rows that are done have their keys in the cache, in places of older ones: they can't be evaluated again.
            let finished: Vec<Row> =
                if self.checked { Vec::new() } else { exclusive(&mut self.rows).drain(..done).collect() };
            self.evaluate_on_cpu(count - finished.len());
            exclusive(&mut self.rows).splice(..0, finished);
        } else if self.checked {
            let computed = |row: &mut Row| (mem::take(&mut row.cumulative), row.prediction.take());
            let computed: Vec<_> = rows.iter_mut().map(computed).collect();
            self.evaluate_on_cpu(count);
            let same = self.rows.iter().zip(computed).all(|(row, (cumulative, prediction))| {
                row.output.is_none() || *row.cumulative == *cumulative && row.prediction == prediction
            });
            if !same {
                self.use_cpu(Error::new(ErrorKind::Device, "it does not compute what the CPU computes"));
            }
        }
    }

    /// Goes on without the GPU.
    fn use_cpu(&mut self, error: Error) {
        let Some(accelerator) = self.accelerator.take() else { return };
        // In a checked session the CPU has filled its caches itself.
        if !self.checked {
            accelerator.restore(&self.lanes);
        }
        self.activity.fail(&error);
        self.gpu_error = Some(error);
    }

    fn evaluate_on_cpu(&mut self, count: usize) {
        let start = Instant::now();
        for row in &mut exclusive(&mut self.rows)[..count] {
            self.shared.rope.angles_at(row.position, &mut row.angles);
        }
        let team = &self.teams[usize::from(self.tuner.parallel())];
        let job = |(index, forward)| Job {
            shared: self.shared.clone(),
            lanes: self.lanes.clone(),
            rows: self.rows.clone(),
            count,
            team: team.clone(),
            index,
            forward,
        };
        let jobs = self.forwards.drain(..team.count()).enumerate().map(job).collect();
        let jobs = self.threads.run(jobs);
        self.forwards.splice(..0, jobs.into_iter().map(|job| job.forward));
        let rows = exclusive(&mut self.rows);
        for output in self.forwards.iter_mut().take(team.count()).flat_map(Forward::outputs) {
            let row = &mut rows[output.row];
            mem::swap(&mut row.cumulative, &mut output.cumulative);
            row.prediction = output.prediction.take();
        }
        self.tuner.record(start.elapsed().as_secs_f64() / count as f64);
    }
}

impl Backend for Session {
    fn reset(&mut self, lane: usize) {
        let lane = &mut exclusive(&mut self.lanes)[lane];
        (lane.len, lane.max_len) = (0, 0);
        lane.pending.reset();
    }

    fn retract(&mut self, lane: usize, count: usize) {
        let lane = &mut exclusive(&mut self.lanes)[lane];
        lane.len = lane.len.saturating_sub(count);
        lane.pending.retract(count);
        assert!(
            lane.max_len <= self.window || lane.len + lane.cache.spare() + 1 >= lane.max_len,
            "the window has lost the tokens before"
        );
    }

    fn advance(&mut self, steps: &[Step<'_>], out: &mut dyn FnMut(usize, usize, &mut Table)) {
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
            self.evaluate(count);
            self.activity.count(count, start.elapsed());
            let (rows, lanes) = (exclusive(&mut self.rows), exclusive(&mut self.lanes));
            for row in &mut rows[..count] {
                if let Some((step, token)) = row.output {
                    if let Some(prediction) = row.prediction.take() {
                        lanes[row.lane].pending.predicted(prediction);
                    }
                    out(step, token, &mut row.cumulative);
                }
            }
        }
    }
}

/// Mutable access between batches.
fn exclusive<T>(shared: &mut Arc<T>) -> &mut T {
    Arc::get_mut(shared).expect("no job outlives its batch")
}
