//! `nzip bench` and the script that fetches corpora.

#![cfg(feature = "cli")]

mod common;
#[path = "common/shell.rs"]
mod shell;

use std::fs;
use std::process::Command;

use common::{Kind, content};
use serde_json::Value;
use shell::Shell;

fn rows(shell: &Shell, line: &str) -> Vec<Value> {
    serde_json::from_slice(&shell.run(line).stdout).unwrap()
}

#[test]
fn levels_are_measured() {
    let shell = Shell::new();
    shell.write("other", b"other");
    let table = String::from_utf8(shell.run("bench --no-peers -1 text other").stdout).unwrap();
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.contains("2 files"));
    let measured = rows(&shell, "bench --json --no-peers -1 -4 text");
    let levels: Vec<_> = measured.iter().map(|row| (row["level"].as_u64(), row["content_bytes"].as_u64())).collect();
    assert_eq!(levels, [(Some(1), Some(3000)), (Some(4), Some(3000))]);
    assert_eq!(measured[0]["without_denoiser_bytes"], Value::Null);
    assert_eq!(shell.run("bench --no-peers missing").code, 1);
    shell.write("empty", b"");
    let table = String::from_utf8(shell.run("bench --no-peers -1 empty").stdout).unwrap();
    assert_eq!(table.lines().last().unwrap().split_whitespace().nth(4), Some("-"), "{table}");
}

#[test]
fn the_denoiser_can_be_left_out() {
    let shell = Shell::new();
    shell.write("other", b"other");
    shell.write("mixed", &content(Kind::Mixed, 60_000, 1));
    let measured = rows(&shell, "bench --json --no-peers --no-denoise -2 mixed other");
    assert_ne!(measured[0]["without_denoiser_bytes"], measured[0]["archive_bytes"]);
    assert_eq!(measured[1]["without_denoiser_bytes"], measured[1]["archive_bytes"], "it is stored either way");
}

#[cfg(unix)]
#[test]
fn peers_are_measured_if_they_round_trip() {
    use std::os::unix::fs::PermissionsExt;

    let shell = Shell::new();
    fs::create_dir(shell.path("bin")).unwrap();
    // gzip copies; lz4 loses a byte; xz fails.
    for (name, script) in [("gzip", "cat IN"), ("lz4", "head -c -1 \"$3\""), ("xz", "exit 7")] {
        let file = format!("bin/{name}");
        shell.write(&file, format!("#!/bin/sh\n{script}\n").as_bytes());
        fs::set_permissions(shell.path(&file), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:/bin:/usr/bin", shell.path("bin").display());
    let output = shell.command("bench -1 --json text").env("PATH", path).output().unwrap();
    let (rows, said): (Vec<Value>, _) =
        (serde_json::from_slice(&output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let gzip = rows.iter().find(|row| row["program"] == "gzip -9").unwrap();
    assert_eq!((&gzip["archive_bytes"], &gzip["name"]), (&Value::from(3000), &Value::from("text")));
    assert!(rows.iter().all(|row| row["program"] != "lz4 -9" && row["program"] != "xz -9e"));
    assert!(said.contains("lz4 -9: the decompressed content differs"), "{said}");
    assert!(said.contains("xz -9e: compressing: failed"), "{said}");
    assert!(output.status.success(), "their failures are not ours");
}

#[test]
fn other_forms_of_the_table() {
    let shell = Shell::new();
    shell.write("a,b", b"other");
    let csv = String::from_utf8(shell.run("bench --no-peers -1 -2 --csv text a,b").stdout).unwrap();
    assert!(csv.lines().count() == 5 && csv.lines().all(|line| line.replace("\"a,b\"", "").split(',').count() == 8));
    let md = String::from_utf8(shell.run("bench --no-peers -1 --md text").stdout).unwrap();
    assert!(md.lines().count() == 3 && md.lines().all(|line| line.starts_with('|')), "{md}");
    assert_eq!(shell.run("bench --no-peers -1 -2 --svg chart.svg text a,b").code, 0);
    let svg = String::from_utf8(shell.read("chart.svg")).unwrap();
    assert!(svg.contains("2 files, 3005 bytes") && svg.matches("<circle").count() == 2, "{svg}");
    assert_eq!(shell.run("bench --no-peers -1 --svg nowhere/chart.svg text").code, 1);
}

#[test]
fn transformers_are_compared() {
    let shell = Shell::new();
    let run = shell.run("bench --no-peers -1 --model nothing text");
    assert!(run.code == 1 && run.said.contains("levels 6 to 9"), "{}", run.said);
    assert_eq!(shell.run("bench --no-peers --model nothing text").code, 4);
}

/// Fetches a corpus of one file from a folder in place of a site.
#[cfg(unix)]
#[test]
fn corpora_are_fetched_and_checked() {
    let shell = Shell::new();
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/corpora/fetch"), shell.path("fetch")).unwrap();
    shell.write("a", b"a tale of a tub");
    let manifest = |sum: &str| format!("> file://{}/tiny.tar.gz tiny\ntiny/a\t15\t{sum}\n", shell.path("").display());
    let sum = shell.sh("tar -czf tiny.tar.gz a && sha256sum a").stdout;
    let sum = String::from_utf8(sum).unwrap();
    shell.write("manifest.tsv", manifest(sum.split_whitespace().next().unwrap()).as_bytes());
    let fetch = || Command::new("bash").args(["fetch", "to", "tiny"]).current_dir(shell.path("")).output().unwrap();
    let said = |output: &std::process::Output| String::from_utf8(output.stderr.clone()).unwrap();
    assert!(fetch().status.success());
    assert_eq!(shell.read("to/tiny/a"), b"a tale of a tub");
    let again = fetch();
    assert!(again.status.success() && !said(&again).contains("fetching"), "{}", said(&again));
    shell.write("to/tiny/a", b"a tale of a tuB");
    let mended = fetch();
    assert!(mended.status.success() && said(&mended).contains("another checksum"), "{}", said(&mended));
    shell.write("manifest.tsv", manifest(&"0".repeat(64)).as_bytes());
    assert!(!fetch().status.success());
}
