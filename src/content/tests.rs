//! Taking content apart and putting it together again.

use super::base64::Form;
use super::segment::{Segment, tag};
use super::*;
use crate::error::ErrorKind;
use crate::fields::{FieldReader, put_varint};
use crate::test_random::TestRandom;

const EFFORT: Effort = Effort { recompress: true, samples: true, expansion: 16, division: None };

const SAMPLES: [(&str, &[u8]); 10] = [
    ("archive.zip", include_bytes!("../../tests/samples/archive.zip")),
    ("image.png", include_bytes!("../../tests/samples/image.png")),
    ("photo.jpg", include_bytes!("../../tests/samples/photo.jpg")),
    ("progressive.jpg", include_bytes!("../../tests/samples/progressive.jpg")),
    ("page.pdf", include_bytes!("../../tests/samples/page.pdf")),
    ("image.gif", include_bytes!("../../tests/samples/image.gif")),
    ("sources.tgz", include_bytes!("../../tests/samples/sources.tgz")),
    ("mixed.tar", include_bytes!("../../tests/samples/mixed.tar")),
    ("letter.pdf", include_bytes!("../../tests/samples/letter.pdf")),
    ("package.whl", include_bytes!("../../tests/samples/package.whl")),
];

fn streams(parsed: &Parsed) -> Vec<&[u8]> {
    parsed.streams.iter().map(|stream| &stream.bytes[..]).collect()
}

/// Whether `content` was taken apart; it must come together again.
fn round_trip(content: &[u8]) -> bool {
    let Some(parsed) = parse(content, EFFORT) else { return false };
    assert!(parsed.plain_len() <= 2 * max_plain(content.len()));
    assert!(rebuild(parsed.kinds(), &streams(&parsed), &parsed.corrections, content.len()).unwrap() == content);
    true
}

/// The base64 of `bytes` in lines of so many characters, or in one if there are none.
fn base64(bytes: &[u8], line: u8, separator: &[u8]) -> Vec<u8> {
    let mut form = Vec::new();
    put_varint(&mut form, u64::from(line) << 1 | 1);
    form.push(separator.len() as u8);
    form.extend(separator);
    let mut text = Vec::new();
    Form::read(&mut FieldReader::new(&form)).unwrap().encode(bytes, &mut text);
    text
}

/// A message with an archive and an image, which is coded twice.
fn message() -> Vec<u8> {
    let image = base64(SAMPLES[1].1, 0, b"");
    let page = [b"<p>An image:</p><img src=\"data:image/png;base64,", &image[..], b"\">\n"].concat();
    let parts = [base64(SAMPLES[0].1, 76, b"\r\n"), base64(&page, 60, b"\r\n")];
    [b"Subject: archive\r\n\r\n", &parts[0][..], b"\r\n\r\n--page\r\n\r\n", &parts[1], b"\r\n--\r\n"].concat()
}

#[test]
fn samples_are_taken_apart() {
    let expected = |name: &str| -> &[&str] {
        match name {
            "archive.zip" => &["script", "headers", "text", "image", "jpeg"],
            "image.png" => &["script", "headers", "image"],
            "image.gif" => &["script", "headers", "image"],
            "photo.jpg" | "progressive.jpg" => &["script", "headers", "jpeg"],
            "page.pdf" => &["script", "text", "headers"],
            "letter.pdf" => &["script", "text"],
            "package.whl" => &["script", "headers", "text"],
            "sources.tgz" => &["script", "headers", "records", "text"],
            _ => &["script", "records", "text", "headers", "image", "binary"],
        }
    };
    for (name, content) in SAMPLES {
        assert!(round_trip(content), "{name}");
        let parsed = parse(content, EFFORT).unwrap();
        let found: Vec<&str> = parsed.streams.iter().map(|stream| stream.kind.name()).collect();
        assert_eq!(found, expected(name), "{name}");
        assert!(parsed.corrections.len() <= 40, "{name}: {} bytes of corrections", parsed.corrections.len());
    }
}

