//! Contexts of classes of Java: a parser of their numbers and strings (The Java Virtual Machine Specification, 4.1 to 4.7).

use super::class_code::{Code, Operands, operands};
use super::class_facts::{Facts, Mode};
use super::class_field::{F, Item, Task};
use super::class_pool::{self, Pool, text_hash};
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
                let end = self.offset() + number as usize;
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
                self.repeat(Item::Case, count);
            }
            F::PairCount => self.repeat(Item::Pair, number),
            F::ExceptionCount => self.repeat(Item::Exception, number),
            F::Handler => self.code.targets.push(word),
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
        self.tasks.push(Task::End(self.offset() + len as usize));
        const fn is(name: &str) -> u32 {
            text_hash(name.as_bytes())
        }
        const CODE: u32 = is("Code");
        const LINES: u32 = is("LineNumberTable");
        const LOCALS: u32 = is("LocalVariableTable");
        const LOCAL_TYPES: u32 = is("LocalVariableTypeTable");
        const FRAMES: u32 = is("StackMapTable");
        const EXCEPTIONS: u32 = is("Exceptions");
        const INNER: u32 = is("InnerClasses");
        const SIGNATURE: u32 = is("Signature");
        const SOURCE: u32 = is("SourceFile");
        const CONSTANT: u32 = is("ConstantValue");
        const HOST: u32 = is("NestHost");
        const ENCLOSING: u32 = is("EnclosingMethod");
        const BOOTSTRAP: u32 = is("BootstrapMethods");
        const MEMBERS: u32 = is("NestMembers");
        const PERMITTED: u32 = is("PermittedSubclasses");
        const VISIBLE: u32 = is("RuntimeVisibleAnnotations");
        const INVISIBLE: u32 = is("RuntimeInvisibleAnnotations");
        const VISIBLE_PARAMETERS: u32 = is("RuntimeVisibleParameterAnnotations");
        const INVISIBLE_PARAMETERS: u32 = is("RuntimeInvisibleParameterAnnotations");
        const DEFAULT: u32 = is("AnnotationDefault");
        const PARAMETERS: u32 = is("MethodParameters");
        match self.attribute {
            CODE => self.then(&[
                Task::Number(F::MaxStack, 2),
                Task::Number(F::MaxVariables, 2),
                Task::Number(F::CodeLen, 4),
            ]),
            LINES => self.then(&[Task::Number(F::LineCount, 2)]),
            LOCALS | LOCAL_TYPES => self.then(&[Task::Number(F::LocalCount, 2)]),
            FRAMES => self.then(&[Task::Number(F::FrameCount, 2)]),
            EXCEPTIONS | MEMBERS | PERMITTED => self.then(&[Task::Number(F::ThrownCount, 2)]),
            INNER => self.then(&[Task::Number(F::InnerCount, 2)]),
            SIGNATURE => self.then(&[Task::Number(F::Signature, 2)]),
            SOURCE | CONSTANT | HOST => self.then(&[Task::Number(F::Referred, 2)]),
            ENCLOSING => self.then(&[Task::Number(F::Referred, 2), Task::Number(F::Referred, 2)]),
            BOOTSTRAP => self.then(&[Task::Number(F::BootstrapCount, 2)]),
            VISIBLE | INVISIBLE => self.then(&[Task::Number(F::AnnotationCount, 2)]),
            VISIBLE_PARAMETERS | INVISIBLE_PARAMETERS => self.then(&[Task::Number(F::AnnotatedCount, 1)]),
            DEFAULT => self.then(Item::Value.parts()),
            PARAMETERS => self.then(&[Task::Number(F::ParameterCount, 1)]),
            _ => {}
        }
    }

    fn read_opcode(&mut self, opcode: u8) {
        self.code.read_opcode(opcode);
        let number = |field, len| Task::Number(field, len);
        // Switches are aligned.
        let padding = Task::Bytes(F::Zero, 3 - self.code.pc as u32 % 4);
        match operands(opcode) {
            Operands::None => {}
            Operands::ShortConstant => self.then(&[number(F::Constant, 1)]),
            Operands::Constant => self.then(&[number(F::Constant, 2)]),
            Operands::Interface => self.then(&[number(F::Constant, 2), number(F::Count, 1), number(F::Zero, 1)]),
            Operands::Dynamic => self.then(&[number(F::Constant, 2), number(F::Zero, 2)]),
            Operands::Array => self.then(&[number(F::Constant, 2), number(F::Count, 1)]),
            Operands::Variable => self.then(&[number(F::Variable, 1)]),
            Operands::Step => self.then(&[number(F::Variable, 1), number(F::Step, 1)]),
            Operands::Byte => self.then(&[number(F::Number, 1)]),
            Operands::Word => self.then(&[number(F::Number, 2)]),
            Operands::Branch => self.then(&[number(F::Branch, 2)]),
            Operands::LongBranch => self.then(&[number(F::LongBranch, 4)]),
            Operands::TableSwitch => {
                self.then(&[padding, number(F::LongBranch, 4), number(F::Low, 4), number(F::High, 4)]);
            }
            Operands::LookupSwitch => self.then(&[padding, number(F::LongBranch, 4), number(F::PairCount, 4)]),
            Operands::Wide => self.then(&[number(F::WideOpcode, 1)]),
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
