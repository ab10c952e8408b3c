use super::test_image::SHAPES;
use super::*;
use crate::test_random::TestRandom;

/// Bytes of the segments before the first table.
const BEFORE: usize = 2 + 17 + 13;

#[test]
fn jpegs_are_found() {
    let mut random = TestRandom::new(1);
    for shape in SHAPES {
        for (image, kept) in [(shape.image(&mut random), 0), shape.progressive(&mut random)] {
            let found = Some((BEFORE..image.len(), kept));
            assert_eq!(find(&image), found, "{shape:?}");
            let longer = [&image[..], &random.bytes(50)].concat();
            assert_eq!(find(&longer), found, "{shape:?}");
            for len in (0..image.len()).step_by(7) {
                assert_eq!(find(&image[..len]), None);
            }
        }
    }
}

#[test]
fn what_other_encoders_do_is_left_alone() {
    let image = SHAPES[0].image(&mut TestRandom::new(2));
    let scan = image.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    for (at, byte) in [(scan + 6, 1), (scan + 7, 1), (scan - 40, 0)] {
        let mut other = image.clone();
        other[at] = byte;
        assert_eq!(find(&other), None, "{at}");
    }
    let frame = image.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    // Progressive, 12 bits, no height, another component.
    for (at, byte) in [(1, 0xC2), (4, 12), (6, 0), (10, 9)] {
        let mut other = image.clone();
        other[frame + at] = byte;
        assert_eq!(find(&other), None, "{at}");
    }
}

/// Ten scans, with runs of blocks that have nothing more.
#[test]
fn what_libjpeg_writes_is_found() {
    let image = include_bytes!("../../../tests/samples/progressive.jpg");
    let (range, kept) = find(image).expect("a progressive JPEG");
    assert_eq!((range.end, kept), (image.len(), 96 * 64 * 3 / 2));
    // Without its last scan, coefficients lack a bit.
    let scan = image.windows(2).rposition(|pair| pair == [0xFF, 0xDA]).unwrap();
    assert!(find(&[&image[..scan], &END].concat()).is_some());
}

#[test]
fn huge_progressive_images_are_left_alone() {
    let (mut image, kept) = SHAPES[0].progressive(&mut TestRandom::new(5));
    let frame = image.windows(2).position(|pair| pair == [0xFF, 0xC2]).unwrap();
    assert_eq!(find(&image).unwrap().1, kept);
    image[frame + 5..frame + 9].copy_from_slice(&[0x40, 0, 0x40, 0]);
    assert_eq!(find(&image), None);
}

/// Wide images would take much memory.
#[test]
fn what_a_scan_remembers_is_bounded() {
    let image = SHAPES[0].image(&mut TestRandom::new(3));
    let frame = image.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    // A single component has as many blocks in a row, whatever its sampling.
    for (sampling, remembered) in [(0x11, 3 * 8192), (0x41, 3 * 8192)] {
        let mut wide = image.clone();
        wide[frame + 7..frame + 9].fill(0xFF);
        wide[frame + 11] = sampling;
        let scan = first_scan(&wide).expect("a scan");
        assert_eq!(scan.components[0].remembered(), remembered);
    }
    let image = SHAPES[3].image(&mut TestRandom::new(3));
    let mut wide = image.clone();
    wide[frame + 7..frame + 9].fill(0xFF);
    assert!(first_scan(&image).is_some() && first_scan(&wide).is_none());
}

fn first_scan(image: &[u8]) -> Option<Scan> {
    let (mut tables, mut at) = (Tables::default(), BEFORE);
    loop {
        let segment = &image[at..at + header::segment_len(&image[at..])?];
        at += segment.len();
        if let Some(scan) = tables.read(segment)? {
            return Some(scan);
        }
    }
}

/// Such a scan has more blocks than the only component.
#[test]
fn a_component_twice_in_a_scan_is_refused() {
    for (first, pass) in [(0xC0, [0, 63, 0]), (0xC2, [0, 0, 0])] {
        let (mut image, mut tables) = SHAPES[5].tables(first);
        let content = [&[2, 1, 0, 1, 0], &pass[..]].concat();
        let scan = test_image::segment(0xDA, &content);
        assert!(tables.read(&scan).is_none());
        image.extend([scan, vec![0; 40], END.to_vec()].concat());
        assert_eq!(find(&image), None);
    }
}
