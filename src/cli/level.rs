//! The level flags `-1` to `-9`. The last one given is used.

use std::env;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use nzip::Level;

use super::stdio::printable;

/// The selected level, or the default.
#[derive(Clone, Copy, Debug)]
pub struct LevelArg(pub Level);

const IDS: [&str; 9] = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// Adds the flags `-1` to `-9`; `describe` completes each.
fn add_flags(command: Command, describe: impl Fn(char, Arg) -> Arg) -> Command {
    IDS.iter().zip('1'..).fold(command, |command, (id, digit)| {
        let flag = Arg::new(id).short(digit).action(ArgAction::SetTrue).help_heading("Level");
        command.arg(describe(digit, flag.display_order(digit as usize)))
    })
}

impl Args for LevelArg {
    fn augment_args(command: Command) -> Command {
        add_flags(command, |digit, flag| {
            let flag = flag.overrides_with_all(IDS);
            match digit {
                '1' => flag.long("fast").help("The fast ensemble: 1 to 2 MB/s a core"),
                '2' => flag.help("The full ensemble: smaller, 0.25 to 0.7 MB/s"),
                '4' => flag.help("With the embedded prior, which knows text; so are -3 and -5: 0.15 to 0.35 MB/s"),
                '6' => flag.help(
                    "The default: with the prior and the embedded transformer, several places of a file at a time: text at 6 to 30 KB/s, the rest as -4",
                ),
                '9' => flag
                    .long("best")
                    .help("The smallest there is: one place at a time, and the transformer learns from the text: 2 to 7 KB/s"),
                _ => flag.hide(true),
            }
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for LevelArg {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = (1..).zip(IDS).find(|(_, id)| matches.get_flag(id));
        match given {
            Some((number, _)) => Ok(LevelArg(Level::new(number).unwrap_or_default())),
            None => from_environment(),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The level in `NZIP_LEVEL`, or the default.
fn from_environment() -> Result<LevelArg, Error> {
    let Some(value) = env::var_os("NZIP_LEVEL") else { return Ok(LevelArg(Level::default())) };
    let level = value.to_str().and_then(|text| text.parse().ok()).and_then(|number| Level::new(number).ok());
    level.map(LevelArg).ok_or_else(|| {
        let text = format!("NZIP_LEVEL={}: levels are 1 to 9\n", printable(&value.display().to_string()));
        Error::raw(ErrorKind::InvalidValue, text)
    })
}

/// All levels that are given.
#[derive(Clone, Debug)]
pub struct LevelsArg(pub Vec<Level>);

impl Args for LevelsArg {
    fn augment_args(command: Command) -> Command {
        add_flags(command, |digit, flag| match digit {
            '1' => flag.help("Measure level 1, and so on; several may be given. The default is all"),
            _ => flag.hide(true),
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for LevelsArg {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = (1..).zip(IDS).filter(|(_, id)| matches.get_flag(id));
        Ok(LevelsArg(given.filter_map(|(number, _)| Level::new(number).ok()).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The level flags of verbs that decode: accepted, as gzip does, and without effect.
#[derive(Clone, Copy, Debug)]
pub struct IgnoredLevel;

impl Args for IgnoredLevel {
    fn augment_args(command: Command) -> Command {
        let names = IDS.iter().map(|id| id.to_string()).collect::<Vec<_>>();
        let command = LevelArg::augment_args(command);
        names.into_iter().fold(command, |command, id| command.mut_arg(id, |flag| flag.hide(true)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for IgnoredLevel {
    fn from_arg_matches(_: &ArgMatches) -> Result<Self, Error> {
        Ok(IgnoredLevel)
    }

    fn update_from_arg_matches(&mut self, _: &ArgMatches) -> Result<(), Error> {
        Ok(())
    }
}
