//! Contexts of x86 machine code by what instructions do: which registers they write and read, where the values in them come from, which
//! places on the stack they use, where jumps lead. Compilers give registers in turn and move the stack pointer, so that what is done again
//! mostly has other bytes.

use super::x86_echo::{Echo, LONGEST, PASSAGES};
use super::x86_names::{Names, Place, REGISTERS, has_register, is_group};
use super::x86_trace::{DISPLACEMENT, Known, MODRM, SIB};
use super::{hash2, hash3};

/// Contexts of [`Flow::contexts`].
pub const FLOW: usize = 40;

/// What instructions before have in common with this one is looked for in so many.
const SHAPES: usize = 6;
/// Displacements of a register, and targets of jumps, that are remembered.
const SLOTS: usize = 4;
const TARGETS: usize = 16;
/// Registers that calls leave as they are: EBX, EBP, ESI, EDI.
const SAVED: u32 = 0b1111_0000_1110_1000;
const ESP: u32 = 4;
/// A jump goes at most so far forward; other targets are not ahead.
const AHEAD: u32 = 1 << 12;
/// Instructions since something that are told apart.
const MOST_SINCE: u32 = 31;
/// Nothing is known.
const NONE: u32 = 1 << 31;

/// What instructions before have done.
#[derive(Clone)]
pub struct Flow {
    /// Bytes so far.
    at: u32,
    /// The current instruction: its hash without registers, SIB, displacement, and the value of the operand that was read last.
    shape: u32,
    sib: u32,
    displacement: u32,
    value: u32,
    /// The hashes of the last instructions without registers, the last one first.
    shapes: [u32; SHAPES],
    /// The same without operands.
    outline: u32,
    outlines: [u32; LONGEST],
    echo: Echo,
    /// The registers that were last written, the latest one lowest; as bits, those that were not read since.
    written: u32,
    unread: u32,
    /// Of each register: a hash of what wrote it, and the displacement that it was last used with since.
    origins: [u32; REGISTERS],
    used: [u32; REGISTERS],
    names: Names,
    /// The prefix that extends registers, and how often it is there: whether this is 64-bit code.
    rex: u8,
    wide: u32,
    /// Bytes on the stack; those pushed since the last call, those of calls, which the caller may take off; those before the last pops.
    depth: u32,
    pushed: u32,
    passed: u32,
    inside: u32,
    /// The displacements that each register was last used with, the latest one first; on the stack as they would be at depth 0.
    slots: [[u32; SLOTS]; REGISTERS],
    /// Where jumps lead, the last one first.
    targets: [u32; TARGETS],
    /// Instructions since the function's start, and since the last call.
    since_start: u32,
    since_call: u32,
}

impl Default for Flow {
    fn default() -> Self {
        Flow {
            at: 0,
            shape: 0,
            sib: 0,
            displacement: 0,
            value: 0,
            shapes: [0; SHAPES],
            outline: 0,
            outlines: [0; LONGEST],
            echo: Echo::default(),
            written: 0,
            unread: 0,
            origins: [0; REGISTERS],
            used: [NONE; REGISTERS],
            names: Names::default(),
            rex: 0,
            wide: 0,
            depth: 0,
            pushed: 0,
            passed: 0,
            inside: 0,
            slots: [[0; SLOTS]; REGISTERS],
            targets: [0; TARGETS],
            since_start: 0,
            since_call: 0,
        }
    }
}

