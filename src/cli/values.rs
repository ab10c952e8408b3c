//! Parsers of option values.

use nzip::{BlockSize, Lanes, TrainedPrior};

use super::memory::available;

const SIZE_HINT: &str = "not a size; write for example 1000, 64K, 64M or 2G";
/// Smallest memory limit that is not taken for a missing unit, in bytes.
const MIN_MEMORY: u64 = 1 << 20;

/// Parses a number of bytes: 1000, 64K, 64KB, 64KiB, 2g, … All units are powers of 1024.
pub fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(SIZE_HINT.into()),
    };
    let number: u64 = digits.parse().map_err(|_| SIZE_HINT.to_string())?;
    number.checked_mul(1 << unit).ok_or_else(|| "too large".into())
}

/// Parses the size of a trained prior.
pub fn prior_size(text: &str) -> Result<usize, String> {
    let bytes = size(text)?;
    let is_possible = (1024..=TrainedPrior::MAX_SIZE as u64).contains(&bytes);
    if is_possible { Ok(bytes as usize) } else { Err(format!("{bytes} bytes are not between 1K and 16M")) }
}

/// A part of the content: the bytes from `start` up to, not including, `end`; without it, up to the end of the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByteRange {
    pub start: u64,
    pub end: Option<u64>,
}

/// Parses a range of bytes: A..B, A.. or ..B, each bound as in [`size`].
pub fn range(text: &str) -> Result<ByteRange, String> {
    let hint = || "not a range; write for example 1000..2000, 64K.. or ..1M".to_string();
    let (start, end) = text.split_once("..").ok_or_else(hint)?;
    let bound = |text: &str| Some(text).filter(|text| !text.is_empty()).map(size).transpose().map_err(|_| hint());
    let (start, end) = (bound(start)?.unwrap_or(0), bound(end)?);
    match end {
        Some(end) if end < start => Err(format!("it ends at {end}, before it begins")),
        _ => Ok(ByteRange { start, end }),
    }
}

/// Parses a memory limit: a number of bytes, or a percentage of the memory available to the process.
pub fn memory(text: &str) -> Result<u64, String> {
    if let Some(percent) = text.strip_suffix('%') {
        let percent: u64 = percent.parse().map_err(|_| SIZE_HINT.to_string())?;
        return match percent {
            1..=100 => Ok(available() / 100 * percent),
            _ => Err("a percentage is 1% to 100%".into()),
        };
    }
    match size(text)? {
        bytes @ ..MIN_MEMORY if text.ends_with(|c: char| c.is_ascii_digit()) => {
            Err(format!("{bytes} bytes are too few; did you mean {bytes}M?"))
        }
        bytes => Ok(bytes),
    }
}

/// Parses a number of threads.
pub fn threads(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "not a number; 0 is one per core".into())
}

/// Parses a number of lanes.
pub fn lanes(text: &str) -> Result<Lanes, String> {
    let number: usize = text.parse().map_err(|_| "not a number".to_string())?;
    Lanes::new(number).map_err(|error| match number {
        3..128 => format!("take {} or {}", number.next_power_of_two() / 2, number.next_power_of_two()),
        _ => error.to_string(),
    })
}

/// Parses a block size.
pub fn block_size(text: &str) -> Result<BlockSize, String> {
    match size(text)? {
        bytes if bytes > BlockSize::MAX.bytes() as u64 => Err("at most 1G".into()),
        bytes if bytes < BlockSize::MIN.bytes() as u64 => Err("at least 64K".into()),
        bytes => BlockSize::new(bytes).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("1000"), Ok(1000));
        assert_eq!((size("64K"), size("1GB")), (Ok(65536), Ok(1 << 30)));
        assert_eq!(size("3MiB"), Ok(3 << 20));
        assert!(["", "K", "1X", "-1", "1.5M", "99999999T"].iter().all(|text| size(text).is_err()));
        assert!(block_size("1K").is_err() && block_size("1G").is_ok());
        assert_eq!(block_size("2G"), Err("at most 1G".into()));
    }

    #[test]
    fn memory_limits() {
        assert_eq!(memory("10"), Err("10 bytes are too few; did you mean 10M?".into()));
        assert_eq!((memory("10K"), memory("2G")), (Ok(10 << 10), Ok(2 << 30)));
        assert_eq!(memory("50%").unwrap() / 50, available() / 100);
        assert!(memory("0%").is_err() && memory("101%").is_err());
    }

    #[test]
    fn ranges() {
        assert_eq!(range("1K..2K"), Ok(ByteRange { start: 1024, end: Some(2048) }));
        assert_eq!(range("7.."), Ok(ByteRange { start: 7, end: None }));
        assert_eq!(range("..7"), Ok(ByteRange { start: 0, end: Some(7) }));
        assert_eq!(range("5..5"), Ok(ByteRange { start: 5, end: Some(5) }));
        assert_eq!(range("9..3"), Err("it ends at 3, before it begins".into()));
        assert!(["", "7", "1-2", "-1..2", "1...2", "a..b"].iter().all(|text| range(text).is_err()));
    }

    #[test]
    fn numbers() {
        assert_eq!(lanes("3"), Err("take 2 or 4".into()));
        assert!(lanes("128").is_ok() && lanes("129").is_err() && lanes("0").is_err());
        assert_eq!(threads("x"), Err("not a number; 0 is one per core".into()));
    }
}
