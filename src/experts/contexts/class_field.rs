//! What a class consists of: fields, what they make up, and what the parser has still to read.

use super::class_code::Operands;
use super::class_pool::text_hash;

/// A number or a string of a class.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum F {
    #[default]
    Other,
    Minor,
    Major,
    PoolCount,
    // Constants.
    Tag,
    TextLen,
    Text,
    ClassName,
    StringText,
    Owner,
    Member,
    MemberName,
    MemberType,
    Bootstrap,
    BootstrapNumber,
    HandleKind,
    HandleMember,
    Value,
    // The class and its members.
    Access,
    This,
    Super,
    InterfaceCount,
    Interface,
    FieldCount,
    MethodCount,
    ClassAttributes,
    MemberAccess,
    Name,
    Type,
    MemberAttributes,
    AttributeName,
    AttributeLen,
    // Code.
    MaxStack,
    MaxVariables,
    CodeLen,
    Opcode,
    WideOpcode,
    Constant,
    Variable,
    Step,
    Number,
    Count,
    Zero,
    Branch,
    LongBranch,
    Low,
    High,
    PairCount,
    Match,
    ExceptionCount,
    From,
    To,
    Handler,
    Caught,
    CodeAttributes,
    // What belongs to code.
    LineCount,
    LinePlace,
    Line,
    LocalCount,
    LocalPlace,
    LocalLen,
    LocalName,
    LocalType,
    LocalNumber,
    FrameCount,
    Frame,
    FrameDelta,
    FrameValues,
    VerifiedKind,
    VerifiedClass,
    VerifiedPlace,
    // Other attributes.
    ThrownCount,
    Thrown,
    Signature,
    Referred,
    InnerCount,
    InnerClass,
    OuterClass,
    InnerName,
    InnerAccess,
    BootstrapCount,
    BootstrapHandle,
    ArgumentCount,
    Argument,
    ParameterCount,
    ParameterName,
    ParameterAccess,
    AnnotatedCount,
    AnnotationCount,
    AnnotationType,
    ElementCount,
    ElementName,
    ElementKind,
    ElementType,
    ElementValue,
    ValueCount,
}

/// What comes several times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    Interface,
    Field,
    Method,
    Attribute,
    Case,
    Pair,
    Exception,
    Line,
    Local,
    Frame,
    Verified,
    Thrown,
    Inner,
    Bootstrap,
    Argument,
    Parameter,
    Annotated,
    Annotation,
    Element,
    Value,
}

/// What the parser has to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// A number of so many bytes.
    Number(F, u8),
    /// So many bytes.
    Bytes(F, u32),
    /// Constants until there are all of them.
    Constants,
    /// So many of these.
    Repeat(Item, u32),
    /// Instructions up to a place in the class.
    Code(usize),
    /// What is left of an attribute that ends there.
    End(usize),
}

impl Item {
    /// Its parts.
    pub fn parts(self) -> &'static [Task] {
        use Task::Number;
        const MEMBER: [Task; 4] =
            [Number(F::MemberAccess, 2), Number(F::Name, 2), Number(F::Type, 2), Number(F::MemberAttributes, 2)];
        match self {
            Item::Interface => &[Number(F::Interface, 2)],
            Item::Field | Item::Method => &MEMBER,
            Item::Attribute => &[Number(F::AttributeName, 2), Number(F::AttributeLen, 4)],
            Item::Case => &[Number(F::LongBranch, 4)],
            Item::Pair => &[Number(F::Match, 4), Number(F::LongBranch, 4)],
            Item::Exception => &[Number(F::From, 2), Number(F::To, 2), Number(F::Handler, 2), Number(F::Caught, 2)],
            Item::Line => &[Number(F::LinePlace, 2), Number(F::Line, 2)],
            Item::Local => &[
                Number(F::LocalPlace, 2),
                Number(F::LocalLen, 2),
                Number(F::LocalName, 2),
                Number(F::LocalType, 2),
                Number(F::LocalNumber, 2),
            ],
            Item::Frame => &[Number(F::Frame, 1)],
            Item::Verified => &[Number(F::VerifiedKind, 1)],
            Item::Thrown => &[Number(F::Thrown, 2)],
            Item::Inner => &[
                Number(F::InnerClass, 2),
                Number(F::OuterClass, 2),
                Number(F::InnerName, 2),
                Number(F::InnerAccess, 2),
            ],
            Item::Bootstrap => &[Number(F::BootstrapHandle, 2), Number(F::ArgumentCount, 2)],
            Item::Argument => &[Number(F::Argument, 2)],
            Item::Parameter => &[Number(F::ParameterName, 2), Number(F::ParameterAccess, 2)],
            Item::Annotated => &[Number(F::AnnotationCount, 2)],
            Item::Annotation => &[Number(F::AnnotationType, 2), Number(F::ElementCount, 2)],
            Item::Element => &[Number(F::ElementName, 2), Number(F::ElementKind, 1)],
            Item::Value => &[Number(F::ElementKind, 1)],
        }
    }
}