impl Flow {
    /// Learns a byte, before which `known` was known.
    pub fn push(&mut self, byte: u8, known: &Known, modrm: u32) {
        self.names.push(byte, known, &self.place(known, modrm));
        self.echo.push(byte, known.position, known.opcode);
        self.at = self.at.wrapping_add(1);
        let has_register = has_register(byte);
        let byte = u32::from(byte);
        let kept = match known.position {
            0 if matches!(byte, 0x40..=0x4F) => {
                if self.is_wide() {
                    byte & 0x48
                } else {
                    self.write(byte & 7, hash2(self.origins[byte as usize & 7], byte));
                    byte & 0xF8
                }
            }
            0 if has_register => byte & 0xF8,
            MODRM => {
                let (mode, memory) = (byte >> 6, byte & 7);
                let is_part_of_opcode = is_group(known.opcode);
                let is_special = mode < 3 && memory == 4 || mode == 0 && memory == 5;
                byte & 0xC0 | if is_part_of_opcode { byte & 0x38 } else { 0 } | if is_special { memory } else { 0 }
            }
            SIB => {
                self.sib = byte;
                byte & 0xC0 | u32::from(byte & 7 == ESP) | u32::from(byte >> 3 & 7 == 4) << 1
            }
            position if DISPLACEMENT.contains(&position) => {
                self.displacement = self.displacement >> 8 | byte << 24;
                byte
            }
            position if position > DISPLACEMENT.end => {
                self.value = self.value >> 8 | byte << 24;
                if is_jump(known.opcode) { 0 } else { byte }
            }
            _ => byte,
        };
        if known.position == 0 && matches!(byte, 0x40..=0x4F) {
            self.rex = byte as u8;
        }
        self.shape = hash3(self.shape, kept, known.position);
        if known.position <= MODRM {
            self.outline = self.shape;
        }
    }

    /// Whether this is 64-bit code.
    pub fn is_wide(&self) -> bool {
        self.wide > 1 << 14
    }

    /// A register gets a value that comes from somewhere.
    fn write(&mut self, register: u32, origin: u32) {
        self.unread |= 1 << register;
        self.written = self.written << 4 | register;
        self.origins[register as usize] = origin;
        self.used[register as usize] = NONE;
        self.names.mention(register);
    }

    /// What the next byte may name.
    fn place(&self, known: &Known, modrm: u32) -> Place {
        let is_on_stack = DISPLACEMENT.contains(&known.position) && self.base(modrm) == ESP && modrm >> 6 == 1;
        let [s1, s2, s3, ..] = self.shapes;
        Place {
            shape: self.shape,
            shapes: [s1, s2, s3],
            rex: if self.is_wide() { self.rex } else { 0 },
            depth: if is_on_stack { self.depth as u8 } else { 0 },
            is_group: is_group(known.opcode),
        }
    }

