//! Contexts of classes of Java: a parser of their numbers and strings (The Java Virtual Machine Specification, 4.1 to 4.7).

use super::class_code::{Code, Operands, operands};
use super::class_facts::{Facts, Mode};
use super::class_field::{F, Item, Task, attribute_parts};
use super::class_pool::{self, Pool};
use super::next::{self, Next};
use super::{CONTEXTS, Indirect, hash2, hash3};
use crate::content::class::{MAGIC, constant_len, tag};
use crate::text::LaneView;

/// The most tasks at a time: structures may be nested.
const MAX_TASKS: usize = 96;

/// What is read now: a number, or a string.
#[derive(Clone, Copy, Default)]
pub struct Current {
    pub field: F,
    /// Bytes so far, and to come.
    pub got: u32,
    pub left: u32,
    /// A number so far.
    pub value: u64,
}

/// The parser.
#[derive(Clone, Default)]
pub struct Class {
    /// Whether it is known where in a class this is.
    in_sync: bool,
    pub last8: u64,
    /// Bytes of the stream, and of the class.
    at: usize,
    start: usize,
    tasks: Vec<Task>,
    pub current: Current,
    pub pool: Pool,
    pub code: Code,
    /// The kind of attribute, and where it ends.
    attribute: u32,
    attribute_len: u32,
    /// The name, the type, and the owner of the member.
    pub member: [u32; 2],
    pub facts: Facts,
    next: Option<Next>,
}

impl Class {
    /// Reads a byte.
    pub fn push(&mut self, byte: u8) {
        self.read(byte);
        self.next = self.next();
    }

    fn read(&mut self, byte: u8) {
        self.at += 1;
        self.last8 = self.last8 << 8 | u64::from(byte);
        if !self.in_sync {
            if self.last8 as u32 == u32::from_be_bytes(MAGIC) {
                self.begin();
                self.in_sync = true;
                self.turn();
            }
            return;
        }
        let current = &mut self.current;
        current.got += 1;
        current.left -= 1;
        current.value = current.value << 8 | u64::from(byte);
        if current.field == F::Text {
            self.facts.text.push(byte);
        }
        if self.current.left == 0 {
            let Current { field, value, .. } = self.current;
            self.learn(value);
            self.end(field, value);
            self.turn();
        }
    }

    /// Begins a class, whose magic has been read.
    fn begin(&mut self) {
        self.start = self.at - MAGIC.len();
        self.tasks.clear();
        self.facts.begin_class();
        self.then(&[
            Task::Number(F::Minor, 2),
            Task::Number(F::Major, 2),
            Task::Number(F::PoolCount, 2),
            Task::Number(F::Access, 2),
            Task::Number(F::This, 2),
            Task::Number(F::Super, 2),
            Task::Number(F::InterfaceCount, 2),
            Task::Number(F::FieldCount, 2),
            Task::Number(F::MethodCount, 2),
            Task::Number(F::ClassAttributes, 2),
        ]);
    }

    /// What comes next, in this order.
    fn then(&mut self, tasks: &[Task]) {
        self.tasks.extend(tasks.iter().rev());
    }

    /// Bytes of the class so far.
    fn offset(&self) -> usize {
        self.at - self.start
    }

    /// Goes on to the next field.
    fn turn(&mut self) {
        if self.tasks.len() > MAX_TASKS {
            self.in_sync = false;
        }
        while self.in_sync {
            let Some(task) = self.tasks.pop() else {
                self.in_sync = false;
                break;
            };
            let offset = self.offset();
            match task {
                Task::Number(field, len) => return self.enter(field, len.into()),
                Task::Bytes(field, len) if len > 0 => return self.enter(field, len),
                Task::Bytes(..) => {}
                Task::Constants if self.pool.is_whole() => self.pool.resolve(),
                Task::Constants => {
                    self.tasks.push(Task::Constants);
                    return self.enter(F::Tag, 1);
                }
                Task::Repeat(item, left) if left > 0 => {
                    self.tasks.push(Task::Repeat(item, left - 1));
                    self.then(item.parts());
                }
                Task::Repeat(..) => {}
                Task::Code(end) if offset < end => {
                    self.tasks.push(Task::Code(end));
                    self.code.begin_instruction(offset);
                    return self.enter(F::Opcode, 1);
                }
                Task::Code(_) => {}
                Task::End(end) if offset < end => return self.enter(F::Other, (end - offset) as u32),
                Task::End(end) => self.in_sync = offset == end,
            }
        }
    }