impl Operands {
    /// Their parts; of switches, those behind what aligns them.
    pub fn parts(self) -> &'static [Task] {
        use Task::Number;
        match self {
            Operands::None => &[],
            Operands::ShortConstant => &[Number(F::Constant, 1)],
            Operands::Constant => &[Number(F::Constant, 2)],
            Operands::Interface => &[Number(F::Constant, 2), Number(F::Count, 1), Number(F::Zero, 1)],
            Operands::Dynamic => &[Number(F::Constant, 2), Number(F::Zero, 2)],
            Operands::Array => &[Number(F::Constant, 2), Number(F::Count, 1)],
            Operands::Variable => &[Number(F::Variable, 1)],
            Operands::Step => &[Number(F::Variable, 1), Number(F::Step, 1)],
            Operands::Byte => &[Number(F::Number, 1)],
            Operands::Word => &[Number(F::Number, 2)],
            Operands::Branch => &[Number(F::Branch, 2)],
            Operands::LongBranch => &[Number(F::LongBranch, 4)],
            Operands::TableSwitch => &[Number(F::LongBranch, 4), Number(F::Low, 4), Number(F::High, 4)],
            Operands::LookupSwitch => &[Number(F::LongBranch, 4), Number(F::PairCount, 4)],
            Operands::Wide => &[Number(F::WideOpcode, 1)],
        }
    }
}

impl F {
    /// Whether the number is that of a constant, once all constants are known.
    pub fn is_constant(self) -> bool {
        matches!(
            self,
            F::This
                | F::Super
                | F::Interface
                | F::Name
                | F::Type
                | F::AttributeName
                | F::Constant
                | F::Caught
                | F::LocalName
                | F::LocalType
                | F::VerifiedClass
                | F::Thrown
                | F::Signature
                | F::Referred
                | F::InnerClass
                | F::OuterClass
                | F::InnerName
                | F::BootstrapHandle
                | F::Argument
                | F::ParameterName
                | F::AnnotationType
                | F::ElementName
                | F::ElementType
                | F::ElementValue
        )
    }

    /// Whether it is part of a constant.
    pub fn is_of_pool(self) -> bool {
        (F::Tag as u8..=F::Value as u8).contains(&(self as u8))
    }

    /// Whether it is part of an instruction.
    pub fn is_of_code(self) -> bool {
        (F::Opcode as u8..=F::Match as u8).contains(&(self as u8))
    }
}

/// What an attribute consists of whose name has this hash (4.7); nothing if it is not known.
pub fn attribute_parts(name: u32) -> &'static [Task] {
    use Task::Number;
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
    match name {
        CODE => &[Number(F::MaxStack, 2), Number(F::MaxVariables, 2), Number(F::CodeLen, 4)],
        LINES => &[Number(F::LineCount, 2)],
        LOCALS | LOCAL_TYPES => &[Number(F::LocalCount, 2)],
        FRAMES => &[Number(F::FrameCount, 2)],
        EXCEPTIONS | MEMBERS | PERMITTED => &[Number(F::ThrownCount, 2)],
        INNER => &[Number(F::InnerCount, 2)],
        SIGNATURE => &[Number(F::Signature, 2)],
        SOURCE | CONSTANT | HOST => &[Number(F::Referred, 2)],
        ENCLOSING => &[Number(F::Referred, 2), Number(F::Referred, 2)],
        BOOTSTRAP => &[Number(F::BootstrapCount, 2)],
        VISIBLE | INVISIBLE => &[Number(F::AnnotationCount, 2)],
        VISIBLE_PARAMETERS | INVISIBLE_PARAMETERS => &[Number(F::AnnotatedCount, 1)],
        DEFAULT => Item::Value.parts(),
        PARAMETERS => &[Number(F::ParameterCount, 1)],
        _ => &[],
    }
}