    /// Learns an instruction that has ended.
    pub fn end(&mut self, opcode: u32, modrm: u32) {
        let (mode, field) = (modrm >> 6, modrm >> 3 & 7);
        let rex = if self.is_wide() { u32::from(self.rex) } else { 0 };
        let (more, more_reg) = ((rex & 1) << 3, (rex >> 2 & 1) << 3);
        let (reg, rm) = (field | more_reg, modrm & 7 | more);
        if matches!(opcode, 0x89 | 0x8B | 0x8D) {
            let has_prefix = u32::from(matches!(self.rex, 0x48..=0x4F));
            self.wide = self.wide - (self.wide >> 5) + (has_prefix << 11);
        }
        let bit = |register: u32| 1 << register;
        let origin = self.shape;
        // Sign-extended: how many bytes were read is known from the opcode.
        let value = match opcode {
            0x83 | 0x6A | 0x70..=0x7F | 0xEB => (self.value as i32 >> 24) as u32,
            _ => self.value,
        };
        let mut read = 0;
        if has_memory(opcode, mode) {
            let base = self.base(modrm) | if self.base(modrm) == ESP { 0 } else { more };
            read |= bit(base);
            self.used[base as usize] = self.displacement;
            self.touch(base, self.displacement(mode).wrapping_sub(self.depth_of(base)));
        }
        let mut wrote = None;
        match opcode {
            0x8B | 0x0FB6 | 0x0FB7 | 0x0FBE | 0x0FBF => {
                read |= if mode == 3 { bit(rm) } else { 0 };
                wrote = Some((reg, if mode == 3 { self.origins[rm as usize] } else { origin }));
            }
            0x8D => wrote = Some((reg, origin)),
            0x33 | 0x2B if mode == 3 && reg == rm => wrote = Some((reg, origin)),
            0x03 | 0x0B | 0x13 | 0x1B | 0x23 | 0x2B | 0x33 | 0x0FAF => {
                read |= bit(reg) | if mode == 3 { bit(rm) } else { 0 };
                wrote = Some((reg, origin));
            }
            0x01 | 0x09 | 0x11 | 0x19 | 0x21 | 0x29 | 0x31 | 0x89 => {
                read |= bit(reg);
                if mode == 3 {
                    wrote = Some((rm, if opcode == 0x89 { self.origins[reg as usize] } else { origin }));
                }
            }
            0x38..=0x3B | 0x84 | 0x85 | 0x88 => read |= bit(reg) | if mode == 3 { bit(rm) } else { 0 },
            0x80 | 0x81 | 0x83 | 0xC1 | 0xD1 | 0xD3 | 0xF7 if mode == 3 => read |= bit(rm),
            0x50..=0x57 => read |= bit(opcode & 7 | more),
            0x58..=0x5F | 0xB8..=0xBF => wrote = Some((opcode & 7 | more, origin)),
            0xE8 => wrote = Some((0, hash2(self.value, 1))),
            0xFF if field == 2 => wrote = Some((0, origin)),
            _ => {}
        }
        self.unread &= !read;
        (0..REGISTERS as u32)
            .filter(|&register| read >> register & 1 == 1)
            .for_each(|register| self.names.mention(register));
        if let Some((register, origin)) = wrote {
            if matches!(opcode, 0xE8 | 0xFF) {
                self.unread &= SAVED;
            }
            self.write(register, origin);
        }
        self.move_stack(opcode, modrm, value);
        if is_jump(opcode) {
            self.targets.rotate_right(1);
            self.targets[0] = self.at.wrapping_add(value);
        }
        self.shapes.rotate_right(1);
        self.shapes[0] = self.shape;
        self.outlines.rotate_right(1);
        self.outlines[0] = self.outline;
        self.echo.end(&self.outlines);
        (self.shape, self.displacement, self.value, self.rex) = (0, 0, 0, 0);
    }

    /// Follows the stack pointer.
    fn move_stack(&mut self, opcode: u32, modrm: u32, value: u32) {
        self.since_start = (self.since_start + 1).min(MOST_SINCE);
        self.since_call = (self.since_call + 1).min(MOST_SINCE);
        let is_end = matches!(opcode, 0x58..=0x5F | 0xC2 | 0xC3 | 0xC9) || (opcode, modrm) == (0x83, 0xC4);
        if !is_end {
            self.inside = self.depth;
        }
        match (opcode, modrm) {
            (0x50..=0x57 | 0x68 | 0x6A, _) => {
                self.depth = self.depth.wrapping_add(4);
                self.pushed += 4;
            }
            (0xFF, _) if modrm >> 3 & 7 == 6 => {
                self.depth = self.depth.wrapping_add(4);
                self.pushed += 4;
            }
            (0x58..=0x5F, _) => self.take_off(4),
            (0x83 | 0x81, 0xEC) => self.depth = self.depth.wrapping_add(value),
            (0x83 | 0x81, 0xC4) => self.take_off(value),
            (0xE8, _) => self.call(),
            (0xFF, _) if modrm >> 3 & 7 == 2 => self.call(),
            (0xC2 | 0xC3, _) => {
                self.depth = self.inside;
                (self.pushed, self.passed) = (0, 0);
            }
            (0x90 | 0xCC, _) => {
                (self.depth, self.inside, self.pushed, self.passed, self.since_start) = (0, 0, 0, 0, 0);
            }
            _ => {}
        }
    }

