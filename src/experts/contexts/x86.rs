//! Contexts of x86 machine code: the instruction so far, and those before it (Intel 64 and IA-32 Architectures Software Developer's
//! Manual, volume 2, chapter 2 and appendix A). Data between the code is decoded as if it were code; other contexts serve it.

use super::x86_flow::{FLOW, Flow};
use super::x86_trace::{Known, TRACE, Trace};
use super::{CONTEXTS, Indirect, hash2, hash3, order};
use crate::experts::code_prior::CODE_CONTEXTS;
use crate::experts::expert::DIRECT;
use crate::text::LaneView;

/// What the next byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opcode,
    /// The second and third byte of an opcode that begins with 0F.
    Escaped,
    Escaped3,
    ModRm,
    Sib,
    Operand,
}

/// What weights and refinements of the next byte's predictions are chosen by where time matters less.
#[derive(Clone, Copy)]
pub struct Likely {
    /// What the byte is, below 32.
    pub position: usize,
    /// The byte that followed in a passage like this; 0 if there is none.
    pub expected: u8,
    /// A context of refinements.
    pub context: u32,
}

/// The decoder.
#[derive(Clone)]
pub struct X86 {
    phase: Phase,
    /// The opcode, with 0F in front of it.
    opcode: u32,
    modrm: u32,
    /// Bytes left of the displacement and of the immediate operand.
    displacement: u8,
    immediate: u8,
    /// Whether operands have 16 bits.
    short: bool,
    /// Hash of the operand's bytes, and of the instruction's.
    operand: u32,
    instruction: u32,
    /// Opcodes with ModRM of the instructions before, and hashes of all their bytes, the last one first.
    opcodes: [u32; 4],
    instructions: [u32; 2],
    /// What takes more time to make use of.
    trace: Option<Trace>,
    flow: Option<Flow>,
}

impl X86 {
    /// A decoder that has seen nothing, with or without a [`Trace`].
    pub fn new(traces: bool) -> Self {
        X86 {
            phase: Phase::Opcode,
            opcode: 0,
            modrm: 0,
            displacement: 0,
            immediate: 0,
            short: false,
            operand: 0,
            instruction: 0,
            opcodes: [0; 4],
            instructions: [0; 2],
            trace: traces.then(Trace::default),
            flow: traces.then(Flow::default),
        }
    }

    /// Decodes a byte.
    pub fn push(&mut self, byte: u8) {
        let known = self.trace.is_some().then(|| self.known());
        if let (Some(trace), Some(known)) = (&mut self.trace, &known) {
            trace.push(byte, known);
        }
        if let (Some(flow), Some(known)) = (&mut self.flow, &known) {
            flow.push(byte, known, self.modrm);
        }
        self.instruction = hash2(self.instruction, u32::from(byte) + 1);
        match self.phase {
            Phase::Opcode => match byte {
                0x0F => self.phase = Phase::Escaped,
                0x26 | 0x2E | 0x36 | 0x3E | 0x40..=0x4F | 0x64..=0x67 | 0xF0 | 0xF2 | 0xF3 => {
                    self.short |= byte == 0x66
                }
                _ => {
                    self.opcode = byte.into();
                    let (has_modrm, immediate) = one_byte(byte);
                    self.operands(has_modrm, immediate);
                }
            },
            Phase::Escaped => {
                self.opcode = 0x0F00 | u32::from(byte);
                match byte {
                    0x38 | 0x3A => self.phase = Phase::Escaped3,
                    _ => {
                        let (has_modrm, immediate) = two_bytes(byte);
                        self.operands(has_modrm, immediate);
                    }
                }
            }
            Phase::Escaped3 => {
                let immediate = u8::from(self.opcode == 0x0F3A);
                self.opcode = self.opcode << 8 | u32::from(byte);
                self.operands(true, immediate);
            }
            Phase::ModRm => {
                self.modrm = byte.into();
                let (mode, reg, memory) = (byte >> 6, byte >> 3 & 7, byte & 7);
                self.displacement = match (mode, memory) {
                    (0, 5) | (2, _) => 4,
                    (1, _) => 1,
                    _ => 0,
                };
                // TEST has an immediate operand, the others of its group have none.
                self.immediate = match self.opcode {
                    0xF6 if reg < 2 => 1,
                    0xF7 if reg < 2 => {
                        if self.short {
                            2
                        } else {
                            4
                        }
                    }
                    _ => self.immediate,
                };
                if mode < 3 && memory == 4 { self.phase = Phase::Sib } else { self.begin_operand() }
            }
            Phase::Sib => {
                if self.modrm >> 6 == 0 && byte & 7 == 5 {
                    self.displacement = 4;
                }
                self.begin_operand();
            }
            Phase::Operand => {
                self.operand = hash2(self.operand, u32::from(byte) + 1);
                let left = if self.displacement > 0 { &mut self.displacement } else { &mut self.immediate };
                *left -= 1;
                if *left == 0 {
                    self.begin_operand();
                }
            }
        }
    }