    /// Begins a field of so many bytes.
    fn enter(&mut self, field: F, len: u32) {
        self.current = Current { field, got: 0, left: len, value: 0 };
        self.describe();
    }

    /// What a number that refers to a constant stands for.
    fn what(&self, value: u64) -> u32 {
        self.pool.get(value as u32).hash
    }

    /// Learns what followed the facts that were known of the field.
    fn learn(&mut self, value: u64) {
        let what = match self.facts.mode {
            Mode::Constant => self.what(value),
            Mode::From(base) => (value as u32).wrapping_sub(base),
            Mode::Plain => value as u32,
        };
        self.facts.learn(self.current.field, value, what);
    }

    /// Reads a field's value.
    fn end(&mut self, field: F, value: u64) {
        let number = value as u32;
        let word = value as u16;
        match field {
            F::PoolCount => {
                self.pool.begin(word);
                self.tasks.push(Task::Constants);
            }
            F::Tag => self.read_tag(value as u8),
            F::TextLen => {
                self.facts.text.begin();
                self.then(&[Task::Bytes(F::Text, number)]);
                if number == 0 {
                    self.end_text(b' ');
                }
            }
            F::Text => self.end_text(value as u8),
            F::ClassName => self.end_reference(0, word, class_pool::ROLE_CLASS),
            F::StringText => self.end_reference(0, word, class_pool::ROLE_STRING),
            F::Owner | F::Bootstrap => {
                let role = if field == F::Owner { class_pool::ROLE_OWNER } else { 0 };
                self.pool.refer(0, word, role);
            }
            F::Member => self.end_reference(1, word, class_pool::ROLE_MEMBER),
            F::MemberName => self.pool.refer(0, word, class_pool::ROLE_NAME),
            F::MemberType => self.end_reference(1, word, class_pool::ROLE_TYPE),
            F::HandleKind => {
                if let Some(constant) = self.pool.current() {
                    constant.parts[0] = word;
                }
            }
            F::HandleMember => self.end_reference(1, word, class_pool::ROLE_MEMBER),
            F::Value => self.end_constant(hash3(number, (value >> 32) as u32, 1), 0),
            F::InterfaceCount => self.repeat(Item::Interface, number),
            F::FieldCount => self.repeat(Item::Field, number),
            F::MethodCount => self.repeat(Item::Method, number),
            F::Name => self.member = [self.what(value), 0],
            F::Type => self.member[1] = self.what(value),
            F::ClassAttributes | F::MemberAttributes | F::CodeAttributes => self.repeat(Item::Attribute, number),
            F::AttributeName => self.attribute = self.what(value),
            F::AttributeLen => self.read_attribute(number),
            F::CodeLen => {
                let end = self.offset().saturating_add(number as usize);
                self.code.begin(self.offset());
                self.then(&[Task::Code(end), Task::Number(F::ExceptionCount, 2), Task::Number(F::CodeAttributes, 2)]);
            }
            F::Opcode => self.read_opcode(value as u8),
            F::WideOpcode => {
                self.code.read_opcode(value as u8);
                let parts = [Task::Number(F::Variable, 2), Task::Number(F::Step, 2)];
                self.then(if value == 0x84 { &parts } else { &parts[..1] });
            }
            F::Constant => {
                let constant = self.pool.get(number);
                self.pool.use_constant(number);
                self.code.read_operand(constant.hash, constant.shape, constant.last);
            }
            F::Variable | F::Number => self.code.read_operand(number, number, 0),
            F::Branch => self.code.read_branch(number as i16 as u32),
            F::LongBranch => self.code.read_branch(number),
            F::Low => self.facts.low = number,
            F::High => {
                let count = number.wrapping_sub(self.facts.low).wrapping_add(1);
                self.repeat_cases(Item::Case, count);
            }
            F::PairCount => self.repeat_cases(Item::Pair, number),
            F::ExceptionCount => self.repeat(Item::Exception, number),
            F::Handler => self.code.push_target(word),
            F::LineCount => self.repeat(Item::Line, number),
            F::LocalCount => self.repeat(Item::Local, number),
            F::FrameCount => {
                self.code.targets.sort_unstable();
                self.facts.frame = None;
                self.repeat(Item::Frame, number);
            }
            F::Frame => self.read_frame(value as u8),
            F::FrameDelta => self.facts.move_frame(number),
            F::FrameValues => self.repeat(Item::Verified, number),
            F::VerifiedKind if value == 7 => self.then(&[Task::Number(F::VerifiedClass, 2)]),
            F::VerifiedKind if value == 8 => self.then(&[Task::Number(F::VerifiedPlace, 2)]),
            F::ThrownCount => self.repeat(Item::Thrown, number),
            F::InnerCount => self.repeat(Item::Inner, number),
            F::BootstrapCount => self.repeat(Item::Bootstrap, number),
            F::ArgumentCount => self.repeat(Item::Argument, number),
            F::ParameterCount => self.repeat(Item::Parameter, number),
            F::AnnotationCount => self.repeat(Item::Annotation, number),
            F::AnnotatedCount => self.repeat(Item::Annotated, number),
            F::ElementCount => self.repeat(Item::Element, number),
            F::ValueCount => self.repeat(Item::Value, number),
            F::ElementKind => match value as u8 {
                b'e' => self.then(&[Task::Number(F::ElementType, 2), Task::Number(F::ElementValue, 2)]),
                b'@' => self.then(Item::Annotation.parts()),
                b'[' => self.then(&[Task::Number(F::ValueCount, 2)]),
                _ => self.then(&[Task::Number(F::ElementValue, 2)]),
            },
            _ => {}
        }
    }