    /// The function that is called takes its arguments off the stack; or the caller does it later.
    fn call(&mut self) {
        self.depth = self.depth.wrapping_sub(self.pushed);
        self.passed = self.passed.wrapping_add(self.pushed);
        self.pushed = 0;
        self.since_call = 0;
    }

    fn take_off(&mut self, bytes: u32) {
        let passed = bytes.min(self.passed);
        self.passed -= passed;
        self.depth = self.depth.wrapping_sub(bytes - passed);
    }

    /// Moves a register's displacement to the front.
    fn touch(&mut self, base: u32, slot: u32) {
        let slots = &mut self.slots[base as usize];
        let last = slots.iter().position(|&known| known == slot).unwrap_or(SLOTS - 1);
        slots[..=last].rotate_right(1);
        slots[0] = slot;
    }

    /// By how much displacements of a register have moved.
    fn depth_of(&self, base: u32) -> u32 {
        if base == ESP { self.depth } else { 0 }
    }

    /// The register that an address is relative to.
    fn base(&self, modrm: u32) -> u32 {
        if modrm & 7 == 4 { self.sib & 7 } else { modrm & 7 }
    }

    /// The displacement, sign-extended.
    fn displacement(&self, mode: u32) -> u32 {
        if mode == 1 { (self.displacement as i32 >> 24) as u32 } else { self.displacement }
    }

    /// The contexts of the next byte, where an instruction's `modrm` is known; and what a passage before makes expect: see [`Echo`].
    pub fn contexts(&self, known: &Known, modrm: u32) -> ([u32; FLOW], u32) {
        let Known { begins, position, template, opcode, operand, instruction, .. } = *known;
        let [s1, s2, s3, s4, s5, s6] = self.shapes;
        let now = if begins { hash2(instruction, 1) } else { hash2(template, operand) };
        let shape = hash2(self.shape, position);
        let written = |n: u32| self.written & ((1 << (4 * n)) - 1);
        let in_operand = DISPLACEMENT.contains(&position);
        let base = if in_operand { self.base(modrm) } else { written(1) };
        let (origin, used) = (self.origins[base as usize], self.used[base as usize]);
        // A displacement's bytes before the next one are lowest in `operand`, which tells contexts apart.
        let byte_of = |value: u32, left: u32| value >> (8 * (4 - left).min(3)) & 0xFF;
        let stack = if in_operand {
            let left = if modrm >> 6 == 1 { 4 } else { position - DISPLACEMENT.start + 1 };
            self.slots[base as usize].map(|slot| byte_of(slot.wrapping_add(self.depth_of(base)), left))
        } else {
            [self.depth & 0xFFFF, s1, self.pushed, hash2(s1, s2)]
        };
        let [jump, jump_before] = if is_jump(opcode) && position > DISPLACEMENT.end {
            self.ahead(opcode, position)
        } else {
            let is_target = self.targets.iter().filter(|&&target| target == self.at).count() as u32;
            [hash2(is_target, s1), hash2(self.since_start, s1)]
        };
        let place = self.place(known, modrm);
        let [one, two, three] = self.names.expected(known, &place);
        let echoes = self.echo.expected(position, opcode, place.depth > 0);
        let [echo, longer]: [u32; PASSAGES] = echoes;
        let byte = |echo: u32| if echo > 0 { echo & 0xFF } else { NONE };
        let before = known.before[0];
        let contexts = [
            hash3(shape, s1, 301),
            hash3(shape, s1, hash2(s2, 302)),
            hash3(shape, s1, hash3(s2, s3, 303)),
            hash3(shape, s1, hash3(s2, s3, s4)),
            hash3(shape, s1, hash2(written(2), 304)),
            hash3(shape, s1, hash3(s2, written(3), 305)),
            hash3(now, written(4), 306),
            hash3(now, self.unread, 307),
            hash3(now, self.unread, hash3(s1, written(1), 308)),
            hash3(now, origin, 309),
            hash3(position, operand, hash3(origin, used, 310)),
            hash3(now, origin, hash3(used, written(2), 311)),
            hash3(now, hash2(stack[0], stack[1]), 312),
            hash3(now, hash2(stack[2], stack[3]), hash2(stack[0], 313)),
            hash3(now, jump, 314),
            hash3(now, jump_before, 315),
            hash3(position, hash3(one, two, three), 316),
            hash3(now, two, 317),
            hash3(now, one, hash2(written(1), 318)),
            hash3(now, three, hash2(s1, 319)),
            hash3(now, self.unread, hash2(written(2), 320)),
            hash3(now, self.unread, hash3(s1, s2, 321)),
            hash3(now, self.names.recent(), 322),
            hash3(now, self.names.recent(), hash2(s1, 323)),
            hash3(shape, s1, hash3(self.unread, written(1), 324)),
            hash3(now, hash2(one, two), 325),
            hash3(shape, hash3(s1, s2, s3), hash3(s4, s5, s6)),
            hash3(shape, s2, hash2(s3, 326)),
            hash3(shape, s2, 327),
            hash3(now, self.origins[written(1) as usize], hash2(self.origins[(self.written >> 4 & 15) as usize], 328)),
            hash3(now, self.since_call, hash2(s1, 329)),
            hash3(now, origin, hash3(s1, self.unread, 330)),
            hash3(echo, position, 340),
            hash3(now, byte(echo), 341),
            hash3(now, echo, hash2(before, 342)),
            hash3(position, echo, hash2(one, 343)),
            hash3(longer, position, 344),
            hash3(now, byte(longer), 345),
            hash3(now, longer, hash2(before, 346)),
            hash3(now, echo, hash2(longer, 347)),
        ];
        (contexts, echo)
    }

