//! What the program does and says. Snapshots are in tests/snapshots; `INSTA_UPDATE=always cargo test --test cli` makes
//! them anew.

#![cfg(feature = "cli")]

mod common;
#[path = "common/shell.rs"]
mod shell;

use std::fs;
use std::path::Path;

use common::{Kind, content, forge};
use shell::Shell;

#[test]
fn there_and_back_keeps_content_mode_and_time() {
    let shell = Shell::new();
    let file = fs::File::options().append(true).open(shell.path("text")).unwrap();
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    file.set_modified(long_ago).unwrap();
    set_mode(&shell.path("text"), 0o640);
    let before = shell.read("text");

    assert_eq!(shell.run("c text").said, "exit code 0\n");
    assert_eq!(shell.files(), ["text", "text.nz"]);
    fs::remove_file(shell.path("text")).unwrap();
    assert_eq!(shell.run("d text.nz").said, "exit code 0\n");
    assert_eq!(shell.read("text"), before);
    for name in ["text", "text.nz"] {
        let metadata = fs::metadata(shell.path(name)).unwrap();
        assert_eq!(metadata.modified().unwrap(), long_ago, "{name}");
        assert_eq!(mode(&shell.path(name)), 0o640, "{name}");
    }
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn streams_and_spellings() {
    let shell = Shell::new();
    let text = shell.read("text");
    let archive = shell.feed("", &text).stdout;
    for line in ["c", "c -", "compress", "-c", "-6", "c -T2 --progress never", "--block-size 1M -c"] {
        let made = shell.feed(line, &text).stdout;
        assert_eq!(shell.feed("d", &made).stdout, text, "nzip {line}");
    }
    for line in [
        "-1 -d",
        "-cd",
        "-kd",
        "-fd",
        "--stdout --decompress",
        "d -9",
        "d",
        "-d",
        "decompress",
        "--decompress",
        "-dc",
        "d -c -",
        "d -o -",
    ] {
        assert_eq!(shell.feed(line, &archive).stdout, text, "nzip {line}");
    }
    for line in ["t", "-t", "test", "--test", "t -"] {
        let run = shell.feed(line, &archive);
        assert!(run.code == 0 && run.stdout.is_empty(), "nzip {line}");
    }
    assert_eq!(shell.run("c -c text").stdout, archive);
    shell.run("text");
    assert_eq!(shell.read("text.nz"), archive);
    shell.run("d text.nz -o other");
    assert_eq!(shell.read("other"), text);
}

#[test]
fn levels_say_what_they_are() {
    let shell = Shell::new();
    let made = |line: &str| shell.run(line).stdout;
    let [fast, full, primed, neural, best] =
        ["-1", "-2", "-3", "-6", "-9"].map(|level| made(&format!("c -c {level} text")));
    assert!(fast != full && primed != full && neural != primed && best != neural);
    for (line, same) in [
        ("c -c --fast text", &fast),
        ("c -c text", &neural),
        ("c -c -1 -5 text", &primed),
        ("c -1c -3 text", &primed),
        ("c -c -7 text", &neural),
        ("c -c --best text", &best),
    ] {
        assert_eq!(made(line), *same, "nzip {line}");
    }
}

/// The kernels' scalar definitions and the machine's own instructions make the same bytes.
#[test]
fn forced_scalar_changes_nothing() {
    let shell = Shell::new();
    shell.write("mixed", &content(Kind::Mixed, 20_000, 5));
    for (level, file) in [1, 2, 6, 9].into_iter().flat_map(|level| [(level, "text"), (level, "mixed")]) {
        let line = format!("c -c -{level} {file}");
        let forced = shell.command(&line).env("NZIP_FORCE_SCALAR", "1").output().unwrap();
        assert!(forced.status.success() && forced.stdout == shell.run(&line).stdout, "nzip {line}");
    }
}

#[test]
fn refusals() {
    let shell = Shell::new();
    shell.run("c text");
    fs::create_dir(shell.path("folder")).unwrap();
    shell.write("there", b"already");
    shell.write("foreign.nz", b"PK not one of ours");
    shell.write("empty.nz", b"");
    shell.write("gzip.nz", b"\x1F\x8B\x08\0 and so on");
    let mut said = String::new();
    for line in [
        "c text",
        "c missing",
        "c folder",
        "c text.nz",
        "d text",
        "d foreign.nz",
        "d empty.nz",
        "d text.nz -o there",
        "d text.nz -o folder",
        "d text.nz -o nowhere/out",
        "c text -f -o text",
        "c --rm -c text",
        "c text --block-size 1K",
        "c -c text -M 1M",
        "d text.nz -c --max-output 2999",
        "d text.nz -c -M lots",
        "l -",
        "frobnicate --now",
        "extract text",
        "c --now",
        "-22 text",
        "c -c text -M 10",
        "c -c text -T x",
        "c -c text --block-size 2G",
        "c -c -6 text --lanes 3",
        "c -c -2 text --lanes 2",
        "d gzip.nz",
    ] {
        let run = shell.run(line);
        assert!(run.code != 0 && run.stdout.is_empty(), "nzip {line}");
        said += &format!("$ nzip {line}\n{}\n", run.said);
    }
    assert_eq!(shell.files(), ["empty.nz", "folder", "foreign.nz", "gzip.nz", "text", "text.nz", "there"]);
    assert_eq!(shell.read("there"), b"already");
    // How much memory a model takes is the models' business.
    insta::with_settings!({filters => vec![(r"needs \d+ MiB", "needs [N] MiB")]}, { insta::assert_snapshot!(said) });
}

#[test]
fn damage_is_named() {
    let shell = Shell::new();
    let block = |number, text: &[u8]| forge::stored_after(b"tale ", number, text);
    let mut archive = forge::header(forge::BLOCK_64_KIB, None);
    let starts = [archive.len() as u64, archive.len() as u64 + 12 + 5];
    archive.extend([block(0, b"tale "), block(1, b"tub")].concat());
    archive.extend(forge::index(&[(starts[0], 5), (starts[1], 3)], archive.len() as u64));
    archive.extend(forge::end(b"tale tub"));
    shell.write("whole.nz", &archive);
    let damaged = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut archive = archive.clone();
        change(&mut archive);
        archive
    };
    shell.write("block.nz", &damaged(&|a| a[29] ^= 1));
    shell.write("head.nz", &damaged(&|a| a[20] ^= 1));
    shell.write("header.nz", &damaged(&|a| a[12] ^= 1));
    shell.write("garbage.nz", &damaged(&|a| a.extend(b"garbage")));
    shell.write("short.nz", &damaged(&|a| a.truncate(a.len() - 40)));
    shell.write("text-mode.nz", &damaged(&|a| a.retain(|&byte| byte != b'\r')));
    shell.write("version.nz", &damaged(&|a| a[7] = nzip::FORMAT_VERSION + 1));
    let mut said = String::new();
    for name in ["whole", "block", "head", "header", "garbage", "short", "text-mode", "version"] {
        for line in ["t", "d -c --keep-going"] {
            let run = shell.run(&format!("{line} {name}.nz"));
            let stdout = String::from_utf8(run.stdout).unwrap();
            said += &format!("$ nzip {line} {name}.nz\n{}output {stdout:?}\n\n", run.said);
        }
    }
    insta::assert_snapshot!(said);
}

