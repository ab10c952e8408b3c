//! The prior's file: magic, checksum, the vocabulary with its unigram weights, and one part for each level.

use super::lists::{LEVELS, Level};
use super::vocabulary::Vocabulary;
use super::{Prior, UNIGRAM_BITS};
use crate::error::{Error, ErrorKind};
use crate::experts::huffman::{BitReader, BitWriter, Decoder, Encoder, count};
use std::sync::OnceLock;

mod level;

pub use level::{LevelData, MASSES};

const MAGIC: &[u8; 8] = b"nzprior1";
/// Number of unigram weight codes; see [`weight`].
const UNIGRAM_SYMBOLS: usize = 128;

/// Made by training/prior.
static EMBEDDED: &[u8] = nzip_prior::PRIOR;

impl Prior {
    /// The embedded prior, decoded on first use.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if the program file is damaged.
    pub fn embedded() -> Result<&'static Prior, Error> {
        static PRIOR: OnceLock<Prior> = OnceLock::new();
        match PRIOR.get() {
            Some(prior) => Ok(prior),
            None => Prior::parse(EMBEDDED).map(|prior| PRIOR.get_or_init(|| prior)),
        }
    }

    /// Decodes a prior's file.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if the file is not a prior or is damaged.
    pub fn parse(file: &[u8]) -> Result<Prior, Error> {
        let wrong = |what| Error::new(ErrorKind::Model, format!("the n-gram prior {what}"));
        let body = file.strip_prefix(MAGIC).ok_or_else(|| wrong("is not a prior file of this version"))?;
        let (checksum, body) = body.split_first_chunk::<8>().ok_or_else(|| wrong("is cut short"))?;
        let id = hash(body);
        if u64::from_le_bytes(*checksum) != id {
            return Err(wrong("is damaged: its checksum does not match"));
        }
        decode(body, id).ok_or_else(|| wrong("is not well-formed"))
    }
}

/// The contents of a prior's file.
pub struct PriorData {
    /// See [`Vocabulary::new`].
    pub nodes: Vec<(u8, u8)>,
    /// For each token, the code of its unigram [`weight`].
    pub unigram: Vec<u8>,
    /// The mass, in units of 2^-[`super::MASS_BITS`], of each mass code. A list's masses must sum to less than 1.
    pub masses: [u16; MASSES],
    /// The lists of contexts of one, two and three tokens.
    pub levels: [LevelData; LEVELS],
}

/// The unigram weight of a code below 128, a number with a 2-bit mantissa: 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, …
pub fn weight(code: u8) -> u64 {
    u64::from(4 + code % 4) << (code / 4)
}

/// Encodes a prior's file.
pub fn encode(data: &PriorData) -> Vec<u8> {
    let head = encode_head(data);
    let levels = data.levels.each_ref().map(|level| level::encode(level, &data.masses));
    let parts: Vec<&[u8]> = std::iter::once(&head).chain(&levels).map(|part| &part[..]).collect();
    let sizes: Vec<u8> = parts.iter().flat_map(|part| (part.len() as u32).to_le_bytes()).collect();
    let body = [&sizes[..], &parts.concat()].concat();
    [&MAGIC[..], &hash(&body).to_le_bytes(), &body].concat()
}

fn decode(body: &[u8], id: u64) -> Option<Prior> {
    let (sizes, mut rest) = body.split_at_checked(4 * (1 + LEVELS))?;
    let mut parts = [&[] as &[u8]; 1 + LEVELS];
    for (part, size) in parts.iter_mut().zip(sizes.chunks_exact(4)) {
        (*part, rest) = rest.split_at_checked(u32::from_le_bytes(size.try_into().ok()?) as usize)?;
    }
    let [head, levels @ ..] = parts;
    let (head, levels) = in_parallel(levels, level::decode, || decode_head(head));
    let (vocabulary, unigram) = head?;
    match levels {
        [Some(one), Some(two), Some(three)] => Prior::new(id, vocabulary, unigram, [one, two, three]),
        _ => None,
    }
}

/// Decodes each level on a thread of its own, which makes the program start sooner, and the head on this one. A level for which
/// the system gives no thread is decoded on this one, too.
fn in_parallel<T>(
    parts: [&[u8]; LEVELS],
    decode: fn(&[u8]) -> Option<Level>,
    head: impl FnOnce() -> T,
) -> (T, [Option<Level>; LEVELS]) {
    std::thread::scope(|scope| {
        let spawn = |part| std::thread::Builder::new().spawn_scoped(scope, move || decode(part)).map_err(|_| part);
        let levels = parts.map(spawn);
        let head = head();
        let join = |level: Result<std::thread::ScopedJoinHandle<_>, _>| match level {
            Ok(thread) => thread.join().ok().flatten(),
            Err(part) => decode(part),
        };
        (head, levels.map(join))
    })
}

fn encode_head(data: &PriorData) -> Vec<u8> {
    let mut out = BitWriter::default();
    out.bits(data.nodes.len() as u32, 20);
    let rises: Vec<u8> = rises(&data.nodes).collect();
    let rise_code = Encoder::write(&count(256, rises.iter().map(|&r| r.into())), &mut out);
    let byte_code = Encoder::write(&count(256, data.nodes.iter().map(|n| n.1.into())), &mut out);
    let weight_code = Encoder::write(&count(UNIGRAM_SYMBOLS, data.unigram.iter().map(|&u| u.into())), &mut out);
    for ((rise, node), weight) in rises.iter().zip(&data.nodes).zip(&data.unigram) {
        rise_code.symbol((*rise).into(), &mut out);
        byte_code.symbol(node.1.into(), &mut out);
        weight_code.symbol((*weight).into(), &mut out);
    }
    out.finish()
}

fn decode_head(head: &[u8]) -> Option<(Vocabulary, Vec<u32>)> {
    let mut input = BitReader::new(head);
    let tokens = input.bits(20) as usize;
    let rise_code = Decoder::read(&mut input, 256)?;
    let byte_code = Decoder::read(&mut input, 256)?;
    let weight_code = Decoder::read(&mut input, UNIGRAM_SYMBOLS)?;
    let (mut nodes, mut weights, mut depth) = (Vec::with_capacity(tokens), vec![0u64], 0u32);
    for _ in 0..tokens {
        input.fill();
        depth = (depth + 1).checked_sub(rise_code.take(&mut input))?;
        nodes.push((u8::try_from(depth).ok()?, byte_code.take(&mut input) as u8));
        weights.push(weights[weights.len() - 1] + weight(weight_code.take(&mut input) as u8));
    }
    let vocabulary = Vocabulary::new(&nodes)?;
    let all = u128::from(weights[tokens]);
    let unigram = weights.iter().map(|&w| ((u128::from(w) << UNIGRAM_BITS) / all) as u32).collect();
    Some((vocabulary, unigram))
}

/// For each node, how many levels it is above a child of the node before it.
fn rises(nodes: &[(u8, u8)]) -> impl Iterator<Item = u8> + '_ {
    (0..nodes.len()).map(|i| if i == 0 { 0 } else { nodes[i - 1].0 + 1 - nodes[i].0 })
}

/// A 64-bit multiplicative hash over 8 bytes at a time.
fn hash(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(0xCBF2_9CE4_8422_2325 ^ bytes.len() as u64, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let mixed = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed ^ mixed >> 29
    })
}
