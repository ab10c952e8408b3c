//! README's commands work, line by line, for someone who has just cloned the repository.

#![cfg(all(feature = "cli", unix))]

use std::fs;
use std::path::Path;
use std::process::Command;

use assert_cmd::cargo::cargo_bin;

/// The lines of README's shell blocks.
fn commands() -> Vec<String> {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let mut inside = false;
    let mut lines = Vec::new();
    for line in readme.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside => lines.push(line.to_owned()),
            _ => {}
        }
    }
    lines
}

/// Copies what git tracks, but for the models: the program has them.
fn clone(to: &Path) {
    let root = env!("CARGO_MANIFEST_DIR");
    let script = r#"git -C "$0" ls-files -z -- README.md CHANGELOG.md docs contrib src | (cd "$0" && tar -c --null -T -) | tar -x"#;
    let status = Command::new("sh").args(["-c", script, root]).current_dir(to).status().unwrap();
    assert!(status.success());
}

/// In a clean folder, with a home of its own and no settings. Building is what made this test's program.
#[test]
fn every_command_works() {
    let folder = tempfile::tempdir().unwrap();
    let (home, work) = (folder.path().join("home"), folder.path().join("nzip"));
    for path in [&home, &work] {
        fs::create_dir(path).unwrap();
    }
    clone(&work);
    fs::create_dir_all(work.join("target/release")).unwrap();
    std::os::unix::fs::symlink(cargo_bin!("nzip"), work.join("target/release/nzip")).unwrap();
    let (cargo, mut rest): (Vec<_>, Vec<_>) = commands().into_iter().partition(|line| line.starts_with("cargo "));
    let built =
        cargo[0].strip_prefix("cargo build --release && ").expect("the first command builds and tries the program");
    assert!(cargo[1..] == ["cargo test"] && rest.len() > 10, "{cargo:?} {rest:?}");
    rest.insert(0, built.to_owned());
    let script = format!("set -exo pipefail\n{}\n", rest.join("\n"));
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(&work)
        .env_clear()
        .envs([("HOME", home.as_os_str()), ("PATH", "/usr/bin:/bin".as_ref())])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let [readme, copy] = ["README.md", "copy.md"].map(|name| fs::read(work.join(name)).unwrap());
    assert_eq!(readme, copy);
    for made in ["changelog.nz", "chart.svg", "man-pages/nzip.1", "nzip.bash", "docs.tar.nz", "copies/FORMAT.md.nz"] {
        assert!(fs::metadata(work.join(made)).is_ok_and(|file| file.len() > 0), "{made}");
    }
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0, "nothing is left in the home folder");
}
