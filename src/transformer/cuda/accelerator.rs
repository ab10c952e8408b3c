//! A session's side of a device: its rows become jobs, and their results the rows' distributions.

use std::mem;
use std::ops::Range;
use std::sync::Arc;

use super::super::adaptive::{Adaptive, Prediction};
use super::super::batch::{Lane, Row, Shared};
use super::super::table::Table;
use super::buffers::{Buffers, trace_len};
use super::job::{Changes, Job, Predictions, RowData};
use super::mirror::{EntryShape, Mirror};
use super::own::Own;
use super::replica::Replica;
use super::weights::MAX_WINDOW;
use crate::error::{Error, ErrorKind};

/// Entries that a table has room for beside the model's: bytes that are no tokens.
const SPARE: usize = 256;
/// The hidden places of a row that sees all: they begin behind all places and end, around the ring, at its first.
const NOTHING_HIDDEN: [u32; 2] = [u32::MAX, 1];

/// One session on a device.
pub struct Accelerator {
    replica: Arc<Replica>,
    own: Arc<Own>,
    entry: EntryShape,
    mirrors: Vec<Mirror>,
    /// Memory for keys and values on their way to the mirrors.
    log: Table,
    /// What the device does not have yet.
    changes: Changes,
}

impl Accelerator {
    /// The most rows of a session in a batch.
    pub const ROWS: usize = 256;

    /// A session of `lanes` lanes with windows of `window` places.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] if the kernels have no room for the window or for what learns, or if the device has no memory or
    /// fails.
    pub fn new(replica: Arc<Replica>, shared: &Shared, lanes: usize, window: usize) -> Result<Accelerator, Error> {
        if window > MAX_WINDOW {
            let message = format!("the GPU's kernels have room for windows of {MAX_WINDOW} tokens, not {window}");
            return Err(Error::new(ErrorKind::Device, message));
        }
        let entry = EntryShape::of(&shared.model);
        let own = Own::new(&replica.weights, shared, entry, lanes, window)?;
        if own.feed_forward.len() > Buffers::LEARNING {
            let message = format!("on the GPU at most {} layers can learn", Buffers::LEARNING);
            return Err(Error::new(ErrorKind::Device, message));
        }
        let mirrors = (0..lanes).map(|_| Mirror::default()).collect();
        Ok(Accelerator {
            replica,
            own: Arc::new(own),
            entry,
            mirrors,
            log: Table::default(),
            changes: Changes::default(),
        })
    }

    /// Has the next batch begin with what the last gradient steps changed.
    pub fn update(&mut self, adaptive: &Adaptive) {
        self.changes = Changes::of(adaptive);
    }

    /// Evaluates `rows`, which are in the order of their lanes: those with an output get their table.
    ///
    /// # Errors
    /// The device's, with the number of rows that were done before.
    pub fn run(&mut self, shared: &Shared, rows: &mut [Row], lanes: &[Lane]) -> Result<(), (Error, usize)> {
        let mut done = 0;
        while done < rows.len() {
            let rest = &mut rows[done..];
            let len = part_len(rest, lanes);
            self.run_part(shared, &mut rest[..len], lanes).map_err(|error| (error, done))?;
            done += len;
        }
        Ok(())
    }

    /// Writes all keys and values to the CPU's caches.
    pub fn restore(&self, lanes: &[Lane]) {
        self.mirrors.iter().zip(lanes).for_each(|(mirror, lane)| mirror.restore(self.entry, &lane.cache));
    }

    fn run_part(&mut self, shared: &Shared, rows: &mut [Row], lanes: &[Lane]) -> Result<(), Error> {
        let job = self.job(shared, rows, lanes)?;
        let Job { wanted, tables, predictions, log_quants, log_scales, .. } = self.replica.run(&shared.model, job)?;
        wanted.into_iter().zip(tables).for_each(|(row, table)| rows[row].cumulative = table);
        let quants = log_quants.chunks_exact(self.entry.quants() / 4);
        let entries = quants.zip(log_scales.chunks_exact(self.entry.scales()));
        for (row, (quants, scales)) in rows.iter().zip(entries) {
            let place = lanes[row.lane].cache.place(row.position);
            self.mirrors[row.lane].store(self.entry, place, row.position, quants, scales);
        }
        self.log = log_quants;
        if shared.adaptive.is_some() {
            self.predictions(shared, rows, &predictions);
        }
        Ok(())
    }

