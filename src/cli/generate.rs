//! `nzip completions` and `nzip man`

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use super::exit::{Outcome, report};
use super::files::Input;

/// Prints the completions of `command` for `shell`.
pub fn completions(mut command: Command, shell: Shell) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, "nzip", &mut text);
    super::print(&String::from_utf8_lossy(&text))
}

/// Prints the manual page of `command`, or writes it and those of all verbs into `folder`.
pub fn man(command: Command, folder: Option<&Path>) -> Outcome {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        return match Man::new(command).render(&mut page) {
            Ok(()) => super::print(&String::from_utf8_lossy(&page)),
            Err(error) => report(None, &error.into(), false),
        };
    };
    match write(command, folder).with_context(|| Input::File(folder.to_owned()).to_string()) {
        Ok(()) => Outcome::Done,
        Err(error) => report(None, &error, false),
    }
}

fn write(command: Command, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command, folder)?;
    Ok(())
}
