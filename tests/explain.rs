//! `nzip explain`: figures that add up, on files and archives of all kinds.

#![cfg(feature = "cli")]
#![allow(clippy::disallowed_methods, reason = "what is compared need not be exact")]

mod common;
#[path = "common/shell.rs"]
mod shell;

use common::{Kind, content};
use nzip::internals::container::{Explanation, explain};
use nzip::{BlockSize, CompressOptions, DecompressOptions, ErrorKind, Lanes, Level, TrainedPrior, compress_with};
use serde_json::Value;
use shell::Shell;
use std::sync::Arc;

const PROSE: &[u8] = include_bytes!("../corpora/samples/prose.txt");
const ZIP: &[u8] = include_bytes!("samples/archive.zip");

fn options(level: u8) -> CompressOptions {
    CompressOptions::new().level(Level::new(level).unwrap())
}

/// The explanation of `content`'s archive, checked for what is true of any.
fn checked(content: &[u8], options: CompressOptions) -> Explanation {
    checked_archive(&compress_with(content, options).unwrap(), content, DecompressOptions::new())
}

/// The same of any archive.
fn checked_archive(archive: &[u8], content: &[u8], options: DecompressOptions) -> Explanation {
    let explanation = explain(archive, options).unwrap();
    assert_eq!((explanation.archive, explanation.content), (archive.len() as u64, content.len() as u64));
    let parts: u64 = explanation.parts.iter().map(|(_, bytes)| bytes).sum();
    let coded: u64 = explanation.streams.iter().map(|stream| stream.coded_len).sum();
    assert_eq!(parts + coded, archive.len() as u64, "{:?}", explanation.parts);
    for stream in &explanation.streams {
        let Some((_, observation)) = &stream.coded else { continue };
        // The coder's final number, and the steps of its range.
        let rounding = stream.coded_len as f64 * 8.0 - observation.bits;
        assert!(rounding.abs() <= 40.0 + observation.bits / 5000.0, "{rounding} of {} bits", observation.bits);
        let sum: f64 = observation.costs.iter().map(|&cost| f64::from(cost)).sum();
        assert!((sum - observation.bits).abs() < 1.0, "{sum} instead of {}", observation.bits);
        assert_eq!(observation.details.len(), stream.plain.len());
        if stream.kind.name() == "jpeg" {
            // What is predicted are coefficients, not bytes.
            assert!(observation.details.iter().all(|detail| detail.guesses.iter().all(|guess| guess.1 == 0.0)));
            continue;
        }
        for (detail, (&byte, &cost)) in observation.details.iter().zip(stream.plain.iter().zip(&observation.costs)) {
            let probabilities = detail.guesses.map(|(_, probability)| probability);
            assert!(probabilities.is_sorted_by(|a, b| a >= b) && probabilities.iter().sum::<f32>() < 1.001);
            if let Some((_, probability)) = detail.guesses.iter().find(|(guess, _)| *guess == byte) {
                assert!((probability.log2() + cost).abs() < 0.01, "{probability} for {cost} bits");
            } else {
                assert!((-cost).exp2() <= probabilities[2] + 1e-6);
            }
        }
    }
    // Each byte of each stream but the scripts is in one piece.
    let mut taken = vec![0; explanation.streams.len()];
    for piece in &explanation.pieces {
        assert_eq!(piece.start, taken[piece.stream]);
        taken[piece.stream] += piece.len;
    }
    for (stream, taken) in explanation.streams.iter().zip(taken) {
        assert!(taken == stream.plain.len() || stream.kind.name() == "script");
    }
    explanation
}

fn parts(explanation: &Explanation) -> Vec<&'static str> {
    explanation.parts.iter().map(|(name, _)| *name).collect()
}

#[test]
fn costs_add_up() {
    for level in [1, 2, 4] {
        let explanation = checked(PROSE, options(level));
        assert_eq!(parts(&explanation), ["header", "block heads", "end"]);
        assert_eq!(explanation.streams[0].plain, PROSE);
        let binary = content(Kind::Records, 20_000, 3);
        assert_eq!(checked(&binary, options(level)).streams[0].plain, binary);
    }
}

