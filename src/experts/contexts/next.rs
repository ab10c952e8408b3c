//! What is known of the next byte of a structure that is parsed.

use super::{CONTEXTS, Indirect, SPARSE, binary, hash2, hash3, more_binary, order};
use crate::text::LaneView;

/// Contexts of a structure's own.
pub const OWN: usize = 20;

/// What is known of the next byte.
#[derive(Clone, Copy)]
pub struct Next {
    /// What it is part of, below 256.
    pub field: u8,
    /// What it likely is.
    pub likely: u8,
    /// What else tells much of it.
    pub other: u8,
    /// Hashes of what it depends on.
    pub contexts: [u32; OWN],
    /// Further ones in place of [`super::sparse`].
    pub more: Option<[u32; SPARSE]>,
}

impl Next {
    /// Contexts of numbers, each of which tells of this field only.
    pub fn new(field: u8, likely: u8, other: u8, numbers: [u32; OWN]) -> Next {
        let contexts = std::array::from_fn(|i| hash3(numbers[i], field.into(), i as u32 + 300));
        Next { field, likely, other, contexts, more: None }
    }

    /// The same with contexts of more numbers.
    pub fn with(self, numbers: [u32; SPARSE]) -> Next {
        let more = std::array::from_fn(|i| hash3(numbers[i], self.field.into(), i as u32 + 350));
        Next { more: Some(more), ..self }
    }
}

/// The contexts of the next byte, of which this is known.
pub fn contexts(next: Option<Next>, h: LaneView, indirect: &Indirect) -> [u32; CONTEXTS] {
    let mut contexts = [0; CONTEXTS];
    contexts[..15].copy_from_slice(&binary(h, indirect));
    let Some(Next { field, likely, contexts: own, .. }) = next else {
        contexts[16..].copy_from_slice(&more_binary(h, indirect));
        return contexts;
    };
    let general = [contexts[4], contexts[6], contexts[7], contexts[8], contexts[12]];
    let last = h.last8 as u32 & 0xFF;
    let (field, likely) = (field.into(), likely.into());
    contexts[3] = order(h.last8, 6);
    contexts[4..15].copy_from_slice(&own[..11]);
    contexts[16..25].copy_from_slice(&own[11..]);
    contexts[25..30].copy_from_slice(&general);
    contexts[30] = hash3(last, field, 1);
    contexts[31] = hash3(last, field, hash2(likely, 2));
    contexts
}

/// A number of two bytes, the high one first, that is read.
#[derive(Clone, Copy, Default)]
pub struct Word {
    high: Option<u8>,
}

impl Word {
    /// Reads a byte; the number, if that was its last one.
    pub fn push(&mut self, byte: u8) -> Option<u16> {
        match self.high.take() {
            Some(high) => Some(u16::from_be_bytes([high, byte])),
            None => {
                self.high = Some(byte);
                None
            }
        }
    }

    /// 1 if the low byte is next, else 0.
    pub fn place(self) -> u8 {
        self.high.is_some().into()
    }

    /// What is known of the number.
    pub fn known(self) -> u32 {
        self.high.map_or(0, |high| u32::from(high) + 1)
    }

    /// The next byte if the number is `likely`; 0 if it can't be.
    pub fn byte(self, likely: u16) -> u8 {
        let [high, low] = likely.to_be_bytes();
        match self.high {
            None => high,
            Some(known) if known == high => low,
            Some(_) => 0,
        }
    }

    /// The context of a guess of the number.
    pub fn guess(self, likely: u16) -> u32 {
        hash2(likely.into(), self.known())
    }
}
