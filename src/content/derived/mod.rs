//! Fields that the rest of a file tells: check sums, lengths, offsets. In the place of each stands how it differs from what is derived,
//! mostly zeros. Nothing moves, so the file is parsed as before.
//!
//! Both directions are one walk over the file: it goes by what is never changed, and by what fields were before they were taken.

mod pdf;
pub mod tar;
pub mod wheel;
mod zip;

use std::ops::Range;

use super::budget::max_plain;
use crate::error::Error;
use crate::fields::{FieldReader, put_varint};

/// Less of a stored member is not worth segments.
const MIN_STORED: usize = 48;

/// A file without what can be derived.
pub struct Taken {
    pub form: Form,
    pub file: Vec<u8>,
    /// Where the members of a zip archive lie that are not compressed.
    pub stored: Vec<Range<usize>>,
    /// Whether the digests of members can be told.
    pub has_digests: bool,
    /// Plain bytes that were looked at.
    pub work: usize,
}

/// The files that have such fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A zip archive: where its first member begins, and how many members are read.
    Zip(zip::Extent),
    Tar,
    Pdf,
}

impl Form {
    /// `bytes` without what can be derived, if there is any. This may take `limit` plain bytes.
    pub fn take(bytes: &[u8], limit: usize) -> Option<Taken> {
        if bytes.starts_with(b"%PDF") {
            let file = Form::Pdf.taken(bytes, &[])?;
            return Some(Taken { form: Form::Pdf, file, stored: Vec::new(), has_digests: false, work: bytes.len() });
        }
        let (extent, members, has_digests) = zip::find(bytes, limit.min(max_plain(bytes.len())))?;
        let stored = members.iter().filter(|member| member.is_stored() && member.data.len() >= MIN_STORED);
        let form = Form::Zip(extent);
        Some(Taken {
            form,
            file: form.taken(bytes, &[])?,
            stored: stored.map(|member| member.data.clone()).collect(),
            has_digests,
            work: members.iter().map(zip::Member::plain_len).sum(),
        })
    }

    /// `tar` without what can be derived, where headers and padding lie at `pieces`.
    pub fn take_tar(tar: &[u8], pieces: &[Range<usize>]) -> Option<(Form, Vec<u8>)> {
        Some((Form::Tar, Form::Tar.taken(tar, pieces)?))
    }

    /// Takes the fields from `file`, if any change and they come back.
    fn taken(self, file: &[u8], pieces: &[Range<usize>]) -> Option<Vec<u8>> {
        let mut taken = file.to_vec();
        self.walk(&mut taken, pieces, Direction::Take)?;
        let mut again = taken.clone();
        self.put(&mut again, pieces)?;
        (taken != file && again == file).then_some(taken)
    }

    /// Puts the fields into `file`, where the headers and the padding of a tar lie at `pieces`. None if it is not of this form.
    pub fn put(self, file: &mut [u8], pieces: &[Range<usize>]) -> Option<()> {
        self.walk(file, pieces, Direction::Put)
    }

    fn walk(self, bytes: &mut [u8], pieces: &[Range<usize>], direction: Direction) -> Option<()> {
        let limit = max_plain(bytes.len());
        let mut fields = Fields { bytes, direction };
        match self {
            Form::Zip(extent) => zip::walk(&mut fields, extent, limit)?,
            Form::Tar => tar::walk(&mut fields, pieces),
            Form::Pdf => pdf::walk(&mut fields),
        }
        Some(())
    }