    fn repeat(&mut self, item: Item, count: u32) {
        self.tasks.push(Task::Repeat(item, count));
    }

    /// What a switch chooses from, of which a method has not more than bytes.
    fn repeat_cases(&mut self, item: Item, count: u32) {
        self.in_sync = count <= u32::from(u16::MAX);
        self.repeat(item, count);
    }

    /// Ends a constant that stands for this.
    fn end_constant(&mut self, hash: u32, last: u8) {
        if let Some(constant) = self.pool.current() {
            (constant.hash, constant.last) = (hash, last);
        }
        self.pool.end_constant();
    }

    /// Ends a string.
    fn end_text(&mut self, last: u8) {
        let hash = self.facts.text.end();
        self.end_constant(hash, last);
    }

    /// Ends a constant with a reference to another one.
    fn end_reference(&mut self, part: usize, number: u16, role: u8) {
        self.pool.refer(part, number, role);
        self.pool.end_constant();
    }

    fn read_tag(&mut self, tag: u8) {
        let Some(len) = constant_len(tag) else {
            self.in_sync = false;
            return;
        };
        if let Some(constant) = self.pool.current() {
            constant.tag = tag;
        }
        self.facts.read_tag(tag);
        match tag {
            tag::UTF8 => self.then(&[Task::Number(F::TextLen, 2)]),
            tag::CLASS => self.then(&[Task::Number(F::ClassName, 2)]),
            tag::STRING | tag::METHOD_TYPE | tag::MODULE | tag::PACKAGE => {
                self.then(&[Task::Number(F::StringText, 2)]);
            }
            tag::FIELD | tag::METHOD | tag::INTERFACE_METHOD => {
                self.then(&[Task::Number(F::Owner, 2), Task::Number(F::Member, 2)]);
            }
            tag::DYNAMIC | tag::INVOKE_DYNAMIC => {
                self.then(&[Task::Number(F::BootstrapNumber, 2), Task::Number(F::Member, 2)]);
            }
            tag::NAME_AND_TYPE => self.then(&[Task::Number(F::MemberName, 2), Task::Number(F::MemberType, 2)]),
            tag::METHOD_HANDLE => self.then(&[Task::Number(F::HandleKind, 1), Task::Number(F::HandleMember, 2)]),
            _ => self.then(&[Task::Number(F::Value, len as u8)]),
        }
    }

