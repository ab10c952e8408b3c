//! A page that shows an explanation: HTML with all that it needs in it, of bounded size.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nzip::internals::codec::Detail;
use nzip::internals::container::{Explanation, StreamCost};
use nzip::internals::content::Kind;
use serde::Serialize;

use super::Expert;
use super::Report;
use super::excerpts::{Excerpt, choose};
use super::places::dearest;
use super::text::{STEPS, name};
use super::thumbnail::{Thumbnail, thumbnails};
use super::totals::Row;

/// Columns of the chart, places and segments that are listed, and dear places that are looked for.
const COLUMNS: usize = 1000;
const PLACES: usize = 100;
const PIECES: usize = 200;
const DEAREST: usize = 1500;
/// Costs are in units of 1/64 bit, with 15 bits; the bit above tells whether the transformer was asked.
const UNIT: f32 = 64.0;
const ASKED: u16 = 1 << 15;

/// What the page's script reads.
#[derive(Serialize)]
struct Data<'a> {
    name: &'a str,
    content_bytes: u64,
    archive_bytes: u64,
    bits_per_byte: Option<f64>,
    plain_bytes: u64,
    totals: &'a [Row],
    experts: &'a [Expert],
    spread: &'a str,
    chart: Chart,
    pieces: Vec<Span>,
    rest: Option<Rest>,
    places: Vec<Span>,
    excerpts: Vec<Shown>,
    /// Whether the excerpts are all there is.
    complete: bool,
    steps: [f64; 5],
    parts: Vec<String>,
    uses_transformer: bool,
    images: Vec<Thumbnail>,
    /// For each byte of the excerpts, in base64: itself; its cost in two bytes; three guesses with their probabilities in 1/255;
    /// each part's share of the evidence in 1/255.
    bytes: String,
    costs: String,
    guesses: String,
    shares: String,
}

/// Mean bits of `cell` bytes each.
#[derive(Serialize)]
struct Chart {
    cell: usize,
    means: Vec<f64>,
}

/// Bytes that follow each other; `at` counts the bytes of all pieces.
#[derive(Serialize)]
struct Span {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    /// Where they, or what they were undone from, begin in the content.
    offset: u64,
    at: usize,
    len: usize,
    bits: f64,
}

/// The pieces that are not listed.
#[derive(Serialize)]
struct Rest {
    count: usize,
    len: usize,
    bits: f64,
}

#[derive(Serialize)]
struct Shown {
    name: String,
    at: usize,
    len: usize,
    /// Whether it is text.
    text: bool,
    /// Bytes of which details are known.
    known: usize,
}

/// The page.
pub fn page(explanation: &Explanation, report: &Report) -> String {
    // Tags in the data would end the script.
    let data = serde_json::to_string(&data(explanation, report)).unwrap_or_default().replace('<', "\\u003c");
    include_str!("page.html")
        .replacen("@STYLE@", include_str!("page.css"), 1)
        .replacen("@SCRIPT@", include_str!("page.js"), 1)
        .replacen("@DATA@", &data, 1)
}

fn data<'a>(explanation: &Explanation, report: &'a Report) -> Data<'a> {
    let mut starts = vec![0];
    starts.extend(explanation.pieces.iter().scan(0, |sum, piece| {
        *sum += piece.len;
        Some(*sum)
    }));
    let places = dearest(explanation, DEAREST);
    let (excerpts, complete) = choose(explanation, &places);
    let names: Vec<&str> = explanation.evidence().into_iter().map(|(name, _)| name).collect();
    let mut packed = Packed::default();
    let shown = excerpts.iter().map(|excerpt| {
        let piece = &explanation.pieces[excerpt.piece];
        let stream = &explanation.streams[piece.stream];
        Shown {
            name: name(explanation, piece),
            at: starts[excerpt.piece] + excerpt.start - piece.start,
            len: excerpt.end - excerpt.start,
            text: stream.kind == Kind::Text,
            known: packed.add(stream, excerpt, &names),
        }
    });
    let excerpts = shown.collect();
    let span = |piece: usize, start: usize, len: usize, bits: f64, is_named: bool| {
        let whole = &explanation.pieces[piece];
        let name = if is_named { name(explanation, whole) } else { String::new() };
        let inside = start - whole.start;
        let offset = whole.offset + if whole.within.is_empty() { inside as u64 } else { 0 };
        Span { name, offset, at: starts[piece] + inside, len, bits }
    };
    let mut pieces: Vec<Span> = (0..explanation.pieces.len())
        .map(|index| {
            let piece = &explanation.pieces[index];
            span(index, piece.start, piece.len, bits(explanation, index), true)
        })
        .collect();
    pieces.sort_by(|a, b| b.bits.total_cmp(&a.bits));
    let others = pieces.split_off(pieces.len().min(PIECES));
    pieces.sort_by_key(|piece| piece.at);
    let rest = (!others.is_empty()).then(|| Rest {
        count: others.len(),
        len: others.iter().map(|piece| piece.len).sum(),
        bits: others.iter().map(|piece| piece.bits).sum(),
    });
    Data {
        name: &report.name,
        content_bytes: report.content_bytes,
        archive_bytes: report.archive_bytes,
        bits_per_byte: report.bits_per_byte,
        plain_bytes: starts.last().copied().unwrap_or_default() as u64,
        totals: &report.totals,
        experts: &report.experts,
        spread: &report.spread,
        chart: chart(explanation, starts.last().copied().unwrap_or_default()),
        pieces,
        rest,
        places: places.iter().take(PLACES).map(|p| span(p.piece, p.start, p.len, p.bits, false)).collect(),
        excerpts,
        complete,
        steps: STEPS,
        uses_transformer: names.contains(&"transformer"),
        parts: names.iter().map(|name| name.replace('_', " ")).collect(),
        images: thumbnails(explanation),
        bytes: STANDARD.encode(packed.bytes),
        costs: STANDARD.encode(packed.costs),
        guesses: STANDARD.encode(packed.guesses),
        shares: STANDARD.encode(packed.shares),
    }
}

