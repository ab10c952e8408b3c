//! The kinds of segments a block consists of. Segments of one kind are coded together, in a stream.

use super::DataKind;
use super::class::is_class;
use super::database::is_database;
use super::font::is_font;
use super::workbook::is_workbook;
use crate::error::{Error, ErrorKind};
use crate::fields::{FieldReader, put_varint};

/// What a segment is, with what a model of it needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// How the content is put together; see [`super::segment`].
    Script,
    /// Text, by [`DataKind::of`].
    Text,
    /// Anything else.
    Binary,
    /// Machine code of x86 processors, with what belongs to a program.
    Code,
    /// What archives and documents say about their members, between these.
    Headers,
    /// Records of `len` bytes.
    Records {
        /// Length of a record in bytes.
        len: u32,
    },
    /// Rows of `row` bytes (0: of several lengths) with pixels of `pixel` bytes, made of samples of `depth` bits.
    Image {
        /// Bytes of a row.
        row: u32,
        /// Bytes of a pixel.
        pixel: u8,
        /// Bits of a sample.
        depth: u8,
    },
    /// JPEGs coded by Lepton: not to be coded again. Each has at most so many coefficients, on which the memory for it depends.
    Lepton {
        /// Coefficients.
        most: u32,
    },
    /// Machine code of 64-bit Arm processors, with what belongs to a program.
    Arm64,
    /// The same of RISC-V processors.
    RiscV,
    /// Machine code of other processors whose instructions have four bytes.
    Risc {
        /// Whether their high byte comes first.
        big_endian: bool,
    },
    /// A spreadsheet of records: see [`super::workbook`].
    Workbook,
    /// A font: see [`super::font`].
    Font,
    /// Classes of Java: see [`super::class`].
    Class,
    /// A database: see [`super::database`].
    Database,
    /// Audio: samples of `depth` bits of each of `channels`, little-endian; those of 16 bits are signed.
    Audio {
        /// Samples at a time.
        channels: u8,
        /// Bits of a sample.
        depth: u8,
    },
    /// JPEGs, without what precedes their tables. The coefficients of progressive ones are kept before they are coded, at most so many
    /// of each, on which the memory for it depends.
    Jpeg {
        /// Coefficients.
        most: u32,
    },
}

/// Rows and records longer than this are none.
const MAX_LEN: u64 = 1 << 24;
/// The most coefficients in a JPEG that are kept while it is coded, two bytes each.
pub const MAX_COEFFICIENTS: u32 = 1 << 26;

impl Kind {
    /// The kind of `bytes`, of which nothing else is known.
    pub fn of(bytes: &[u8]) -> Kind {
        let is_known = program(bytes)
            .or_else(|| is_workbook(bytes).then_some(Kind::Workbook))
            .or_else(|| is_font(bytes).then_some(Kind::Font))
            .or_else(|| is_class(bytes).then_some(Kind::Class))
            .or_else(|| is_database(bytes).then_some(Kind::Database));
        is_known.unwrap_or(match DataKind::of(bytes) {
            DataKind::Text => Kind::Text,
            DataKind::Binary => Kind::Binary,
        })
    }

    /// Whether a stream of this kind takes a segment of kind `other`: JPEGs may differ in size.
    pub fn takes(&mut self, other: Kind) -> bool {
        match (&mut *self, other) {
            (Kind::Lepton { most }, Kind::Lepton { most: others })
            | (Kind::Jpeg { most }, Kind::Jpeg { most: others }) => {
                *most = others.max(*most);
                true
            }
            _ => *self == other,
        }
    }

    /// Bytes of memory of the coefficients of a JPEG that are kept before they are coded.
    pub fn kept(self) -> u64 {
        if let Kind::Jpeg { most } = self { 2 * u64::from(most) } else { 0 }
    }

    /// Whether models of this kind need to know it: the bytes alone do not show it.
    pub fn is_structured(self) -> bool {
        self.is_code()
            || self.is_samples()
            || matches!(self, Kind::Workbook | Kind::Font | Kind::Class | Kind::Database | Kind::Jpeg { .. })
    }

    /// Whether it is an image of one bit per pixel.
    pub fn is_bilevel(self) -> bool {
        matches!(self, Kind::Image { row: 4.., depth: 1, .. })
    }

    /// Whether it consists of samples with a model of their own.
    pub fn is_samples(self) -> bool {
        matches!(self, Kind::Image { row: 1.., .. } | Kind::Audio { .. })
    }

    /// Whether the embedded prior may serve: there may be text in it.
    pub fn may_have_text(self) -> bool {
        !self.is_structured()
            || matches!(
                self,
                Kind::Workbook | Kind::Font | Kind::Class | Kind::Database | Kind::Risc { .. } | Kind::Arm64
            )
    }

    /// Whether it is machine code.
    pub fn is_code(self) -> bool {
        matches!(self, Kind::Code | Kind::Arm64 | Kind::RiscV | Kind::Risc { .. })
    }

    /// Whether long streams of this kind are divided into parts.
    pub fn is_divisible(self) -> bool {
        matches!(self, Kind::Text | Kind::Binary | Kind::Code | Kind::Class)
    }

