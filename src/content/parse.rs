//! Content in; segments, and streams of segments of a kind, out.

use super::base64::Base64;
use super::budget::Budget;
use super::candidates::{Candidate, Candidates, gzip_header, program_in, zip_header};
use super::data_kind::DataKind;
use super::deflate::{self, Parameters, Writer};
use super::derived::wheel;
use super::flat::Rows;
use super::found::{Found, FoundDeflate, FoundRows, What, unfilter};
use super::gif::Gif;
use super::kind::Kind;
use super::parts::{Division, divide};
use super::pieces::pieces;
use super::segment::{Deflate, MAX_STREAMS, Segment, Stream};
use super::{gif, jpeg, lepton, pdf, png, samples, segment, statistics};

/// How deep a list of segments may lie in others: the image of a document in an archive of archives.
pub const MAX_DEPTH: usize = 4;
/// How many lists may lie in each other, some of which count as one above.
pub const MAX_NESTING: usize = 4 * MAX_DEPTH;
/// Deflate of fewer bytes gains less than its segment costs.
const MIN_DEFLATE: usize = 48;
/// The same for plain data between others, which would break a stream.
const MIN_PIECE: usize = 32;
/// Longer pieces between others are not headers.
const MAX_HEADERS: usize = 4096;
/// An image of fewer plain bytes shares a stream with others.
const MIN_IMAGE: usize = 1 << 14;
/// Corrections may take one in so many bytes of the deflate.
const MAX_CORRECTIONS: usize = 6;

/// Content taken apart.
pub struct Parsed {
    /// The script first.
    pub streams: Vec<Stream>,
    /// What undoing needs beside plain data.
    pub corrections: Vec<u8>,
    /// The segments in the order of the content.
    pub segments: Vec<Segment>,
}

impl Parsed {
    /// Bytes of all streams.
    pub fn plain_len(&self) -> usize {
        self.streams.iter().map(|stream| stream.bytes.len()).sum()
    }

    /// The kinds of the streams.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.streams.iter().map(|stream| stream.kind)
    }

    /// Bytes of memory that taking it apart took, beside the streams, about.
    pub fn memory(&self) -> u64 {
        let kept = self.kinds().map(Kind::kept).sum::<u64>();
        lepton::memory(self.kinds()) + kept + segment::memory(&self.segments)
    }
}

/// How far content is taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Whether what is compressed is undone.
    pub recompress: bool,
    /// Whether the codec has models of images, audio, spreadsheets, programs with instructions of four bytes, and JPEG; else JPEG is left to
    /// Lepton, the others are any binary data.
    pub samples: bool,
    /// How many times as long as the content its plain data may be, without most of images' flat areas: they take so much longer.
    pub expansion: usize,
    /// How long streams are divided into parts, if they are.
    pub division: Option<Division>,
}

/// Takes `content` apart. None where it is of one kind throughout and not divided: then it is coded as it is.
pub fn parse(content: &[u8], effort: Effort) -> Option<Parsed> {
    let mut parser = Parser {
        streams: vec![Stream { kind: Kind::Script, bytes: Vec::new() }],
        budget: Budget::new(content.len(), effort.expansion),
        guess: None,
        samples: effort.samples,
        max_depth: if effort.recompress { MAX_DEPTH } else { 0 },
    };
    let mut segments = Vec::new();
    parser.list(content, 1, &mut segments);
    let is_plain = |segment: &Segment| matches!(segment, Segment::Plain { .. });
    let is_divided = effort.division.is_some_and(|division| divide(division, &mut parser.streams, &mut segments));
    if !is_divided
        && parser.streams.len() <= 2
        && segments.iter().all(is_plain)
        && !parser.streams.iter().any(|stream| stream.kind.is_structured())
    {
        return None;
    }
    let mut corrections = Writer::default();
    parser.streams[0].bytes = segment::write(&segments, &mut corrections);
    Some(Parsed { streams: parser.streams, corrections: corrections.finish(), segments })
}

