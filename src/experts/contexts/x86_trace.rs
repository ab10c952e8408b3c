//! Contexts of x86 machine code of what instructions before had to do with this one: calls, pushes, targets of jumps, registers, and
//! what followed the same beginning of an instruction.

use super::{hash2, hash3};
use crate::text::LaneView;

/// Contexts of [`Trace::contexts`].
pub const TRACE: usize = 13;

/// Targets of jumps that are remembered.
const TARGETS: usize = 8;
/// A short jump goes at most so far forward; other targets are not ahead.
const AHEAD: u32 = 128;
const NOT_AHEAD: u32 = 255;

/// [`Known::position`] of a ModRM and an SIB byte, and of a displacement's bytes; behind these come those of an immediate operand.
pub const MODRM: u32 = 3;
pub const SIB: u32 = 4;
pub const DISPLACEMENT: std::ops::Range<u32> = 9..16;

/// The current instruction, as far as it is known.
pub struct Known {
    /// Whether its opcode is still to come.
    pub begins: bool,
    /// What the next byte is; and the same with the opcode and ModRM, unless these are still to come.
    pub position: u32,
    pub template: u32,
    /// The opcode, or that of the instruction before.
    pub opcode: u32,
    /// Hashes of the operand's bytes, and of the instruction's.
    pub operand: u32,
    pub instruction: u32,
    /// Opcodes with ModRM of the two instructions before, the last one first.
    pub before: [u32; 2],
}

impl Known {
    /// A hash of what mostly decides about the next byte.
    fn key(&self) -> u32 {
        if self.begins { hash2(self.before[0], self.instruction) } else { hash2(self.template, self.operand) }
    }

    fn is_short_jump(&self) -> bool {
        matches!(self.opcode, 0x70..=0x7F | 0xEB) && !self.begins
    }
}

/// What is remembered of instructions.
#[derive(Clone)]
pub struct Trace {
    /// The bytes that last followed each [`Known::key`], the latest one lowest.
    followers: Vec<u32>,
    /// Bytes so far, and the last four, the latest one highest.
    at: u32,
    last4: u32,
    /// What the last two calls call, the last one first.
    calls: [u32; 2],
    /// Pushes since the last call.
    pushes: u32,
    /// Where the last short jumps lead, the last one first.
    targets: [u32; TARGETS],
    /// Hashes of the last instructions, the last one first.
    instructions: [u32; 4],
    /// Of each opcode's last instruction: its hash and last four bytes.
    alike: Vec<(u32, u32)>,
    /// A register of each of the last instructions, the latest one lowest.
    registers: u32,
}

impl Default for Trace {
    fn default() -> Self {
        Trace {
            followers: vec![0; 1 << 16],
            at: 0,
            last4: 0,
            calls: [0; 2],
            pushes: 0,
            targets: [0; TARGETS],
            instructions: [0; 4],
            alike: vec![(0, 0); 256],
            registers: 0,
        }
    }
}

impl Trace {
    /// Learns a byte, before which `known` was known.
    pub fn push(&mut self, byte: u8, known: &Known) {
        self.at = self.at.wrapping_add(1);
        self.last4 = self.last4 >> 8 | u32::from(byte) << 24;
        let followers = &mut self.followers[(known.key() >> 16) as usize];
        *followers = *followers << 8 | u32::from(byte);
    }

    /// Learns an instruction that has ended: its opcode, ModRM, and hash.
    pub fn end(&mut self, opcode: u32, modrm: u32, instruction: u32) {
        match (opcode, modrm >> 3 & 7) {
            (0xE8, _) => self.call(self.last4),
            (0xFF, 2) => self.call(instruction),
            (0x50..=0x57 | 0x68 | 0x6A, _) | (0xFF, 6) => self.pushes += 1,
            (0x83, 0) if modrm == 0xC4 => self.pushes = 0,
            (0x70..=0x7F | 0xEB, _) => {
                let distance = (self.last4 >> 24) as u8 as i8;
                self.targets.rotate_right(1);
                self.targets[0] = self.at.wrapping_add_signed(distance.into());
            }
            _ => {}
        }
        self.instructions.rotate_right(1);
        self.instructions[0] = instruction;
        self.alike[opcode as usize & 0xFF] = (instruction, self.last4);
        let register = match opcode {
            0x50..=0x5F | 0xB8..=0xBF => opcode & 7,
            0x01 | 0x03 | 0x33 | 0x3B | 0x85 | 0x89 | 0x8B | 0x8D => modrm >> 3 & 7,
            _ => modrm & 7,
        };
        self.registers = self.registers << 3 | register;
    }