#[test]
fn stored_and_empty_content() {
    let noise = content(Kind::Random, 3000, 1);
    let explanation = checked(&noise, options(2));
    assert_eq!((explanation.streams[0].bits(), explanation.rounding()), (24_000.0, 0.0));
    assert!(explanation.streams[0].coded.is_none());
    let explanation = checked(b"", options(2));
    assert!(explanation.streams.is_empty() && explanation.pieces.is_empty());
    assert_eq!(parts(&explanation), ["header", "end"]);
}

#[test]
fn segments_and_blocks() {
    let explanation = checked(ZIP, options(2));
    assert_eq!(parts(&explanation), ["header", "block heads", "stream tables", "corrections", "end"]);
    let within: Vec<_> = explanation.pieces.iter().map(|piece| piece.within.join(">")).collect();
    assert!(within.contains(&"zip>deflate".into()) && within.iter().any(|path| path.ends_with("rows")), "{within:?}");
    let text = content(Kind::Log, 150_000, 2);
    let explanation = checked(&text, options(1).block_size(BlockSize::MIN));
    assert_eq!(explanation.streams.iter().map(|stream| stream.block).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(parts(&explanation), ["header", "block heads", "index", "end"]);
    assert_eq!(explanation.pieces[2].offset, 2 * 65_536);
}

/// What a predictor has learned before a block is no part of it. The short form's only head counts as its block's.
#[test]
fn archives_with_a_trained_prior() {
    let samples = content(Kind::Log, 20_000, 4);
    let prior = Arc::new(TrainedPrior::train(&[&samples], 20_000).unwrap());
    for (level, lanes, len) in [(1, 1, 3000), (4, 1, 3000), (6, 2, 3000), (1, 1, 70_000)] {
        let content = content(Kind::Log, len, 5);
        let options = options(level).lanes(Lanes::new(lanes).unwrap()).trained_prior(prior.clone());
        let archive = compress_with(&content[..], options).unwrap();
        let decoding = || DecompressOptions::new().trained_prior(prior.clone());
        let explanation = checked_archive(&archive, &content, decoding());
        let short = lanes == 1 && len < 65_536;
        let heads: &[&str] = if short { &["block heads"] } else { &["header", "block heads", "end"] };
        assert_eq!((parts(&explanation), &explanation.streams[0].plain), (heads.to_vec(), &content));
        let twice = [&archive[..], &archive, &[0; 8]].concat();
        let twice = checked_archive(&twice, &content.repeat(2), decoding());
        assert!(twice.parts.contains(&("padding", 8)), "{:?}", twice.parts);
    }
}

/// Samples of 16 bits are coded with the high byte first: costs follow their bytes.
#[test]
fn filtered_bytes_keep_their_costs() {
    let mut wave = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x44\xAC\0\0\x88\x58\x01\0\x02\0\x10\0data".to_vec();
    let samples: Vec<u8> = (0..8000).flat_map(|i: i32| (((i * 7919 % 251) + i / 8) as i16).to_le_bytes()).collect();
    wave.extend((samples.len() as u32).to_le_bytes());
    wave.extend(&samples);
    let explanation = checked(&wave, options(2));
    let audio = explanation.streams.iter().find(|stream| stream.kind.name() == "audio").unwrap();
    let [low, high] = [0, 1].map(|first| (first..samples.len()).step_by(2).map(|at| audio.cost(at)).sum::<f32>());
    assert!(low > 3.0 * high, "{low} bits for low bytes, {high} for high ones");
}

#[test]
fn transformers_are_asked_in_each_lane() {
    let explanation = checked(PROSE, options(6).lanes(Lanes::new(2).unwrap()));
    let (_, observation) = explanation.streams[0].coded.as_ref().unwrap();
    for lane in observation.details.chunks(PROSE.len().div_ceil(2)) {
        let asked = lane.iter().filter(|detail| detail.asked).count();
        assert!((100..900).contains(&asked), "{asked} of {}", lane.len());
    }
    assert_eq!(&observation.parts[..2], ["transformer", "prior"]);
    let evidence = explanation.evidence();
    assert!(evidence[0].1 > 0.3, "{evidence:?}");
    assert!((evidence.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-9);
}

#[test]
fn damage_is_named() {
    let mut archive = compress_with(PROSE, options(1)).unwrap();
    let len = archive.len();
    archive[len / 2] ^= 1;
    let Err(error) = explain(&archive, DecompressOptions::new()) else { panic!("it is damaged") };
    assert_eq!((error.kind(), error.reason()), (ErrorKind::Corrupt, "block 0 is damaged: checksum mismatch"));
    let Err(error) = explain(&archive[..len / 2], DecompressOptions::new()) else { panic!("it is cut short") };
    assert_eq!(error.kind(), ErrorKind::Truncated);
    let sound = compress_with(PROSE, options(1)).unwrap();
    let Err(error) = explain(&sound, DecompressOptions::new().memory(1 << 20)) else { panic!("it takes more") };
    assert_eq!(error.kind(), ErrorKind::MemoryLimit);
}

fn report(shell: &Shell, line: &str) -> Value {
    let run = shell.run(line);
    assert_eq!(run.code, 0, "{line}: {}", run.said);
    let mut reports: Vec<Value> = serde_json::from_slice(&run.stdout).unwrap();
    reports.remove(0)
}

#[test]
fn archives_and_files_give_the_same_figures() {
    let shell = Shell::new();
    shell.write("prose", PROSE);
    shell.write("a.zip", ZIP);
    for (file, level) in [("prose", "-1"), ("prose", "-2"), ("a.zip", "-2")] {
        shell.run(&format!("c -fq {level} {file}"));
        let [mut file, mut archive] = [format!("explain --json {level} {file}"), format!("explain --json {file}.nz")]
            .map(|line| report(&shell, &line));
        let total = file["archive_bytes"].as_u64().unwrap();
        let rows = file["totals"].as_array().unwrap();
        assert_eq!(rows.iter().map(|row| row["archive_bytes"].as_i64().unwrap()).sum::<i64>(), total as i64);
        let bits: f64 = rows.iter().map(|row| row["bits"].as_f64().unwrap()).sum();
        assert!((bits / 8.0 - total as f64).abs() < 1e-6, "{bits} bits in {total} bytes");
        for report in [&mut file, &mut archive] {
            report["name"] = Value::Null;
        }
        assert_eq!(file, archive);
    }
}

#[test]
fn experts_are_left_out_one_at_a_time() {
    let shell = Shell::new();
    shell.write("prose", PROSE);
    let report = report(&shell, "explain --json --experts -2 prose");
    let lost = |name: &str| {
        let experts = report["experts"].as_array().unwrap();
        experts.iter().find(|expert| expert["name"] == name).unwrap()["bytes_lost"].as_i64().unwrap()
    };
    assert!(lost("hashed") > 5 && lost("direct") > 5 && lost("ppm") >= 0, "{report:#}");
    assert!(lost("long match").abs() < 10 && lost("denoiser").abs() < 20, "{report:#}");
}

#[test]
fn the_tables() {
    let shell = Shell::new();
    shell.write("prose", PROSE);
    insta::assert_snapshot!(String::from_utf8(shell.run("explain -2 --experts prose").stdout).unwrap());
}

#[test]
fn colours_are_asked_for() {
    let shell = Shell::new();
    shell.write("prose", PROSE);
    let coloured = |line: &str| String::from_utf8(shell.run(line).stdout).unwrap().contains("\x1B[");
    assert!(!coloured("explain -1 prose") && coloured("explain -1 --color always prose"));
    assert_eq!(shell.run("explain -1 --lanes 2 prose").code, 1);
    assert_eq!(shell.run("explain missing").code, 1);
    assert_eq!(shell.run("explain -1 -M 1M prose").code, 5);
}

/// The JSON in a page.
fn data(page: &str) -> Value {
    let (_, rest) = page.split_once("<script id=\"data\" type=\"application/json\">").unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn pages_hold_all_and_load_nothing() {
    let shell = Shell::new();
    shell.write("a<!--<script>&.zip", ZIP);
    assert_eq!(shell.run("explain -q -2 --html page.html a<!--<script>&.zip").code, 0);
    let page = String::from_utf8(shell.read("page.html")).unwrap();
    for outside in ["http:", "https:", "src=", "href=", "@import", "url(", "fetch(", "//cdn"] {
        assert!(!page.contains(&format!("\"{outside}")) && !page.contains(&format!(" {outside}")), "{outside}");
    }
    assert!(page.contains("default-src 'none'"));
    assert_eq!((page.matches("</script>").count(), page.matches("</html>").count()), (2, 1));
    let data = data(&page);
    assert_eq!(data["name"], "a<!--<script>&.zip");
    let sum: i64 = data["totals"].as_array().unwrap().iter().map(|row| row["archive_bytes"].as_i64().unwrap()).sum();
    assert_eq!(Some(sum), data["archive_bytes"].as_i64());
    let shown: u64 = data["excerpts"].as_array().unwrap().iter().map(|one| one["len"].as_u64().unwrap()).sum();
    assert_eq!((data["complete"].as_bool(), data["plain_bytes"].as_u64()), (Some(true), Some(shown)));
    let parts = data["parts"].as_array().unwrap().len() as u64;
    for (name, each) in [("bytes", 1), ("costs", 2), ("guesses", 6), ("shares", parts)] {
        assert_eq!(data[name].as_str().unwrap().len() as u64, (shown * each).div_ceil(3) * 4, "{name}");
    }
    assert_eq!((data["images"][0]["width"].as_u64(), data["images"].as_array().unwrap().len()), (Some(96), 1));
    shell.write("empty", b"");
    assert_eq!(shell.run("explain -q --html page.html empty").code, 0);
    assert_eq!(shell.run("explain -1 --html page.html text text").code, 1);
}

#[test]
fn pages_are_bounded() {
    let shell = Shell::new();
    // An archive of many small files, each a piece of its own, and an image and text that are too long to be shown.
    let mut tar = Vec::new();
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = vec![0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(b"0000644\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", bytes.len()).as_bytes());
        header[148..156].fill(b' ');
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend(header);
        tar.extend(bytes);
        tar.resize(tar.len().next_multiple_of(512), 0);
    };
    for number in 0..1001 {
        add(&format!("{number}.txt"), format!("{} words", number * number).as_bytes());
    }
    let mut image = b"P6 700 100 255\n".to_vec();
    image.extend((0..700 * 100 * 3).map(|at: u32| (at / 2100 * at % 2100 / 9) as u8));
    add("image.ppm", &image);
    add("log", &content(Kind::Log, 200_000, 1));
    tar.resize(tar.len() + 1024, 0);
    shell.write("all.tar", &tar);
    assert_eq!(shell.run("explain -q -2 --html page.html all.tar").code, 0);
    let page = String::from_utf8(shell.read("page.html")).unwrap();
    assert!(page.len() < 5_000_000, "{}", page.len());
    let data = data(&page);
    assert_eq!((data["complete"].as_bool(), data["plain_bytes"].as_u64()), (Some(false), Some(tar.len() as u64)));
    assert!(data["rest"]["count"].as_u64().unwrap() > 1800 && data["pieces"].as_array().unwrap().len() == 200);
    assert_eq!((data["images"][0]["scale"].as_u64(), data["images"][0]["columns"].as_u64()), (Some(3), Some(234)));
    assert!(data["chart"]["means"].as_array().unwrap().len() <= 1000);
}
