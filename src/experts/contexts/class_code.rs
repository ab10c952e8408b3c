//! The code of a method: instructions of an opcode and operands (The Java Virtual Machine Specification, 6.5).

use super::hash2;
use crate::content::class::tag;

/// What follows an opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operands {
    None,
    /// A constant's number, of one byte or two.
    ShortConstant,
    Constant,
    /// The same, then the count of arguments and 0; then two bytes of 0; then a count of dimensions.
    Interface,
    Dynamic,
    Array,
    /// A variable's number; and a step.
    Variable,
    Step,
    /// A number of one byte or two.
    Byte,
    Word,
    /// A distance to another instruction of two bytes or four.
    Branch,
    LongBranch,
    TableSwitch,
    LookupSwitch,
    /// The next opcode's operands are longer.
    Wide,
}

/// What follows this opcode.
pub fn operands(opcode: u8) -> Operands {
    match opcode {
        0x10 | 0xBC => Operands::Byte,
        0x11 => Operands::Word,
        0x12 => Operands::ShortConstant,
        0x13 | 0x14 | 0xB2..=0xB8 | 0xBB | 0xBD | 0xC0 | 0xC1 => Operands::Constant,
        0x15..=0x19 | 0x36..=0x3A | 0xA9 => Operands::Variable,
        0x84 => Operands::Step,
        0x99..=0xA8 | 0xC6 | 0xC7 => Operands::Branch,
        0xAA => Operands::TableSwitch,
        0xAB => Operands::LookupSwitch,
        0xB9 => Operands::Interface,
        0xBA => Operands::Dynamic,
        0xC4 => Operands::Wide,
        0xC5 => Operands::Array,
        0xC8 | 0xC9 => Operands::LongBranch,
        _ => Operands::None,
    }
}

/// The tags of the constants that an opcode refers to.
pub fn tags(opcode: u8) -> &'static [u8] {
    match opcode {
        0x12 | 0x13 => &[tag::STRING, tag::INTEGER, tag::FLOAT, tag::CLASS],
        0x14 => &[tag::LONG, tag::DOUBLE],
        0xB2..=0xB5 => &[tag::FIELD],
        0xB6..=0xB8 => &[tag::METHOD, tag::INTERFACE_METHOD],
        0xB9 => &[tag::INTERFACE_METHOD],
        0xBA => &[tag::INVOKE_DYNAMIC],
        _ => &[tag::CLASS],
    }
}

/// Whether a statement may end with this instruction; `last` is the last byte of the type of the member that it refers to.
fn ends_statement(opcode: u8, last: u8) -> bool {
    match opcode {
        0x36..=0x56 | 0x57 | 0x58 | 0x84 | 0xA7 | 0xAA..=0xB1 | 0xB3 | 0xB5 | 0xBF | 0x99..=0xA6 | 0xC6 | 0xC7 => true,
        0xB6..=0xBA => last == b'V',
        _ => false,
    }
}

/// Methods have no instructions behind this place.
const MAX_PC: usize = u16::MAX as usize;
/// Instructions of which is known what they were.
pub const HISTORY: usize = 6;

/// The instructions of the current method.
#[derive(Clone, Default)]
pub struct Code {
    /// Where it begins in the class, and where the current instruction does.
    pub start: usize,
    pub pc: usize,
    pub opcode: u8,
    /// The current instruction, and the last ones, the latest one first: opcodes, and with what they refer to.
    current: u32,
    last: u8,
    pub opcodes: [u8; HISTORY],
    pub instructions: [u32; HISTORY],
    /// The same with types in place of members.
    shape: u32,
    pub shapes: [u32; HISTORY],
    /// Instructions so far.
    pub count: u32,
    /// Where statements may begin, in order.
    pub statements: Vec<u16>,
    /// Where branches go.
    pub targets: Vec<u16>,
    /// Where the last branch goes.
    pub target: u16,
}

impl Code {
    /// Begins the code of a method, which begins at `start`.
    pub fn begin(&mut self, start: usize) {
        let (mut statements, mut targets) = (std::mem::take(&mut self.statements), std::mem::take(&mut self.targets));
        statements.clear();
        targets.clear();
        *self = Code { start, statements, targets, ..Code::default() };
    }

    /// Begins an instruction.
    pub fn begin_instruction(&mut self, at: usize) {
        if self.count > 0 {
            self.opcodes.copy_within(..HISTORY - 1, 1);
            self.instructions.copy_within(..HISTORY - 1, 1);
            self.shapes.copy_within(..HISTORY - 1, 1);
            (self.opcodes[0], self.instructions[0], self.shapes[0]) = (self.opcode, self.current, self.shape);
        }
        self.count += 1;
        self.pc = at - self.start;
        if (self.pc == 0 || ends_statement(self.opcode, self.last)) && self.pc <= MAX_PC {
            self.statements.push(self.pc as u16);
        }
        self.last = 0;
    }

    /// Reads its opcode.
    pub fn read_opcode(&mut self, opcode: u8) {
        self.opcode = opcode;
        (self.current, self.shape) = (u32::from(opcode) + 1, u32::from(opcode) + 1);
    }

    /// Reads an operand, which stands for this, and has this type, whose last byte is `last`.
    pub fn read_operand(&mut self, what: u32, shape: u32, last: u8) {
        (self.current, self.shape) = (hash2(self.current, what), hash2(self.shape, shape));
        self.last = last;
    }

    /// Reads where a branch goes.
    pub fn read_branch(&mut self, distance: u32) {
        self.target = (self.pc as u32).wrapping_add(distance) as u16;
        self.push_target(self.target);
        (self.current, self.shape) = (hash2(self.current, 1), hash2(self.shape, 1));
    }

    /// Reads that something goes there.
    pub fn push_target(&mut self, target: u16) {
        if self.targets.len() <= MAX_PC {
            self.targets.push(target);
        }
    }

    /// The nearest place behind `pc` that is known to be a branch's target.
    pub fn pending(&self, pc: usize) -> Option<u16> {
        self.targets.iter().rev().take(32).copied().filter(|&target| usize::from(target) > pc).min()
    }

    /// Whether the next instruction is a branch's target.
    pub fn is_target(&self) -> bool {
        self.targets.iter().rev().take(32).any(|&target| usize::from(target) == self.pc)
    }
}