    fn call(&mut self, target: u32) {
        self.calls = [target, self.calls[0]];
        self.pushes = 0;
    }

    /// Operands pushed since the last call.
    pub fn pushes(&self) -> u32 {
        self.pushes
    }

    /// Registers of the last two instructions.
    pub fn registers(&self) -> u32 {
        self.registers & 0x3F
    }

    /// A hash of the third last instruction.
    pub fn third(&self) -> u32 {
        self.instructions[2]
    }

    /// The contexts of the next byte.
    pub fn contexts(&self, h: LaneView, known: &Known) -> [u32; TRACE] {
        let Known { begins, position, template, opcode, operand, instruction, before } = *known;
        let followers = self.followers[(known.key() >> 16) as usize];
        let ahead = |target: u32| match target.wrapping_sub(self.at.wrapping_add(1)) {
            distance if distance < AHEAD => distance,
            _ => NOT_AHEAD,
        };
        let [jump, jump_before] = if known.is_short_jump() {
            let nearest = self.targets.iter().map(|&target| ahead(target)).min().unwrap_or(NOT_AHEAD);
            [hash3(ahead(self.targets[0]), ahead(self.targets[1]), 204), hash2(nearest, 205)]
        } else {
            let is_target = u32::from(self.targets.contains(&self.at));
            [hash3(template, is_target, hash2(before[0], operand)), hash3(template, self.registers & 0x1FF, operand)]
        };
        let latest = if begins { before[0] >> 8 } else { opcode };
        let (alike, bytes) = self.alike[latest as usize & 0xFF];
        let [i1, i2, i3, i4] = self.instructions;
        [
            hash3(instruction, self.calls[0], hash2(position, 201)),
            hash3(instruction, self.calls[0], self.calls[1]),
            hash3(followers & 0xFFFF, template, 202),
            hash3(followers & 0xFF_FFFF, template, operand),
            hash3(template, self.pushes, operand),
            hash3(template, self.pushes, hash3(before[0], operand, 203)),
            jump,
            jump_before,
            hash3(template, bytes, hash2(operand, 206)),
            hash3(instruction, self.registers & 0x3F, 207),
            hash3(instruction, alike, 208),
            hash3(instruction, hash3(i1, i2, i3), i4),
            hash3(instruction, i2, hash2(h.last8 as u32 & 0xFF, 209)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_pushes_and_jumps_are_followed() {
        let mut trace = Trace::default();
        let known =
            Known { begins: true, position: 0, template: 0, opcode: 0, operand: 0, instruction: 0, before: [0; 2] };
        let mut run = |bytes: &[u8], modrm: u32| {
            bytes.iter().for_each(|&byte| trace.push(byte, &known));
            trace.end(bytes[0].into(), modrm, 7);
            (trace.pushes, trace.calls[0], trace.targets[0])
        };
        assert_eq!(run(&[0x6A, 1], 0), (1, 0, 0));
        assert_eq!(run(&[0x55], 0), (2, 0, 0));
        assert_eq!(run(&[0xE8, 1, 2, 3, 4], 0), (0, 0x0403_0201, 0));
        assert_eq!(run(&[0x50], 0), (1, 0x0403_0201, 0));
        assert_eq!(run(&[0x75, 0x10], 0), (1, 0x0403_0201, 11 + 16));
        assert_eq!(run(&[0xEB, 0xFE], 0), (1, 0x0403_0201, 13 - 2));
        assert_eq!(run(&[0x83, 0xC4, 4], 0xC4), (0, 0x0403_0201, 11));
    }
}