    /// Goes on behind the opcode.
    fn operands(&mut self, has_modrm: bool, immediate: u8) {
        self.immediate = if immediate == 4 && self.short { 2 } else { immediate };
        (self.displacement, self.modrm) = (0, 0);
        if has_modrm { self.phase = Phase::ModRm } else { self.begin_operand() }
    }

    /// Goes on with the next operand, or with the next instruction.
    fn begin_operand(&mut self) {
        self.operand = 0;
        if self.displacement > 0 || self.immediate > 0 {
            self.phase = Phase::Operand;
            return;
        }
        self.phase = Phase::Opcode;
        if let Some(trace) = &mut self.trace {
            trace.end(self.opcode, self.modrm, self.instruction);
        }
        if let Some(flow) = &mut self.flow {
            flow.end(self.opcode, self.modrm);
        }
        self.opcodes.rotate_right(1);
        self.opcodes[0] = self.opcode << 8 | self.modrm;
        self.instructions = [self.instruction, self.instructions[0]];
        (self.instruction, self.short) = (0, false);
    }

    /// What the next byte is, below 32.
    pub fn position(&self) -> usize {
        match self.phase {
            Phase::Operand if self.displacement > 0 => 8 + usize::from(self.displacement.min(7)),
            Phase::Operand => 16 + usize::from(self.immediate.min(7)),
            phase => phase as usize,
        }
    }

    /// The current instruction, as far as it is known.
    fn known(&self) -> Known {
        Known {
            begins: self.phase == Phase::Opcode,
            position: self.position() as u32,
            template: self.template(),
            opcode: self.opcode,
            operand: self.operand,
            instruction: self.instruction,
            before: [self.opcodes[0], self.opcodes[1]],
        }
    }

    /// What the next byte is, with the opcode and ModRM unless these are still to come.
    fn template(&self) -> u32 {
        let position = self.position() as u32;
        if self.phase == Phase::Opcode { position } else { position << 24 ^ self.opcode << 8 ^ self.modrm }
    }

    /// Three numbers below 256 that weights are chosen by: the last byte, what the next one is; where time matters less, the opcode, or else
    /// the last byte again.
    pub fn selectors(&self, h: LaneView) -> [usize; 3] {
        let last = usize::from(h.last8 as u8);
        let latest = if self.phase == Phase::Opcode { self.opcodes[0] >> 8 } else { self.opcode };
        [last, self.position(), if self.flow.is_some() { latest as usize & 0xFF } else { last }]
    }

    /// Two more numbers below 256 that weights are chosen by: the opcode, ModRM.
    pub fn more_selectors(&self) -> [usize; 2] {
        let modrm = if self.phase == Phase::Opcode { self.opcodes[0] } else { self.modrm };
        [self.opcode as usize & 0xFF, modrm as usize & 0xFF]
    }

    /// Contexts of the next byte where time matters less.
    pub fn thorough(&self, h: LaneView) -> Option<[u32; TRACE]> {
        Some(self.trace.as_ref()?.contexts(h, &self.known()))
    }