    /// What lists of segments call it.
    pub fn name(self) -> &'static str {
        match self {
            Form::Zip(_) => "zip",
            Form::Tar => "tar",
            Form::Pdf => "pdf",
        }
    }

    pub fn write(self, out: &mut Vec<u8>) {
        match self {
            Form::Zip(zip::Extent { start, members }) => {
                [0, start as u64, members as u64].into_iter().for_each(|field| put_varint(out, field));
            }
            Form::Tar => put_varint(out, 1),
            Form::Pdf => put_varint(out, 2),
        }
    }

    /// None if there is no such form.
    pub(crate) fn read(fields: &mut FieldReader<'_>) -> Result<Option<Form>, Error> {
        Ok(match fields.varint()? {
            0 => {
                let [start, members] =
                    [fields.varint()?, fields.varint()?].map(|field| usize::try_from(field).unwrap_or(usize::MAX));
                Some(Form::Zip(zip::Extent { start, members }))
            }
            1 => Some(Form::Tar),
            2 => Some(Form::Pdf),
            _ => None,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// What is derived is taken from the fields.
    Take,
    /// It is put back.
    Put,
}

/// A file whose fields are changed. Fields beyond its end are left out.
struct Fields<'a> {
    bytes: &'a mut [u8],
    direction: Direction,
}

impl Fields<'_> {
    /// Changes the number of `len` bytes at byte `at`, least significant first, which should be `told`. Returns what it is in the file.
    fn number(&mut self, at: usize, len: usize, told: u32) -> u32 {
        let Some(field) = self.bytes.get_mut(at..at + len) else { return told };
        let mut number = [0; 4];
        number[..len].copy_from_slice(field);
        let before = u32::from_le_bytes(number);
        let after = match self.direction {
            Direction::Take => before.wrapping_sub(told),
            Direction::Put => before.wrapping_add(told),
        };
        field.copy_from_slice(&after.to_le_bytes()[..len]);
        let number = if self.direction == Direction::Take { before } else { after };
        number & (u32::MAX >> (32 - 8 * len))
    }

    /// Changes the number whose digits in base `BASE` are at `place`, which should be `told`, less so many leading digits as have no place.
    fn digits<const BASE: u8>(&mut self, place: Range<usize>, told: u64) {
        let Some(field) = self.bytes.get_mut(place) else { return };
        let mut rest = told;
        let mut carry = 0;
        for digit in field.iter_mut().rev() {
            let (value, told) = (i16::from(*digit - b'0'), (rest % u64::from(BASE)) as i16);
            rest /= u64::from(BASE);
            let sum = match self.direction {
                Direction::Take => value - told - carry,
                Direction::Put => value + told + carry,
            };
            *digit = b'0' + sum.rem_euclid(BASE.into()) as u8;
            carry = i16::from(!(0..BASE.into()).contains(&sum));
        }
    }

    /// Changes the bytes from `at` on, which should be those that are `told`.
    fn same(&mut self, at: usize, told: &[u8]) {
        let Some(field) = self.bytes.get_mut(at..at + told.len()) else { return };
        field.iter_mut().zip(told).for_each(|(byte, told)| *byte ^= told);
    }
}

/// The number of two bytes at byte `at`.
fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?).into())
}

