//! The forward pass on a device: what `transformer::forward` does on the CPU, for the rows of a session.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::super::adaptive::{Adaptive, Prediction};
use super::super::batch::{Lane, Row, Shared};
use super::super::model::Model;
use super::super::rope::Rope;
use super::device::{Arg, Device, Kernel, Memory, Recording, bytes_of};
use super::mirror::{EntryShape, Mirror};
use super::weights::{Block, MAX_WINDOW, Matrix, Weights};
use crate::error::{Error, ErrorKind};
use crate::num::packed::Packed;
use crate::num::tiles::BLOCK;

/// Outputs and rows that a thread block of the kernel `multiply` makes.
const TILE_OUTPUTS: u32 = 32;
const TILE_ROWS: u32 = 16;
/// Threads of a block of the kernels `quantise` and `swiglu`.
const QUANTISE_THREADS: u32 = 128;
/// The most recordings that a session keeps.
const MAX_RECORDINGS: usize = 64;
/// The range of hidden places of a row that sees all: it begins behind all places and ends, around the ring, at its first.
const NOTHING_HIDDEN: [u32; 2] = [u32::MAX, 1];

/// One session on a device: caches of its lanes, its own copies of what learns, buffers.
pub struct Accelerator {
    device: Arc<dyn Device>,
    weights: Arc<Weights>,
    head: Option<Matrix>,
    /// Copies of the last layers' gate-up and down matrices.
    feed_forward: Vec<[Matrix; 2]>,
    shape: EntryShape,
    mirrors: Vec<Mirror>,
    /// The launches for so many rows of which so many have an output: none when they have been launched once.
    recordings: BTreeMap<[u32; 2], Option<Box<dyn Recording>>>,
    buffers: Buffers,
}

/// Vectors of each row, if not said otherwise.
struct Buffers {
    /// The shape of attention, the rows, the order 0, 1, …, and the rows that want a distribution.
    shape: Memory,
    rows: Memory,
    identity: Memory,
    wanted: Memory,
    cos: Memory,
    sin: Memory,
    sink_cos: Memory,
    sink_sin: Memory,
    x: Memory,
    normed: Memory,
    /// The input of the next product.
    quants: Memory,
    scales: Memory,
    /// The product of q, k and v, or of gate and up.
    product: Memory,
    heads: Memory,
    queries: Memory,
    query_scales: Memory,
    sink_queries: Memory,
    sink_query_scales: Memory,
    /// The lanes' caches.
    keys: Memory,
    key_scales: Memory,
    values: Memory,
    value_scales: Memory,
    log_quants: Memory,
    log_scales: Memory,
    logits: Memory,
    tables: Memory,
    trace: Memory,
}

impl Accelerator {
    /// The most rows of a launch. Together with the GPU's parallelism within a row that keeps the largest GPUs busy.
    pub const ROWS: usize = 256;

    /// A session of `lanes` lanes with windows of `window` places.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] if the window is too long for the kernels, or if the device has no memory or fails.
    pub fn new(weights: Arc<Weights>, shared: &Shared, lanes: usize, window: usize) -> Result<Accelerator, Error> {
        if window > MAX_WINDOW {
            let message = format!("the GPU's kernels have room for windows of {MAX_WINDOW} tokens, not {window}");
            return Err(Error::new(ErrorKind::Device, message));
        }
        let Shared { model, rope, adaptive, .. } = shared;
        let device = weights.device.fork()?;
        let shape = EntryShape {
            layers: model.config.layers,
            kv_heads: model.config.kv_heads,
            padded: model.config.head_dim.next_multiple_of(BLOCK),
        };
        let head = adaptive.as_ref().map(|adaptive| Matrix::new(&*device, &adaptive.head.packed, model.outputs));
        let learning = adaptive.as_ref().map_or(&[][..], |adaptive| adaptive.feed_forward.layers());
        let layers = learning.len();
        let feed_forward = learning.iter().map(|layer| {
            let copy = |matrix: &Packed| Matrix::new(&*device, matrix, matrix.rows());
            Ok([copy(&layer.gate_up.packed)?, copy(&layer.down.packed)?])
        });
        Ok(Accelerator {
            head: head.transpose()?,
            feed_forward: feed_forward.collect::<Result<_, Error>>()?,
            mirrors: (0..lanes).map(|_| Mirror::default()).collect(),
            recordings: BTreeMap::new(),
            buffers: Buffers::new(&*device, model, rope, shape, [lanes, window, layers])?,
            device,
            weights,
            shape,
        })
    }