pub struct Parser {
    pub streams: Vec<Stream>,
    pub budget: Budget,
    /// The parameters of the last deflate stream.
    guess: Option<Parameters>,
    /// Whether there are models of samples.
    samples: bool,
    pub max_depth: usize,
}

/// What is known of a file while it is searched.
pub struct File {
    pub kind: Kind,
    /// Whether it is a zip archive in which no list of a wheel's files has been found.
    pub may_have_record: bool,
}

impl Parser {
    /// Takes apart what is no archive: what can be undone, and what lies between.
    pub fn file(&mut self, bytes: &[u8], depth: usize, out: &mut Vec<Segment>) {
        if self.samples
            && let Some((range, kind)) = samples::find(bytes)
        {
            self.plain(&bytes[..range.start], Kind::Headers, out);
            self.plain(&bytes[range.clone()], kind, out);
            return self.between(&bytes[range.end..], Kind::Binary, out);
        }
        let whole = Kind::of(bytes);
        let mut file = File { kind: whole, may_have_record: false };
        match self.undone(Candidates::new(bytes), (0, 0), &mut file, depth, out) {
            0 => self.closed(bytes, whole, out),
            from => self.between(&bytes[from..], whole, out),
        }
    }

    /// Adds what can be undone in a file, searched from `at` on, and what lies between, from `from` on. Returns where the last of it
    /// ends.
    pub fn undone(
        &mut self,
        mut candidates: Candidates<'_>,
        (mut from, mut at): (usize, usize),
        file: &mut File,
        depth: usize,
        out: &mut Vec<Segment>,
    ) -> usize {
        let bytes = candidates.bytes;
        while depth < self.max_depth
            && let Some(candidate) = candidates.next(at)
        {
            let (found, next) = match candidate {
                Candidate::At(start) => {
                    at = start;
                    (self.undo(&bytes[at..]), at + 1)
                }
                Candidate::Base64(base64) => {
                    at = base64.start;
                    let next = at + base64.len;
                    (self.undo_base64(bytes, base64), next)
                }
            };
            let Some(Found { skip, mut what }) = found else {
                at = next;
                continue;
            };
            match &mut what {
                What::Deflate(deflate) => {
                    let image = pdf::image(&bytes[..at + skip], deflate.undone.plain.len());
                    deflate.image = image.map(|image| (image.kind, image.is_filtered));
                    if file.may_have_record && deflate.wrapper.is_none() && wheel::is_record(&bytes[..at + skip]) {
                        deflate.names = wheel::take(&bytes[..at + skip], &deflate.undone.plain);
                        file.may_have_record = deflate.names.is_none();
                    }
                }
                // Before its tables may be a thumbnail.
                What::Jpeg(..) => {
                    let before = candidates.before(at + skip);
                    from = self.undone(before, (from, at + 2), file, depth + 1, out);
                }
                _ => {}
            }
            self.between(&bytes[from..at + skip], file.kind, out);
            let segment = self.enter(what, depth);
            at += skip + segment.len();
            from = at;
            out.push(segment);
        }
        from
    }

    /// Adds what can't be undone, of kind `whole`, by statistics.
    fn closed(&mut self, bytes: &[u8], whole: Kind, out: &mut Vec<Segment>) {
        if whole.is_structured() {
            return self.plain(bytes, whole, out);
        }
        if let Some((at, code)) = program_in(bytes) {
            self.closed(&bytes[..at], Kind::of(&bytes[..at]), out);
            return self.plain(&bytes[at..], code, out);
        }
        if whole == Kind::Binary && self.image_in(bytes, out) {
            return;
        }
        let pieces = pieces(bytes);
        let is_one = pieces.len() == 1;
        for (kind, range) in pieces {
            let bytes = &bytes[range];
            match kind {
                _ if is_one => self.plain(bytes, whole, out),
                DataKind::Binary if self.image_in(bytes, out) => {}
                DataKind::Binary => self.plain(bytes, Kind::Binary, out),
                DataKind::Text => self.plain(bytes, Kind::Text, out),
            }
        }
    }

