//! The program, run in folders of its own.
#![allow(dead_code, reason = "each test program uses its part")]

use std::fs;
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use tempfile::TempDir;

use crate::common::{Kind, content};

/// A folder of its own, and the program run in it.
pub struct Shell(TempDir);

/// Standard output, and everything said with the exit code before it.
pub struct Run {
    pub stdout: Vec<u8>,
    pub said: String,
    pub code: i32,
}

impl Shell {
    pub fn new() -> Self {
        let shell = Shell(tempfile::tempdir().unwrap());
        shell.write("text", &content(Kind::Text, 3000, 1));
        shell
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path(name), content).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// The files in the folder, in order.
    pub fn files(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(self.0.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(cargo_bin!("nzip"));
        command.args(line.split_whitespace()).current_dir(self.0.path());
        // Defaults of options may be set where the tests run.
        for name in ["NZIP_LEVEL", "NZIP_THREADS", "NZIP_MODEL", "NZIP_DEVICE", "NZIP_PRIOR_PATH"] {
            command.env_remove(name);
        }
        command
    }

    /// A shell script in the folder; $NZIP is the program.
    pub fn shell_command(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).env("NZIP", cargo_bin!("nzip")).current_dir(self.0.path());
        command
    }

    /// Runs a shell script; $NZIP is the program.
    pub fn sh(&self, script: &str) -> Run {
        run(self.shell_command(script), b"")
    }

    pub fn run(&self, line: &str) -> Run {
        self.feed(line, b"")
    }

    pub fn feed(&self, line: &str, stdin: &[u8]) -> Run {
        run(self.command(line), stdin)
    }
}

fn run(command: Command, stdin: &[u8]) -> Run {
    let output = assert_cmd::Command::from_std(command).write_stdin(stdin).output().unwrap();
    let code = output.status.code().unwrap();
    let said = format!("exit code {code}\n{}", String::from_utf8(output.stderr).unwrap());
    Run { stdout: output.stdout, said, code }
}
