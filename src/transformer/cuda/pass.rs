//! The forward pass on a device: what `transformer::forward` does on the CPU, for the rows of one or more sessions.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::model::Model;
use super::buffers::{Buffers, trace_len};
use super::device::{Arg, Device, Kernel, Memory, Recording, bytes_of};
use super::job::{Job, Predictions};
use super::weights::{Block, Matrix, Weights};
use crate::error::Error;
use crate::num::tiles::BLOCK;

/// Outputs and rows that a thread block of the kernel `multiply` makes.
const TILE_OUTPUTS: u32 = 32;
const TILE_ROWS: usize = 16;
/// Threads of a block of the kernels `quantise` and `swiglu`.
const QUANTISE_THREADS: u32 = 128;
/// The most recordings that are kept.
const MAX_RECORDINGS: usize = 64;
/// The number of rows is rounded up to a multiple of this from the second tile on, so that fewer sizes are recorded.
const ROUND: usize = 8;

/// Buffers for one batch, and a queue of the device.
pub struct Pass {
    device: Arc<dyn Device>,
    buffers: Buffers,
    /// Launches by their sizes: none when they have been launched once.
    recordings: BTreeMap<Sizes, Option<Box<dyn Recording>>>,
}

/// What launches depend on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Sizes {
    rows: u32,
    wanted: u32,
    /// Tiles of the wanted rows, and of all rows if layers learn.
    wanted_tiles: u32,
    row_tiles: u32,
    /// Feed-forward layers that learn.
    learning: u32,
}