    fn read_attribute(&mut self, len: u32) {
        self.attribute_len = len;
        self.tasks.push(Task::End(self.offset().saturating_add(len as usize)));
        self.then(attribute_parts(self.attribute));
    }

    fn read_opcode(&mut self, opcode: u8) {
        self.code.read_opcode(opcode);
        match operands(opcode) {
            // Switches are aligned.
            Operands::TableSwitch | Operands::LookupSwitch => {
                self.then(operands(opcode).parts());
                self.tasks.push(Task::Bytes(F::Zero, 3 - self.code.pc as u32 % 4));
            }
            operands => self.then(operands.parts()),
        }
    }

    fn read_frame(&mut self, kind: u8) {
        let delta = Task::Number(F::FrameDelta, 2);
        let values = Task::Number(F::FrameValues, 2);
        match kind {
            0..=63 => self.facts.move_frame(kind.into()),
            64..=127 => {
                self.facts.move_frame(u32::from(kind) - 64);
                self.repeat(Item::Verified, 1);
            }
            247 => self.then(&[delta, Task::Repeat(Item::Verified, 1)]),
            252..=254 => self.then(&[delta, Task::Repeat(Item::Verified, u32::from(kind) - 251)]),
            255 => self.then(&[delta, values, values]),
            _ => self.then(&[delta]),
        }
    }

    /// Whether it is known what the next byte is part of.
    pub fn is_known(&self) -> bool {
        self.in_sync && self.current.field != F::Other
    }

    /// The hash of what the attribute is of: its kind and its member's name.
    pub fn place(&self) -> u32 {
        hash2(self.attribute, self.member[0])
    }

    /// The attribute's kind, and how many entries of `unit` bytes it has behind a count.
    pub fn attribute(&self) -> (u32, impl Fn(u32) -> u32) {
        let len = self.attribute_len;
        (self.attribute, move |unit| len.saturating_sub(2) / unit)
    }

    /// Numbers below 256 that the mixer's weights are chosen by: the likely byte, the field, and how likely that is.
    pub fn selectors(&self) -> Option<[usize; 3]> {
        self.next.map(|next| [next.likely, next.field, next.other].map(usize::from))
    }

    /// The contexts of the next byte.
    pub fn contexts(&self, h: LaneView, indirect: &Indirect) -> [u32; CONTEXTS] {
        next::contexts(self.next, h, indirect)
    }
}

#[cfg(test)]
mod tests {
    use super::super::class_pool::text_hash;
    use super::*;
    use crate::test_random::TestRandom;
    use crate::text::BlockBuffer;

    fn constant(pool: &mut Vec<Vec<u8>>, tag: u8, numbers: &[u16]) -> u16 {
        let bytes = numbers.iter().flat_map(|number| number.to_be_bytes());
        pool.push(std::iter::once(tag).chain(bytes).collect());
        pool.len() as u16
    }

