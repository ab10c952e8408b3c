//! Passages of x86 machine code that go on as ones before did: instructions with the same opcodes are followed one by one, though their
//! operands have other values and lengths. Registers are renamed as they were so far in the passage.

use super::hash2;
use super::x86_names::{has_register, is_group};
use super::x86_trace::{DISPLACEMENT, MODRM};

/// Passages that are followed at a time, and instructions that must be the same where each begins.
pub const PASSAGES: usize = 2;
const LEAST: [usize; PASSAGES] = [3, LONGEST];
pub const LONGEST: usize = 6;

/// What is remembered: bytes, instructions, where passages were; powers of two.
const BYTES: u32 = 1 << 20;
const INSTRUCTIONS: u32 = 1 << 18;
const HEADS_BITS: u32 = 16;
/// A passage is compared over at most this many instructions, of which the last ones teach the names of registers.
const MAX_VERIFIED: u32 = 32;
const TAUGHT: u32 = 12;
/// After so many hits in a row, a longer passage is not looked for.
const SETTLED: u32 = 16;
/// With more misses among 16 instructions, the passage is given up.
const MAX_MISSES: u32 = 8;
/// The most bytes of an instruction that are compared.
const MAX_LEN: u32 = 16;

/// A byte of an instruction, with its [`super::x86_trace::Known::position`].
#[derive(Clone, Copy, Default)]
struct Part {
    byte: u8,
    position: u8,
}

/// The last instructions: where each begins, and a hash of it without operands.
#[derive(Clone)]
struct Memory {
    parts: Vec<Part>,
    instructions: Vec<(u32, u32)>,
    /// How many parts and instructions there were. A block may hold 2^32 bytes, so that both may wrap.
    at: u32,
    count: u32,
}

impl Memory {
    fn part(&self, at: u32) -> Part {
        self.parts[(at % BYTES) as usize]
    }

    fn start(&self, number: u32) -> u32 {
        self.instructions[(number % INSTRUCTIONS) as usize].0
    }

    fn outline(&self, number: u32) -> u32 {
        self.instructions[(number % INSTRUCTIONS) as usize].1
    }

    /// How many instructions before one are like the last ones.
    fn common(&self, number: u32) -> u32 {
        let differ =
            |back: &u32| self.outline(number.wrapping_sub(*back)) != self.outline(self.count.wrapping_sub(*back));
        (1..=MAX_VERIFIED).find(differ).map_or(MAX_VERIFIED, |back| back - 1)
    }
}

/// What a passage's registers are called now, and by how much displacements have moved.
#[derive(Clone)]
struct Renaming {
    names: [u8; 8],
    moved: u8,
}

impl Renaming {
    fn new() -> Self {
        Renaming { names: std::array::from_fn(|i| i as u8), moved: 0 }
    }

    fn name(&self, register: u8) -> u8 {
        self.names[usize::from(register & 7)]
    }

    fn learn(&mut self, old: u8, new: u8) {
        self.names[usize::from(old & 7)] = new & 7;
    }

    /// Learns from a byte and the one that should be like it, in an instruction with this opcode. Returns false if it is not.
    fn compare(&mut self, old: u8, new: u8, position: u32, opcode: u32) -> bool {
        match position {
            0 if has_register(new) && old & 0xF8 == new & 0xF8 => self.learn(old, new),
            0..MODRM => return old == new,
            MODRM => {
                let same_field = !is_group(opcode) || (old ^ new) & 0x38 == 0;
                if old >> 6 != new >> 6 || !same_field || is_special(old) != is_special(new) {
                    return false;
                }
                if !is_group(opcode) {
                    self.learn(old >> 3, new >> 3);
                }
                if !is_special(new) {
                    self.learn(old, new);
                }
            }
            position if DISPLACEMENT.contains(&position) => self.moved = new.wrapping_sub(old),
            _ => {}
        }
        true
    }

    /// What a byte is now.
    fn renamed(&self, old: u8, position: u32, opcode: u32, is_on_stack: bool) -> u8 {
        match position {
            0 if has_register(old) => old & 0xF8 | self.name(old),
            MODRM => {
                let field = if is_group(opcode) { old & 0x38 } else { self.name(old >> 3) << 3 };
                old & 0xC0 | field | if is_special(old) { old & 7 } else { self.name(old) }
            }
            _ if is_on_stack => old.wrapping_add(self.moved),
            _ => old,
        }
    }
}

