//! Input and output: the program never reports success for lost output, never removes a source that it has not read as
//! it is, and leaves no temporary file behind.

#![cfg(all(feature = "cli", unix))]

mod common;
#[path = "common/shell.rs"]
mod shell;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Stdio};
use std::time::Duration;

use common::{Kind, content};
use shell::Shell;

/// Waits until `done`, at most for a minute.
fn wait_until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..6000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what}");
}

fn has_temp_file(shell: &Shell) -> bool {
    shell.files().iter().any(|name| name.starts_with(".nzip-"))
}

/// A compression of `name` that takes long enough to interfere with.
fn start(shell: &Shell, line: &str) -> Child {
    let child = shell.command(line).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("no temporary file", || has_temp_file(shell));
    child
}

#[test]
fn lost_output_is_an_error() {
    let shell = Shell::new();
    shell.run("c -1 text");
    for script in [
        "$NZIP c -1 -c text >&-",
        "$NZIP c -1 -c text 1<text",
        "$NZIP c -1 -c text >/dev/full",
        "$NZIP d -c text.nz >&-",
        "$NZIP d -c text.nz >/dev/full",
        "$NZIP l text.nz >&-",
        "$NZIP l text.nz >/dev/full",
        "$NZIP c -1 -o out.nz - <&-",
        "$NZIP c -1 -o out.nz - 0>scratch",
    ] {
        let run = shell.sh(script);
        assert!(run.code == 1 && run.said.contains("standard"), "{script}: {}", run.said);
        let _ = fs::remove_file(shell.path("scratch"));
    }
    assert!(shell.sh("$NZIP c -1 -c text >/dev/full").said.contains("standard output: No space left on device"));
    assert_eq!(shell.files(), ["text", "text.nz"]);
}

#[test]
fn messages_that_cannot_be_printed_stop_nothing() {
    let shell = Shell::new();
    for stderr in ["2>/dev/full", "2>&-"] {
        assert_eq!(shell.sh(&format!("$NZIP c -1 -f missing text {stderr}")).code, 1, "{stderr}");
        assert_eq!(shell.files(), ["text", "text.nz"]);
    }
}

#[test]
fn a_reader_that_goes_away_is_a_broken_pipe() {
    let shell = Shell::new();
    shell.write("long", &content(Kind::Run, 400_000, 1));
    shell.run("c -1 long");
    let mut child = shell.command("d -c long.nz").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.signal(), output.stderr.as_slice()), (Some(13), &b""[..]));
    let ignoring = "trap '' PIPE; { $NZIP d -c long.nz; echo $? >code; } | head -c 5 >/dev/null; cat code";
    assert_eq!(shell.sh(ignoring).stdout, b"1\n");
    let into_fifo = "mkfifo p; head -c 5 p >/dev/null & $NZIP d -f -o p long.nz; echo $?";
    assert_eq!(shell.sh(into_fifo).stdout, b"141\n");
}

#[test]
fn signals_end_the_program_in_their_way() {
    for (name, number) in [("INT", 2), ("TERM", 15), ("HUP", 1), ("ALRM", 14), ("XCPU", 24)] {
        let shell = Shell::new();
        let mut child = shell.command("c -o out.nz -").stdin(Stdio::piped()).spawn().unwrap();
        wait_until("no temporary file", || has_temp_file(&shell));
        assert_eq!(shell.sh(&format!("kill -{name} {}", child.id())).code, 0);
        // Waiting would close it.
        let _input = child.stdin.take();
        assert_eq!(child.wait().unwrap().signal(), Some(number), "{name}");
        assert_eq!(shell.files(), ["text"]);
    }
}

#[test]
fn ignored_signals_stay_ignored() {
    let shell = Shell::new();
    let mut command = shell.shell_command("trap '' HUP INT; exec $NZIP c -1 -o out.nz -");
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    wait_until("no temporary file", || has_temp_file(&shell));
    assert_eq!(shell.sh(&format!("kill -HUP {0}; kill -INT {0}", child.id())).code, 0);
    child.stdin.take().unwrap().write_all(b"tub").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(shell.run("d -c out.nz").stdout, b"tub");
}

#[test]
fn a_file_size_limit_is_an_error() {
    let shell = Shell::new();
    shell.write("noise", &content(Kind::Random, 100_000, 1));
    let run = shell.sh("ulimit -f 1; $NZIP c -1 noise");
    assert!(run.code == 1 && run.said.contains("File too large"), "{}", run.said);
    assert_eq!(shell.files(), ["noise", "text"]);
}

