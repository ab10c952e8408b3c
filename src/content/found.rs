//! What the parser has undone, before it looks at what that holds.

use super::base64::Form;
use super::deflate::Undone;
use super::gif::Gif;
use super::kind::Kind;
use super::png::{self, Chunks};

/// What was undone.
pub struct Found {
    /// Bytes before it.
    pub skip: usize,
    pub what: What,
}

pub enum What {
    Deflate(FoundDeflate),
    Png(Chunks, FoundDeflate),
    Gif(Gif),
    Base64(Form, Vec<u8>),
    Jpeg(Vec<u8>, u32),
    Lepton { len: usize, lepton: Vec<u8>, coefficients: u32 },
}

pub struct FoundDeflate {
    pub undone: Undone,
    pub wrapper: Option<[u8; 2]>,
    /// If the plain data are known to be an image, its kind, and whether each row begins with a filter type.
    pub image: Option<(Kind, bool)>,
    /// The rows of a PNG, if their filters have been undone.
    pub rows: Option<FoundRows>,
    /// If it is a wheel's list of files, the names alone.
    pub names: Option<Vec<u8>>,
}

/// The rows of a PNG: their filter types, their pixels, and the kind of these.
pub struct FoundRows {
    pub filters: Vec<u8>,
    pub pixels: Vec<u8>,
    pub kind: Kind,
}

/// Undoes the filters of rows, which `kind` tells of.
pub fn unfilter(filtered: &[u8], kind: Kind) -> Option<FoundRows> {
    let Kind::Image { row: row @ 2.., pixel, depth } = kind else { return None };
    let (filters, pixels) = png::unfilter(filtered, row as usize, pixel.into())?;
    Some(FoundRows { filters, pixels, kind: Kind::Image { row: row - 1, pixel, depth } })
}