#[test]
fn thumbnails_in_jpegs_are_found() {
    let (_, photo) = SAMPLES[2];
    let len = (photo.len() as u16 + 2 + 40).to_be_bytes();
    let content = [&photo[..2], &[0xFF, 0xE1], &len, &[b'.'; 40], photo, &photo[2..]].concat();
    assert!(round_trip(&content));
    let parsed = parse(&content, EFFORT).unwrap();
    let found = parsed.segments.iter().map(|segment| match segment {
        Segment::Plain { stream, .. } => parsed.streams[*stream].kind.name(),
        _ => "undone",
    });
    assert_eq!(found.collect::<Vec<_>>(), ["headers", "jpeg", "headers", "jpeg"]);
    // Without a model of JPEG, Lepton takes it as one.
    let parsed = parse(&content, Effort { samples: false, ..EFFORT }).unwrap();
    assert!(matches!(parsed.segments[..], [Segment::Jpeg { .. }]));
    let again = rebuild(parsed.kinds(), &streams(&parsed), &parsed.corrections, content.len()).unwrap();
    assert!(again == content);
}

#[test]
fn outlines_name_the_segments() {
    let (_, content) = SAMPLES[0];
    let parsed = parse(content, EFFORT).unwrap();
    let kinds: Vec<Kind> = parsed.kinds().collect();
    let outline = outline(&parsed.streams[0].bytes, &kinds).unwrap();
    let (depth, offset, len) = (0, 0, content.len() as u64);
    assert_eq!(outline[0], SegmentInfo { depth, offset, len, kind: "zip", source: None });
    let nested: Vec<_> = outline.iter().map(|segment| (segment.depth, segment.kind)).collect();
    assert!(
        nested.contains(&(2, "zip"))
            && nested.contains(&(3, "png"))
            && nested.contains(&(3, "deflate"))
            && nested.contains(&(4, "zlib")),
        "{nested:?}"
    );
}

#[test]
fn base64_is_taken_apart() {
    let content = message();
    assert!(round_trip(&content));
    let parsed = parse(&content, EFFORT).unwrap();
    let kinds: Vec<Kind> = parsed.kinds().collect();
    let outline = outline(&parsed.streams[0].bytes, &kinds).unwrap();
    let outermost: Vec<_> = outline.iter().filter(|segment| segment.depth == 0).map(|segment| segment.kind).collect();
    assert_eq!(outermost, ["text", "base64", "text", "base64", "text"]);
    let inside = |depth, kind| outline.iter().any(|segment| (segment.depth, segment.kind) == (depth, kind));
    assert!(
        inside(1, "zip") && inside(2, "deflate") && inside(4, "png") && inside(1, "base64") && inside(5, "zlib"),
        "{outline:?}"
    );
    let len: u64 = outline.iter().filter(|segment| segment.depth == 0).map(|segment| segment.len).sum();
    assert_eq!(len, content.len() as u64);
    assert!(parse(&content, Effort { recompress: false, ..EFFORT }).is_none());
}

#[test]
fn base64_is_checked() {
    let rebuilt = |script: &[u64], len: usize| {
        let mut bytes = Vec::new();
        script.iter().for_each(|&entry| put_varint(&mut bytes, entry));
        rebuild([Kind::Script, Kind::Text], &[&bytes, b"foobar"], &[], len)
    };
    let script = |form: &[u64], len| [&[tag::BASE64][..], form, &[len, tag::PLAIN + 1, 6, tag::END, tag::END]].concat();
    assert_eq!(rebuilt(&script(&[1], 6), 8).unwrap(), b"Zm9vYmFy");
    assert_eq!(rebuilt(&script(&[5 << 1, 1, 10], 6), 9).unwrap(), b"Zm9vY\nmFy");
    for (form, len, raw_len) in [
        (&[1][..], 5, 8),
        (&[1], 7, 12),
        (&[1], u64::MAX, 8),
        (&[1], 6, 7),
        (&[1 << 1, 1, 10], 6, 14),
        (&[1 << 40], 6, 8),
        (&[2, 65], 6, 8),
    ] {
        let error = rebuilt(&script(form, len), raw_len).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Truncated), "{form:?}, {len}: {error}");
    }
}

