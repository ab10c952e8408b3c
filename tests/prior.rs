//! Trained priors: archives made with one, in both forms, and what is refused.

mod common;

use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use common::{Kind, Random, content};
use nzip::{
    BlockSize, CompressOptions, Compressor, DecompressOptions, Decompressor, Error, ErrorKind, Level, Monitor,
    SeekableDecompressor, TrainedPrior, compress_with, decompress_with, list,
};

/// The answer of an API about a thing.
fn record(seed: u64) -> String {
    let mut random = Random::new(seed + 1);
    let words = ["open", "closed", "merged", "waiting for review", "draft"];
    let (id, state, votes) = (random.below(1 << 20), words[random.below(words.len())], random.below(100));
    format!(
        "{{\"id\": {id}, \"url\": \"https://api.example.com/items/{id}\", \"state\": \"{state}\", \"votes\": {votes}, \
         \"author\": {{\"name\": \"user{}\", \"admin\": {}}}}}\n",
        random.below(50),
        random.below(2) == 1
    )
}

fn prior_of(samples: std::ops::Range<u64>) -> Arc<TrainedPrior> {
    let samples: Vec<String> = samples.map(record).collect();
    Arc::new(TrainedPrior::train(&samples, 20_000).unwrap())
}

fn options(level: u8) -> CompressOptions {
    CompressOptions::new().level(Level::new(level).unwrap()).block_size(BlockSize::MIN)
}

fn with(prior: &Arc<TrainedPrior>) -> DecompressOptions {
    DecompressOptions::new().trained_prior(prior.clone())
}

fn kind(result: Result<Vec<u8>, Error>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn records_are_far_smaller_at_every_kind_of_level() {
    let prior = prior_of(0..100);
    let text = record(1000);
    for level in [1, 2, 4, 6, 8] {
        let plain = compress_with(text.as_bytes(), options(level)).unwrap();
        let archive = compress_with(text.as_bytes(), options(level).trained_prior(prior.clone())).unwrap();
        assert_eq!(decompress_with(&archive, with(&prior)).unwrap(), text.as_bytes(), "level {level}");
        assert!(archive.len() < 48 && 2 * archive.len() < plain.len(), "level {level}: {}", archive.len());
        let summary = list(Cursor::new(&archive)).next().unwrap().unwrap();
        assert_eq!((summary.trained_prior, summary.blocks), (Some(prior.id()), 1));
        assert_eq!((summary.content, summary.archive), (text.len() as u64, archive.len() as u64));
    }
}

#[test]
fn content_of_every_kind_and_length_round_trips() {
    let text = prior_of(0..100);
    let samples: Vec<Vec<u8>> = (0..9).map(|seed| content(Kind::Records, 3000, seed)).collect();
    let binary = Arc::new(TrainedPrior::train(&samples, 9000).unwrap());
    for prior in [text, binary] {
        for kind in common::KINDS {
            for (len, level) in [(0, 2), (1, 1), (3, 2), (700, 4), (5000, 1), (70_000, 2)] {
                let content = content(kind, len, 7);
                let archive = compress_with(&content, options(level).trained_prior(prior.clone())).unwrap();
                let back = decompress_with(&archive, with(&prior)).unwrap();
                assert!(back == content, "{kind:?}, {len} bytes at level {level}");
            }
        }
    }
}

#[test]
fn several_blocks_begin_with_the_prior_on_any_number_of_threads() {
    let prior = prior_of(0..100);
    let text: String = (2000..3200).map(record).collect();
    let archives = [1, 3].map(|threads| {
        compress_with(text.as_bytes(), options(2).threads(threads).trained_prior(prior.clone())).unwrap()
    });
    assert!(archives[0] == archives[1]);
    let plain = compress_with(text.as_bytes(), options(2)).unwrap();
    assert!(archives[0].len() < plain.len(), "{} with, {} without", archives[0].len(), plain.len());
    for threads in [1, 3] {
        assert!(decompress_with(&archives[0], with(&prior).threads(threads)).unwrap() == text.as_bytes());
    }
    let mut seekable = SeekableDecompressor::new(Cursor::new(&archives[0]), with(&prior)).unwrap();
    let mut part = vec![0; 300];
    for start in [150_000, 65_400, 0] {
        seekable.seek(SeekFrom::Start(start as u64)).unwrap();
        seekable.read_exact(&mut part).unwrap();
        assert_eq!(part, text.as_bytes()[start..start + 300]);
    }
}

/// In two lanes and more, the first one goes on where the samples end.
#[test]
fn lanes_begin_with_the_prior() {
    let prior = prior_of(0..20);
    let text = content(Kind::Text, 6000, 3);
    for lanes in [2, 4] {
        let options = options(6).lanes(nzip::Lanes::new(lanes).unwrap()).trained_prior(prior.clone());
        let archive = compress_with(&text, options).unwrap();
        assert!(decompress_with(&archive, with(&prior)).unwrap() == text, "{lanes} lanes");
    }
}

#[test]
fn flushed_archives_have_the_long_form() {
    let prior = prior_of(0..100);
    let mut compressor = Compressor::new(Vec::new(), options(1).trained_prior(prior.clone()));
    compressor.write_all(record(1).as_bytes()).unwrap();
    compressor.flush().unwrap();
    compressor.write_all(record(2).as_bytes()).unwrap();
    let archive = compressor.finish().unwrap();
    assert_eq!(decompress_with(&archive, with(&prior)).unwrap(), [record(1), record(2)].concat().as_bytes());
    assert_eq!(list(Cursor::new(&archive)).next().unwrap().unwrap().blocks, 2);
}

#[test]
fn missing_and_wrong_priors_are_named() {
    let (prior, other) = (prior_of(0..100), prior_of(1..100));
    let id = format!("{:08x}", prior.id());
    let long: String = (2000..2500).map(record).collect();
    for text in [record(5), long] {
        let archive = compress_with(text.as_bytes(), options(1).trained_prior(prior.clone())).unwrap();
        let wrong = with(&other).find_priors({
            let other = other.clone();
            move |_| Ok(other.clone())
        });
        for options in [DecompressOptions::new(), with(&other), wrong] {
            let error = decompress_with(&archive, options).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Model);
            assert!(error.to_string().contains(&id), "{error}");
        }
        let found = prior.clone();
        let find = DecompressOptions::new().find_priors(move |_| Ok(found.clone()));
        assert_eq!(decompress_with(&archive, find).unwrap(), text.as_bytes());
    }
}

