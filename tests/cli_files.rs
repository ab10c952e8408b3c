//! What the program offers for everyday use: folders and lists of files, other names, the environment, completions.

#![cfg(feature = "cli")]

mod common;
#[path = "common/shell.rs"]
mod shell;

use std::fs;
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use shell::Shell;

#[test]
fn folders_there_and_back() {
    let shell = Shell::new();
    fs::create_dir_all(shell.path("in/deep")).unwrap();
    for name in ["in/a", "in/deep/b", "in/deep/c"] {
        shell.write(name, name.as_bytes());
    }
    let run = shell.run("c -1v -r in text");
    assert!(run.code == 0 && run.said.contains("\n4 files: 3022 -> "), "{}", run.said);
    let archives = ["in/a.nz", "in/deep/b.nz", "in/deep/c.nz", "text.nz"];
    assert!(archives.iter().all(|name| shell.path(name).exists()));
    assert_eq!(shell.run("c -1 -f -r in").code, 0);
    assert!(!shell.path("in/a.nz.nz").exists(), "archives are left out");
    assert_eq!(shell.run("t -r in").code, 0);
    fs::remove_file(shell.path("in/deep/b")).unwrap();
    assert_eq!(shell.run("d -f -r in --rm").code, 0);
    assert_eq!(shell.read("in/deep/b"), b"in/deep/b");
    assert!(!shell.path("in/a.nz").exists());
    let run = shell.run("c -r");
    assert!(run.code == 1 && run.said.contains("-r needs the name of a folder"), "{}", run.said);
    assert_eq!(shell.run("c -1 -r in -o one").code, 1, "three outputs don't go into one file");
}

#[test]
fn outputs_go_to_another_folder() {
    let shell = Shell::new();
    shell.write("other", b"two");
    assert_eq!(shell.run("c -1 --output-dir new/archives text other").code, 0);
    assert_eq!(shell.run("d --output-dir back new/archives/text.nz").code, 0);
    assert_eq!(shell.read("back/text"), shell.read("text"));
    assert!(shell.path("new/archives/other.nz").exists() && !shell.path("text.nz").exists());
    let run = shell.run("c -1 --output-dir new/archives text");
    assert!(run.code == 1 && run.said.contains("already exists"), "{}", run.said);
    let run = shell.run("c -1 --output-dir text/archives text");
    assert!(run.code == 1 && run.said.contains("folder text/archives"), "{}", run.said);
    assert_eq!(shell.run("c -1 -c --output-dir new text").code, 1);
}

#[test]
fn lists_of_files() {
    let shell = Shell::new();
    shell.write("two words", b"two");
    shell.write("list", b"text\0two words\0");
    assert_eq!(shell.run("c -1 --files0-from list").code, 0);
    assert!(shell.path("text.nz").exists() && shell.path("two words.nz").exists());
    let run = shell.feed("d -c --files0-from -", b"two words.nz\0");
    assert_eq!(run.stdout, b"two");
    let run = shell.feed("c --files0-from -", b"");
    assert!(run.code == 0 && run.stdout.is_empty(), "an empty list is no request to read standard input");
    let run = shell.run("c --files0-from missing");
    assert!(run.code == 1 && run.said.contains("missing: No such file"), "{}", run.said);
}

#[test]
fn the_environment_gives_defaults() {
    let shell = Shell::new();
    let with = |name: &str, value: &str, line: &str| shell.command(line).env(name, value).output().unwrap();
    let [fast, full] = ["c -1 -c text", "c -2 -c text"].map(|line| shell.run(line).stdout);
    assert_eq!(with("NZIP_LEVEL", "1", "c -c text").stdout, fast);
    assert_eq!(with("NZIP_LEVEL", "1", "c -2 -c text").stdout, full, "options come first");
    for value in ["0", "10", "best", ""] {
        let output = with("NZIP_LEVEL", value, "c -c text");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && said.contains("levels are 1 to 9"), "{said}");
    }
    assert_eq!(with("NZIP_THREADS", "2", "c -1 -c text").stdout, fast);
    assert_eq!(with("NZIP_THREADS", "x", "c -1 -c text").status.code(), Some(1));
    assert_eq!(with("NZIP_MODEL", "nowhere", "c -1 -c text").stdout, fast, "level 1 uses none");
    assert_eq!(with("NZIP_MODEL", "nowhere", "c -6 -c text").status.code(), Some(4));
    assert!(with("NZIP_MODEL", "nowhere", "c -1 --verify text").status.success());
    assert!(with("NZIP_MODEL", "nowhere", "t text.nz").status.success(), "it needs no model");
    assert!(with("NZIP_MODEL", "nowhere", "explain -q text.nz").status.success());
    assert_eq!(with("NZIP_MODEL", "nowhere", "d --range 3..5 text.nz").stdout, shell.read("text")[3..5]);
    assert_eq!(with("NZIP_DEVICE", "toaster", "c -1 -c text").status.code(), Some(1));
}

#[cfg(unix)]
#[test]
fn other_names_are_other_verbs() {
    let shell = Shell::new();
    for name in ["unnzip", "nzcat"] {
        std::os::unix::fs::symlink(cargo_bin!("nzip"), shell.path(name)).unwrap();
    }
    let text = shell.read("text");
    shell.run("c -1 --rm text");
    let run = |name: &str| Command::new(shell.path(name)).arg("text.nz").current_dir(shell.path("")).output().unwrap();
    assert_eq!(run("nzcat").stdout, text);
    assert!(run("unnzip").status.success());
    assert_eq!(shell.read("text"), text);
}

/// What tar and its users call: the program as a filter, with options in its name.
#[cfg(unix)]
#[test]
fn tar_uses_it() {
    let shell = Shell::new();
    shell.write("other", b"other");
    let run = shell.sh(r#"tar -I "$NZIP -1" -cf both.tar.nz text other && rm other && tar -I "$NZIP" -xf both.tar.nz"#);
    assert_eq!(run.code, 0, "{}", run.said);
    assert_eq!(shell.read("other"), b"other");
    assert_eq!(shell.run("t both.tar.nz").code, 0);
}

#[test]
fn completions_and_manual_pages() {
    let shell = Shell::new();
    for name in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = String::from_utf8(shell.run(&format!("completions {name}")).stdout).unwrap();
        assert!(text.contains("nzip") && text.contains("files0-from"), "{name}");
    }
    let page = String::from_utf8(shell.run("man").stdout).unwrap();
    assert!(page.contains(".TH nzip 1") && page.contains("NZIP_LEVEL"), "{page}");
    assert_eq!(shell.run("man pages").code, 0);
    assert!(shell.path("pages/nzip.1").exists() && shell.path("pages/nzip-c.1").exists());
}

/// The entries for file(1) and for desktops name the bytes with which archives begin.
#[test]
fn magic_is_that_of_archives() {
    let archive = Shell::new().run("c -1 -c text").stdout;
    let magic: String = archive[..7]
        .iter()
        .map(|&byte| match byte {
            b'\r' => "\\r".into(),
            b'\n' => "\\n".into(),
            b' '..=b'~' => char::from(byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        })
        .collect();
    for file in ["contrib/nzip.magic", "contrib/nzip.xml"] {
        let text = fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(text.contains(&magic), "{file} lacks {magic}");
    }
}