    /// Copies what the last gradient steps changed.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] if the device fails, as of all methods.
    pub fn update(&mut self, adaptive: &Adaptive) -> Result<(), Error> {
        if let Some(head) = &self.head {
            for row in adaptive.head.changed_rows() {
                head.set_rows(&*self.device, &adaptive.head.packed, row, 1)?;
            }
        }
        if adaptive.feed_forward.changed() {
            for ([gate_up, down], layer) in self.feed_forward.iter().zip(adaptive.feed_forward.layers()) {
                gate_up.set_rows(&*self.device, &layer.gate_up.packed, 0, layer.gate_up.packed.rows())?;
                down.set_rows(&*self.device, &layer.down.packed, 0, layer.down.packed.rows())?;
            }
        }
        Ok(())
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
        self.mirrors.iter().zip(lanes).for_each(|(mirror, lane)| mirror.restore(self.shape, &lane.cache));
    }

    fn run_part(&mut self, shared: &Shared, rows: &mut [Row], lanes: &[Lane]) -> Result<(), Error> {
        let Shared { model, rope, .. } = shared;
        let wanted: Vec<u32> = (0..rows.len()).filter(|&i| rows[i].output.is_some()).map(|i| i as u32).collect();
        self.write_rows(model, rope, rows, lanes)?;
        self.device.write(&self.buffers.wanted, 0, &bytes_of(&wanted, u32::to_le_bytes))?;
        self.forward(model, [rows.len() as u32, wanted.len() as u32])?;
        self.distributions(shared, rows, &wanted)?;
        self.mirror(rows, lanes)
    }

    /// Launches the forward pass of `count` rows of which `wanted` have an output. Sizes that come again are recorded, since a
    /// pass has hundreds of short launches.
    fn forward(&mut self, model: &Model, sizes @ [count, wanted]: [u32; 2]) -> Result<(), Error> {
        match self.recordings.get(&sizes) {
            None if self.recordings.len() < MAX_RECORDINGS => {
                self.recordings.insert(sizes, None);
                self.launch(model, count, wanted)
            }
            None => self.launch(model, count, wanted),
            Some(None) => {
                let recording = self.device.record(&mut || self.launch(model, count, wanted))?;
                recording.replay()?;
                self.recordings.insert(sizes, Some(recording));
                Ok(())
            }
            Some(Some(recording)) => recording.replay(),
        }
    }

    fn launch(&self, model: &Model, count: u32, wanted: u32) -> Result<(), Error> {
        let hidden = model.config.hidden as u32;
        let embedding = self.weights.embedding.as_ref().unwrap_or(&self.weights.head);
        let Buffers { rows: row_data, x, .. } = &self.buffers;
        let args = [row_data.into(), (&embedding.quants).into(), (&embedding.scales).into(), x.into(), hidden.into()];
        self.device.launch(Kernel::Embed, [count, 1], &args)?;
        for (layer, block) in self.weights.layers.iter().enumerate() {
            self.attention(model, layer, block, count)?;
            self.feed_forward(model, layer, block, count, wanted)?;
        }
        if wanted == 0 {
            return Ok(());
        }
        if !self.feed_forward.is_empty() {
            self.keep(model, x, hidden, self.trace_len(model) - model.config.hidden, wanted)?;
        }
        let (b, outputs) = (&self.buffers, model.outputs as u32);
        self.norm(model, &b.wanted, &self.weights.norm, wanted)?;
        let all = self.head.as_ref().unwrap_or(&self.weights.head);
        self.multiply_rows(all, outputs, &b.logits, wanted, false)?;
        let args = [(&b.logits).into(), outputs.into(), (&b.tables).into()];
        self.device.launch(Kernel::Masses, [wanted, 1], &args)
    }