#[test]
fn nothing_half_done_stays() {
    let shell = Shell::new();
    shell.run("c text");
    let mut archive = shell.read("text.nz");
    let at = archive.len() - 8;
    archive[at] ^= 1;
    shell.write("bad.nz", &archive);
    assert_eq!(shell.run("d bad.nz").code, 2);
    assert_eq!(shell.run("d --rm --keep-going bad.nz").code, 2);
    assert_eq!(shell.files(), ["bad", "bad.nz", "text", "text.nz"], "what could not be decoded is kept");
}

#[test]
fn a_file_named_like_a_verb_is_not_taken_for_one() {
    let shell = Shell::new();
    shell.write("d", b"tub");
    let run = shell.run("d text");
    assert!(run.code == 1 && run.said.contains("'d' is a verb, and there is a file of that name"), "{}", run.said);
    assert_eq!(shell.files(), ["d", "text"]);
    assert_eq!(shell.run("c -1 d text").code, 0);
    assert_eq!(shell.files(), ["d", "d.nz", "text", "text.nz"]);
}

#[test]
fn limits_are_checked_over_all_archives_of_a_file() {
    let shell = Shell::new();
    shell.write("two.nz", &[forge::header(0, None), forge::stored(b"tub"), forge::end(b"tub")].concat().repeat(2));
    let run = shell.run("d -c --max-output 5 two.nz");
    assert!(run.code == 5 && run.stdout.is_empty(), "{}", run.said);
    assert_eq!(shell.run("d -c --max-output 6 two.nz").stdout, b"tubtub");
}