    /// More of these, of what instructions do.
    pub fn flow(&self) -> Option<([u32; FLOW], Likely)> {
        let (contexts, echo) = self.flow.as_ref()?.contexts(&self.known(), self.modrm);
        let likely = Likely { position: self.position(), expected: echo as u8, context: hash3(self.now(), echo, 8) };
        Some((contexts, likely))
    }

    /// A hash of the instruction, or of its template and the current operand.
    fn now(&self) -> u32 {
        if self.phase == Phase::Opcode { self.instruction } else { hash2(self.template(), self.operand) }
    }

    /// Direct contexts of the next byte where time matters less.
    pub fn direct(&self, h: LaneView) -> Option<[u32; DIRECT]> {
        self.flow.as_ref()?;
        let (position, w) = (self.position() as u32, h.last8 as u32 & 0xFF);
        let now = self.now();
        let o1 = self.opcodes[0];
        Some([
            w,
            hash2(position, 1),
            hash2(now, 2),
            hash3(now, o1 >> 8, 3),
            hash3(now, o1, 4),
            hash3(position, w, 5),
            order(h.last8, 2),
            hash3(now, self.opcodes[1] >> 8, hash2(o1 >> 8, 6)),
        ])
    }

    /// Contexts of the prior of code: those that other programs have, too. None unless time matters less.
    pub fn prior(&self) -> Option<[u32; CODE_CONTEXTS]> {
        let (flow, trace) = (self.flow.as_ref()?, self.trace.as_ref()?);
        let here = hash3(self.instruction, self.position() as u32, flow.is_wide().into());
        let [o1, o2, o3, o4] = self.opcodes;
        let [i1, i2] = self.instructions;
        Some([
            hash2(here, 400),
            hash3(here, o1 >> 8, 401),
            hash3(here, o1, 402),
            hash3(here, o1 >> 8, hash2(o2 >> 8, 403)),
            hash3(here, o1, hash2(o2, 404)),
            hash3(here, o1, hash3(o2, o3, 405)),
            hash3(here, hash3(o1, o2, o3), hash2(o4, 406)),
            hash3(here, i1, 407),
            hash3(here, i1, hash2(i2, 408)),
            hash3(here, hash2(o1 >> 8, o2 >> 8), hash3(o3 >> 8, o4 >> 8, 409)),
            hash2(flow.three_shapes(&self.known()), 410),
            hash3(here, o2, 411),
            hash3(here, i2, hash2(o1 >> 8, 412)),
            hash3(here, trace.pushes(), hash2(o1 >> 8, 413)),
            hash3(here, o1 >> 8, hash2(trace.registers(), 414)),
            hash3(here, i1, hash3(i2, trace.third(), 415)),
        ])
    }

    /// The contexts of the next byte.
    pub fn contexts(&self, h: LaneView, indirect: &Indirect) -> [u32; CONTEXTS] {
        let position = self.position() as u32;
        let [o1, o2, o3, o4] = self.opcodes;
        let [i1, i2] = self.instructions;
        let c4 = h.last8 as u32;
        let (w, back) = (c4 & 0xFF, |back: usize| u32::from(h.back(back)));
        let now = self.template();
        let opcode_only = position << 16 ^ self.opcode;
        [
            order(h.last8, 2),
            order(h.last8, 3),
            order(h.last8, 4),
            order(h.last8, 6),
            hash2(now, self.operand),
            hash3(now, self.operand, o1),
            hash3(self.instruction, o1 >> 8, position),
            hash3(self.instruction, o1, o2),
            hash3(self.instruction, hash2(o1, o2), o3),
            hash2(self.instruction, position),
            hash3(self.instruction, i1, 1),
            hash3(self.instruction, i1, i2),
            hash3(position, self.operand, 2),
            hash3(position, w, 3),
            hash3(opcode_only, self.operand, 4),
            0,
            hash3(self.instruction, hash3(o1, o2, o3), o4),
            hash3(opcode_only, o1 >> 8, o2 >> 8),
            hash3(now, o1 & 0xFF, o2 & 0xFF),
            hash3(hash2(o1 >> 8, o2 >> 8), hash2(o3 >> 8, o4 >> 8), now),
            hash3(self.operand, hash2(opcode_only, self.modrm & 0xC7), 5),
            hash3(self.operand, hash2(opcode_only, self.modrm & 0xF8), 6),
            order(h.last8, 5),
            order(h.last8, 1) ^ position,
            hash2(c4 & 0xFFFF_FF00, 7),
            hash2(c4 & 0xFFFF_0000, 8),
            hash3(c4 & 0xF8F8_F8F8, (h.last8 >> 32) as u32 & 0xF0F0, 9),
            hash3(back(4), back(8), hash2(back(12), h.at as u32 & 3)),
            hash3(back(8), back(16), hash2(w, h.at as u32 & 7)),
            hash2(indirect.after_one(c4), position),
            indirect.after_two(c4),
            hash3(h.word, w, 10),
        ]
    }
}