    /// A hash of the instruction so far and of the two before it, without registers.
    pub fn three_shapes(&self, known: &Known) -> u32 {
        hash3(hash3(self.shape, known.position, self.is_wide().into()), self.shapes[0], self.shapes[1])
    }

    /// What the next byte of a jump's distance is if it leads to where another one does: the last ones that lead ahead, and the nearest.
    fn ahead(&self, opcode: u32, position: u32) -> [u32; 2] {
        let left = position - DISPLACEMENT.end;
        let end = self.at.wrapping_add(left);
        let is_short = matches!(opcode, 0x70..=0x7F | 0xEB);
        let read = if is_short { 0 } else { 4 - left.min(4) };
        // The bytes of the distance that were read are the highest of `value`.
        let agrees =
            |distance: u32| read == 0 || (distance ^ self.value >> (32 - 8 * read)) & ((1 << (8 * read)) - 1) == 0;
        let distances =
            || self.targets.iter().map(|target| target.wrapping_sub(end)).filter(|&distance| distance < AHEAD);
        let byte = |distance: u32| distance >> (8 * read) & 0xFF;
        let mut last = distances().filter(|&distance| agrees(distance)).map(byte);
        let [one, two] = [(); 2].map(|()| last.next().unwrap_or(NONE));
        let nearest = distances().filter(|&distance| agrees(distance)).min().map_or(NONE, byte);
        let farthest = distances().filter(|&distance| agrees(distance)).max().map_or(NONE, byte);
        [hash2(one, two), hash2(nearest, farthest)]
    }
}

/// Whether an operand is the distance of a jump.
fn is_jump(opcode: u32) -> bool {
    matches!(opcode, 0x70..=0x7F | 0xEB | 0xE9 | 0x0F80..=0x0F8F)
}