    fn job(&mut self, shared: &Shared, rows: &mut [Row], lanes: &[Lane]) -> Result<Job, Error> {
        let Shared { model, rope, adaptive, .. } = shared;
        let log = self.entry.quants() / 4;
        if self.log.device_capacity() < rows.len() * log {
            // As often as it grows, it at least doubles.
            self.log =
                Table::on_device(self.replica.weights.device.allocate_host(rows.len().next_power_of_two() * log)?);
        }
        self.log.resize(rows.len() * log);
        let mut job = Job {
            own: self.own.clone(),
            changes: mem::take(&mut self.changes),
            rows: Vec::with_capacity(rows.len()),
            cos: Vec::new(),
            sin: Vec::new(),
            wanted: Vec::new(),
            tables: Vec::new(),
            learns: adaptive.is_some(),
            predictions: Predictions::default(),
            log_quants: mem::take(&mut self.log),
            log_scales: Vec::new(),
        };
        for (i, row) in rows.iter_mut().enumerate() {
            let cache = &lanes[row.lane].cache;
            let mut hidden = cache.hidden(row.position).map(|place| place as u32);
            let first = hidden.next();
            job.rows.push(RowData {
                token: model.embedding_row(row.token) as u32,
                lane: row.lane as u32,
                place: cache.place(row.position) as u32,
                len: cache.visible(row.position) as u32,
                hidden: first.map_or(NOTHING_HIDDEN, |first| [first, hidden.last().unwrap_or(first) + 1]),
                moved: cache.wrapped(row.position),
            });
            rope.angles_at(row.position, &mut row.angles);
            job.cos.extend_from_slice(&row.angles.cos);
            job.sin.extend_from_slice(&row.angles.sin);
            if row.output.is_some() {
                let mut table = mem::take(&mut row.cumulative);
                if table.device_capacity() <= model.outputs {
                    table = Table::on_device(self.replica.weights.device.allocate_host(model.outputs + 1 + SPARE)?);
                }
                table.resize(model.outputs + 1);
                job.wanted.push(i);
                job.tables.push(table);
            }
        }
        Ok(job)
    }

    /// What gradient steps need of the rows.
    fn predictions(&self, shared: &Shared, rows: &mut [Row], predictions: &Predictions) {
        let model = &shared.model;
        let (hidden, learning) = (model.config.hidden, self.own.feed_forward.len());
        let trace_len = if learning > 0 { trace_len(model, learning) } else { 0 };
        let wanted = rows.iter_mut().filter(|row| row.output.is_some());
        for (i, (row, list)) in wanted.zip(predictions.lists.chunks_exact(2 * Buffers::LIST)).enumerate() {
            let input = &predictions.inputs[i * hidden..][..hidden];
            let trace = predictions.traces[i * trace_len..][..trace_len].to_vec();
            let (number, total) = (list[0] as usize, list[1]);
            row.prediction = Some(match list[2..].as_chunks().0.get(..number) {
                Some(likely) => {
                    let likely = likely.iter().map(|&[output, mass]| (output as usize, mass));
                    Prediction::with_likely(input, likely, total, trace)
                }
                None => Prediction::new(model, input, &row.cumulative, trace),
            });
        }
    }
}

/// How many of the first of `rows` can be evaluated together. All keys and values are stored before any row attends, so a
/// lane's row must not overwrite the place of a position that an earlier row still sees.
fn part_len(rows: &[Row], lanes: &[Lane]) -> usize {
    let mut lane: Range<usize> = 0..0;
    for (i, row) in rows.iter().enumerate().take(Accelerator::ROWS) {
        if i == 0 || rows[i - 1].lane != row.lane {
            lane = row.position..row.position;
        }
        // The places of the next positions are hidden.
        let cache = &lanes[row.lane].cache;
        if row.position > lane.start + cache.spare() && cache.wrapped(row.position) {
            return i;
        }
    }
    rows.len().min(Accelerator::ROWS)
}
