use super::*;
use crate::coder::{Decoder, Encoder};
use crate::content::jpeg::find;
use crate::content::jpeg::test_image::SHAPES;
use crate::test_random::TestRandom;

const KEPT: u32 = 1 << 20;

/// JPEGs of all shapes, by number; every other one is progressive.
fn image(number: usize, random: &mut TestRandom) -> Vec<u8> {
    let shape = SHAPES[number / 2 % SHAPES.len()];
    if number.is_multiple_of(2) { shape.image(random) } else { shape.progressive(random).0 }
}

fn encode(jpegs: &[u8]) -> Result<Vec<u8>, Error> {
    let mut coder = Encoder::default();
    let coded = code(&mut coder, Some(jpegs), (jpegs.len(), KEPT), &mut |_, _| Ok(()))?;
    assert!(coded == jpegs);
    Ok(coder.finish())
}

fn decode(coded: &[u8], len: usize) -> Result<Vec<u8>, Error> {
    let mut coder = Decoder::new(coded);
    code(&mut coder, None, (len, KEPT), &mut |coder, _| match coder.overrun() {
        0..5 => Ok(()),
        _ => Err(Error::new(ErrorKind::Truncated, "cut short")),
    })
}

#[test]
fn jpegs_come_back() {
    let mut random = TestRandom::new(1);
    let mut all = Vec::new();
    for number in 0..2 * SHAPES.len() {
        let image = image(number, &mut random);
        let part = &image[find(&image).unwrap().0];
        let coded = encode(part).unwrap();
        assert!(coded.len() < part.len(), "{number}");
        assert!(decode(&coded, part.len()).unwrap() == part, "{number}");
        all.extend_from_slice(part);
    }
    let coded = encode(&all).unwrap();
    assert!(decode(&coded, all.len()).unwrap() == all);
}

/// Whatever is found in a damaged JPEG comes back.
#[test]
fn damaged_jpegs_come_back() {
    let mut random = TestRandom::new(2);
    let mut found = 0;
    for i in 0..600 {
        let mut image = image(i, &mut random);
        for _ in 0..1 + random.below(3) {
            let at = random.below(image.len() as u64) as usize;
            match random.below(4) {
                0 => image.truncate(at),
                1 => image.insert(at, random.byte()),
                2 => drop(image.splice(at..at, [0xFF, 0xD0 + random.byte() % 16])),
                _ => image[at] ^= 1 << random.below(8),
            }
            if image.is_empty() {
                break;
            }
        }
        let Some((range, _)) = find(&image) else { continue };
        found += 1;
        let part = &image[range];
        assert!(decode(&encode(part).unwrap(), part.len()).unwrap() == part);
    }
    assert!(found > 10, "{found}");
}

#[test]
fn damaged_code_is_refused_or_makes_other_bytes() {
    let mut random = TestRandom::new(3);
    let mut refused = 0;
    for i in 0..60 {
        let image = image(i, &mut random);
        let part = &image[find(&image).unwrap().0];
        let mut coded = encode(part).unwrap();
        let at = random.below(coded.len() as u64) as usize;
        match random.below(3) {
            0 => coded.truncate(at),
            1 => coded = random.bytes(at),
            _ => coded[at] ^= 1 << random.below(8),
        }
        match decode(&coded, part.len()) {
            Ok(made) => assert_eq!(made.len(), part.len()),
            Err(error) => {
                refused += 1;
                assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Truncated), "{error}");
            }
        }
    }
    assert!(refused > 20, "{refused}");
}

#[test]
fn anything_else_is_an_error() {
    let mut random = TestRandom::new(4);
    for len in 1..200 {
        let mut bytes = random.bytes(len);
        bytes[0] = 0xFF;
        let mut coder = Encoder::default();
        let result = code(&mut coder, Some(&bytes), (len, KEPT), &mut |_, _| Ok(()));
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
