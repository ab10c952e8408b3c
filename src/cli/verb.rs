//! The verb of a command line that names none: `nzip FILE` is `nzip c FILE`, `nzip -9 -d FILE` is `nzip d -9 FILE`,
//! `unnzip FILE` is `nzip d FILE`, `nzcat FILE` is `nzip d -c FILE`.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use clap::Command;

/// Inserts the verb if it is implied or given as a flag, as gzip's users write it.
///
/// # Errors
/// A message if a level doesn't exist, or if an argument may be either a verb or a file.
pub fn insert_verb(args: Vec<OsString>, cli: &Command) -> Result<Vec<OsString>, String> {
    let first = args.get(1).and_then(|arg| arg.to_str()).unwrap_or_default().to_owned();
    let is_verb = first == "help"
        || cli
            .get_subcommands()
            .any(|verb| verb.get_name() == first || verb.get_all_aliases().any(|alias| alias == first));
    if matches!(first.as_str(), "-h" | "--help" | "-V" | "--version") {
        return Ok(args);
    }
    let (implied, alias) = match program(&args) {
        Some("unnzip") => (&["d"][..], true),
        Some("nzcat") => (&["d", "-c"][..], true),
        _ => (&["c"][..], false),
    };
    let mut args = args.into_iter();
    let mut line: Vec<OsString> = args.next().into_iter().collect();
    let flags = Flags::new(cli);
    if is_verb && !alias {
        if fs::metadata(&first).is_ok_and(|kind| kind.is_file()) {
            return Err(format!(
                "'{first}' is a verb, and there is a file of that name; write -- before the file, ./{first}, or a flag \
                 such as -d for the verb"
            ));
        }
        line.extend(args.next());
        let (_, rest) = flags.take_verb(args, false)?;
        line.extend(rest);
        return Ok(line);
    }
    let (verb, rest) = flags.take_verb(args, true)?;
    let verb = verb.as_ref().map_or(implied, std::slice::from_ref);
    let is_word = !first.is_empty() && first.chars().all(|c| c.is_ascii_alphanumeric());
    if verb == ["c"] && is_word && !Path::new(&first).exists() {
        return Err(format!("no verb or file '{first}'; to decompress: nzip d a.nz; for help: nzip --help"));
    }
    line.extend(verb.iter().map(OsString::from));
    line.extend(rest);
    Ok(line)
}

/// The name that the program was called by, without an extension.
fn program(args: &[OsString]) -> Option<&str> {
    Path::new(args.first()?).file_stem()?.to_str()
}

/// The options that take a value.
struct Flags {
    short: Vec<char>,
    long: Vec<String>,
}

impl Flags {
    fn new(cli: &Command) -> Self {
        let options =
            || cli.get_subcommands().flat_map(Command::get_arguments).filter(|arg| arg.get_action().takes_values());
        Flags {
            short: options().filter_map(clap::Arg::get_short).collect(),
            long: options().filter_map(|arg| arg.get_long().map(|name| format!("--{name}"))).collect(),
        }
    }

    /// Checks the levels among `args`. With `take`, also removes the flags that select a verb and returns the last one.
    fn take_verb(
        &self,
        args: impl Iterator<Item = OsString>,
        take: bool,
    ) -> Result<(Option<&'static str>, Vec<OsString>), String> {
        let mut verb = None;
        let mut rest = Vec::new();
        let mut args = args;
        while let Some(arg) = args.next() {
            let text = arg.to_str().unwrap_or_default();
            let long = match text {
                "--compress" => Some("c"),
                "--decompress" | "--uncompress" => Some("d"),
                "--test" => Some("t"),
                "--list" => Some("l"),
                _ => None,
            };
            if text == "--" {
                rest.push(arg);
                rest.extend(args);
                break;
            } else if let Some(found) = long.filter(|_| take) {
                verb = Some(found);
            } else if self.long.iter().any(|option| option == text) {
                rest.push(arg);
                rest.extend(args.next());
            } else if let Some(cluster) =
                text.strip_prefix('-').filter(|rest| !rest.is_empty() && !rest.starts_with('-'))
            {
                let (found, kept, takes_next) = self.split(cluster, take)?;
                verb = found.or(verb);
                if !kept.is_empty() {
                    rest.push(format!("-{kept}").into());
                }
                if takes_next {
                    rest.extend(args.next());
                }
            } else {
                rest.push(arg);
            }
        }
        Ok((verb, rest))
    }