    fn text(pool: &mut Vec<Vec<u8>>, text: &str) -> u16 {
        pool.push([&[1], &(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat());
        pool.len() as u16
    }

    fn words(words: &[u16]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn attribute(name: u16, content: &[u8]) -> Vec<u8> {
        [&words(&[name])[..], &(content.len() as u32).to_be_bytes(), content].concat()
    }

    /// A class with a name, whose methods branch, switch, and call a method that each class refers to by another number.
    fn class(name: &str, methods: usize) -> Vec<u8> {
        let mut pool = Vec::new();
        let this = text(&mut pool, name);
        let this = constant(&mut pool, tag::CLASS, &[this]);
        let object = text(&mut pool, "java/lang/Object");
        let object = constant(&mut pool, tag::CLASS, &[object]);
        let [called, kind, code, lines, frames] =
            ["hashCode", "()I", "Code", "LineNumberTable", "StackMapTable"].map(|name| text(&mut pool, name));
        let member = constant(&mut pool, tag::NAME_AND_TYPE, &[called, kind]);
        let method = constant(&mut pool, tag::METHOD, &[object, member]);
        pool.push(vec![tag::LONG, 0, 0, 0, 0, 0, 0, 0, 7]);
        let names: Vec<u16> = (0..methods).map(|i| text(&mut pool, &format!("method{i}")) + 1).collect();
        let mut bytes = [&MAGIC[..], &words(&[0, 52, pool.len() as u16 + 2])].concat();
        bytes.extend(pool.concat());
        bytes.extend(words(&[0x21, this, object, 0, 0, methods as u16]));
        for name in names {
            let [high, low] = method.to_be_bytes();
            let mut instructions = vec![0x2A, 0xB6, high, low, 0x3C, 0x1B, 0x99, 0, 6, 0x1B, 0xAC, 0x1B, 0xAA, 0, 0, 0];
            instructions.extend([4, 0, 1, 4, 4].map(u32::to_be_bytes).as_flattened());
            instructions.extend([0x1B, 0xAC]);
            let lines = attribute(lines, &words(&[3, 0, 10, 5, 11, 9, 12]));
            let frames = attribute(frames, &[0, 2, 252, 0, 11, 1, 0]);
            let mut body = words(&[2, 2]);
            body.extend((instructions.len() as u32).to_be_bytes());
            body.extend([instructions, words(&[0, 2]), lines, frames].concat());
            bytes.extend([words(&[1, name, kind, 1]), attribute(code, &body)].concat());
        }
        [bytes, words(&[0])].concat()
    }

    /// How many of the bytes were known, and how many the likely ones.
    fn guessed(bytes: &[u8]) -> (usize, usize) {
        let (mut class, indirect) = (Class::default(), Indirect::default());
        let mut text = BlockBuffer::new(bytes.len(), 1, true, true);
        let (mut known, mut right) = (0, 0);
        for &byte in bytes {
            if let Some(next) = class.next {
                known += 1;
                right += usize::from(next.likely == byte);
            }
            class.contexts(text.view(0), &indirect);
            class.offers();
            text.push(0, byte);
            class.push(byte);
        }
        (known, right)
    }

    #[test]
    fn a_class_is_read_to_its_end() {
        let bytes = [&b"noise"[..], &class("a/First", 3), &class("b/Second", 5)].concat();
        let mut parser = Class::default();
        for (i, &byte) in bytes.iter().enumerate() {
            parser.push(byte);
            let is_in_class = i + 1 < bytes.len() && (i < 9 || parser.in_sync);
            assert!(is_in_class || i + 1 == bytes.len() || parser.tasks.is_empty(), "{i}");
        }
        assert!(!parser.in_sync && parser.tasks.is_empty());
        assert_eq!(parser.pool.get(parser.facts.values(F::This)[0]).shape, text_hash(b"b/Second"));
    }

    #[test]
    fn classes_tell_of_others() {
        let classes: Vec<u8> = (0..8).flat_map(|i| class(&format!("some/package/Name{i}"), 3 + i % 4)).collect();
        let (known, right) = guessed(&classes);
        assert!(known > classes.len() - 40 && right * 8 > known * 7, "{right} of {known} in {}", classes.len());
    }

    #[test]
    fn any_bytes_may_follow() {
        let mut random = TestRandom::new(15);
        let whole = [class("a/First", 4), class("b/Second", 4)].concat();
        for i in 0..1500 {
            let mut bytes = whole.clone();
            if i % 4 == 0 {
                let at = random.below(bytes.len() as u64) as usize;
                let len = random.below(300) as usize;
                bytes.splice(at..at, random.bytes(len));
            }
            for _ in 0..=random.below(6) {
                let at = random.below(bytes.len() as u64) as usize;
                bytes[at] = [0, 0xFF, 0x7F, 0xAA, random.byte()][random.below(5) as usize];
            }
            guessed(&bytes);
        }
    }
}