/// Whether a ModRM byte follows a one-byte opcode, and how many bytes of immediate operand.
fn one_byte(opcode: u8) -> (bool, u8) {
    match opcode {
        0x00..=0x3F => match opcode & 7 {
            0..=3 => (true, 0),
            4 => (false, 1),
            5 => (false, 4),
            _ => (false, 0),
        },
        0x62 | 0x63 | 0x84..=0x8F | 0xC4 | 0xC5 | 0xD0..=0xD3 | 0xD8..=0xDF | 0xF6 | 0xF7 | 0xFE | 0xFF => (true, 0),
        0x6B | 0x80 | 0x82 | 0x83 | 0xC0 | 0xC1 | 0xC6 => (true, 1),
        0x69 | 0x81 | 0xC7 => (true, 4),
        0x6A | 0x70..=0x7F | 0xA8 | 0xB0..=0xB7 | 0xCD | 0xD4 | 0xD5 | 0xE0..=0xE7 | 0xEB => (false, 1),
        0x68 | 0xA0..=0xA3 | 0xA9 | 0xB8..=0xBF | 0xE8 | 0xE9 => (false, 4),
        0xC2 | 0xCA => (false, 2),
        0xC8 => (false, 3),
        0x9A | 0xEA => (false, 6),
        _ => (false, 0),
    }
}

/// The same of the second byte of an opcode.
fn two_bytes(opcode: u8) -> (bool, u8) {
    match opcode {
        0x80..=0x8F => (false, 4),
        0x70..=0x73 | 0xA4 | 0xAC | 0xBA | 0xC2 | 0xC4..=0xC6 => (true, 1),
        0x04..=0x0C | 0x0E | 0x30..=0x37 | 0x77 | 0xA0..=0xA2 | 0xA8..=0xAA | 0xC8..=0xCF => (false, 0),
        _ => (true, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_end_where_they_do() {
        let instructions: [&[u8]; 10] = [
            &[0x55],                               // push ebp
            &[0x8B, 0xEC],                         // mov ebp, esp
            &[0x83, 0xEC, 0x10],                   // sub esp, 16
            &[0xE8, 1, 2, 3, 4],                   // call
            &[0x0F, 0x84, 1, 2, 3, 4],             // je
            &[0x8B, 0x44, 0x24, 0x08],             // mov eax, [esp + 8]
            &[0x66, 0x81, 0xC1, 0x34, 0x12],       // add cx, 0x1234
            &[0xC7, 0x85, 1, 2, 3, 4, 5, 6, 7, 8], // mov dword [ebp + d32], i32
            &[0x48, 0x8D, 0x05, 1, 2, 3, 4],       // lea rax, [rip + d32]
            &[0xF7, 0xC1, 1, 0, 0, 0],             // test ecx, 1
        ];
        let mut decoder = X86::new(true);
        for instruction in instructions {
            for (i, &byte) in instruction.iter().enumerate() {
                assert!(i == 0 || decoder.instruction != 0, "{instruction:X?} goes on at byte {i}");
                decoder.push(byte);
            }
            assert!(decoder.phase == Phase::Opcode && decoder.instruction == 0, "{instruction:X?} ends");
        }
    }
}
