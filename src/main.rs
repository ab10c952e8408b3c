//! The `nzip` program. See [`cli`].

// Both panic if the stream can't be written; see `cli::stdio`.
#![deny(clippy::print_stderr, clippy::print_stdout)]
#![deny(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