    /// What the kernels know of the rows.
    fn write_rows(&self, model: &Model, rope: &Rope, rows: &mut [Row], lanes: &[Lane]) -> Result<(), Error> {
        let (mut data, mut cos, mut sin) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            let cache = &lanes[row.lane].cache;
            let (len, place) = (cache.visible(row.position) as u32, cache.place(row.position) as u32);
            let mut hidden = cache.hidden(row.position).map(|place| place as u32);
            let [from, to] = hidden.next().map_or(NOTHING_HIDDEN, |first| [first, hidden.last().unwrap_or(first) + 1]);
            let token = model.embedding_row(row.token) as u32;
            data.extend([token, row.lane as u32, place, len, from, to, u32::from(cache.wrapped(row.position))]);
            rope.angles_at(row.position, &mut row.angles);
            cos.extend_from_slice(&row.angles.cos);
            sin.extend_from_slice(&row.angles.sin);
        }
        self.device.write(&self.buffers.rows, 0, &bytes_of(&data, u32::to_le_bytes))?;
        self.device.write(&self.buffers.cos, 0, &bytes_of(&cos, f32::to_le_bytes))?;
        self.device.write(&self.buffers.sin, 0, &bytes_of(&sin, f32::to_le_bytes))
    }

    fn attention(&self, model: &Model, layer: usize, block: &Block, rows: u32) -> Result<(), Error> {
        let (config, buffers, device) = (&model.config, &self.buffers, &self.device);
        let (heads, layer) = (config.heads as u32, layer as u32);
        self.norm(model, &buffers.identity, &block.attention_norm, rows)?;
        self.multiply(&block.qkv, &buffers.product, rows, false)?;
        let b = buffers;
        let rotate: Vec<Arg> = [&b.rows, &b.shape].map(Arg::from).into_iter().chain([layer.into()]).collect();
        let caches = [&b.keys, &b.key_scales, &b.values, &b.value_scales].map(Arg::from);
        let queries = [&b.queries, &b.query_scales, &b.sink_queries, &b.sink_query_scales].map(Arg::from);
        let angles = [&b.product, &b.cos, &b.sin, &b.sink_cos, &b.sink_sin].map(Arg::from);
        let logs = [&b.log_quants, &b.log_scales].map(Arg::from);
        let args = [&rotate[..], &angles, &queries, &caches, &logs].concat();
        device.launch(Kernel::Rotate, [rows, heads + 2 * config.kv_heads as u32], &args)?;
        let width = block.o.blocks * BLOCK as u32;
        let args = [&rotate[..], &queries, &caches, &[(&b.heads).into(), width.into()]].concat();
        device.launch(Kernel::Attend, [rows, heads], &args)?;
        let count = rows * width;
        let args = [(&b.heads).into(), count.into(), (&b.quants).into(), (&b.scales).into()];
        device.launch(Kernel::Quantise, [count.div_ceil(QUANTISE_THREADS), 1], &args)?;
        self.multiply(&block.o, &b.x, rows, true)
    }

    fn feed_forward(&self, model: &Model, layer: usize, block: &Block, rows: u32, wanted: u32) -> Result<(), Error> {
        let (b, hidden) = (&self.buffers, model.config.hidden as u32);
        let own = layer.checked_sub(model.layers.len() - self.feed_forward.len());
        let [gate_up, down] = own.map_or([&block.gate_up, &block.down], |own| self.feed_forward[own].each_ref());
        self.norm(model, &b.identity, &block.feed_forward_norm, rows)?;
        self.multiply(gate_up, &b.product, rows, false)?;
        if let Some(own) = own {
            let at = own * (model.config.hidden + gate_up.rows as usize);
            self.keep(model, &b.x, hidden, at, wanted)?;
            self.keep(model, &b.product, gate_up.rows, at + model.config.hidden, wanted)?;
        }
        let width = down.blocks * BLOCK as u32;
        let count = rows * width;
        let sizes = [gate_up.rows / 2, width, count].map(Arg::from);
        let args = [&[(&b.product).into()], &sizes[..], &[(&b.quants).into(), (&b.scales).into()]].concat();
        self.device.launch(Kernel::Swiglu, [count.div_ceil(QUANTISE_THREADS), 1], &args)?;
        self.multiply(down, &b.x, rows, true)
    }

    /// Copies `count` values of each wanted row to its trace, from element `at` on.
    fn keep(&self, model: &Model, from: &Memory, count: u32, at: usize, wanted: u32) -> Result<(), Error> {
        let b = &self.buffers;
        let to = Arg::Address(b.trace.address + 4 * at as u64);
        let stride = self.trace_len(model) as u32;
        let args = [(&b.wanted).into(), from.into(), count.into(), to, stride.into()];
        self.device.launch(Kernel::Copy, [wanted, 1], &args)
    }

    /// Values of a trace; see [`Prediction::trace`].
    fn trace_len(&self, model: &Model) -> usize {
        let gate_up = self.feed_forward.first().map_or(0, |[gate_up, _]| gate_up.rows as usize);
        self.feed_forward.len() * (model.config.hidden + gate_up) + model.config.hidden
    }

    /// The tables of the rows `wanted`, and what a gradient step needs of them.
    fn distributions(&self, shared: &Shared, rows: &mut [Row], wanted: &[u32]) -> Result<(), Error> {
        let Shared { model, adaptive, .. } = shared;
        let (b, hidden, outputs) = (&self.buffers, model.config.hidden, model.outputs);
        let (mut inputs, mut traces) = (Vec::new(), Vec::new());
        let trace_len = if self.feed_forward.is_empty() { 0 } else { self.trace_len(model) };
        if adaptive.is_some() {
            inputs = self.read_floats(&b.normed, wanted.len() * hidden)?;
            traces = self.read_floats(&b.trace, wanted.len() * trace_len)?;
        }
        let unit = 4 * (outputs + 1);
        let mut left = wanted.iter().enumerate();
        self.device.read(&b.tables, wanted.len() * unit, unit, &mut |part| {
            for (table, (i, &row)) in part.chunks_exact(unit).zip(&mut left) {
                let row = &mut rows[row as usize];
                row.cumulative.clear();
                row.cumulative.extend(table.as_chunks().0.iter().map(|&bytes| u32::from_le_bytes(bytes)));
                row.prediction = adaptive.as_ref().map(|_| {
                    let (input, trace) = (&inputs[i * hidden..][..hidden], &traces[i * trace_len..][..trace_len]);
                    Prediction::new(model, input, &row.cumulative, trace.to_vec())
                });
            }
        })
    }

    /// Copies the rows' keys and values.
    fn mirror(&mut self, rows: &[Row], lanes: &[Lane]) -> Result<(), Error> {
        let shape = self.shape;
        let scales = self.read_floats(&self.buffers.log_scales, rows.len() * shape.scales())?;
        let mut entries = rows.iter().zip(scales.chunks_exact(shape.scales()));
        let (unit, mirrors) = (shape.quants(), &mut self.mirrors);
        self.device.read(&self.buffers.log_quants, rows.len() * unit, unit, &mut |part| {
            for (quants, (row, scales)) in part.chunks_exact(unit).zip(&mut entries) {
                let place = lanes[row.lane].cache.place(row.position);
                mirrors[row.lane].store(shape, place, row.position, quants, scales);
            }
        })
    }

    fn read_floats(&self, from: &Memory, count: usize) -> Result<Vec<f32>, Error> {
        let mut floats = Vec::with_capacity(count);
        self.device.read(from, 4 * count, 4, &mut |part| {
            floats.extend(part.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)));
        })?;
        Ok(floats)
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
    fn multiply(&self, matrix: &Matrix, out: &Memory, rows: u32, sum: bool) -> Result<(), Error> {
        self.multiply_rows(matrix, matrix.rows, out, rows, sum)
    }

    /// The same with the first `outputs` rows of the matrix.
    fn multiply_rows(&self, matrix: &Matrix, outputs: u32, out: &Memory, rows: u32, sum: bool) -> Result<(), Error> {
        let operands = [&matrix.quants, &matrix.scales, &self.buffers.quants, &self.buffers.scales, out].map(Arg::from);
        let sizes = [outputs, matrix.blocks, rows, u32::from(sum)].map(Arg::from);
        let grid = [outputs.div_ceil(TILE_OUTPUTS), rows.div_ceil(TILE_ROWS)];
        self.device.launch(Kernel::Multiply, grid, &[&operands[..], &sizes].concat())
    }
}

