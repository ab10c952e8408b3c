//! The error type of this crate.

use std::{fmt, io};

/// The class of an [`Error`]. The program derives its exit code from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system returned an error: file not found, permission denied, disk full.
    Io,
    /// A parameter is out of range, or input and parameters contradict each other.
    Usage,
    /// The input is not an nzip archive.
    NotAnArchive,
    /// The archive is damaged.
    Corrupt,
    /// The archive ends early.
    Truncated,
    /// The archive uses a format version or a feature that this nzip does not implement.
    Unsupported,
    /// A self-check failed: a bug in nzip, or faulty hardware.
    Internal,
    /// A model is missing, damaged, or of an unsupported kind.
    Model,
    /// The requested device (GPU) is missing, too old, has failed, or computes other results than the CPU.
    Device,
    /// The operation would exceed the memory limit.
    MemoryLimit,
    /// The content is longer than the output limit.
    OutputLimit,
    /// The operation was stopped by [`Monitor::stop`](crate::Monitor::stop).
    Interrupted,
}

/// An error of this crate: a kind, a message, and the position in the archive if it is known.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    offset: Option<u64>,
    source: Option<io::Error>,
}

impl Error {
    /// An error of `kind` with a human-readable message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), offset: None, source: None }
    }

    /// Adds the byte offset in the archive. An offset that was set before is kept.
    pub fn at(mut self, offset: u64) -> Self {
        self.offset.get_or_insert(offset);
        self
    }

    /// The class of the error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message without the offset.
    pub fn reason(&self) -> &str {
        &self.message
    }

    /// The byte offset in the archive where the error was detected.
    pub fn offset(&self) -> Option<u64> {
        self.offset
    }

    /// The kind of the underlying system error, for errors of kind [`ErrorKind::Io`].
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        self.source.as_ref().map(io::Error::kind)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.offset {
            // Offset 0 concerns the whole input; naming it adds nothing.
            Some(0) | None => Ok(()),
            Some(offset) => write!(f, " (at byte {offset} of the archive)"),
        }
    }
}

impl std::error::Error for Error {
    /// The system error, for errors of kind [`ErrorKind::Io`].
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}

/// Converts a system error. An [`Error`] of this crate inside it is returned unchanged.
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

/// Wraps the error for [`std::io::Read`] and [`std::io::Write`]; `Error::from` unwraps it.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind {
            ErrorKind::Io => error.io_kind().unwrap_or(io::ErrorKind::Other),
            ErrorKind::Usage => io::ErrorKind::InvalidInput,
            ErrorKind::NotAnArchive | ErrorKind::Corrupt => io::ErrorKind::InvalidData,
            ErrorKind::Truncated => io::ErrorKind::UnexpectedEof,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            // Not io::ErrorKind::Interrupted: callers such as read_to_end retry on it forever.
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn survives_conversion_to_io_error_and_back() {
        let error = Error::new(ErrorKind::Truncated, "ends early").at(7).at(9);
        let back = Error::from(io::Error::from(error));
        assert_eq!((back.kind(), back.offset()), (ErrorKind::Truncated, Some(7)));
        assert_eq!(back.to_string(), "ends early (at byte 7 of the archive)");
        assert!(back.source().is_none());
    }

    #[test]
    fn system_errors_are_the_source() {
        let error = Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(error.io_kind(), Some(io::ErrorKind::BrokenPipe));
        assert_eq!(error.source().unwrap().to_string(), error.to_string());
    }
}