#[test]
fn a_source_that_changed_is_kept() {
    type Change = fn(&Shell);
    let changes: [(&str, Change); 3] = [
        ("appended", |shell| {
            let mut file = fs::File::options().append(true).open(shell.path("source")).unwrap();
            file.write_all(b"more").unwrap();
        }),
        ("replaced", |shell| {
            shell.write("other", &shell.read("source"));
            fs::rename(shell.path("other"), shell.path("source")).unwrap();
        }),
        ("edited, its time put back", |shell| {
            let time = fs::metadata(shell.path("source")).unwrap().modified().unwrap();
            let mut bytes = shell.read("source");
            bytes[0] ^= 1;
            shell.write("source", &bytes);
            fs::File::options().append(true).open(shell.path("source")).unwrap().set_modified(time).unwrap();
        }),
    ];
    for (what, change) in changes {
        let shell = Shell::new();
        shell.write("source", &content(Kind::Random, 100_000, 1));
        let child = start(&shell, "c --rm -2 source");
        // The source is read at once, and then coded.
        std::thread::sleep(Duration::from_millis(100));
        change(&shell);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains("kept"), "{what}: {said}");
        assert_eq!(shell.files(), ["source", "source.nz", "text"], "{what}");
    }
}

#[test]
fn nothing_is_removed_for_output_that_is_no_file() {
    let shell = Shell::new();
    for line in ["c --rm -f -o /dev/null text", "c --rm -f -o p text"] {
        let run = shell.sh(&format!("mkfifo p 2>/dev/null; timeout 20 $NZIP {line}"));
        assert!(run.code == 1 && run.said.contains("--rm needs a regular output file"), "{}", run.said);
    }
    assert_eq!(shell.files(), ["p", "text"]);
}

#[test]
fn a_file_that_changes_while_it_is_read_makes_a_valid_archive() {
    let changes: [fn(&fs::File); 2] =
        [|mut file| file.write_all(&content(Kind::Random, 100_000, 2)).unwrap(), |file| file.set_len(100_000).unwrap()];
    for (i, change) in changes.into_iter().enumerate() {
        let shell = Shell::new();
        let before = content(Kind::Random, 500_000, 1);
        shell.write("source", &before);
        let out = fs::File::create(shell.path("out.nz")).unwrap();
        let mut command = shell.command("c -c -1 -T1 --block-size 64K source");
        let child = command.stdout(out).stderr(Stdio::piped()).spawn().unwrap();
        wait_until("no block", || !shell.read("out.nz").is_empty());
        change(&fs::File::options().append(true).open(shell.path("source")).unwrap());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains("changed while it was read"), "{i}: {said}");
        let archived = shell.run("d -c out.nz");
        assert_eq!(archived.code, 0, "{}", archived.said);
        let len = archived.stdout.len().min(before.len());
        assert!(len >= 65536 && archived.stdout[..len] == before[..len]);
    }
}

#[test]
fn files_that_misreport_their_length() {
    let shell = Shell::new();
    for file in ["/proc/self/status", "/sys/kernel/mm/transparent_hugepage/enabled"] {
        if fs::metadata(file).is_ok() {
            let run = shell.run(&format!("c -1 -c {file}"));
            assert_eq!(run.said, "exit code 0\n", "{file}");
            assert!(!shell.feed("d", &run.stdout).stdout.is_empty());
        }
    }
}

#[test]
fn output_without_a_regular_input_gets_the_usual_mode() {
    let shell = Shell::new();
    let mode = |name: &str| fs::metadata(shell.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(shell.sh("umask 027; TMPDIR=/nonexistent $NZIP c -1 -o piped.nz - <text").said, "exit code 0\n");
    assert_eq!(mode("piped.nz"), 0o640);
    let run = shell.sh("umask 077; mkfifo p; cat text >p & timeout 20 $NZIP c -1 -o fifo.nz p");
    assert_eq!((run.code, mode("fifo.nz")), (0, 0o600), "{}", run.said);
}

#[test]
fn owner_and_group_are_kept() {
    let shell = Shell::new();
    fs::set_permissions(shell.path("text"), fs::Permissions::from_mode(0o664)).unwrap();
    if chown(shell.path("text"), Some(1), Some(2)).is_err() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    shell.run("c -1 text");
    let metadata = fs::metadata(shell.path("text.nz")).unwrap();
    assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o777), (1, 2, 0o664));
    // Another user, who is no member of the group, may give the group no more than everyone has.
    fs::set_permissions(shell.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    let Ok(status) = shell.command("c -1 -o other.nz text").uid(65534).gid(65534).status() else {
        eprintln!("skipped: the program can't be run by another user");
        return;
    };
    assert!(status.success());
    let metadata = fs::metadata(shell.path("other.nz")).unwrap();
    assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o777), (65534, 65534, 0o644));
}

