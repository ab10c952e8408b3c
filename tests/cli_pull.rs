//! `nzip model pull` from a server of this machine.

#![cfg(feature = "pull")]

mod common;
#[path = "common/shell.rs"]
mod shell;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use sha1::Sha1;
use sha2::{Digest, Sha256};
use shell::{Run, Shell};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the server has and does.
#[derive(Default)]
struct State {
    files: HashMap<&'static str, Vec<u8>>,
    /// Whether the hash in the description is of the file; large files have SHA-256.
    lies: bool,
    /// Bytes of a file after which the connection ends.
    cut: Option<usize>,
    /// The requests: their first line, range and authorisation.
    seen: Vec<String>,
}

struct Server {
    url: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(&mut stream.unwrap(), &mut shared.lock().unwrap());
            }
        });
        Server { url, state }
    }

    fn pull(&self, shell: &Shell, name: &str) -> Run {
        shell.sh(&format!("HF_ENDPOINT={} HF_HUB_CACHE=hub HF_TOKEN=secret \"$NZIP\" model pull {name}", self.url))
    }
}

/// Answers one request and closes the connection.
fn answer(stream: &mut TcpStream, state: &mut State) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(|line| line.unwrap());
    let request = lines.next().unwrap_or_default();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect();
    let header =
        |name: &str| headers.iter().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
    let (range, token) = (header("range:"), header("authorization:"));
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    state.seen.push(format!("{path} {} {}", range.as_deref().unwrap_or("all"), token.as_deref().unwrap_or("nobody")));
    let name = path.strip_prefix(&format!("/org/tiny/resolve/{COMMIT}/"));
    let body = match name.and_then(|name| state.files.get(name)) {
        Some(file) => file.clone(),
        None if path.starts_with("/api/models/org/tiny/") => describe(state).into_bytes(),
        None => {
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            return;
        }
    };
    let from = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()).unwrap_or(0);
    let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
    let body = &body[from..];
    let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let sent = if name.is_some() { state.cut.unwrap_or(body.len()).min(body.len()) } else { body.len() };
    let _ = stream.write_all(&body[..sent]);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn describe(state: &State) -> String {
    let entry = |(name, content): (&&str, &Vec<u8>)| {
        let hashed = if state.lies { [content, &b"x"[..]].concat() } else { content.clone() };
        let blob = Sha1::new().chain_update(format!("blob {}\0", content.len())).chain_update(&hashed).finalize();
        let mut entry = serde_json::json!({"rfilename": name, "size": content.len(), "blobId": hex(&blob)});
        if name.ends_with(".safetensors") || name.ends_with(".gguf") {
            entry["lfs"] = serde_json::json!({"sha256": hex(&Sha256::digest(&hashed)), "size": content.len()});
        }
        entry
    };
    let siblings: Vec<_> = state.files.iter().map(entry).collect();
    serde_json::json!({"id": "org/tiny", "sha": COMMIT, "siblings": siblings}).to_string()
}

fn files() -> HashMap<&'static str, Vec<u8>> {
    let weights = (0..300_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    let small = |text: &str| text.as_bytes().to_vec();
    let names = [("config.json", small("{}")), ("tokenizer.json", small("{ }")), ("README.md", small("read me"))];
    names.into_iter().chain([("model.safetensors", weights), ("onnx/model.onnx", small("no"))]).collect()
}

#[test]
fn a_model_is_fetched_once() {
    let (shell, server) = (Shell::new(), Server::start());
    server.state.lock().unwrap().files = files();
    let run = server.pull(&shell, "org/tiny");
    let snapshot = format!("hub/models--org--tiny/snapshots/{COMMIT}");
    assert_eq!((run.code, String::from_utf8(run.stdout).unwrap()), (0, format!("{snapshot}\n")), "{}", run.said);
    for (name, content) in files() {
        let wanted = !["README.md", "onnx/model.onnx"].contains(&name);
        assert_eq!(shell.path(&format!("{snapshot}/{name}")).exists(), wanted, "{name}");
        assert!(!wanted || shell.read(&format!("{snapshot}/{name}")) == content, "{name}");
    }
    let seen = std::mem::take(&mut server.state.lock().unwrap().seen);
    assert!(seen.len() == 4 && seen.iter().all(|request| request.ends_with("all bearer secret")), "{seen:?}");
    let listed = shell.sh("HF_HUB_CACHE=hub \"$NZIP\" model list");
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.lines().any(|line| line.contains(" 300000  unknown ") && line.ends_with("  org/tiny")), "{listed}");
    // The second time only the description is asked for.
    assert_eq!(server.pull(&shell, "org/tiny").code, 0);
    assert_eq!(server.state.lock().unwrap().seen.len(), 1);
}

#[test]
fn an_interrupted_download_goes_on() {
    let (shell, server) = (Shell::new(), Server::start());
    *server.state.lock().unwrap() = State { files: files(), cut: Some(100_000), ..State::default() };
    let run = server.pull(&shell, "org/tiny");
    assert!(run.code != 0 && run.said.contains("the same command goes on"), "{} {}", run.code, run.said);
    let mut state = server.state.lock().unwrap();
    (state.cut, state.seen) = (None, Vec::new());
    drop(state);
    assert_eq!(server.pull(&shell, "org/tiny").code, 0);
    let seen = server.state.lock().unwrap().seen.join("\n");
    assert!(seen.contains("model.safetensors bytes=100000- bearer"), "{seen}");
    let weights = shell.read(&format!("hub/models--org--tiny/snapshots/{COMMIT}/model.safetensors"));
    assert!(weights == files()["model.safetensors"]);
}

#[test]
fn what_is_not_as_described_is_refused() {
    let (shell, server) = (Shell::new(), Server::start());
    *server.state.lock().unwrap() = State { files: files(), lies: true, ..State::default() };
    let run = server.pull(&shell, "org/tiny");
    assert!(run.code != 0 && run.said.contains("does not have the hash"), "{} {}", run.code, run.said);
    assert_eq!(std::fs::read_dir(shell.path("hub/models--org--tiny/blobs")).unwrap().count(), 0);
    let missing = server.pull(&shell, "org/none");
    assert!(missing.code != 0 && missing.said.contains("there is no such model"), "{}", missing.said);
    let file = server.pull(&shell, "org/tiny/x.gguf");
    assert!(file.code != 0 && file.said.contains("it has no file x.gguf"), "{}", file.said);
    let nobody = shell.sh("HF_ENDPOINT=http://127.0.0.1:1 HF_HUB_CACHE=hub \"$NZIP\" model pull org/tiny");
    assert!(nobody.code != 0 && nobody.said.contains("can't be fetched; fetch config.json"), "{}", nobody.said);
}

#[test]
fn gguf_files_are_fetched_by_name_or_all() {
    let (shell, server) = (Shell::new(), Server::start());
    let gguf: HashMap<_, _> = [("a.gguf", vec![1; 5000]), ("b.gguf", vec![2; 5000]), ("README.md", vec![3])].into();
    server.state.lock().unwrap().files = gguf;
    let run = server.pull(&shell, "org/tiny/b.gguf");
    assert_eq!(run.code, 0, "{}", run.said);
    assert!(!shell.path(&format!("hub/models--org--tiny/snapshots/{COMMIT}/a.gguf")).exists());
    assert_eq!(shell.read(&format!("hub/models--org--tiny/snapshots/{COMMIT}/b.gguf")), vec![2; 5000]);
}
