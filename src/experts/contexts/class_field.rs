//! What a class consists of: fields, what they make up, and what the parser has still to read.

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