    /// Adds `bytes` if they are an image or a grid of numbers.
    fn image_in(&mut self, bytes: &[u8], out: &mut Vec<Segment>) -> bool {
        let is_searched = self.samples && self.budget.charge(statistics::work(bytes.len())).is_some();
        let found = if is_searched { statistics::image(bytes) } else { None };
        let Some((range, kind)) = found else { return false };
        self.plain(&bytes[..range.start], Kind::Headers, out);
        self.plain(&bytes[range.clone()], kind, out);
        self.plain(&bytes[range.end..], Kind::Headers, out);
        true
    }

    /// Undoes what begins at the beginning of `bytes`, if that is possible and worth it.
    fn undo(&mut self, bytes: &[u8]) -> Option<Found> {
        match *bytes {
            [b'P', b'K', ..] => self.undo_deflate(bytes, zip_header(bytes)?, None),
            [0x1F, ..] => self.undo_deflate(bytes, gzip_header(bytes)?, None),
            [0x89, ..] => {
                let png = png::parse(bytes)?;
                let Found { skip: 0, what: What::Deflate(mut deflate) } = self.undo_zlib(&png.body, Some(png.kind))?
                else {
                    return None;
                };
                if deflate.undone.consumed + 6 != png.body.len() {
                    return None;
                }
                deflate.image = Some((png.kind, true));
                Some(Found { skip: png.start, what: What::Png(png.chunks, deflate) })
            }
            [b'G', ..] => {
                let gif = gif::undo(bytes, self.budget.flat_bytes())?;
                self.budget.charge(gif.pixels.len())?;
                let time = self.time(&gif.pixels, gif.kind);
                self.budget.add(gif.pixels.len(), time)?;
                Some(Found { skip: gif.start, what: What::Gif(gif) })
            }
            [0xFF, ..] => {
                let len = lepton::find(bytes)?;
                self.budget.charge(2 * len)?;
                if self.samples
                    && let Some((range, kept)) = jpeg::find(&bytes[..len])
                {
                    return Some(Found { skip: range.start, what: What::Jpeg(bytes[range].to_vec(), kept) });
                }
                let (lepton, coefficients) = lepton::undo(&bytes[..len])?;
                self.budget.add(lepton.len(), lepton.len())?;
                Some(Found { skip: 0, what: What::Lepton { len, lepton, coefficients } })
            }
            _ => self.undo_zlib(bytes, None),
        }
    }

    /// Undoes base64 in `bytes`.
    fn undo_base64(&mut self, bytes: &[u8], base64: Base64) -> Option<Found> {
        self.budget.charge(base64.len)?;
        let plain = base64.decode(bytes)?;
        self.budget.add(plain.len(), plain.len())?;
        Some(Found { skip: 0, what: What::Base64(base64.form, plain) })
    }

    /// Undoes a zlib stream: of a PNG, if `png` tells of its rows.
    fn undo_zlib(&mut self, bytes: &[u8], png: Option<Kind>) -> Option<Found> {
        let wrapper = *bytes.first_chunk()?;
        let Found { what: What::Deflate(mut deflate), .. } = self.undo_deflate(bytes, 2, png)? else { return None };
        let sum = bytes[2 + deflate.undone.consumed..].first_chunk()?;
        deflate.wrapper = Some(wrapper);
        let is_right = adler2::adler32_slice(&deflate.undone.plain) == u32::from_be_bytes(*sum);
        is_right.then_some(Found { skip: 0, what: What::Deflate(deflate) })
    }