#[test]
fn compressed_data_can_be_left_alone() {
    for (name, content) in SAMPLES.into_iter().filter(|(name, _)| *name != "mixed.tar") {
        assert!(parse(content, Effort { recompress: false, ..EFFORT }).is_none(), "{name}");
    }
}

#[test]
fn plain_content_is_one_segment() {
    let mut random = TestRandom::new(1);
    let text = include_bytes!("../../corpora/samples/prose.txt");
    for content in [&text[..], &random.bytes(100_000), &[], &[0x78, 0x9C], b"PK\x03\x04", &[0; 70_000]] {
        assert!(parse(content, EFFORT).is_none());
    }
}

#[test]
fn text_and_programs_in_one_file_are_told_apart() {
    let mut random = TestRandom::new(7);
    let words: Vec<&[u8]> = include_bytes!("../../corpora/samples/prose.txt").split_inclusive(|&b| b == b' ').collect();
    let text: Vec<u8> = (0..1800).flat_map(|_| words[random.below(words.len() as u64) as usize]).copied().collect();
    let mut program = b"\x7FELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\xB7\0".to_vec();
    program.extend(TestRandom::new(5).bytes(9000));
    let noise = TestRandom::new(6).bytes(7000);
    for (content, kinds) in [
        ([&text[..], &program].concat(), &["script", "text", "arm64"][..]),
        ([&noise[..], &text].concat(), &["script", "binary", "text"]),
        ([&noise[..], &text, &program].concat(), &["script", "binary", "text", "arm64"]),
    ] {
        assert!(round_trip(&content));
        let parsed = parse(&content, EFFORT).unwrap();
        let found: Vec<&str> = parsed.streams.iter().map(|stream| stream.kind.name()).collect();
        assert_eq!(found, kinds);
    }
}

