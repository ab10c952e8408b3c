//! Errors: a kind, which is also the program's exit code, and a message that names what and where.

use std::fmt;

/// What went wrong, in the classes that scripts tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The system refused: a file is missing, not readable, already there, the disk is full.
    Io,
    /// The input is no nzip archive.
    Foreign,
    /// The archive is damaged.
    Corrupt,
    /// The archive ends early.
    Truncated,
    /// The archive needs a newer nzip, or one of another format version.
    Unsupported,
    /// A self-check failed: a defect of nzip or of the machine.
    Internal,
    /// The archive was made with a model that is not here.
    Model,
    /// A limit on memory or output size would be exceeded.
    Limit,
    /// The user or the caller stopped the work.
    Interrupted,
}

/// An error of this crate.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

impl Error {
    /// An error of `kind` with a message for people.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into() }
    }

    /// The class of the error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
