//! A session's rows on their way to the device and back. A job borrows nothing, so that any session's thread can do it.

use std::sync::Arc;

use super::super::adaptive::Adaptive;
use super::super::table::Table;
use super::own::Own;
use super::weights::contents;

/// What the kernels know of a row, but for its session.
pub struct RowData {
    /// Row of the embedding.
    pub token: u32,
    /// The lane, and the place of its key and value in the lane's window.
    pub lane: u32,
    pub place: u32,
    /// Places that it may see, but for the hidden ones; and the hidden ones, from one place to before another around the ring
    /// behind place 0.
    pub len: u32,
    pub hidden: [u32; 2],
    /// Whether the window has moved.
    pub moved: bool,
}

impl RowData {
    /// Words of a row.
    pub const WORDS: usize = 8;

    /// The row as the kernels' `Row`.
    pub fn words(&self, session: usize) -> [u32; Self::WORDS] {
        let [from, to] = self.hidden;
        [self.token, session as u32, self.lane, self.place, self.len, from, to, self.moved.into()]
    }
}

/// Quants and scales.
type Contents = (Vec<u8>, Vec<u8>);

/// What gradient steps have changed: to be copied before the rows are evaluated.
#[derive(Default)]
pub struct Changes {
    /// Rows of the head.
    pub head_rows: Vec<usize>,
    pub head: Contents,
    /// All layers that learn, or nothing.
    pub feed_forward: Vec<[Contents; 2]>,
}

impl Changes {
    /// What changed since [`Adaptive::forget_changes`].
    pub fn of(adaptive: &Adaptive) -> Changes {
        let head_rows: Vec<usize> = adaptive.head.changed_rows().to_vec();
        let head = contents(&adaptive.head.packed, head_rows.iter().copied());
        let layers = if adaptive.feed_forward.changed() { adaptive.feed_forward.layers() } else { &[] };
        let whole = layers
            .iter()
            .map(|layer| [&layer.gate_up.packed, &layer.down.packed].map(|matrix| contents(matrix, 0..matrix.rows())));
        Changes { head_rows, head, feed_forward: whole.collect() }
    }
}

/// Rows of one session.
pub struct Job {
    pub own: Arc<Own>,
    pub changes: Changes,
    pub rows: Vec<RowData>,
    /// The rows' rotary angles.
    pub cos: Vec<f32>,
    pub sin: Vec<f32>,
    /// The rows whose distributions are wanted, and their tables.
    pub wanted: Vec<usize>,
    pub tables: Vec<Table>,
    /// Whether [`Job::predictions`] is wanted.
    pub learns: bool,
    /// For a gradient step: of each wanted row the head's input, the trace, and the list of likely outputs.
    pub predictions: Predictions,
    /// What the rows left in the caches; the quants as words.
    pub log_quants: Table,
    pub log_scales: Vec<f32>,
}

/// One part after the other for each wanted row.
#[derive(Default)]
pub struct Predictions {
    pub inputs: Vec<f32>,
    pub traces: Vec<f32>,
    pub lists: Vec<u32>,
}