#[test]
fn a_system_without_threads_is_only_slower() {
    let shell = Shell::new();
    let expected = shell.run("c -4 -c text").stdout;
    fs::set_permissions(shell.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = shell.shell_command("ulimit -u 1; exec $NZIP c -4 -T4 -c text");
    if fs::metadata(shell.path("text")).unwrap().uid() == 0 {
        // The limit doesn't apply to root.
        command.uid(65533).gid(65533);
    }
    match command.output() {
        Ok(output) => assert_eq!(output.stdout, expected, "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => eprintln!("skipped: the program can't be run by another user: {error}"),
    }
}

#[test]
fn little_memory_is_an_error() {
    let shell = Shell::new();
    for level in [1, 2, 4, 6] {
        assert_eq!(shell.sh(&format!("$NZIP c -{level} -f text")).code, 0);
        for kib in [60_000, 120_000, 200_000] {
            // Whatever is allowed, the system's own limit holds.
            for verb in
                [format!("c -{level} -c text"), format!("c -M 2G -{level} -c text"), "d -M 2G -c text.nz".into()]
            {
                let run = shell.sh(&format!("ulimit -v {kib}; $NZIP {verb} >out"));
                assert!(run.code == 0 || run.code == 5, "{verb}, {kib} KiB: {}", run.said);
            }
        }
    }
}

#[test]
fn pipes_as_input_are_read_once() {
    let shell = Shell::new();
    shell.run("c -1 text");
    let text = shell.read("text");
    for (line, code) in [("t p", 0), ("d -c p", 0), ("l p", 1)] {
        let run = shell.sh(&format!(
            "rm -f p; mkfifo p; (timeout 20 sh -c 'cat text.nz >p' >/dev/null 2>&1 &) ; timeout 20 $NZIP {line}"
        ));
        assert_eq!(run.code, code, "{line}: {}", run.said);
        assert!(line != "d -c p" || run.stdout == text);
    }
}

#[test]
fn names_too_long_are_noticed_before_the_work() {
    let shell = Shell::new();
    let name = "x".repeat(253);
    shell.write(&name, b"tub");
    let run = shell.run(&format!("c {name}"));
    assert!(run.code == 1 && run.said.contains("File name too long"), "{}", run.said);
    assert_eq!(shell.files(), ["text", &name]);
}

#[test]
fn names_do_not_reach_the_terminal_raw() {
    let shell = Shell::new();
    let name = "evil\x1B[31m\u{202E}\nname";
    shell.write(name, b"tub");
    for line in [&["d", name][..], &["t", name], &["l", name], &["c", "-v", name], &[name, "--bad-option"]] {
        let output = shell.command("").args(line).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(!said.contains(&0x1B), "{line:?}: {}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn zeros_become_holes() {
    let shell = Shell::new();
    let data = content(Kind::Random, 5000, 1);
    let bytes = [&data[..], &[0; 1 << 20], &data, &[0; 300_000]].concat();
    shell.write("sparse", &bytes);
    shell.run("c -1 sparse");
    assert_eq!(shell.run("d -o back sparse.nz").code, 0);
    assert_eq!(shell.read("back"), bytes);
    let metadata = fs::metadata(shell.path("back")).unwrap();
    let whole = fs::metadata(shell.path("sparse")).unwrap();
    assert!(metadata.blocks() < whole.blocks() / 4, "{} blocks of {}", metadata.blocks(), whole.blocks());
}

#[test]
fn archives_are_verified() {
    let shell = Shell::new();
    assert_eq!(shell.run("c -1 --verify text").said, "exit code 0\n");
    assert_eq!(shell.run("d -c text.nz").stdout, shell.read("text"));
    assert_eq!(shell.run("c -4 -f --verify text").said, "exit code 0\n");
    assert_eq!(shell.run("c -4 -f --no-verify text").said, "exit code 0\n");
    assert_eq!(shell.run("c -1 --verify -c text").stdout, shell.run("c -1 -c text").stdout);
    // The unfinished archive is damaged while the program writes it.
    shell.write("source", &content(Kind::Random, 600_000, 1));
    let child = start(&shell, "c --verify -1 -T1 --block-size 64K source");
    let temp = || shell.files().into_iter().find(|name| name.starts_with(".nzip-")).unwrap();
    wait_until("no block", || shell.read(&temp()).len() > 1000);
    let file = fs::File::options().write(true).open(shell.path(&temp())).unwrap();
    std::os::unix::fs::FileExt::write_at(&file, b"damage", 500).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(3) && said.contains("verification failed"), "{said}");
    assert_eq!(shell.files(), ["source", "text", "text.nz"]);
}
