//! Measures other compressors: the programs on PATH.

use std::env::{self, consts::EXE_SUFFIX};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::super::memory;
use super::row::Row;

/// Interval at which a program's memory is read.
const SAMPLE: Duration = Duration::from_millis(2);

/// Programs with the arguments that compress IN to ARCHIVE and decompress ARCHIVE to OUT, on one thread. `> FILE` is the
/// standard output.
const PEERS: [(&str, &[&str], &str, &str); 12] = [
    ("lz4 -9", &["lz4"], "-9 -c IN > ARCHIVE.lz4", "-d -c ARCHIVE.lz4 > OUT"),
    ("gzip -9", &["gzip"], "-9 -c IN > ARCHIVE.gz", "-d -c ARCHIVE.gz > OUT"),
    ("zstd -3", &["zstd"], "-3 --single-thread -c IN > ARCHIVE.zst", "-d -c ARCHIVE.zst > OUT"),
    (
        "zstd --ultra -22",
        &["zstd"],
        "--ultra -22 --single-thread -c IN > ARCHIVE.zst",
        "-d --long=31 -c ARCHIVE.zst > OUT",
    ),
    ("brotli -q 11", &["brotli"], "-q 11 -w 24 -c IN > ARCHIVE.br", "-d -c ARCHIVE.br > OUT"),
    ("xz -9e", &["xz"], "-9e -T1 -c IN > ARCHIVE.xz", "-d -T1 -c ARCHIVE.xz > OUT"),
    ("lzip -9", &["lzip"], "-9 -c IN > ARCHIVE.lz", "-d -c ARCHIVE.lz > OUT"),
    ("bzip2 -9", &["bzip2"], "-9 -c IN > ARCHIVE.bz2", "-d -c ARCHIVE.bz2 > OUT"),
    ("bzip3 -b 64", &["bzip3"], "-e -b 64 -c IN > ARCHIVE.bz3", "-d -c ARCHIVE.bz3 > OUT"),
    ("7z PPMd", &["7z", "7zz", "7za"], "a -t7z -m0=PPMd -mx=9 -mmt=1 -bd ARCHIVE.7z IN", "e -so ARCHIVE.7z > OUT"),
    ("lrzip -z", &["lrzip"], "-q -z -L9 -p1 -N0 -o ARCHIVE.lrz IN", "-q -d -p1 -N0 -o OUT ARCHIVE.lrz"),
    ("zpaq -m5", &["zpaq"], "add ARCHIVE.zpaq IN -m5 -t1", "extract ARCHIVE.zpaq IN -to OUT -t1"),
];

/// A program that is installed.
pub struct Peer {
    pub name: &'static str,
    path: PathBuf,
    compress: &'static str,
    decompress: &'static str,
}

/// The peers found on PATH.
pub fn installed() -> Vec<Peer> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let find = |program: &&str| {
        let file = format!("{program}{EXE_SUFFIX}");
        folders.iter().map(|folder| folder.join(&file)).find(|path| path.is_file())
    };
    let peers = PEERS.into_iter();
    peers
        .filter_map(|(name, programs, compress, decompress)| {
            Some(Peer { name, path: programs.iter().find_map(find)?, compress, decompress })
        })
        .collect()
}

/// Runs the program on `content` and back in a temporary folder.
///
/// # Errors
/// If it fails, or its output differs.
pub fn measure(peer: &Peer, name: &str, content: &[u8]) -> Result<Row> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("IN"), content)?;
    let compress = run(&peer.path, peer.compress, folder.path()).context("compressing")?;
    let archive = fs::read_dir(folder.path())?
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_string_lossy().starts_with("ARCHIVE"))
        .context("makes no archive")?;
    let archive_bytes = archive.metadata()?.len();
    let decompress = run(&peer.path, peer.decompress, folder.path()).context("decompressing")?;
    if fs::read(folder.path().join("OUT"))? != content {
        bail!("the decompressed content differs");
    }
    let content_bytes = content.len() as u64;
    let rate = |run: &Run| content.len() as f64 / 1e3 / run.seconds.max(1e-9);
    Ok(Row {
        name: name.to_owned(),
        program: peer.name.to_owned(),
        level: None,
        content_bytes,
        archive_bytes,
        bits_per_byte: super::super::bits_per_byte(archive_bytes, content_bytes),
        compress_kb_per_s: rate(&compress),
        decompress_kb_per_s: rate(&decompress),
        peak_memory_bytes: compress.peak.max(decompress.peak),
        without_denoiser_bytes: None,
        alone_bits_per_byte: None,
    })
}

/// What a run of a program took.
struct Run {
    seconds: f64,
    peak: Option<u64>,
}

fn run(program: &Path, line: &str, folder: &Path) -> Result<Run> {
    let (args, output) = match line.split_once(" > ") {
        Some((args, output)) => (args, Some(output)),
        None => (line, None),
    };
    let stdout = match output {
        Some(output) => File::create(folder.join(output))?.into(),
        None => Stdio::null(),
    };
    let mut command = Command::new(program);
    command.args(args.split(' ')).current_dir(folder).stdin(Stdio::null()).stdout(stdout).stderr(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn()?;
    let pid = child.id();
    let (stop, stopped) = channel::<()>();
    // The peak of a child that has ended can't be read any more, and that of waiting for it includes this process's own.
    let sampler = thread::spawn(move || {
        let mut peak = memory::peak_of(pid);
        while stopped.recv_timeout(SAMPLE) == Err(RecvTimeoutError::Timeout) {
            peak = memory::peak_of(pid).max(peak);
        }
        peak
    });
    let status = child.wait()?;
    let seconds = start.elapsed().as_secs_f64();
    drop(stop);
    let peak = sampler.join().unwrap_or_default();
    if !status.success() {
        bail!("failed: {status}");
    }
    Ok(Run { seconds, peak })
}
