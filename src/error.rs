//! Errors: a kind that scripts can tell apart (the program's exit codes follow it), a message that says what, and the
//! place in the archive where it was noticed.

use std::{fmt, io};

/// What went wrong, in the classes that callers act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The system refused: a file is missing, not readable, already there, the disk is full.
    Io,
    /// A parameter is outside its range, or input and parameters contradict each other.
    Usage,
    /// The input is no nzip archive.
    Foreign,
    /// The archive is damaged.
    Corrupt,
    /// The archive ends early.
    Truncated,
    /// The archive needs an nzip that knows another format version or feature.
    Unsupported,
    /// A self-check failed: a defect of nzip or of the machine.
    Internal,
    /// A model is not here, is damaged, or is of a kind that can't be run.
    Model,
    /// The work would take more memory than is allowed.
    MemoryLimit,
    /// The content is longer than is allowed.
    OutputLimit,
    /// The user or the caller stopped the work.
    Interrupted,
}

/// An error of this crate.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    offset: Option<u64>,
    source: Option<io::Error>,
}

impl Error {
    /// An error of `kind` with a message for people.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), offset: None, source: None }
    }

    /// The same error, noticed at byte `offset` of the archive; an offset given earlier stays.
    pub fn at(mut self, offset: u64) -> Self {
        self.offset.get_or_insert(offset);
        self
    }

    /// The class of the error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What went wrong, without the place.
    pub fn reason(&self) -> &str {
        &self.message
    }

    /// Where in the archive the error was noticed, in bytes from its beginning.
    pub fn offset(&self) -> Option<u64> {
        self.offset
    }

    /// The system's error behind one of kind [`ErrorKind::Io`].
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        self.source.as_ref().map(io::Error::kind)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.offset {
            // What is wrong from the first byte on is wrong with the whole.
            Some(0) | None => Ok(()),
            Some(offset) => write!(f, " (at byte {offset} of the archive)"),
        }
    }
}

impl std::error::Error for Error {}

/// A system error; one that carries an [`Error`] of this crate gives that one back.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        error.downcast::<Error>().unwrap_or_else(|error| Error {
            kind: ErrorKind::Io,
            message: error.to_string(),
            offset: None,
            source: Some(error),
        })
    }
}

/// For [`std::io::Read`] and [`std::io::Write`]: the error travels inside, `Error::from` takes it out again.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind {
            ErrorKind::Io => error.io_kind().unwrap_or(io::ErrorKind::Other),
            ErrorKind::Usage => io::ErrorKind::InvalidInput,
            ErrorKind::Foreign | ErrorKind::Corrupt => io::ErrorKind::InvalidData,
            ErrorKind::Truncated => io::ErrorKind::UnexpectedEof,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            // Not io::ErrorKind::Interrupted: callers such as read_to_end would try again for ever.
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_way_through_io() {
        let error = Error::new(ErrorKind::Truncated, "ends early").at(7).at(9);
        let back = Error::from(io::Error::from(error));
        assert_eq!((back.kind(), back.offset()), (ErrorKind::Truncated, Some(7)));
        assert_eq!(back.to_string(), "ends early (at byte 7 of the archive)");
        let system = Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(system.io_kind(), Some(io::ErrorKind::BrokenPipe));
    }
}