#[test]
fn planted_streams_come_back() {
    let mut random = TestRandom::new(2);
    for _ in 0..300 {
        let mut content = Vec::new();
        for _ in 0..1 + random.below(4) {
            let (_, sample) = SAMPLES[random.below(SAMPLES.len() as u64) as usize];
            let mut part = sample.to_vec();
            match random.below(5) {
                0 => part.truncate(random.below(part.len() as u64 + 1) as usize),
                1 => {
                    // Lying lengths, broken checks, other data.
                    for _ in 0..1 + random.below(3) {
                        let at = random.below(part.len() as u64) as usize;
                        part[at] = random.byte();
                    }
                }
                2 => {
                    let at = random.below(part.len() as u64) as usize;
                    let (_, other) = SAMPLES[random.below(SAMPLES.len() as u64) as usize];
                    part.splice(at..at, other.iter().copied());
                }
                3 => {
                    let separator: &[u8] = [&b"\n"[..], b"\r\n", b"\\n", b"\n\t"][random.below(4) as usize];
                    part = base64(&part, [0, 64, 76][random.below(3) as usize], separator);
                    match random.below(3) {
                        0 => part.truncate(random.below(part.len() as u64 + 1) as usize),
                        1 => {
                            let at = random.below(part.len() as u64) as usize;
                            part[at] = random.byte();
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
            let gap = random.below(40) as usize;
            content.extend(random.bytes(gap));
            content.extend(part);
        }
        round_trip(&content);
    }
}

#[test]
fn damaged_streams_are_refused_or_make_other_bytes() {
    let mut random = TestRandom::new(3);
    let message = message();
    for (name, content) in SAMPLES.into_iter().chain([("message", &message[..])]) {
        let parsed = parse(content, EFFORT).unwrap();
        for _ in 0..200 {
            let mut plain: Vec<Vec<u8>> = streams(&parsed).into_iter().map(<[u8]>::to_vec).collect();
            plain.push(parsed.corrections.clone());
            let which = random.below(plain.len() as u64) as usize;
            let damaged = &mut plain[which];
            if damaged.is_empty() {
                continue;
            }
            let at = random.below(damaged.len() as u64) as usize;
            match random.below(3) {
                0 => damaged.truncate(at),
                1 => damaged[at] = random.byte(),
                _ => damaged.insert(at, random.byte()),
            }
            let corrections = plain.pop().unwrap();
            let plain: Vec<&[u8]> = plain.iter().map(|bytes| &bytes[..]).collect();
            match rebuild(parsed.kinds(), &plain, &corrections, content.len()) {
                Ok(made) => assert_eq!(made.len(), content.len(), "{name}"),
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Truncated), "{name}: {error}");
                }
            }
        }
    }
}

#[test]
fn divided_streams_come_together() {
    const UNIT: usize = 1 << 16;
    let prose: &[u8] = include_bytes!("../../corpora/samples/prose.txt");
    let mut divided = 0;
    for seed in 0..12 {
        let mut random = TestRandom::new(seed);
        let noise = random.bytes(UNIT);
        let mut content = Vec::new();
        while content.len() < 8 * UNIT {
            let len = 1 + random.below(UNIT as u64) as usize;
            let start = random.below((UNIT - len) as u64 + 1) as usize;
            match random.below(6) {
                0 => content.extend(&noise[start..start + len]),
                1 => content.extend(random.bytes(len)),
                2 => content.extend(SAMPLES[random.below(SAMPLES.len() as u64) as usize].1),
                3 => content.extend(prose),
                _ => (0..len / 8).for_each(|_| content.extend(format!("{:x} ", random.below(1 << 30)).bytes())),
            }
        }
        let first = 1 + random.below(2 * UNIT as u64) as usize;
        let other = 1 + random.below(2 * UNIT as u64) as usize;
        let division = Some(Division { first, other, most: 2 + random.below(70) as usize, text: seed % 4 > 0 });
        let parsed = parse(&content, Effort { division, ..EFFORT }).unwrap();
        assert!(parsed.streams.len() <= MAX_STREAMS);
        let (kinds, streams) = (parsed.kinds().collect::<Vec<_>>(), streams(&parsed));
        assert!(
            rebuild(parsed.kinds(), &streams, &parsed.corrections, content.len()).unwrap() == content,
            "seed {seed}"
        );
        let segments = outline(streams[0], &kinds).unwrap();
        let outermost = segments.iter().filter(|segment| segment.depth == 0);
        assert_eq!(outermost.map(|segment| segment.len).sum::<u64>(), content.len() as u64);
        divided += usize::from(kinds.iter().filter(|&&kind| kind == Kind::Binary).count() > 1);
    }
    assert!(divided > 0);
}

#[test]
fn copies_are_checked() {
    let script = |entries: &[u64]| {
        let mut script = Vec::new();
        entries.iter().for_each(|&entry| put_varint(&mut script, entry));
        script
    };
    let text: &[u8] = b"a tale of a tub";
    let rebuilt =
        |entries: &[u64], len: usize| rebuild([Kind::Script, Kind::Text], &[&script(entries), text], &[], len);
    let end = [tag::PLAIN + 1, 15, tag::END];
    // Two bytes from byte 2 on, four from byte 11 on, two from byte 9 on.
    let copies = [7, 1, 4, 2, 7, 1, 14, 4, 7, 1, 13, 2];
    assert_eq!(rebuilt(&[&copies[..], &end].concat(), 23).unwrap(), b"ta tub aa tale of a tub");
    for wrong in [[7, 0, 0, 1], [7, 2, 0, 1], [7, 1, 0, 16], [7, 1, 1 << 40, 1], [7, 1, 3, 1], [7, 1, u64::MAX, 1]] {
        let error = rebuilt(&[&wrong[..], &end].concat(), 16).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{wrong:?}");
    }
}