/// The number of four bytes at byte `at`.
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Where `pattern` is found from `at` on.
fn find(bytes: &[u8], at: usize, pattern: &[u8]) -> Option<usize> {
    Some(at + memchr::memmem::find(bytes.get(at..)?, pattern)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    const ZIP: &[u8] = include_bytes!("../../../tests/samples/archive.zip");
    const WHEEL: &[u8] = include_bytes!("../../../tests/samples/package.whl");
    const PDF: &[u8] = include_bytes!("../../../tests/samples/letter.pdf");
    const TAR: &[u8] = include_bytes!("../../../tests/samples/mixed.tar");

    /// What lies between the members of a tar.
    fn between(tar: &[u8]) -> Vec<Range<usize>> {
        let members = crate::content::tar::members(tar);
        let starts = [0].into_iter().chain(members.iter().map(|member| member.end));
        let ends = members.iter().map(|member| member.start).chain([tar.len()]);
        starts.zip(ends).map(|(start, end)| start..end).filter(|piece| !piece.is_empty()).collect()
    }

    /// The file without what can be derived; put back, it must be the same.
    fn taken(file: &[u8]) -> Option<Vec<u8>> {
        let pieces = between(file);
        let taken = Form::take(file, usize::MAX).map(|taken| (taken.form, taken.file));
        let (form, taken) = taken.or_else(|| Form::take_tar(file, &pieces).filter(|_| pieces.len() > 1))?;
        let mut script = Vec::new();
        form.write(&mut script);
        assert_eq!(Form::read(&mut FieldReader::new(&script)).unwrap(), Some(form));
        let mut again = taken.clone();
        form.put(&mut again, &pieces).unwrap();
        assert!(again == file);
        Some(taken)
    }

    #[test]
    fn headers_of_zip_archives_have_zeros() {
        let taken = taken(ZIP).unwrap();
        let zeros = |range: Range<usize>| taken[range].iter().all(|&byte| byte == 0);
        // The CRC-32 and lengths of the first member; its central header but the version it was made by.
        assert!(zeros(14..26));
        let central = super::find(&taken, 0, b"PK\x01\x02").unwrap();
        assert!(zeros(central + 6..central + 36));
        assert!(zeros(central + 42..central + 46 + b"document.zip".len()));
        // The end: counts, length and place of the central directory.
        let end = taken.len() - 22;
        assert!(zeros(end + 8..end + 20));
        // What is before an archive moves its offsets.
        let moved = super::tests::taken(&[b"#!/bin/sh\n", ZIP].concat()).unwrap();
        assert_eq!(&moved[10..14], b"PK\x03\x04");
        assert_eq!(moved[10 + end + 8..], taken[end + 8..]);
        assert_eq!(u32_at(&moved, 10 + central + 42), Some(10u32.wrapping_neg()));
    }

    #[test]
    fn tables_of_documents_have_zeros() {
        let text = String::from_utf8_lossy(&taken(PDF).unwrap()).into_owned();
        assert_eq!(text.matches("0000000000 00000 n \n").count(), 6, "{text}");
        assert_eq!(text.matches("/Length 000 >>").count(), 2);
        assert!(text.contains("startxref\n0000\n"));
    }

    #[test]
    fn lengths_and_check_sums_of_tars_have_zeros() {
        let taken = taken(TAR).unwrap();
        let members = crate::content::tar::members(TAR);
        assert_eq!(members.len(), 4);
        for member in members {
            let header = &taken[member.start - 512..member.start];
            assert_eq!((&header[124..136], &header[148..156]), (&b"00000000000\0"[..], &[0; 8][..]));
        }
    }

    #[test]
    fn damaged_files_come_back() {
        let mut random = TestRandom::new(4);
        let mut found = 0;
        for _ in 0..2000 {
            let mut file = [ZIP, WHEEL, PDF, TAR][random.below(4) as usize].to_vec();
            for _ in 0..random.below(4) {
                let at = random.below(file.len() as u64) as usize;
                match random.below(4) {
                    0 => file.truncate(at.max(1)),
                    1 => file.insert(at, random.byte()),
                    2 => drop(file.splice(at..at, PDF.iter().copied())),
                    _ => file[at] = random.byte(),
                }
            }
            found += usize::from(taken(&file).is_some());
        }
        assert!(found > 1000, "{found}");
    }

    #[test]
    fn other_files_are_refused() {
        let form = Form::Zip(zip::Extent { start: 0, members: 4 });
        assert_eq!(form.put(&mut ZIP.to_vec(), &[]), None);
        let form = Form::Zip(zip::Extent { start: usize::MAX, members: usize::MAX });
        assert_eq!(form.put(&mut ZIP.to_vec(), &[]), None);
        assert_eq!(Form::read(&mut FieldReader::new(&[3])).unwrap(), None);
    }

    #[test]
    fn digits_borrow_and_carry() {
        for (told, taken) in [(1234, *b"00000"), (1235, *b"99999"), (98_765_432_101, *b"69133"), (0, *b"01234")] {
            let mut bytes = *b"01234";
            let mut fields = Fields { bytes: &mut bytes, direction: Direction::Take };
            fields.digits::<10>(0..5, told);
            assert_eq!(*fields.bytes, taken[..]);
            fields.direction = Direction::Put;
            fields.digits::<10>(0..5, told);
            assert_eq!(&bytes, b"01234");
        }
    }
}
