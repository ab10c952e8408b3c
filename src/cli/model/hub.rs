//! Downloads from Hugging Face, or from the server that `HF_ENDPOINT` names, into the cache folder of the Hugging Face tools:
//!
//! ```text
//! models--ORG--NAME/refs/main                  the commit of the branch
//!                  /snapshots/COMMIT/FILE      links to:
//!                  /blobs/HASH                 a file's content
//!                  /blobs/HASH.incomplete      the part of it that an interrupted download has fetched
//! ```

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nzip::internals::transformer::load::Name;
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use ureq::Agent;
use ureq::http::{Response, StatusCode};

use super::super::stdio::is_terminal;

/// Bytes between updates of the progress bar.
const PIECE: usize = 1 << 16;
/// Most bytes of a repository's description.
const MAX_DESCRIPTION: u64 = 16 << 20;

/// What the server says of a repository.
#[derive(Deserialize)]
struct Repository {
    /// The commit.
    sha: String,
    siblings: Vec<Entry>,
}

/// A file of a repository.
#[derive(Clone, Deserialize)]
struct Entry {
    #[serde(rename = "rfilename")]
    name: String,
    size: u64,
    /// Git's hash of it.
    #[serde(rename = "blobId")]
    blob: String,
    /// Of a large file, whose content is not in git.
    lfs: Option<Lfs>,
}

#[derive(Clone, Deserialize)]
struct Lfs {
    sha256: String,
}

impl Entry {
    /// The hash that its content must have, and the name of its blob.
    fn hash(&self) -> &str {
        self.lfs.as_ref().map_or(&self.blob, |lfs| &lfs.sha256)
    }
}

/// Fetches the files of a model that are not in `cache` yet.
pub fn fetch(name: &Name, cache: &Path) -> Result<()> {
    let endpoint = env::var("HF_ENDPOINT").ok().filter(|url| !url.is_empty());
    let endpoint = endpoint.as_deref().unwrap_or("https://huggingface.co").trim_end_matches('/');
    let agent = Agent::new_with_config(
        Agent::config_builder().timeout_connect(Some(Duration::from_secs(30))).http_status_as_error(false).build(),
    );
    let hub = Hub { agent, endpoint, repository: &name.repository };
    let repository = hub.describe()?;
    // These become names of files.
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !plain(&repository.sha) || !repository.siblings.iter().all(|entry| plain(entry.hash())) {
        bail!("{endpoint} describes the model in an unknown way");
    }
    let folder = cache.join(format!("models--{}", name.repository.replace('/', "--")));
    let snapshot = folder.join("snapshots").join(&repository.sha);
    for directory in [&folder.join("blobs"), &folder.join("refs"), &snapshot] {
        fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    for entry in needed(&repository.siblings, name.file.as_deref())? {
        let (blob, file) = (folder.join("blobs").join(entry.hash()), snapshot.join(&entry.name));
        if file.exists() {
            continue;
        }
        if !blob.exists() {
            hub.download(&repository.sha, entry, &blob).with_context(|| entry.name.clone())?;
        }
        link(&blob, entry.hash(), &file).with_context(|| entry.name.clone())?;
    }
    fs::write(folder.join("refs/main"), &repository.sha)?;
    Ok(())
}

/// The files that make up the model: the one that is named, those of a Hugging Face folder, or all GGUF files.
fn needed<'a>(entries: &'a [Entry], named: Option<&str>) -> Result<Vec<&'a Entry>> {
    let has = |name: &str| entries.iter().any(|entry| entry.name == name);
    let sharded = has("model.safetensors.index.json") && !has("model.safetensors");
    let folder = has("config.json") && (sharded || has("model.safetensors"));
    let wanted = |entry: &&Entry| match (&*entry.name, named) {
        // Files in folders of the repository belong to other forms of the model.
        (name, _) if name.contains(['/', '\\']) => false,
        (name, Some(named)) => name == named,
        ("config.json" | "tokenizer.json" | "model.safetensors", None) if folder => true,
        ("model.safetensors.index.json", None) => sharded && folder,
        (name, None) if folder => sharded && name.starts_with("model-") && name.ends_with(".safetensors"),
        (name, None) => name.ends_with(".gguf"),
    };
    let files: Vec<_> = entries.iter().filter(wanted).collect();
    match (files.is_empty(), named) {
        (false, _) => Ok(files),
        (true, Some(file)) => bail!("it has no file {file}"),
        (true, None) => bail!("it has neither safetensors nor GGUF files"),
    }
}

