//! The code of programs, as the compressor sees it.

use nzip::internals::content::{Filter, Kind};
use object::{Architecture, Object, ObjectSection, SectionKind};
use std::collections::HashSet;
use std::path::Path;

/// The most code of a program, half from its start and half from its end, and of a package.
const PROGRAM_MAX: usize = 400_000;
const PACKAGE_MAX: usize = 2_500_000;
/// Less code is not worth it.
const PROGRAM_MIN: usize = 20_000;
/// Bytes of a program's head that come first: they say what it is.
const HEAD: usize = 1024;

/// Each package's programs, the largest first, in the order of their names.
pub fn read(dir: &str) -> Vec<Vec<Vec<u8>>> {
    let mut seen = HashSet::new();
    let packages = names(Path::new(dir)).into_iter().map(|package| {
        let mut programs: Vec<(usize, Vec<u8>)> = names(&package).iter().filter_map(|name| code(name)).collect();
        programs.sort_by(|a, b| b.0.cmp(&a.0));
        let mut left = PACKAGE_MAX;
        let mut kept = Vec::new();
        for (_, code) in programs {
            // Packages ship the same libraries.
            if code.len() <= left && seen.insert(code.clone()) {
                left -= code.len();
                kept.push(code);
            }
        }
        kept
    });
    packages.collect()
}

fn names(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).expect("the folder can be read");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry can be read").path()).collect();
    names.sort();
    names
}

/// How much code a program has, and its head and code with absolute addresses; `None` if it is not one of x86.
fn code(path: &Path) -> Option<(usize, Vec<u8>)> {
    let bytes = std::fs::read(path).ok()?;
    let program = object::File::parse(&bytes[..]).ok()?;
    if !matches!(program.architecture(), Architecture::I386 | Architecture::X86_64) {
        return None;
    }
    let sections = program.sections().filter(|section| section.kind() == SectionKind::Text);
    let code = sections.filter_map(|section| section.data().ok()).max_by_key(|data| data.len())?;
    if code.len() < PROGRAM_MIN {
        return None;
    }
    let half = code.len().min(PROGRAM_MAX) / 2;
    let plain = [&bytes[..HEAD], &code[..half], &code[code.len() - half..]].concat();
    Some((code.len(), Filter::choose(Kind::Code, &plain).1.unwrap_or(plain)))
}