    /// Splits a cluster of short flags into the verb in it and the others. True if the next argument is the value of
    /// the last one.
    fn split(&self, cluster: &str, take: bool) -> Result<(Option<&'static str>, String, bool), String> {
        let (mut verb, mut kept) = (None, String::new());
        let mut rest = cluster;
        while let Some(flag) = rest.chars().next() {
            if self.short.contains(&flag) {
                return Ok((verb, kept + rest, rest.chars().count() == 1));
            }
            if flag.is_ascii_digit() {
                let level = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
                if level.len() > 1 || level == "0" {
                    let nearest = if level.trim_start_matches('0').is_empty() { 1 } else { 9 };
                    return Err(format!("level {level}: levels are 1 to 9; use -{nearest}"));
                }
            }
            match flag {
                'd' if take => verb = Some("d"),
                't' if take => verb = Some("t"),
                'l' if take => verb = Some("l"),
                'z' if take => verb = Some("c"),
                _ => kept.push(flag),
            }
            rest = &rest[flag.len_utf8()..];
        }
        Ok((verb, kept, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::command;

    fn insert(line: &str) -> Result<String, String> {
        let args = insert_verb(line.split(' ').map(Into::into).collect(), &command())?;
        Ok(args.join(" ".as_ref()).into_string().unwrap())
    }

    #[test]
    fn verbs_are_understood() {
        for (line, meant) in [
            ("nzip", "nzip c"),
            ("nzip Cargo.toml", "nzip c Cargo.toml"),
            ("nzip -9k file", "nzip c -9k file"),
            ("nzip -d file", "nzip d file"),
            ("nzip -dkc file", "nzip d -kc file"),
            ("nzip -cd", "nzip d -c"),
            ("nzip -kd file", "nzip d -k file"),
            ("nzip -1 -d", "nzip d -1"),
            ("nzip --stdout --decompress a.nz", "nzip d --stdout a.nz"),
            ("nzip -o -d file.b", "nzip c -o -d file.b"),
            ("nzip --output -d file.b", "nzip c --output -d file.b"),
            ("nzip -fo -d file.b", "nzip c -fo -d file.b"),
            ("nzip -T2d file.b", "nzip c -T2d file.b"),
            ("nzip -- -d", "nzip c -- -d"),
            ("nzip --test file", "nzip t file"),
            ("nzip d file", "nzip d file"),
            ("nzip d -d file", "nzip d -d file"),
            ("nzip --help", "nzip --help"),
            ("/usr/bin/unnzip -k file", "/usr/bin/unnzip d -k file"),
            ("unnzip c", "unnzip d c"),
            ("unnzip -t file", "unnzip t file"),
            ("nzcat d", "nzcat d -c d"),
            ("nzcat.exe -T2 file", "nzcat.exe d -c -T2 file"),
        ] {
            assert_eq!(insert(line).as_deref(), Ok(meant));
        }
    }

    #[test]
    fn levels_are_single_digits() {
        for (line, message) in [
            ("nzip -22 file", "level 22: levels are 1 to 9; use -9"),
            ("nzip -c19 file", "level 19: levels are 1 to 9; use -9"),
            ("nzip c -10 file", "level 10: levels are 1 to 9; use -9"),
            ("nzip -0", "level 0: levels are 1 to 9; use -1"),
        ] {
            assert_eq!(insert(line), Err(message.into()));
        }
        assert!(insert("nzip -1 -5 -T20 file.b").is_ok());
    }

    #[test]
    fn mistyped_verbs_are_no_files() {
        assert!(insert("nzip extract a.txt").unwrap_err().starts_with("no verb or file 'extract'"));
        assert!(insert("nzip missing.txt").is_ok(), "reported with the other files");
    }
}