/// Whether a ModRM byte names no register in its lowest bits.
fn is_special(modrm: u8) -> bool {
    modrm >> 6 < 3 && modrm & 7 == 4 || modrm & 0xC7 == 5
}

/// A passage that is followed.
#[derive(Clone)]
struct Passage {
    /// For each hash of instructions, the one after their last occurrence; 0 if there is none.
    heads: Vec<u32>,
    /// The instruction that the current one should be like, if any.
    followed: Option<u32>,
    /// Whether the current instruction has been like it so far.
    fits: bool,
    /// Hits in a row; the last hits, as bits.
    run: u32,
    hits: u32,
    renaming: Renaming,
}

impl Passage {
    /// Learns that an instruction has ended. `outlines` are those of the last ones, the last one first.
    fn end(&mut self, outlines: &[u32], memory: &Memory) {
        if let Some(followed) = &mut self.followed {
            let is_hit = memory.outline(*followed) == outlines[0];
            self.hits = self.hits << 1 | u32::from(is_hit);
            self.run = if is_hit { self.run.saturating_add(1) } else { 0 };
            *followed = followed.wrapping_add(1);
        }
        let key = outlines.iter().fold(0, |key, &outline| hash2(key, outline));
        let head = &mut self.heads[(key >> (32 - HEADS_BITS)) as usize];
        let found = std::mem::replace(head, memory.count);
        let is_known = found > 0 && memory.count.wrapping_sub(found) < INSTRUCTIONS - MAX_VERIFIED;
        if is_known && (self.followed.is_none() || self.run < SETTLED) {
            let common = memory.common(found);
            if common as usize >= outlines.len() && (self.followed.is_none() || common > self.run) {
                (self.followed, self.run, self.hits) = (Some(found), common, !0);
                self.teach(found, common.min(TAUGHT), memory);
            }
        } else if (!self.hits & 0xFFFF).count_ones() > MAX_MISSES {
            self.followed = None;
        }
        self.fits = self.followed.is_some();
    }

    /// Learns what registers are called from `common` instructions before one and the last ones.
    fn teach(&mut self, found: u32, common: u32, memory: &Memory) {
        self.renaming = Renaming::new();
        for back in (1..=common).rev() {
            let [old, new] = [found, memory.count].map(|number| memory.start(number.wrapping_sub(back)));
            let end = if back == 1 { memory.at } else { memory.start(memory.count.wrapping_sub(back - 1)) };
            let mut opcode = 0;
            for i in 0..end.wrapping_sub(new).min(MAX_LEN) {
                let [old, new] = [old, new].map(|start| memory.part(start.wrapping_add(i)));
                if new.position == 0 {
                    opcode = new.byte.into();
                }
                let is_like = old.position == new.position;
                if !is_like || !self.renaming.compare(old.byte, new.byte, new.position.into(), opcode) {
                    break;
                }
            }
        }
    }

    /// How reliable the passage is, from 1 on.
    fn reliability(&self) -> u32 {
        let missed = (!self.hits & 0xFF).count_ones().min(3);
        1 + self.run.clamp(1, 31).ilog2() * 4 + missed
    }
}

/// The passages.
#[derive(Clone)]
pub struct Echo {
    memory: Memory,
    /// Where the current instruction begins.
    start: u32,
    passages: [Passage; PASSAGES],
}

impl Default for Echo {
    fn default() -> Self {
        let memory = Memory {
            parts: vec![Part::default(); BYTES as usize],
            instructions: vec![(0, 0); INSTRUCTIONS as usize],
            at: 0,
            count: 0,
        };
        let passage = Passage {
            heads: vec![0; 1 << HEADS_BITS],
            followed: None,
            fits: false,
            run: 0,
            hits: 0,
            renaming: Renaming::new(),
        };
        Echo { memory, start: 0, passages: [passage.clone(), passage] }
    }
}

impl Echo {
    /// Bytes of memory.
    pub const MEMORY: u64 = (BYTES * 2 + INSTRUCTIONS * 8 + ((PASSAGES as u32 * 4) << HEADS_BITS)) as u64;

    /// The part of an instruction that has the place of the next byte in the current one.
    fn part_of(&self, followed: u32) -> Part {
        let offset = self.memory.at.wrapping_sub(self.start);
        self.memory.part(self.memory.start(followed).wrapping_add(offset))
    }