    /// Undoes the deflate stream at byte `skip`: of a PNG, if `png` tells of its rows.
    fn undo_deflate(&mut self, bytes: &[u8], skip: usize, png: Option<Kind>) -> Option<Found> {
        let limit = if png.is_some() { self.budget.flat_bytes() } else { self.budget.bytes() };
        let undone = match deflate::undo(bytes.get(skip..)?, limit, self.guess) {
            Ok(undone) => undone,
            Err(work) => {
                self.budget.waste(work);
                return None;
            }
        };
        self.budget.charge(undone.plain.len())?;
        let mut corrections = Writer::default();
        corrections.stream(undone.parameters, &undone.notes);
        let cost = corrections.finish().len();
        if undone.consumed < MIN_DEFLATE || cost > undone.consumed / MAX_CORRECTIONS + MIN_DEFLATE / 2 {
            return None;
        }
        let rows = png.filter(|_| self.samples).and_then(|kind| unfilter(&undone.plain, kind));
        let time = rows.as_ref().map_or(undone.plain.len(), |rows| self.time(&rows.pixels, rows.kind));
        self.budget.add(undone.plain.len(), time)?;
        self.guess = Some(undone.parameters);
        Some(Found {
            skip,
            what: What::Deflate(FoundDeflate { undone, wrapper: None, image: None, rows, names: None }),
        })
    }

    /// The time that pixels take as bytes outside of flat areas.
    fn time(&self, pixels: &[u8], kind: Kind) -> usize {
        let rows = Rows::of(kind).filter(|_| self.samples);
        rows.map_or(pixels.len(), |rows| rows.time(pixels))
    }

    /// Takes apart what was undone.
    fn enter(&mut self, what: What, depth: usize) -> Segment {
        match what {
            What::Deflate(deflate) => self.enter_deflate(deflate, depth),
            What::Png(chunks, deflate) => Segment::Png { chunks, body: vec![self.enter_deflate(deflate, depth)] },
            What::Gif(Gif { len, shape, pixels, notes, kind, .. }) => {
                let mut segments = Vec::new();
                let kind = self.image(kind, pixels.len());
                self.plain(&pixels, kind, &mut segments);
                Segment::Gif { len, shape, notes, pixels: segments }
            }
            What::Base64(form, bytes) => {
                // Most short ones are one piece, and there may be many.
                let mut plain = Vec::with_capacity(1);
                self.list(&bytes, depth + 1, &mut plain);
                Segment::Base64 { form, len: bytes.len(), plain }
            }
            What::Jpeg(bytes, kept) => {
                let stream = self.stream(Kind::Jpeg { most: kept });
                self.streams[stream].bytes.extend(&bytes);
                Segment::Plain { stream, len: bytes.len() }
            }
            What::Lepton { len, lepton, coefficients } => {
                let stream = self.stream(Kind::Lepton { most: coefficients });
                self.streams[stream].bytes.extend(&lepton);
                Segment::Jpeg { len, stream, coded: lepton.len() }
            }
        }
    }

    fn enter_deflate(&mut self, deflate: FoundDeflate, depth: usize) -> Segment {
        let FoundDeflate { undone, wrapper, image, rows, names } = deflate;
        let mut plain = Vec::new();
        match image {
            Some((kind, true)) => self.rows(&undone.plain, kind, rows, &mut plain),
            Some((kind, false)) => {
                let kind = self.image(kind, undone.plain.len());
                self.plain(&undone.plain, kind, &mut plain);
            }
            None => self.list(names.as_ref().unwrap_or(&undone.plain), depth + 1, &mut plain),
        }
        let is_record = names.is_some();
        let (len, parameters, notes) = (undone.consumed, undone.parameters, undone.notes);
        Segment::Deflate(Box::new(Deflate { len, wrapper, parameters, notes, plain, is_record }))
    }

