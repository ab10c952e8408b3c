//! Images in PDF documents: the dictionary before a stream says how its rows lie (ISO 32000-1, 7.4.4 and 8.9.5).

use super::kind::Kind;

/// A dictionary takes at most so many bytes.
const MAX_DICTIONARY: usize = 4096;

/// What the plain data of a stream are.
pub struct Image {
    pub kind: Kind,
    /// Whether each row begins with a filter type, as in a PNG. `kind` counts it.
    pub is_filtered: bool,
}

/// The image that `plain` is, if what is `before` its stream says so.
pub fn image(before: &[u8], plain_len: usize) -> Option<Image> {
    let before = &before[before.len().saturating_sub(MAX_DICTIONARY)..];
    let before = before.strip_suffix(b"\n")?;
    let before = before.strip_suffix(b"\r").unwrap_or(before).strip_suffix(b"stream")?;
    let start = before.windows(4).rposition(|window| window == b" obj")?;
    let dictionary = &before[start..];
    let (width, height) = (number(dictionary, b"/Width")?, number(dictionary, b"/Height")?);
    let depth = number(dictionary, b"/BitsPerComponent").unwrap_or(1);
    if !matches!(depth, 1 | 8 | 16) || !plain_len.is_multiple_of(height) {
        return None;
    }
    let is_filtered = number(dictionary, b"/Predictor").is_some_and(|predictor| predictor >= 10);
    let row = plain_len / height;
    let bits = (1..=4).find(|&samples| {
        let bits = width.checked_mul(samples * depth);
        bits.is_some_and(|bits| bits.div_ceil(8) + usize::from(is_filtered) == row)
    })? * depth;
    let kind = Kind::Image { row: u32::try_from(row).ok()?, pixel: (bits / 8).max(1) as u8, depth: depth as u8 };
    Some(Image { kind, is_filtered })
}

/// The positive number behind `name`.
fn number(dictionary: &[u8], name: &[u8]) -> Option<usize> {
    let at = dictionary.windows(name.len()).position(|window| window == name)?;
    let rest = dictionary[at + name.len()..].trim_ascii_start();
    let digits = rest.iter().take(7).take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok().filter(|&number| number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionaries_tell_of_rows() {
        let text = |more: &str| {
            format!("9 0 obj\n<</Width 1>>\nendobj\n5 0 obj\n<<\n/Width 756 /Height 10\n{more}>>\nstream\r\n")
                .into_bytes()
        };
        let row = |more: &str, len| image(&text(more), len).map(|image| (image.kind, image.is_filtered));
        let kind = |row, pixel, depth| Kind::Image { row, pixel, depth };
        assert_eq!(row("/BitsPerComponent 8", 7560), Some((kind(756, 1, 8), false)));
        assert_eq!(row("/BitsPerComponent 8/ColorSpace/DeviceRGB", 22680), Some((kind(2268, 3, 8), false)));
        assert_eq!(row("/BitsPerComponent 8/DecodeParms<</Predictor 15>>", 22690), Some((kind(2269, 3, 8), true)));
        assert_eq!(row("/ImageMask true", 950), Some((kind(95, 1, 1), false)));
        for (more, len) in [("/BitsPerComponent 8", 7561), ("/BitsPerComponent 4", 3780), ("", 7560)] {
            assert_eq!(row(more, len), None);
        }
        assert!(image(b"5 0 obj <</Width 9/Height 9>>", 81).is_none());
    }
}
