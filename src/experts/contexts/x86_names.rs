//! What followed the same instructions of x86 machine code before, with other registers and places on the stack: both are told by how long
//! ago they were used, and by how much is on the stack.

use super::x86_trace::Known;
use super::{hash2, hash3};

/// Registers, those of 64-bit code included.
pub const REGISTERS: usize = 16;
/// Numbers of instructions before that are the same: 1 to this.
pub const DEPTHS: usize = 3;
/// Remembered followers.
const FOLLOWERS_BITS: u32 = 16;
/// What is told of a byte: in units of this, how often in a row it came, up to [`MAX_RUN`].
const RUN: u16 = 1 << 13;
const MAX_RUN: u16 = 7;
/// A register that is named by its number: it takes part in the opcode, or has a meaning of its own.
const FIXED: u16 = 16;
/// An opcode that includes a register.
const HAS_REGISTER: u16 = 1 << 12;

/// What a byte may name, besides [`Known`].
#[derive(Clone, Copy)]
pub struct Place {
    /// Hash of the instruction without registers, and of those before, the last one first.
    pub shape: u32,
    pub shapes: [u32; DEPTHS],
    /// The prefix that extends registers; 0 if there is none.
    pub rex: u8,
    /// Bytes on the stack, if the next byte is a displacement there; else 0.
    pub depth: u8,
    /// Whether the opcode has another part in ModRM's register field.
    pub is_group: bool,
}

/// The names and followers.
#[derive(Clone)]
pub struct Names {
    /// The registers, the one that was mentioned last first.
    order: [u8; REGISTERS],
    followers: Vec<[u16; DEPTHS]>,
}

impl Default for Names {
    fn default() -> Self {
        Names { order: std::array::from_fn(|i| i as u8), followers: vec![[0; DEPTHS]; 1 << FOLLOWERS_BITS] }
    }
}

impl Names {
    /// A register is mentioned.
    pub fn mention(&mut self, register: u32) {
        let rank = usize::from(self.rank(register as u8));
        self.order[..=rank].rotate_right(1);
        self.order[0] = register as u8;
    }

    /// The registers that were mentioned last.
    pub fn recent(&self) -> u32 {
        u32::from_le_bytes([self.order[0], self.order[1], self.order[2], 0])
    }

    fn rank(&self, register: u8) -> u16 {
        self.order.iter().position(|&known| known == register).unwrap_or(0) as u16
    }

    fn register(&self, rank: u16) -> u8 {
        if rank & FIXED > 0 { rank as u8 & 7 } else { self.order[usize::from(rank)] & 7 }
    }

    fn slots(known: &Known, place: &Place) -> [usize; DEPTHS] {
        let mut key = hash3(place.shape, known.position, 401);
        place.shapes.map(|shape| {
            key = hash2(key, shape);
            (key >> (32 - FOLLOWERS_BITS)) as usize
        })
    }

    /// A byte without the names that are in it.
    fn named(&self, byte: u8, known: &Known, place: &Place) -> u16 {
        let [extends_memory, extends_reg] = [place.rex & 1, place.rex >> 2 & 1].map(|bit| bit << 3);
        match known.position {
            0 if has_register(byte) => HAS_REGISTER | u16::from(byte >> 3) << 4 | self.rank(byte & 7 | extends_memory),
            3 => {
                let (mode, reg, memory) = (byte >> 6, byte >> 3 & 7, byte & 7);
                let reg = if place.is_group { FIXED | u16::from(reg) } else { self.rank(reg | extends_reg) };
                let memory = match (mode, memory) {
                    (0..=2, 4) | (0, 5) => FIXED | u16::from(memory),
                    _ => self.rank(memory | extends_memory),
                };
                u16::from(mode) << 10 | reg << 5 | memory
            }
            _ => byte.wrapping_sub(place.depth).into(),
        }
    }

    /// Inverse of [`Self::named`].
    fn byte(&self, named: u16, known: &Known, place: &Place) -> u8 {
        match known.position {
            0 if named & HAS_REGISTER > 0 => (named >> 4 << 3) as u8 | self.register(named & 15),
            3 => (named >> 10 << 6) as u8 | self.register(named >> 5 & 31) << 3 | self.register(named & 31),
            _ => (named as u8).wrapping_add(place.depth),
        }
    }

    /// Learns a byte.
    pub fn push(&mut self, byte: u8, known: &Known, place: &Place) {
        let named = self.named(byte, known, place);
        for (i, slot) in Self::slots(known, place).into_iter().enumerate() {
            let follower = &mut self.followers[slot][i];
            let run = *follower / RUN;
            let is_same = run > 0 && *follower % RUN == named;
            let run = if is_same { (run + 1).min(MAX_RUN) } else { 1 };
            *follower = run * RUN + named;
        }
    }

    /// What followed one, two, three instructions that were the same: the byte, and how often in a row it did; 0 if nothing is known.
    pub fn expected(&self, known: &Known, place: &Place) -> [u32; DEPTHS] {
        let slots = Self::slots(known, place);
        std::array::from_fn(|i| {
            let follower = self.followers[slots[i]][i];
            match u32::from(follower / RUN) {
                0 => 0,
                run => run << 8 | u32::from(self.byte(follower % RUN, known, place)),
            }
        })
    }
}

/// Whether an opcode's lowest bits name a register.
pub fn has_register(opcode: u8) -> bool {
    matches!(opcode, 0x50..=0x5F | 0xB8..=0xBF)
}

/// Whether ModRM's register field is a part of the opcode.
pub fn is_group(opcode: u32) -> bool {
    matches!(
        opcode,
        0x80..=0x83 | 0x8F | 0xC0 | 0xC1 | 0xC6 | 0xC7 | 0xD0..=0xD3 | 0xD8..=0xDF | 0xF6 | 0xF7 | 0xFE | 0xFF
    )
}