    /// Adds the filtered rows of a PNG, which `kind` tells of; `rows` if their filters have been undone.
    fn rows(&mut self, filtered: &[u8], kind: Kind, rows: Option<FoundRows>, out: &mut Vec<Segment>) {
        let Kind::Image { row: row @ 2.., pixel, .. } = kind else { return self.plain(filtered, kind, out) };
        if !self.samples {
            let kind = self.image(kind, filtered.len());
            return self.plain(filtered, kind, out);
        }
        let Some(FoundRows { filters, pixels, kind }) = rows.or_else(|| unfilter(filtered, kind)) else {
            return self.plain(filtered, Kind::Binary, out);
        };
        // Chosen before the filter types may add a stream.
        let pixels_kind = self.image(kind, filtered.len());
        let mut parts = Vec::new();
        self.plain(&filters, Kind::Headers, &mut parts);
        self.plain(&pixels, pixels_kind, &mut parts);
        out.push(Segment::Rows { len: filtered.len(), row: row as usize, pixel: pixel.into(), parts });
    }

    /// Adds bytes between what was undone in a file of kind `whole`.
    pub fn between(&mut self, bytes: &[u8], whole: Kind, out: &mut Vec<Segment>) {
        let kind = match Kind::of(bytes) {
            _ if whole.is_code() && bytes.len() > MAX_HEADERS => whole,
            Kind::Text if whole == Kind::Text => Kind::Text,
            _ if bytes.len() < MIN_PIECE || bytes.starts_with(b"PK\x01\x02") => Kind::Headers,
            Kind::Binary if bytes.len() <= MAX_HEADERS => Kind::Headers,
            kind => return self.closed(bytes, kind, out),
        };
        self.plain(bytes, kind, out);
    }

    /// Adds bytes as they are.
    pub fn plain(&mut self, bytes: &[u8], kind: Kind, out: &mut Vec<Segment>) {
        if bytes.is_empty() {
            return;
        }
        // A stream of its own costs some bytes, which only a model of its own is worth.
        let has_model = self.samples
            || !matches!(kind, Kind::Workbook | Kind::Risc { .. } | Kind::Font | Kind::Class | Kind::Database);
        let index = self.stream(if has_model { kind } else { Kind::Binary });
        self.streams[index].bytes.extend_from_slice(bytes);
        match out.last_mut() {
            Some(Segment::Plain { stream, len }) if *stream == index => *len += bytes.len(),
            _ => out.push(Segment::Plain { stream: index, len: bytes.len() }),
        }
    }

    /// The kind that an image of `len` bytes is coded as: small ones, and those beyond many, share one.
    fn image(&self, kind: Kind, len: usize) -> Kind {
        let is_alone = len >= MIN_IMAGE && self.streams.len() < MAX_STREAMS / 2;
        if is_alone { kind } else { Kind::Image { row: 0, pixel: 1, depth: 8 } }
    }

    /// The stream of a kind.
    pub fn stream(&mut self, kind: Kind) -> usize {
        if let Some(index) = self.streams.iter_mut().position(|stream| stream.kind.takes(kind)) {
            return index;
        }
        self.streams.push(Stream { kind, bytes: Vec::new() });
        self.streams.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    /// Content of many files, each of which may be an image, must not take more work than the limit.
    #[test]
    fn the_search_for_images_is_work() {
        let mut random = TestRandom::new(8);
        let mut profile = vec![60u8];
        for _ in 1..417 {
            let step = random.below(13) as u8;
            profile.push((profile[profile.len() - 1] + step).saturating_sub(6).clamp(20, 180));
        }
        let image: Vec<u8> =
            (0..100).flat_map(|_| profile.clone()).map(|height| height + random.below(4) as u8).collect();
        let found = |work| {
            let mut budget = Budget::new(0, 0);
            budget.waste((1 << 22) - work);
            let mut parser = Parser { streams: Vec::new(), budget, guess: None, samples: true, max_depth: 0 };
            parser.member(&image, 1, &mut Vec::new());
            (parser.streams[0].kind, parser.budget.charge(1))
        };
        let work = statistics::work(image.len());
        assert!(matches!(found(work), (Kind::Image { depth: 8, .. }, None)));
        assert_eq!(found(work - 1), (Kind::Binary, Some(())));
        assert_eq!(statistics::work(1000), 0);
    }
}