#[test]
fn several_files_and_the_worst_exit_code() {
    let shell = Shell::new();
    shell.write("other", b"other");
    let run = shell.run("c text missing other");
    assert_eq!(run.code, 1);
    assert_eq!(shell.files(), ["other", "other.nz", "text", "text.nz"]);
    shell.write("bad.nz", b"bad");
    assert_eq!(shell.run("t text.nz bad.nz missing.nz other.nz").code, 2);
    let both = shell.run("d -c text.nz other.nz").stdout;
    assert_eq!(both, [shell.read("text"), b"other".to_vec()].concat());
    assert_eq!(shell.run("c -o out text other").code, 1, "two outputs don't go into one file");
}

#[test]
fn rm_removes_what_is_safely_elsewhere() {
    let shell = Shell::new();
    let text = shell.read("text");
    assert_eq!(shell.run("c --rm text").code, 0);
    assert_eq!(shell.files(), ["text.nz"]);
    assert_eq!(shell.run("d --rm text.nz").code, 0);
    assert_eq!(shell.files(), ["text"]);
    assert_eq!(shell.read("text"), text);
    assert_eq!(shell.run("c --rm -k text").code, 0);
    assert_eq!(shell.files(), ["text", "text.nz"]);
    assert_eq!(shell.run("c -f text").code, 0);
}

#[cfg(unix)]
#[test]
fn links_and_special_files() {
    let shell = Shell::new();
    std::os::unix::fs::symlink("text", shell.path("link")).unwrap();
    assert_eq!(shell.run("c link").code, 0);
    assert_eq!(shell.run("d -c link.nz").stdout, shell.read("text"));
    assert!(shell.run("c --rm -f link").said.contains("symbolic link"));
    assert_eq!(shell.files(), ["link", "link.nz", "text"]);
    assert!(shell.run("c /dev/null").said.contains("not a regular file"));
    if Path::new("/proc/self/status").exists() {
        assert_eq!(shell.run("c -c /proc/self/status").code, 0, "a file that claims to be empty");
    }
    let empty = shell.run("c -c /dev/null");
    assert_eq!(shell.feed("d", &empty.stdout).stdout, b"");
    assert_eq!(shell.run("d link.nz -o /dev/null").code, 0);
}

#[test]
fn lists() {
    let shell = Shell::new();
    let noise = content(Kind::Random, 150_000, 1);
    let archive = shell.feed("c -1 --block-size 64K", &noise).stdout;
    shell.write("noise.nz", &archive);
    shell.write("two.nz", &[forge::header(0, None), forge::stored(b"tub"), forge::end(b"tub")].concat().repeat(2));
    let table = String::from_utf8(shell.run("l noise.nz two.nz").stdout).unwrap();
    let json = String::from_utf8(shell.run("l --json two.nz").stdout).unwrap();
    insta::assert_snapshot!(format!("{table}\n{json}"));
    assert_eq!(shell.run("l text").code, 2);
}