impl Buffers {
    fn new(
        device: &dyn Device,
        model: &Model,
        rope: &Rope,
        entry: EntryShape,
        [lanes, window, learning]: [usize; 3],
    ) -> Result<Self, Error> {
        let config = &model.config;
        let (rows, hidden, padded) = (Accelerator::ROWS, config.hidden, entry.padded);
        let places = window.next_multiple_of(BLOCK);
        let width = (config.heads * config.head_dim).next_multiple_of(BLOCK);
        let inner = config.feed_forward.next_multiple_of(BLOCK);
        let input = hidden.max(width).max(inner);
        let product = (2 * config.feed_forward).max((config.heads + 2 * config.kv_heads) * config.head_dim);
        let cache = lanes * config.layers * config.kv_heads * places;
        let learned = 2 * config.feed_forward + hidden;
        let bytes = |len: usize| device.allocate(len);
        let words = |len: usize| device.allocate(4 * len);
        let filled = |values: Vec<u8>| {
            let memory = bytes(values.len())?;
            device.write(&memory, 0, &values)?;
            Ok::<_, Error>(memory)
        };
        let sizes = [config.heads, config.kv_heads, config.head_dim, padded, places, config.layers];
        let mut shape = bytes_of(&sizes.map(|size| size as u32), u32::to_le_bytes);
        shape.extend((1.0 / (config.head_dim as f32).sqrt()).to_le_bytes());
        Ok(Buffers {
            shape: filled(shape)?,
            rows: words(7 * rows)?,
            identity: filled(bytes_of(&(0..rows as u32).collect::<Vec<_>>(), u32::to_le_bytes))?,
            wanted: words(rows)?,
            cos: words(rows * config.head_dim / 2)?,
            sin: words(rows * config.head_dim / 2)?,
            sink_cos: filled(bytes_of(&rope.sink.cos, f32::to_le_bytes))?,
            sink_sin: filled(bytes_of(&rope.sink.sin, f32::to_le_bytes))?,
            x: words(rows * hidden)?,
            normed: words(rows * hidden)?,
            quants: bytes(rows * input)?,
            scales: words(rows * input / BLOCK)?,
            product: words(rows * product)?,
            // Kernels leave what fills up a row at zero.
            heads: words(rows * width)?,
            queries: bytes(rows * config.heads * padded)?,
            query_scales: words(rows * config.heads * padded / BLOCK)?,
            sink_queries: bytes(rows * config.heads * padded)?,
            sink_query_scales: words(rows * config.heads * padded / BLOCK)?,
            keys: bytes(cache * padded)?,
            key_scales: words(cache * padded / BLOCK)?,
            values: bytes(cache * padded)?,
            value_scales: words(cache)?,
            log_quants: bytes(rows * entry.quants())?,
            log_scales: words(rows * entry.scales())?,
            logits: words(rows * model.outputs)?,
            tables: words(rows * (model.outputs + 1))?,
            trace: words(rows * (learning * learned + hidden))?,
        })
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