fn bits(explanation: &Explanation, piece: usize) -> f64 {
    let piece = &explanation.pieces[piece];
    let stream = &explanation.streams[piece.stream];
    (piece.start..piece.start + piece.len).map(|at| f64::from(stream.cost(at))).sum()
}

fn chart(explanation: &Explanation, len: usize) -> Chart {
    let cell = len.div_ceil(COLUMNS).max(1);
    let mut sums = vec![(0.0, 0); len.div_ceil(cell)];
    let mut at = 0;
    for piece in &explanation.pieces {
        let stream = &explanation.streams[piece.stream];
        for inside in piece.start..piece.start + piece.len {
            let (bits, bytes) = &mut sums[at / cell];
            *bits += f64::from(stream.cost(inside));
            *bytes += 1;
            at += 1;
        }
    }
    let mean = |(bits, bytes): (f64, u32)| (bits / f64::from(bytes) * 1000.0).round() / 1000.0;
    Chart { cell, means: sums.into_iter().map(mean).collect() }
}

/// What is known of the bytes of excerpts.
#[derive(Default)]
struct Packed {
    bytes: Vec<u8>,
    costs: Vec<u8>,
    guesses: Vec<u8>,
    shares: Vec<u8>,
}

impl Packed {
    /// Adds an excerpt; `names` are those of all parts. Returns of how many of its bytes details are known.
    fn add(&mut self, stream: &StreamCost, excerpt: &Excerpt, names: &[&str]) -> usize {
        let observation = stream.coded.as_ref().map(|(_, observation)| observation);
        let mut known = 0;
        for at in excerpt.start..excerpt.end {
            self.bytes.push(stream.plain[at]);
            let detail = observation.and_then(|observation| observation.details.get(at));
            let Detail { asked, guesses } = detail.copied().unwrap_or_default();
            let cost = (stream.cost(at) * UNIT).round().min(f32::from(ASKED - 1)) as u16;
            self.costs.extend((cost | if asked { ASKED } else { 0 }).to_le_bytes());
            for (byte, probability) in guesses {
                self.guesses.extend([byte, (probability * 255.0).round() as u8]);
            }
            known += usize::from(detail.is_some());
            self.shares.extend(names.iter().map(|name| {
                let observation = observation.filter(|_| detail.is_some());
                let share = observation.and_then(|observation| {
                    let part = observation.parts.iter().position(|part| part == name)?;
                    Some(observation.shares[at * observation.parts.len() + part])
                });
                share.unwrap_or_default()
            }));
        }
        known
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "nothing is coded with it")]
mod tests {
    /// The relative luminance of a colour of the style, as WCAG 2 defines it.
    fn luminance(theme: &str, name: &str) -> f64 {
        let (_, rest) = theme.split_once(&format!("{name}: #")).unwrap();
        let hex = u32::from_str_radix(&rest[..6], 16).unwrap();
        let channel = |shift: u32| {
            let value = f64::from(hex >> shift & 255) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(16) + 0.7152 * channel(8) + 0.0722 * channel(0)
    }

    /// Text can be read on its background, and the steps can be told apart without seeing hues.
    #[test]
    fn colours_have_contrast_in_each_theme() {
        let themes: Vec<&str> = include_str!("page.css").split("color-scheme: ").skip(1).collect();
        assert_eq!(themes.len(), 4, "light, a query, and dark twice");
        for theme in themes.iter().filter(|theme| theme.contains("--back")) {
            let mut pairs = vec![("--text".into(), "--back".into()), ("--faint".into(), "--back".into())];
            pairs.push(("--accent".into(), "--back".into()));
            pairs.push(("--text".into(), "--panel".into()));
            pairs.extend((1..=5).map(|step| (format!("--t{step}"), format!("--b{step}"))));
            for (text, back) in pairs {
                let [a, b] = [&text, &back].map(|name| luminance(theme, name));
                let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                assert!(contrast >= 4.5, "{text} on {back}: {contrast}");
            }
            let steps: Vec<f64> =
                ["--back", "--b1", "--b2", "--b3", "--b4", "--b5"].map(|name| luminance(theme, name)).into();
            assert!(steps.is_sorted() || steps.iter().rev().is_sorted(), "{steps:?}");
        }
    }
}