/// Whether an instruction with a ModRM byte of this mode has an operand in memory.
fn has_memory(opcode: u32, mode: u32) -> bool {
    let has_modrm = !matches!(opcode, 0x50..=0x61 | 0x68 | 0x6A | 0x70..=0x7F | 0x90..=0xBF | 0xC2 | 0xC3 | 0xE0..=0xEF | 0x0F80..=0x0F8F);
    has_modrm && mode < 3
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Learns an instruction of 32-bit code without prefixes, whose operand is its last bytes.
    fn run(flow: &mut Flow, bytes: &[u8], displacement: usize, immediate: usize) {
        let has_modrm = bytes.len() > 1 + displacement + immediate;
        let has_sib = bytes.len() > 2 + displacement + immediate;
        let modrm = if has_modrm { bytes[1].into() } else { 0 };
        let positions = [0].into_iter().chain(has_modrm.then_some(MODRM)).chain(has_sib.then_some(SIB));
        let operands = (1..=displacement).rev().map(|left| 8 + left as u32);
        let operands = operands.chain((1..=immediate).rev().map(|left| 16 + left as u32));
        for (&byte, position) in bytes.iter().zip(positions.chain(operands)) {
            flow.push(byte, &known(position, bytes[0].into()), modrm);
        }
        flow.end(bytes[0].into(), modrm);
    }

    fn known(position: u32, opcode: u32) -> Known {
        let before = [0; 2];
        Known { begins: position == 0, position, template: position, opcode, operand: 0, instruction: 0, before }
    }

    #[test]
    fn registers_and_the_stack_are_followed() {
        let mut flow = Flow::default();
        run(&mut flow, &[0x56], 0, 0); // push esi
        run(&mut flow, &[0x83, 0xEC, 0x10], 0, 1); // sub esp, 16
        assert_eq!(flow.depth, 20);
        run(&mut flow, &[0x8B, 0x44, 0x24, 0x08], 1, 0); // mov eax, [esp + 8]
        assert_eq!((flow.written & 15, flow.unread, flow.slots[4][0]), (0, 1, 8u32.wrapping_sub(20)));
        run(&mut flow, &[0x50], 0, 0); // push eax
        assert_eq!((flow.unread, flow.depth), (0, 24));
        run(&mut flow, &[0xE8, 1, 2, 3, 0], 0, 4); // call
        run(&mut flow, &[0x83, 0xC4, 0x04], 0, 1); // add esp, 4
        assert_eq!(
            (flow.unread, flow.depth, flow.since_call),
            (1, 16, 1),
            "the call took its argument, and that of before"
        );
    }

    #[test]
    fn jumps_to_one_place_are_expected() {
        let mut flow = Flow::default();
        run(&mut flow, &[0x74, 0x20], 0, 1); // je to 34
        run(&mut flow, &[0xE9, 0x40, 1, 0, 0], 0, 4); // jmp to 327
        flow.push(0xE9, &known(0, 0xE9), 0);
        let [last, nearest] = flow.ahead(0xE9, 20);
        assert_eq!(last, hash2((327 - 12) & 0xFF, 34 - 12));
        assert_eq!(nearest, hash2(34 - 12, (327 - 12) & 0xFF));
        flow.push(((327 - 12) & 0xFF) as u8, &known(20, 0xE9), 0);
        assert_eq!(flow.ahead(0xE9, 19), [hash2(1, NONE), hash2(1, 1)]);
    }

    #[test]
    fn the_same_code_with_other_registers_is_alike() {
        let mut flow = Flow::default();
        run(&mut flow, &[0x90], 0, 0);
        run(&mut flow, &[0x90], 0, 0);
        run(&mut flow, &[0x8B, 0x46, 0x08], 1, 0); // mov eax, [esi + 8]
        run(&mut flow, &[0x85, 0xC0], 0, 0); // test eax, eax
        run(&mut flow, &[0x90], 0, 0);
        run(&mut flow, &[0x90], 0, 0);
        run(&mut flow, &[0x8B, 0x4F, 0x08], 1, 0); // mov ecx, [edi + 8]
        flow.push(0x85, &known(0, 0x85), 0);
        let place = flow.place(&known(MODRM, 0x85), 0);
        let expected = flow.names.expected(&known(MODRM, 0x85), &place);
        assert_eq!(expected.map(|byte| byte & 0xFF), [0xC9; 3], "test ecx, ecx");
    }
}