    /// As it is called in lists.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Script => "script",
            Kind::Text => "text",
            Kind::Binary => "binary",
            Kind::Code => "x86",
            Kind::Headers => "headers",
            Kind::Records { .. } => "records",
            Kind::Image { .. } => "image",
            Kind::Lepton { .. } => "lepton",
            Kind::Jpeg { .. } => "jpeg",
            Kind::Audio { .. } => "audio",
            Kind::Arm64 => "arm64",
            Kind::RiscV => "riscv",
            Kind::Workbook => "workbook",
            Kind::Font => "font",
            Kind::Class => "class",
            Kind::Database => "database",
            Kind::Risc { .. } => "risc",
        }
    }

    /// Appends the id byte, then the parameters as varints. [`Kind::read`] reads them.
    pub fn write(self, out: &mut Vec<u8>) {
        let (id, parameters) = match self {
            Kind::Script => (0, vec![]),
            Kind::Text => (1, vec![]),
            Kind::Binary => (2, vec![]),
            Kind::Code => (3, vec![]),
            Kind::Headers => (4, vec![]),
            Kind::Records { len } => (5, vec![len]),
            Kind::Image { row, pixel, depth } => (6, vec![row, pixel.into(), depth.into()]),
            Kind::Lepton { most } => (7, vec![most]),
            Kind::Audio { channels, depth } => (8, vec![channels.into(), depth.into()]),
            Kind::Arm64 => (9, vec![]),
            Kind::RiscV => (10, vec![]),
            Kind::Workbook => (11, vec![]),
            Kind::Risc { big_endian } => (12, vec![big_endian.into()]),
            Kind::Jpeg { most } => (13, vec![most]),
            Kind::Font => (14, vec![]),
            Kind::Class => (15, vec![]),
            Kind::Database => (16, vec![]),
        };
        out.push(id);
        parameters.into_iter().for_each(|value| put_varint(out, value.into()));
    }

    /// # Errors
    /// [`ErrorKind::Corrupt`] for an unknown kind or impossible parameters, and those of reading.
    pub(crate) fn read(fields: &mut FieldReader) -> Result<Kind, Error> {
        let id = fields.byte()?;
        let mut number = |most: u64| {
            let value = fields.varint()?;
            if value > most {
                return Err(Error::new(ErrorKind::Corrupt, format!("a stream's parameter {value} is impossible")));
            }
            Ok(value as u32)
        };
        Ok(match id {
            0 => Kind::Script,
            1 => Kind::Text,
            2 => Kind::Binary,
            3 => Kind::Code,
            4 => Kind::Headers,
            5 => Kind::Records { len: number(MAX_LEN)? },
            6 => Kind::Image { row: number(MAX_LEN)?, pixel: number(255)? as u8, depth: number(255)? as u8 },
            7 => Kind::Lepton { most: number(MAX_COEFFICIENTS.into())? },
            8 => Kind::Audio { channels: number(255)? as u8, depth: number(255)? as u8 },
            9 => Kind::Arm64,
            10 => Kind::RiscV,
            11 => Kind::Workbook,
            12 => Kind::Risc { big_endian: number(1)? == 1 },
            13 => Kind::Jpeg { most: number(MAX_COEFFICIENTS.into())? },
            14 => Kind::Font,
            15 => Kind::Class,
            16 => Kind::Database,
            _ => return Err(Error::new(ErrorKind::Corrupt, format!("a stream of unknown kind {id}"))),
        })
    }
}

/// The machine code in the ELF or PE file that `bytes` begin as.
pub fn program(bytes: &[u8]) -> Option<Kind> {
    let u16_at = |at: usize| Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    if bytes.starts_with(b"\x7FELF") {
        let (big_endian, machine) = (bytes.get(5)? == &2, u16_at(18)?);
        return match if big_endian { machine.swap_bytes() } else { machine } {
            3 | 62 => Some(Kind::Code),
            183 if !big_endian => Some(Kind::Arm64),
            243 if !big_endian => Some(Kind::RiscV),
            // SPARC, MIPS, PowerPC, Arm, Alpha, LoongArch.
            2 | 18 | 43 | 8 | 20 | 21 | 40 | 0x9026 | 258 => Some(Kind::Risc { big_endian }),
            _ => None,
        };
    }
    let at = u16_at(0x3C).filter(|_| bytes.starts_with(b"MZ"))?.into();
    bytes.get(at..)?.strip_prefix(b"PE\0\0")?;
    match u16_at(at + 4)? {
        0x14C | 0x8664 => Some(Kind::Code),
        0xAA64 => Some(Kind::Arm64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_written_and_read() {
        let kinds = [
            Kind::Script,
            Kind::Text,
            Kind::Binary,
            Kind::Code,
            Kind::Headers,
            Kind::Records { len: 512 },
            Kind::Image { row: 3073, pixel: 3, depth: 8 },
            Kind::Lepton { most: 1 << 20 },
            Kind::Audio { channels: 2, depth: 16 },
            Kind::Arm64,
            Kind::RiscV,
            Kind::Workbook,
            Kind::Risc { big_endian: true },
            Kind::Jpeg { most: 1 << 26 },
            Kind::Font,
            Kind::Database,
        ];
        for kind in kinds {
            let mut bytes = Vec::new();
            kind.write(&mut bytes);
            assert_eq!(Kind::read(&mut FieldReader::new(&bytes)).unwrap(), kind);
        }
        assert_eq!(Kind::read(&mut FieldReader::new(&[99])).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(
            Kind::read(&mut FieldReader::new(&[5, 0x81, 0x80, 0x80, 8])).unwrap_err().kind(),
            ErrorKind::Corrupt
        );
    }
}
