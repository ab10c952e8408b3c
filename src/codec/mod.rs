//! The block codec: bytes to payload and back, encoder and decoder side by side.

use crate::coder::{Decoder, Encoder, PROB_BITS};
use crate::error::{Error, ErrorKind};

/// The predictor an archive is coded with: what the header records, in one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Model {
    /// Few contexts, high speed (level 1).
    Fast = 1,
    /// The full ensemble (level 2 and up).
    Full = 2,
}

impl Model {
    /// The model with this id in an archive's header, if this build knows it.
    pub fn from_id(id: u8) -> Option<Model> {
        [Model::Fast, Model::Full].into_iter().find(|m| *m as u8 == id)
    }

    /// Bytes of memory that coding a block of `raw_len` bytes takes, in either direction, input and output not counted.
    pub fn memory(self, raw_len: usize) -> u64 {
        let _ = raw_len;
        1 << 20
    }
}

/// Called with the bytes done so far; returning false stops the work with [`ErrorKind::Interrupted`].
pub type Progress<'a> = dyn FnMut(usize) -> bool + 'a;

/// How often progress is told, in bytes.
const PROGRESS_STEP: usize = 1 << 14;

/// A block as coded: `profile` is one byte the decoder needs beside the payload (content profile and filter).
pub struct Coded {
    pub profile: u8,
    pub payload: Vec<u8>,
}

/// Codes one block.
pub fn encode(model: Model, data: &[u8], progress: &mut Progress) -> Result<Coded, Error> {
    let mut predictor = Order2::new(model);
    let mut coder = Encoder::default();
    for (i, &byte) in data.iter().enumerate() {
        if i % PROGRESS_STEP == 0 && !progress(i) {
            return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
        }
        for bit in (0..8).rev().map(|k| u32::from(byte) >> k & 1) {
            coder.encode(bit, predictor.predict());
            predictor.update(bit);
        }
    }
    Ok(Coded { profile: 0, payload: coder.finish() })
}

/// Decodes one block of `raw_len` bytes. Wrong bytes are possible where the payload was damaged: the caller compares
/// the checksum.
///
/// # Errors
/// [`ErrorKind::Truncated`] when the payload ends early, [`ErrorKind::Corrupt`] when some of it is left over or the
/// profile is unknown, [`ErrorKind::Interrupted`] when `progress` says so.
pub fn decode(
    model: Model,
    profile: u8,
    payload: &[u8],
    raw_len: usize,
    progress: &mut Progress,
) -> Result<Vec<u8>, Error> {
    if profile != 0 {
        return Err(Error::new(ErrorKind::Corrupt, format!("unknown block profile {profile}")));
    }
    let mut predictor = Order2::new(model);
    let mut coder = Decoder::new(payload);
    let mut out = Vec::new();
    while out.len() < raw_len {
        if out.len() % PROGRESS_STEP == 0 && !progress(out.len()) {
            return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
        }
        let mut byte = 0;
        for _ in 0..8 {
            let bit = coder.decode(predictor.predict());
            predictor.update(bit);
            byte = byte << 1 | bit;
        }
        out.push(byte as u8);
        if coder.overrun() > 4 {
            return Err(Error::new(
                ErrorKind::Truncated,
                format!("coded data ends after {} bytes of content", out.len()),
            ));
        }
    }
    if !coder.exhausted() {
        return Err(Error::new(ErrorKind::Corrupt, "coded data is left over after the block's end"));
    }
    Ok(out)
}

/// Direct order-2 bit probabilities: the first working predictor, until the ensemble takes its place.
struct Order2 {
    table: Vec<u16>,
    context: usize,
    node: usize,
    rate: u32,
}

impl Order2 {
    fn new(model: Model) -> Self {
        let rate = if model == Model::Fast { 4 } else { 5 };
        Order2 { table: vec![1 << 15; 1 << 24], context: 0, node: 1, rate }
    }

    fn predict(&self) -> u32 {
        let p = u32::from(self.table[self.context << 8 | self.node]);
        (p << (PROB_BITS - 16)).max(1 << 10)
    }

    fn update(&mut self, bit: u32) {
        let p = &mut self.table[self.context << 8 | self.node];
        if bit == 1 {
            *p += (65535 - *p) >> self.rate;
        } else {
            *p -= *p >> self.rate;
        }
        self.node = self.node << 1 | bit as usize;
        if self.node >= 256 {
            self.context = (self.context << 8 | self.node & 255) & 0xFFFF;
            self.node = 1;
        }
    }
}