#[test]
fn no_damage_of_a_record_gives_wrong_content() {
    let prior = prior_of(0..40);
    let text = record(77);
    for level in [1, 4] {
        let archive = compress_with(text.as_bytes(), options(level).trained_prior(prior.clone())).unwrap();
        for len in 0..archive.len() {
            assert!(decompress_with(&archive[..len], with(&prior)).is_err(), "{len} bytes");
        }
        for bit in 0..archive.len() * 8 {
            let mut damaged = archive.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decompress_with(&damaged, with(&prior)).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn records_one_after_the_other_are_read_and_recovered() {
    let prior = prior_of(0..100);
    let make = |text: &str| compress_with(text.as_bytes(), options(2).trained_prior(prior.clone())).unwrap();
    let texts: Vec<String> = (50..55).map(record).collect();
    let mut parts: Vec<Vec<u8>> = texts.iter().map(|text| make(text)).collect();
    parts.push(compress_with(b"in the long form", options(2)).unwrap());
    let all = [texts.concat().as_bytes(), b"in the long form"].concat();
    let archive = [parts.concat(), vec![0; 9]].concat();
    assert_eq!(decompress_with(&archive, with(&prior)).unwrap(), all);
    assert_eq!(list(Cursor::new(&archive)).map(Result::unwrap).count(), 6);
    let mut seekable = SeekableDecompressor::new(Cursor::new(&archive), with(&prior)).unwrap();
    let mut back = Vec::new();
    seekable.read_to_end(&mut back).unwrap();
    assert_eq!(back, all);

    // Damage in one, at any place, leaves the others.
    let (start, end) = (parts[0].len(), parts[0].len() + parts[1].len());
    let rest = [&texts[0], &texts[2], &texts[3], &texts[4], "in the long form"].concat();
    for at in start..end {
        let mut damaged = archive.clone();
        damaged[at] ^= 0x55;
        let mut decompressor = Decompressor::new(&damaged[..], with(&prior).keep_going(true));
        let mut found = Vec::new();
        match decompressor.read_to_end(&mut found) {
            Ok(_) => assert!(found == rest.as_bytes() && !decompressor.damage().is_empty(), "byte {at}"),
            // The head's check is right for one damaged head in 256.
            Err(error) => assert_eq!(Error::from(error).kind(), ErrorKind::Model, "byte {at}"),
        }
    }
}

#[test]
fn limits_and_interruption_hold_while_samples_are_learned() {
    let prior = prior_of(0..100);
    let archive = compress_with(record(1).as_bytes(), options(2).trained_prior(prior.clone())).unwrap();
    assert_eq!(kind(decompress_with(&archive, with(&prior).memory(2 << 20))), ErrorKind::MemoryLimit);
    assert_eq!(kind(decompress_with(&archive, with(&prior).max_output(20))), ErrorKind::OutputLimit);
    let monitor = Arc::new(Monitor::default());
    monitor.stop();
    let stopped = options(2).trained_prior(prior_of(0..99)).monitor(monitor);
    assert_eq!(kind(compress_with(record(1).as_bytes(), stopped)), ErrorKind::Interrupted);
}