#[test]
fn quick_bench_measures_each_level() {
    let shell = Shell::new();
    let json: serde_json::Value = serde_json::from_slice(&shell.run("bench --quick --json").stdout).unwrap();
    let rows = json.as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["level"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 4, 6, 9]);
    for key in ["content_bytes", "compress_kb_per_s", "decompress_1_mb_seconds"] {
        assert!(rows.iter().all(|row| row[key].as_f64().unwrap() > 0.0), "{key}");
    }
    assert_eq!(shell.run("bench --quick text").code, 1);
}

#[test]
fn ranges() {
    let shell = Shell::new();
    let noise = content(Kind::Random, 150_000, 1);
    shell.write("noise.nz", &shell.feed("c -1 --block-size 64K", &noise).stdout);
    shell.run("c -1 text");
    let text = shell.read("text");
    for (range, bytes) in
        [("..10", &noise[..10]), ("65530..65600", &noise[65530..65600]), ("149990..", &noise[149_990..])]
    {
        assert_eq!(shell.run(&format!("d --range {range} noise.nz")).stdout, bytes, "{range}");
    }
    assert_eq!(shell.run("d -T2 --range 1..150000 noise.nz").stdout, noise[1..]);
    assert_eq!(shell.run("d --range 5..5 noise.nz").said, "exit code 0\n");
    assert_eq!(shell.run("d --range 64K..64K noise.nz -o part").code, 0);
    assert_eq!(shell.read("part"), b"");
    assert_eq!(shell.run("d --range 3..5 noise.nz -o part").said.lines().next(), Some("exit code 1"), "no -f");
    assert_eq!(shell.run("d -f --range 3..5 noise.nz -o part").code, 0);
    assert_eq!(shell.read("part"), noise[3..5]);
    assert_eq!(shell.sh("$NZIP d --range 7..9 < noise.nz").stdout, noise[7..9]);

    assert_eq!(shell.run("cat text.nz noise.nz").stdout, [&text[..], &noise].concat());
    assert_eq!(shell.run("cat --range ..2 text.nz noise.nz").stdout, [&text[..2], &noise[..2]].concat());
    assert_eq!(shell.sh("$NZIP cat < text.nz").stdout, text);
    let listed = String::from_utf8(shell.run("l -v noise.nz text.nz").stdout).unwrap();
    assert!(listed.contains("up to 65536 bytes a block\n"), "{listed}");
    assert!(listed.contains("up to 3000 bytes a block; a smaller --block-size"), "{listed}");

    let mut said = String::new();
    for script in [
        "$NZIP d --range 3000..3001 text.nz",
        "$NZIP d --range 4000.. text.nz",
        "$NZIP d --range 9..3 text.nz",
        "$NZIP d --range 9 text.nz",
        "$NZIP d --range 0..9 --max-output 8 text.nz",
        "$NZIP d --rm --range 0..9 text.nz",
        "cat text.nz | $NZIP d --range 0..9",
        "head -c 100 text.nz > cut.nz; $NZIP d --range 0..9 cut.nz",
        "$NZIP d --range 0..9 text",
    ] {
        let run = shell.sh(script);
        assert!(run.stdout.is_empty(), "{script}");
        said += &format!("{script}\n{}", run.said);
    }
    insta::assert_snapshot!(said);
}

#[test]
fn summaries_and_progress_go_to_standard_error() {
    let shell = Shell::new();
    let run = shell.run("c -v --progress always text");
    assert!(run.said.contains("text: 3000 -> "), "{}", run.said);
    assert!(run.said.contains("bits per byte") && run.stdout.is_empty());
    assert!(shell.run("t -vv text.nz").said.contains("bits per byte"));
    assert_eq!(shell.run("t -qv text.nz").said, "exit code 0\n");
    assert_eq!(shell.run("t -qq missing").said, "exit code 1\n");
}

#[test]
fn help_and_version() {
    let shell = Shell::new();
    let version = String::from_utf8(shell.run("--version").stdout).unwrap();
    assert!(version.contains(&format!("format version {}", nzip::FORMAT_VERSION)), "{version}");
    insta::assert_snapshot!(String::from_utf8(shell.run("--help").stdout).unwrap());
    insta::assert_snapshot!(String::from_utf8(shell.run("c --help").stdout).unwrap());
}