    /// Learns a byte, and what it is in an instruction with this opcode.
    pub fn push(&mut self, byte: u8, position: u32, opcode: u32) {
        for i in 0..PASSAGES {
            if let Some(followed) = self.passages[i].followed.filter(|_| self.passages[i].fits) {
                let old = self.part_of(followed);
                let passage = &mut self.passages[i];
                passage.fits =
                    u32::from(old.position) == position && passage.renaming.compare(old.byte, byte, position, opcode);
            }
        }
        self.memory.parts[(self.memory.at % BYTES) as usize] = Part { byte, position: position as u8 };
        self.memory.at = self.memory.at.wrapping_add(1);
    }

    /// Learns that an instruction has ended. `outlines` are hashes of the last ones without operands, the last one first.
    pub fn end(&mut self, outlines: &[u32; LONGEST]) {
        let memory = &mut self.memory;
        memory.instructions[(memory.count % INSTRUCTIONS) as usize] = (self.start, outlines[0]);
        memory.count = memory.count.wrapping_add(1);
        self.start = memory.at;
        for (passage, least) in self.passages.iter_mut().zip(LEAST) {
            passage.end(&outlines[..least], memory);
        }
    }

    /// The bytes that are expected where `position` is, and above them how reliable that is; 0 if none is. `is_on_stack` says whether it is
    /// a displacement there.
    pub fn expected(&self, position: u32, opcode: u32, is_on_stack: bool) -> [u32; PASSAGES] {
        self.passages.each_ref().map(|passage| {
            let Some(followed) = passage.followed.filter(|_| passage.fits) else { return 0 };
            let old = self.part_of(followed);
            if u32::from(old.position) != position {
                return 0;
            }
            passage.reliability() << 8 | u32::from(passage.renaming.renamed(old.byte, position, opcode, is_on_stack))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Instructions of an opcode with ModRM and a displacement of 8 bits, the last six of which are told apart by their opcodes.
    fn run(echo: &mut Echo, outlines: &mut [u32; LONGEST], [opcode, modrm, displacement]: [u8; 3]) -> [u32; PASSAGES] {
        echo.push(opcode, 0, 0);
        let expected = echo.expected(MODRM, opcode.into(), false);
        echo.push(modrm, MODRM, opcode.into());
        echo.push(displacement, DISPLACEMENT.start, opcode.into());
        outlines.rotate_right(1);
        outlines[0] = hash2(opcode.into(), (modrm >> 6).into());
        echo.end(outlines);
        expected
    }

    #[test]
    fn passages_go_on_with_other_registers() {
        let (mut echo, mut outlines) = (Echo::default(), [0; LONGEST]);
        // mov eax, [esi + 8]; add ecx, [esi + 4] and the like.
        let opcodes = [0x8B, 0x03, 0x33, 0x89, 0x23, 0x3B, 0x0B, 0x2B, 0x13];
        for opcode in opcodes {
            assert_eq!(run(&mut echo, &mut outlines, [opcode, 0x46, 8]), [0; 2]);
            assert_eq!(echo.expected(0, 0, false), [0; 2]);
        }
        for (i, opcode) in opcodes.into_iter().enumerate() {
            // The same with [edi + 20] and ECX.
            let expected = run(&mut echo, &mut outlines, [opcode, 0x4F, 20]).map(|expected| expected & 0xFF);
            let known = [3, 6].map(|least| if i >= least { 0x4F } else { 0 });
            assert_eq!(expected, known, "instruction {i}");
        }
        assert_eq!(echo.expected(0, 0, false), [0x8B; 2].map(|byte| (1 + 3 * 4) << 8 | byte), "nine hits in a row");
        run(&mut echo, &mut outlines, [0x8D, 0x46, 8]);
        let [first, second] = echo.expected(0, 0, false);
        assert_eq!((first, second), (2 << 8 | 0x03, 2 << 8 | 0x03), "both outlive a miss");
    }

    #[test]
    fn what_has_nothing_in_common_is_not_followed() {
        let (mut echo, mut outlines) = (Echo::default(), [0; LONGEST]);
        for opcode in 0..=255 {
            assert_eq!(run(&mut echo, &mut outlines, [opcode, 0x46, 8]), [0; 2]);
        }
    }
}