/// Makes `file` a link to the blob.
#[cfg(unix)]
fn link(_: &Path, hash: &str, file: &Path) -> std::io::Result<()> {
    // It may be a link to nothing.
    let _ = fs::remove_file(file);
    std::os::unix::fs::symlink(Path::new("../../blobs").join(hash), file)
}

/// Makes `file` the blob's name: links need rights there.
#[cfg(not(unix))]
fn link(blob: &Path, _: &str, file: &Path) -> std::io::Result<()> {
    fs::rename(blob, file)
}

/// A repository on a server.
struct Hub<'a> {
    agent: Agent,
    endpoint: &'a str,
    repository: &'a str,
}

impl Hub<'_> {
    /// Asks for `url`, for what follows the first `from` bytes. A token is sent to this server only.
    fn get(&self, url: &str, from: u64) -> Result<Response<ureq::Body>> {
        let mut request = self.agent.get(url);
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
        }
        if let Some(token) = env::var("HF_TOKEN").ok().filter(|token| !token.is_empty()) {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let response = request.call().map_err(|error| anyhow!("{url}: {error}"))?;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => bail!(
                "{url}: the server refuses access ({}); accept the model's terms there and set HF_TOKEN",
                response.status()
            ),
            StatusCode::NOT_FOUND => bail!("{url}: there is no such model"),
            status => bail!("{url}: the server answers {status}"),
        }
    }

    fn describe(&self) -> Result<Repository> {
        let url = format!("{}/api/models/{}/revision/main?blobs=true", self.endpoint, self.repository);
        let mut text = Vec::new();
        self.get(&url, 0)?.into_body().into_reader().take(MAX_DESCRIPTION).read_to_end(&mut text)?;
        serde_json::from_slice(&text).with_context(|| format!("{url}: an answer of unknown form"))
    }

    /// Fetches a file, or the rest of it, checks it, and names it `blob`.
    fn download(&self, commit: &str, entry: &Entry, blob: &Path) -> Result<()> {
        let part = blob.with_extension("incomplete");
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&part)?;
        let mut start = file.seek(SeekFrom::End(0))?;
        if start > entry.size {
            file.set_len(0)?;
            start = 0;
        }
        let bar = Bar::new(&entry.name, entry.size);
        if start < entry.size {
            let url = format!("{}/{}/resolve/{commit}/{}", self.endpoint, self.repository, entry.name);
            let response = self.get(&url, start)?;
            if response.status() != StatusCode::PARTIAL_CONTENT {
                // The server sends all of it.
                file.set_len(0)?;
                start = 0;
            }
            file.seek(SeekFrom::Start(start))?;
            let body = response.into_body().into_reader();
            copy(body, &mut file, start, entry.size, &bar)
                .with_context(|| format!("interrupted; the same command goes on with {}", part.display()))?;
        }
        file.seek(SeekFrom::Start(0))?;
        if digest(&mut file, entry)? != entry.hash() {
            drop(file);
            fs::remove_file(&part)?;
            bail!("what the server sent does not have the hash {}; it was removed", entry.hash());
        }
        file.sync_all()?;
        drop(file);
        fs::rename(&part, blob)?;
        Ok(())
    }
}

/// Appends the rest of a file of `size` bytes, of which `done` are there.
fn copy(mut from: impl Read, to: &mut File, mut done: u64, size: u64, bar: &Bar) -> Result<()> {
    let mut piece = vec![0; PIECE];
    while done < size {
        let most = piece.len().min(usize::try_from(size - done).unwrap_or(usize::MAX));
        let count = from.read(&mut piece[..most])?;
        if count == 0 {
            bail!("{done} of {size} bytes came");
        }
        to.write_all(&piece[..count])?;
        done += count as u64;
        bar.0.set_position(done);
    }
    Ok(())
}

/// The hash of a file's content, as its entry has it: SHA-256, or git's hash of a blob.
fn digest(file: &mut File, entry: &Entry) -> Result<String> {
    Ok(match entry.lfs {
        Some(_) => hex(&hash(file, Sha256::new())?),
        None => hex(&hash(file, Sha1::new_with_prefix(format!("blob {}\0", entry.size)))?),
    })
}

fn hash<D: Digest>(file: &mut File, mut digest: D) -> Result<Vec<u8>> {
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(digest.finalize().to_vec()),
            count => digest.update(&piece[..count]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A progress bar on a terminal; removed when dropped.
struct Bar(ProgressBar);

impl Bar {
    fn new(name: &str, size: u64) -> Bar {
        let target = if is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left";
        let style = ProgressStyle::with_template(style).expect("a valid template");
        let bar = ProgressBar::with_draw_target(Some(size), target).with_style(style);
        bar.set_message(name.to_owned());
        Bar(bar)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
