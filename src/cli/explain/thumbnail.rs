//! Images in small: what their pixels are and cost.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nzip::internals::container::{Explanation, Piece};
use nzip::internals::content::Kind;
use serde::Serialize;

use super::text::name;

/// Cells of a side of an image, of all images, and images.
const SIDE: usize = 320;
const CELLS: usize = 200_000;
const IMAGES: usize = 16;
/// Bytes of the smallest image.
const SMALLEST: usize = 1024;

/// An image as a page shows it.
#[derive(Serialize)]
pub struct Thumbnail {
    name: String,
    width: usize,
    height: usize,
    /// Pixels of a cell's side, and the cells.
    scale: usize,
    columns: usize,
    rows: usize,
    /// Three bytes for each cell: red, green, blue.
    values: String,
    /// A byte for each cell: 1/16 of a bit for each of its bytes.
    costs: String,
}

/// The images among the pieces, the first ones if there are many.
pub fn thumbnails(explanation: &Explanation) -> Vec<Thumbnail> {
    let mut left = CELLS;
    let shapes = explanation.pieces.iter().filter_map(|piece| Some((piece, Shape::of(explanation, piece)?)));
    let mut images = Vec::new();
    for (piece, shape) in shapes {
        let scale = shape.width.max(shape.height).div_ceil(SIDE);
        let cells = shape.width.div_ceil(scale) * shape.height.div_ceil(scale);
        if images.len() < IMAGES && cells <= left {
            left -= cells;
            images.push(shape.thumbnail(explanation, piece, scale));
        }
    }
    images
}

/// How the bytes of a piece are pixels.
struct Shape {
    /// Bytes of a row, of a pixel, and of a sample.
    row: usize,
    pixel: usize,
    sample: usize,
    width: usize,
    height: usize,
}

impl Shape {
    fn of(explanation: &Explanation, piece: &Piece) -> Option<Shape> {
        let Kind::Image { row: row @ 1.., pixel: pixel @ 1.., depth } = explanation.streams[piece.stream].kind else {
            return None;
        };
        let (row, pixel) = (row as usize, usize::from(pixel));
        let (width, height) = (row / pixel, piece.len / row);
        let shape = Shape { row, pixel, sample: usize::from(depth / 8).max(1), width, height };
        (piece.len >= SMALLEST && width > 0 && height > 0).then_some(shape)
    }

    fn thumbnail(&self, explanation: &Explanation, piece: &Piece, scale: usize) -> Thumbnail {
        let stream = &explanation.streams[piece.stream];
        let (columns, rows) = (self.width.div_ceil(scale), self.height.div_ceil(scale));
        let (mut values, mut costs) = (Vec::new(), Vec::new());
        for cell in 0..columns * rows {
            let (x, y) = (cell % columns * scale, cell / columns * scale);
            let (mut colour, mut bits, mut pixels) = ([0; 3], 0.0, 0);
            for (x, y) in
                (y..self.height.min(y + scale)).flat_map(|y| (x..self.width.min(x + scale)).map(move |x| (x, y)))
            {
                let at = piece.start + y * self.row + x * self.pixel;
                let bytes = &stream.plain[at..at + self.pixel];
                bits += (at..at + self.pixel).map(|at| f64::from(stream.cost(at))).sum::<f64>();
                for (sum, value) in colour.iter_mut().zip(self.colour(bytes)) {
                    *sum += usize::from(value);
                }
                pixels += 1;
            }
            values.extend(colour.map(|sum| (sum / pixels) as u8));
            costs.push((bits * 16.0 / (pixels * self.pixel) as f64).round() as u8);
        }
        let (values, costs) = (STANDARD.encode(values), STANDARD.encode(costs));
        let name = name(explanation, piece);
        Thumbnail { name, width: self.width, height: self.height, scale, columns, rows, values, costs }
    }

    /// Red, green and blue: the first three samples, or the first one alone. Of wide samples the first byte.
    fn colour(&self, bytes: &[u8]) -> [u8; 3] {
        match self.pixel / self.sample {
            ..=2 => [bytes[0]; 3],
            _ => [0, 1, 2].map(|sample| bytes[sample * self.sample]),
        }
    }
}
