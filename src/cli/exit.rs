//! Exit codes, error messages and hints.

use std::io;
use std::process::ExitCode;

use nzip::{Error, ErrorKind};

use super::files::Input;
use super::stdio::message;

/// Result of processing one file, in order of severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Success.
    Done,
    /// The reader of the output closed it.
    BrokenPipe,
    /// Exit code 1: usage or system error.
    Environment,
    /// Exit code 5.
    Limit,
    /// Exit code 4.
    Model,
    /// Exit code 2: the input is damaged or not an archive.
    Damaged,
    /// Exit code 3: a bug in nzip.
    Internal,
    /// Exit code 130.
    Interrupted,
}

/// Exit code after an interrupt.
pub const INTERRUPTED: u8 = 130;

impl From<ErrorKind> for Outcome {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Io | ErrorKind::Usage | ErrorKind::Device => Outcome::Environment,
            ErrorKind::NotAnArchive | ErrorKind::Corrupt | ErrorKind::Truncated | ErrorKind::Unsupported => {
                Outcome::Damaged
            }
            ErrorKind::Model => Outcome::Model,
            ErrorKind::MemoryLimit | ErrorKind::OutputLimit => Outcome::Limit,
            ErrorKind::Interrupted => Outcome::Interrupted,
            _ => Outcome::Internal,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        ExitCode::from(match outcome {
            Outcome::Done | Outcome::BrokenPipe => 0,
            Outcome::Environment => 1,
            Outcome::Damaged => 2,
            Outcome::Internal => 3,
            Outcome::Model => 4,
            Outcome::Limit => 5,
            Outcome::Interrupted => INTERRUPTED,
        })
    }
}

/// Prints the error and a hint how to resolve it. Returns the outcome.
pub fn report(input: Option<&Input>, error: &anyhow::Error, silent: bool) -> Outcome {
    let library = error.downcast_ref::<Error>();
    let system = error.downcast_ref::<io::Error>().map(io::Error::kind).or(library.and_then(Error::io_kind));
    let outcome = match system {
        Some(io::ErrorKind::BrokenPipe) => Outcome::BrokenPipe,
        _ => library.map_or(Outcome::Environment, |error| error.kind().into()),
    };
    if !silent && outcome != Outcome::BrokenPipe {
        let name = input.map(|input| format!("{input}: ")).unwrap_or_default();
        message(format!("nzip: {name}{}", text(error)));
        if let Some(advice) = library.and_then(advice) {
            message(format!("      {advice}"));
        }
    }
    outcome
}

/// The messages of the error and its causes, without repetitions and system error numbers.
fn text(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        let cause = cause.split(" (os error ").next().unwrap_or_default();
        if text.ends_with(cause) {
            continue;
        }
        if !text.is_empty() {
            text += ": ";
        }
        text += cause;
    }
    text
}

fn advice(error: &Error) -> Option<&'static str> {
    Some(match error.kind() {
        // Nothing can be decoded without the header.
        ErrorKind::Corrupt if error.offset() == Some(0) => "get another copy of the archive",
        ErrorKind::Corrupt => "get another copy of the archive, or save what is undamaged with --keep-going",
        ErrorKind::Truncated => "get a complete copy of the archive, or save what is there with --keep-going",
        ErrorKind::Unsupported => "use the version of nzip that wrote it",
        ErrorKind::MemoryLimit => {
            "raise the limit with -M; when compressing, a smaller --block-size or level needs less"
        }
        ErrorKind::OutputLimit => "raise the limit with --max-output if you trust the archive",
        ErrorKind::Internal => "please report this with the input, if it can be shared",
        _ => return None,
    })
}
