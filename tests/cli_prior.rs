//! `nzip train`, and priors in the program.

#![cfg(feature = "cli")]

mod common;
#[path = "common/shell.rs"]
mod shell;

use std::fs;

use shell::Shell;

/// A shell with records in a folder, a prior of most of them, and an archive of the last one.
fn trained() -> Shell {
    let shell = Shell::new();
    fs::create_dir_all(shell.path("records")).unwrap();
    for i in 0..60 {
        let text =
            format!("{{\"id\": {}, \"state\": \"open\", \"assignee\": null, \"votes\": {}}}", 7000 + i, i * i % 97);
        shell.write(&format!("records/{i:02}.json"), text.as_bytes());
    }
    fs::rename(shell.path("records/59.json"), shell.path("last.json")).unwrap();
    let run = shell.run("train -r records -o my.prior");
    assert!(run.code == 0 && run.said.contains("my.prior: prior ") && run.said.contains("in 59 files"), "{}", run.said);
    assert_eq!(shell.run("c -2 --prior my.prior last.json").said, "exit code 0\n");
    shell
}

#[test]
fn priors_are_found_by_path_beside_the_archive_and_in_the_search_path() {
    let shell = trained();
    let text = shell.read("last.json");
    assert!(shell.read("last.json.nz").len() < 32);
    for line in ["cat last.json.nz", "d -c last.json.nz", "cat ./last.json.nz", "cat --prior my.prior last.json.nz"] {
        assert_eq!(shell.run(line).stdout, text, "{line}");
    }
    assert_eq!(shell.run("t last.json.nz").said, "exit code 0\n");
    assert_eq!(shell.run("d --range 3..9 last.json.nz").stdout, text[3..9]);
    assert_eq!(shell.run("c -2 --prior my.prior --verify -f last.json").code, 0);

    fs::create_dir_all(shell.path("priors")).unwrap();
    fs::rename(shell.path("my.prior"), shell.path("priors/my.prior")).unwrap();
    let lost = shell.run("t last.json.nz");
    assert!(lost.code == 4 && lost.said.contains("last.json.nz: needs the trained prior "), "{}", lost.said);
    assert!(lost.said.contains("NZIP_PRIOR_PATH") && lost.said.contains("beside the archive: ."), "{}", lost.said);
    assert_eq!(shell.sh("NZIP_PRIOR_PATH=nowhere:priors $NZIP t last.json.nz").said, "exit code 0\n");
    let by_name = shell.sh("NZIP_PRIOR_PATH=priors $NZIP c -2 -c --prior my last.json");
    assert_eq!(by_name.stdout, shell.read("last.json.nz"));
    let piped = shell.sh("$NZIP cat < last.json.nz");
    assert!(piped.code == 4 && piped.said.contains("name it by --prior"), "{}", piped.said);
    assert_eq!(shell.sh("$NZIP cat --prior priors/my.prior < last.json.nz").stdout, text);
}

#[test]
fn lists_name_the_prior() {
    let shell = trained();
    let id = shell.run("train -r records -o my.prior -f").said;
    let id = id.split("prior ").nth(1).unwrap()[..8].to_owned();
    fs::remove_file(shell.path("my.prior")).unwrap();
    for line in ["l last.json.nz", "l -v last.json.nz", "l --json last.json.nz"] {
        let listed = String::from_utf8(shell.run(line).stdout).unwrap();
        assert!(listed.contains(&format!("full,prior:{id}")), "{line}: {listed}");
    }
}

#[test]
fn refusals() {
    let shell = trained();
    let said = |line: &str, code: i32, text: &str| {
        let run = shell.run(line);
        assert!(run.code == code && run.said.contains(text), "{line}: {}", run.said);
    };
    said("train -r records -o my.prior", 1, "exists");
    said("train records/00.json", 1, "--output");
    said("train records/00.json -o -", 1, "needs a file");
    said("train records/00.json -o a.prior --size 1T", 1, "not between 1K and 16M");
    said("train nothing -o a.prior", 1, "nothing");
    said("c --prior nothing last.json -f", 1, "nothing");
    said("c --prior text last.json -f", 4, "text: not a trained prior");
    shell.write("empty", b"");
    said("train empty -o a.prior", 1, "nothing in the samples");
    assert!(!shell.files().contains(&"a.prior".to_owned()));

    let mut file = shell.read("my.prior");
    *file.last_mut().unwrap() ^= 1;
    shell.write("my.prior", &file);
    said("c --prior my.prior last.json -f", 4, "my.prior: the trained prior is damaged");
    said("t last.json.nz", 4, "my.prior: the trained prior is damaged");
}
