//! Archives that were made once and have to stay readable, and whose bytes have to come out the same again: on every
//! machine, by every build, whatever the number of threads.
//!
//! They change only with the format or a model, and then on purpose. This command makes them anew:
//! `NZIP_REGENERATE=1 cargo test --test golden`

mod common;

use std::path::PathBuf;
use std::{env, fs};

use common::{KINDS, Kind, content};
use nzip::{BlockSize, CompressOptions, Level, compress_with, decompress};

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden", name].iter().collect()
}

fn compare(name: &str, content: &[u8], options: CompressOptions) {
    let made = compress_with(content, options).unwrap();
    let path = path(name);
    if env::var_os("NZIP_REGENERATE").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let golden = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; see tests/golden.rs", path.display()));
    assert_eq!(decompress(&golden).unwrap(), content, "{name} is decoded to other content");
    assert!(made == golden, "{name} is not made as it was ({} bytes, were {})", made.len(), golden.len());
}

/// Content of kinds that statistics and headers tell.
fn kinds_of_content() -> [(&'static str, Vec<u8>); 10] {
    let height = |x: u32, y: u32| (2 * x * x + 3 * x * y + 2 * y * y + (x * 7919 + y * 104_729) % 4) as f32 / 777.0;
    let floats = (0..90).flat_map(|y| (0..64).flat_map(move |x| height(x, y).to_be_bytes())).collect();
    let elf = |machine: u16, code: &dyn Fn(u32) -> Vec<u8>| {
        let mut bytes = [&b"\x7FELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0"[..], &machine.to_le_bytes()].concat();
        (0..600).for_each(|i| bytes.extend(code(i)));
        bytes
    };
    // Calls of a few functions, and other instructions.
    let arm = |i: u32| {
        [0x9400_0000 | (i % 7 * 90).wrapping_sub(2 * i) & 0x03FF_FFFF, 0xF940_0260 + i % 5]
            .map(u32::to_le_bytes)
            .concat()
    };
    let risc = |i: u32| {
        [0x0000_0517 | (i % 3) << 12, 0x0285_0513 | i << 23, 0x0EF | i << 21, 0x0005_3503]
            .map(u32::to_le_bytes)
            .concat()
    };
    // Instructions as compilers put them, in an order that a multiplicative hash says.
    let x86 = |i: u32| {
        let (random, small) = (i.wrapping_mul(0x9E37_79B9) >> 16, (i.wrapping_mul(0x85EB_CA6B) >> 27) as u8 * 4);
        match random % 8 {
            0 => vec![0x55, 0x8B, 0xEC, 0x83, 0xEC, small],
            1 => vec![0x8B, 0x45, small],
            2 => vec![0x89, 0x4D, small.wrapping_neg()],
            3 => vec![0x85, 0xC0, 0x74, small],
            4 => vec![0x50, 0xE8, random as u8, (random >> 8) as u8, 0, 0, 0x83, 0xC4, 4],
            5 => vec![0x8B, 0x4D, 8, 0x3B, 0x48, small],
            6 => vec![0x33, 0xC0, 0x40],
            _ => vec![0x5E, 0x8B, 0xE5, 0x5D, 0xC3],
        }
    };
    // Code for a processor that reads the high byte first, SPARC: calls, and loads of registers from the stack.
    let sparc = |i: u32| [0x4000_0000 | (i % 7 * 90).wrapping_sub(2 * i) & 0x3FFF_FFFF, 0xD007_A040 + 4 * (i % 5)];
    let mut sparc_program = b"\x7FELF\x01\x02\x01\0\0\0\0\0\0\0\0\0\0\x02\0\x02".to_vec();
    (0..600).flat_map(sparc).for_each(|word| sparc_program.extend(word.to_be_bytes()));
    // BOF, and rows of three numbers.
    let mut workbook = [&[9, 8, 16, 0][..], &[0; 16]].concat();
    for i in 0..900u16 {
        workbook.extend([3, 2, 14, 0]);
        workbook.extend([i / 3, i % 3, 15 + i % 3].map(u16::to_le_bytes).as_flattened());
        workbook.extend((f64::from(i / 3) * [1.0, 0.25, 12.5][usize::from(i % 3)]).to_le_bytes());
    }
    let pieces =
        [content(Kind::Text, 7000, 42), elf(62, &|i| vec![0x48, 0x8B, 5, i as u8, (i >> 8) as u8, 0, 0, 0xC3])];
    [
        ("floats", floats),
        ("arm64", elf(183, &arm)),
        ("riscv", elf(243, &risc)),
        ("x86", elf(3, &x86)),
        ("sparc", sparc_program),
        ("workbook", workbook),
        ("font", font()),
        ("class", (0..12).flat_map(class).collect()),
        ("database", database()),
        ("pieces", pieces.concat()),
    ]
}

/// A TrueType font of 200 glyphs, each a polygon with a hint; every tenth is empty.
fn font() -> Vec<u8> {
    let words = |words: &[u16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let (mut outlines, mut places, mut metrics) = (Vec::new(), vec![0], Vec::new());
    for i in 0..200u16 {
        let side = 20 + i * 37 % 60;
        metrics.extend([500 + i * 53 % 300, side]);
        if i % 10 > 0 {
            let points = 4 + i % 5;
            outlines.extend(words(&[1, side, 0, side + 400, 700, points - 1, 3]));
            outlines.extend([0xB0, (i % 7) as u8, 0x2E]);
            // On the curve, both steps of one byte: to the right and up, then to the left and down.
            outlines.extend((0..points).map(|point| if point < points / 2 { 0x37 } else { 0x07 }));
            let steps = (0..2 * points).map(|step| (40 + (i * 7 + step * step * 3) % 90) as u8);
            outlines.extend(steps);
            outlines.resize(outlines.len().next_multiple_of(4), 0);
        }
        places.push((outlines.len() / 2) as u16);
    }
    let mut head = [0; 27];
    head[9] = 1000;
    let mut header = [0; 18];
    header[17] = 200;
    let tables = [
        (b"glyf", outlines),
        (b"head", words(&head)),
        (b"hhea", words(&header)),
        (b"hmtx", words(&metrics)),
        (b"loca", words(&places)),
    ];
    let mut font = words(&[1, 0, tables.len() as u16, 64, 2, 16]);
    let mut start = 12 + 16 * tables.len();
    for (tag, content) in &tables {
        font.extend(*tag);
        font.extend([0, start as u32, content.len() as u32].map(u32::to_be_bytes).as_flattened());
        start += content.len().next_multiple_of(4);
    }
    for (_, content) in tables {
        font.extend(content);
        font.resize(font.len().next_multiple_of(4), 0);
    }
    font
}

/// A class of Java: a name of its own, and methods that load a field or a number, call one of another class, and branch.
fn class(number: u16) -> Vec<u8> {
    let words = |words: &[u16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let attribute = |name, content: &[u8]| [&words(&[name, 0, content.len() as u16])[..], content].concat();
    let texts = [format!("org/example/Class{number}"), format!("field{}", number % 4)];
    let others = ["java/lang/Object", "I", "hashCode", "()I", "Code", "LineNumberTable", "StackMapTable"];
    let texts: Vec<&str> = texts.iter().map(String::as_str).chain(others).collect();
    let mut bytes = [&[0xCA, 0xFE, 0xBA, 0xBE][..], &words(&[0, 52, 16 + number % 9])].concat();
    // The class and the one it extends; a method of that; a field of its own.
    for (tag, numbers) in [(7, &[7][..]), (7, &[9]), (12, &[11, 12]), (10, &[2, 3]), (12, &[8, 10]), (9, &[1, 5])] {
        bytes.push(tag);
        bytes.extend(words(numbers));
    }
    for text in &texts {
        bytes.extend([&[1], &words(&[text.len() as u16])[..], text.as_bytes()].concat());
    }
    for i in 0..number % 9 {
        bytes.extend([&[1], &words(&[4])[..], format!("get{i}").as_bytes()].concat());
    }
    bytes.extend(words(&[0x21, 1, 2, 0, 1, 2, 8, 10, 0, number % 9]));
    for i in 0..number % 9 {
        let load = if i % 2 == 0 { vec![0x2A, 0xB4, 0, 6] } else { vec![0x11, i as u8, number as u8, 0] };
        let code = [&load[..], &[0x3C, 0x2A, 0xB6, 0, 4, 0x1B, 0xA2, 0, 5, 0x1B, 0xAC, 3, 0xAC]].concat();
        let lines = attribute(14, &words(&[3, 0, 20 + 4 * i, 5, 21 + 4 * i, 15, 23 + 4 * i]));
        let frames = attribute(15, &[0, 1, 252, 0, 15, 1]);
        let body = [&words(&[2, 2, 0, code.len() as u16])[..], &code, &words(&[0, 2]), &lines, &frames].concat();
        bytes.extend([words(&[1, 16 + i, 12, 1]), attribute(13, &body)].concat());
    }
    bytes.extend(words(&[0]));
    bytes
}

/// A database of 12 pages of 1,024 bytes: rows of a number that grows, a name, a number of one byte and a price.
fn database() -> Vec<u8> {
    const PAGE: usize = 1024;
    let mut pages = [&b"SQLite format 3\0"[..], &[4, 0, 1, 1, 0, 64, 32, 32, 0, 0, 0, 1, 0, 0, 0, 12]].concat();
    pages.resize(PAGE, 0);
    pages[100..108].copy_from_slice(&[13, 0, 0, 0, 0, 4, 0, 0]);
    for page in 1..12u16 {
        let (mut cells, mut places) = (Vec::new(), Vec::new());
        for row in 1..=24u8 {
            let name = format!("name {}", row % 7);
            let number = u32::from(page) * 24 + u32::from(row) + 100_000;
            let price = (f64::from(row) * 0.25).to_be_bytes();
            let head = [5, 3, 13 + 2 * name.len() as u8, 1, 7];
            let record = [&head[..], &number.to_be_bytes()[1..], name.as_bytes(), &[row % 5], &price].concat();
            let cell = [&[record.len() as u8, row][..], &record].concat();
            cells.splice(0..0, cell);
            places.extend(((PAGE - cells.len()) as u16).to_be_bytes());
        }
        let [high, low] = ((PAGE - cells.len()) as u16).to_be_bytes();
        pages.extend([&[13, 0, 0, 0, 24, high, low, 0], &places[..]].concat());
        pages.resize(pages.len().next_multiple_of(PAGE) - cells.len(), 0);
        pages.extend(cells);
    }
    pages
}

#[test]
fn archives_stay_as_they_are() {
    for level in [1, 2, 4, 6] {
        let options = CompressOptions::new().level(Level::new(level).unwrap());
        for kind in KINDS.into_iter().filter(|&kind| kind != Kind::Random) {
            let name = format!("{}-{level}.nz", format!("{kind:?}").to_lowercase());
            compare(&name, &content(kind, 8000, 42), options.clone());
        }
        for sample in ["prose.txt", "table.csv", "events.log", "code.rs"] {
            let content =
                fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/corpora/samples/").to_owned() + sample).unwrap();
            compare(&format!("{sample}-{level}.nz"), &content, options.clone());
        }
        // Content that is taken apart: deflate in zip, gzip, PNG and PDF, JPEG, tar, one in the other.
        for sample in [
            "archive.zip",
            "image.png",
            "photo.jpg",
            "progressive.jpg",
            "page.pdf",
            "image.gif",
            "sources.tgz",
            "mixed.tar",
            "letter.pdf",
            "package.whl",
        ] {
            let content = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples/").to_owned() + sample).unwrap();
            compare(&format!("{sample}-{level}.nz"), &content, options.clone());
        }
        let mail = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/parse/mail.eml")).unwrap();
        compare(&format!("mail.eml-{level}.nz"), &mail, options.clone());
        for (name, content) in kinds_of_content() {
            compare(&format!("{name}-{level}.nz"), &content, options.clone());
        }
        let two_blocks = options.block_size(BlockSize::MIN);
        compare(&format!("blocks-{level}.nz"), &content(Kind::Log, 70_000, 42), two_blocks.clone());
        if level < 6 {
            let shared = two_blocks.shared_start(true);
            compare(&format!("shared-{level}.nz"), &content(Kind::Log, 100_000, 42), shared);
        }
    }
    for kind in [Kind::Text, Kind::Utf8, Kind::Records] {
        let name = format!("{}-9.nz", format!("{kind:?}").to_lowercase());
        compare(&name, &content(kind, 8000, 42), CompressOptions::new().level(Level::MAX));
    }
    // What binary data has only at the highest levels.
    for (name, content) in kinds_of_content() {
        compare(&format!("{name}-9.nz"), &content, CompressOptions::new().level(Level::MAX));
    }
    compare("stored.nz", &content(Kind::Random, 500, 42), CompressOptions::new());
    compare("empty.nz", b"", CompressOptions::new());
}