/// A product's matrix, and its number among the sessions' own if they have different ones.
#[derive(Clone, Copy)]
enum Factor<'a> {
    Shared(&'a Matrix),
    Own { number: usize, rows: u32, blocks: u32, tiles: &'a Memory, count: u32 },
}

impl Pass {
    /// Buffers for `model` on `device`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Device`] if the device fails, as of all methods.
    pub fn new(device: Arc<dyn Device>, model: &Model) -> Result<Pass, Error> {
        Ok(Pass { buffers: Buffers::new(&*device, model)?, recordings: BTreeMap::new(), device })
    }

    /// Whether `job` can be done with `jobs`, which have `rows` rows.
    pub fn fits(jobs: &[Job], rows: usize, job: &Job) -> bool {
        jobs.len() < Buffers::SESSIONS
            && rounded(rows + job.rows.len()) <= Buffers::ROWS
            && jobs.iter().all(|other| other.own.feed_forward.len() == job.own.feed_forward.len())
    }

    /// Evaluates the rows of all jobs.
    pub fn run(&mut self, weights: &Weights, model: &Model, jobs: &mut [Job]) -> Result<(), Error> {
        jobs.iter().try_for_each(|job| self.apply(weights, job))?;
        let sizes = self.write(weights, model, jobs)?;
        self.forward(weights, model, sizes)?;
        self.read(model, jobs)
    }

    /// Copies what gradient steps have changed. Rows of the head go together: one by one, the calls would take longer than the
    /// forward pass.
    fn apply(&self, weights: &Weights, job: &Job) -> Result<(), Error> {
        let (changes, head, device) = (&job.changes, job.own.head(weights), &*self.device);
        let b = &self.buffers;
        let bytes = head.blocks as usize * BLOCK;
        let contents =
            changes.head.0.chunks(Buffers::CHANGED * bytes).zip(changes.head.1.chunks(Buffers::CHANGED * bytes / 8));
        for (rows, (quants, scales)) in changes.head_rows.chunks(Buffers::CHANGED).zip(contents) {
            device.write(&b.changed, 0, &bytes_of(rows, |row| (row as u32).to_le_bytes()))?;
            device.write(&b.changed_quants, 0, quants)?;
            device.write(&b.changed_scales, 0, scales)?;
            let from = [&b.changed, &b.changed_quants, &b.changed_scales].map(Arg::from);
            let args = [&from[..], &[head.blocks.into(), (&head.quants).into(), (&head.scales).into()]].concat();
            device.launch(Kernel::Scatter, [rows.len() as u32, 1], &args)?;
        }
        for (to, (quants, scales)) in job.own.feed_forward.iter().flatten().zip(changes.feed_forward.iter().flatten()) {
            device.write(&to.quants, 0, quants)?;
            device.write(&to.scales, 0, scales)?;
        }
        Ok(())
    }

    /// Copies the rows, and what the kernels know of their sessions.
    fn write(&self, weights: &Weights, model: &Model, jobs: &[Job]) -> Result<Sizes, Error> {
        let (mut rows, mut wanted) = (Vec::new(), Vec::new());
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        let (mut row_tiles, mut wanted_tiles) = (Vec::new(), Vec::new());
        for (session, job) in jobs.iter().enumerate() {
            let last = session + 1 == jobs.len();
            let [first, first_wanted] = [rows.len(), wanted.len()];
            rows.extend(job.rows.iter().map(|row| row.words(session)));
            wanted.extend(job.wanted.iter().map(|&row| (first + row) as u32));
            cos.extend_from_slice(&job.cos);
            sin.extend_from_slice(&job.sin);
            if last {
                // What fills up the batch is the last row again. It computes and stores the same bits.
                repeat_last(&mut rows, 1);
                repeat_last(&mut wanted, 1);
                repeat_last(&mut cos, model.config.head_dim / 2);
                repeat_last(&mut sin, model.config.head_dim / 2);
            }
            add_tiles(&mut row_tiles, first, rows.len(), session);
            add_tiles(&mut wanted_tiles, first_wanted, wanted.len(), session);
        }
        let b = &self.buffers;
        let to = |memory: &Memory, words: &[u32]| self.device.write(memory, 0, &bytes_of(words, u32::to_le_bytes));
        to(&b.rows, rows.as_flattened())?;
        to(&b.wanted, &wanted)?;
        to(&b.row_tiles, row_tiles.as_flattened())?;
        to(&b.wanted_tiles, wanted_tiles.as_flattened())?;
        self.device.write(&b.cos, 0, &bytes_of(&cos, f32::to_le_bytes))?;
        self.device.write(&b.sin, 0, &bytes_of(&sin, f32::to_le_bytes))?;
        let caches: Vec<[u64; 7]> = jobs.iter().map(|job| job.own.caches()).collect();
        self.device.write(&b.caches, 0, &bytes_of(caches.as_flattened(), u64::to_le_bytes))?;
        let learning = jobs[0].own.feed_forward.len();
        let mut own = vec![[0; 2]; (1 + 2 * learning) * Buffers::SESSIONS];
        for (session, job) in jobs.iter().enumerate() {
            for (number, matrix) in job.own.matrices(weights).enumerate() {
                own[number * Buffers::SESSIONS + session] = [matrix.quants.address, matrix.scales.address];
            }
        }
        self.device.write(&b.own, 0, &bytes_of(own.as_flattened(), u64::to_le_bytes))?;
        Ok(Sizes {
            rows: rows.len() as u32,
            wanted: wanted.len() as u32,
            wanted_tiles: wanted_tiles.len() as u32,
            row_tiles: if learning > 0 { row_tiles.len() as u32 } else { 0 },
            learning: learning as u32,
        })
    }

    /// Launches the forward pass. Sizes that come again are recorded, since a pass has hundreds of short launches.
    fn forward(&mut self, weights: &Weights, model: &Model, sizes: Sizes) -> Result<(), Error> {
        match self.recordings.get(&sizes) {
            None if self.recordings.len() < MAX_RECORDINGS => {
                self.recordings.insert(sizes, None);
                self.launch(weights, model, sizes)
            }
            None => self.launch(weights, model, sizes),
            Some(None) => {
                let recording = self.device.record(&mut || self.launch(weights, model, sizes))?;
                recording.replay()?;
                self.recordings.insert(sizes, Some(recording));
                Ok(())
            }
            Some(Some(recording)) => recording.replay(),
        }
    }

    fn launch(&self, weights: &Weights, model: &Model, sizes: Sizes) -> Result<(), Error> {
        let Sizes { rows, wanted, wanted_tiles, learning, .. } = sizes;
        let (b, hidden) = (&self.buffers, model.config.hidden as u32);
        let embedding = weights.embedding.as_ref().unwrap_or(&weights.head);
        let args =
            [(&b.rows).into(), (&embedding.quants).into(), (&embedding.scales).into(), (&b.x).into(), hidden.into()];
        self.device.launch(Kernel::Embed, [rows, 1], &args)?;
        for (layer, block) in weights.layers.iter().enumerate() {
            self.attention(model, layer, block, rows)?;
            self.feed_forward(model, layer, block, sizes)?;
        }
        if wanted == 0 {
            return Ok(());
        }
        if learning > 0 {
            let len = trace_len(model, learning as usize);
            self.keep(&b.x, hidden, [len - model.config.hidden, len], wanted)?;
        }
        self.norm(model, &b.wanted, &weights.norm, wanted)?;
        let outputs = model.outputs as u32;
        let head = Factor::Own {
            number: 0,
            rows: outputs,
            blocks: weights.head.blocks,
            tiles: &b.wanted_tiles,
            count: wanted_tiles,
        };
        self.multiply(head, &b.logits, wanted, false)?;
        let args = [(&b.logits).into(), outputs.into(), (&b.tables).into(), (&b.likely).into()];
        self.device.launch(Kernel::Masses, [wanted, 1], &args)
    }

    fn attention(&self, model: &Model, layer: usize, block: &Block, rows: u32) -> Result<(), Error> {
        let (config, b) = (&model.config, &self.buffers);
        let (heads, layer) = (config.heads as u32, layer as u32);
        self.norm(model, &b.identity, &block.attention_norm, rows)?;
        self.multiply(Factor::Shared(&block.qkv), &b.product, rows, false)?;
        let common = [Arg::from(&b.rows), (&b.shape).into(), layer.into()];
        let queries = [&b.queries, &b.query_scales, &b.sink_queries, &b.sink_query_scales].map(Arg::from);
        let angles = [&b.product, &b.cos, &b.sin].map(Arg::from);
        let stored = [&b.caches, &b.log_quants, &b.log_scales].map(Arg::from);
        let args = [&common[..], &angles, &queries, &stored].concat();
        self.device.launch(Kernel::Rotate, [rows, heads + 2 * config.kv_heads as u32], &args)?;
        let width = block.o.blocks * BLOCK as u32;
        let args = [&common[..], &queries, &[(&b.caches).into(), (&b.heads).into(), width.into()]].concat();
        self.device.launch(Kernel::Attend, [rows, heads], &args)?;
        let count = rows * width;
        let args = [(&b.heads).into(), count.into(), (&b.quants).into(), (&b.scales).into()];
        self.device.launch(Kernel::Quantise, [count.div_ceil(QUANTISE_THREADS), 1], &args)?;
        self.multiply(Factor::Shared(&block.o), &b.x, rows, true)
    }

    fn feed_forward(&self, model: &Model, layer: usize, block: &Block, sizes: Sizes) -> Result<(), Error> {
        let (b, config, rows) = (&self.buffers, &model.config, sizes.rows);
        let learning = sizes.learning as usize;
        let own = layer.checked_sub(model.layers.len() - learning);
        let number = own.map(|own| 1 + 2 * own);
        let gate_up = self.learned(&block.gate_up, number, sizes);
        let down = self.learned(&block.down, number.map(|number| number + 1), sizes);
        self.norm(model, &b.identity, &block.feed_forward_norm, rows)?;
        self.multiply(gate_up, &b.product, rows, false)?;
        if let Some(own) = own {
            let at = own * (config.hidden + 2 * config.feed_forward);
            let len = trace_len(model, learning);
            self.keep(&b.x, config.hidden as u32, [at, len], sizes.wanted)?;
            self.keep(&b.product, block.gate_up.rows, [at + config.hidden, len], sizes.wanted)?;
        }
        let width = block.down.blocks * BLOCK as u32;
        let count = rows * width;
        let lens = [block.gate_up.rows / 2, width, count].map(Arg::from);
        let args = [&[(&b.product).into()], &lens[..], &[(&b.quants).into(), (&b.scales).into()]].concat();
        self.device.launch(Kernel::Swiglu, [count.div_ceil(QUANTISE_THREADS), 1], &args)?;
        self.multiply(down, &b.x, rows, true)
    }

    /// A matrix of the model, or the sessions' own matrices `number` in its place.
    fn learned<'a>(&'a self, matrix: &'a Matrix, number: Option<usize>, sizes: Sizes) -> Factor<'a> {
        let Matrix { rows, blocks, .. } = *matrix;
        let (tiles, count) = (&self.buffers.row_tiles, sizes.row_tiles);
        number.map_or(Factor::Shared(matrix), |number| Factor::Own { number, rows, blocks, tiles, count })
    }

    /// Copies `count` values of each wanted row to its trace of `len` values, from element `at` on.
    fn keep(&self, from: &Memory, count: u32, [at, len]: [usize; 2], wanted: u32) -> Result<(), Error> {
        let b = &self.buffers;
        let to = Arg::Address(b.trace.address + 4 * at as u64);
        let args = [(&b.wanted).into(), from.into(), count.into(), to, (len as u32).into()];
        self.device.launch(Kernel::Copy, [wanted, 1], &args)
    }

    /// The norm of the rows of x that `order` lists becomes the input of the next product.
    fn norm(&self, model: &Model, order: &Memory, weights: &Memory, rows: u32) -> Result<(), Error> {
        let (b, config) = (&self.buffers, &model.config);
        let from = [order, &b.x, weights].map(Arg::from);
        let to = [&b.normed, &b.quants, &b.scales].map(Arg::from);
        let args = [&from[..], &[config.norm_eps.into(), (config.hidden as u32).into()], &to].concat();
        self.device.launch(Kernel::RmsNorm, [rows, 1], &args)
    }

    /// The product of a matrix with the input; `sum` adds it to `out`.
    fn multiply(&self, factor: Factor<'_>, out: &Memory, count: u32, sum: bool) -> Result<(), Error> {
        let b = &self.buffers;
        let nothing = Arg::Address(0);
        let (weights, rows, blocks, row_tiles, own) = match factor {
            Factor::Shared(matrix) => {
                let weights = [&matrix.quants, &matrix.scales].map(Arg::from);
                (weights, matrix.rows, matrix.blocks, count.div_ceil(TILE_ROWS as u32), [nothing; 2])
            }
            Factor::Own { number, rows, blocks, tiles, count } => {
                let own = b.own.address + (16 * number * Buffers::SESSIONS) as u64;
                ([nothing; 2], rows, blocks, count, [tiles.into(), Arg::Address(own)])
            }
        };
        let operands = [&b.quants, &b.scales, out].map(Arg::from);
        let sizes = [rows, blocks, count, u32::from(sum)].map(Arg::from);
        let args = [&weights[..], &operands, &sizes, &own].concat();
        self.device.launch(Kernel::Multiply, [rows.div_ceil(TILE_OUTPUTS), row_tiles], &args)
    }

    /// Deals the results to the jobs.
    fn read(&self, model: &Model, jobs: &mut [Job]) -> Result<(), Error> {
        let (b, learning) = (&self.buffers, jobs[0].own.feed_forward.len());
        if jobs.iter().any(|job| job.learns) {
            let wanted: Vec<usize> = jobs.iter().map(|job| job.wanted.len()).collect();
            let mut inputs = self.read_words(&b.normed, model.config.hidden, &wanted, f32::from_le_bytes)?.into_iter();
            let len = if learning > 0 { trace_len(model, learning) } else { 0 };
            let mut traces = self.read_words(&b.trace, len, &wanted, f32::from_le_bytes)?.into_iter();
            let lists = self.read_words(&b.likely, 2 * Buffers::LIST, &wanted, u32::from_le_bytes)?;
            for (job, lists) in jobs.iter_mut().zip(lists) {
                let [inputs, traces] = [&mut inputs, &mut traces].map(|parts| parts.next().unwrap_or_default());
                job.predictions = Predictions { inputs, traces, lists };
            }
        }
        let mut tables: Vec<&mut [u32]> =
            jobs.iter_mut().flat_map(|job| &mut job.tables).map(|table| &mut **table).collect();
        self.device.read_to(&b.tables, &mut tables)?;
        let rows: Vec<usize> = jobs.iter().map(|job| job.rows.len()).collect();
        let entry = b.entry;
        let scales = self.read_words(&b.log_scales, entry.scales(), &rows, f32::from_le_bytes)?;
        jobs.iter_mut().zip(scales).for_each(|(job, scales)| job.log_scales = scales);
        let mut logs: Vec<&mut [u32]> = jobs.iter_mut().map(|job| &mut *job.log_quants).collect();
        self.device.read_to(&b.log_quants, &mut logs)
    }

    /// For each of `counts` as many units of `unit` words, one after the other.
    fn read_words<T>(
        &self,
        from: &Memory,
        unit: usize,
        counts: &[usize],
        number: fn([u8; 4]) -> T,
    ) -> Result<Vec<Vec<T>>, Error> {
        let mut words = Vec::new();
        self.device.read(from, 4 * unit * counts.iter().sum::<usize>(), 4, &mut |part| {
            words.extend(part.as_chunks().0.iter().map(|&bytes| number(bytes)));
        })?;
        let mut words = words.into_iter();
        Ok(counts.iter().map(|count| words.by_ref().take(count * unit).collect()).collect())
    }
}

/// The size of a batch of `rows` rows.
fn rounded(rows: usize) -> usize {
    if rows <= TILE_ROWS { rows } else { rows.next_multiple_of(ROUND) }
}

/// Repeats the last of the vectors of `unit` elements until there are as many as [`rounded`] says.
fn repeat_last<T: Copy>(vectors: &mut Vec<T>, unit: usize) {
    let len = rounded(vectors.len() / unit) * unit;
    while vectors.len() < len {
        vectors.push(vectors[vectors.len() - unit]);
    }
}

/// Divides the rows of a session from `first` on into tiles.
fn add_tiles(tiles: &mut Vec<[u32; 3]>, first: usize, end: usize, session: usize) {
    let firsts = (first..end).step_by(TILE_ROWS);
    tiles.extend(firsts.map(|first| [first, end.min(first + TILE_ROWS), session].map(|number| number as u32)));
}
