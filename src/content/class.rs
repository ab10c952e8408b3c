//! Class files of Java (The Java Virtual Machine Specification, chapter 4): a pool of constants, then what refers to it.

/// What a class begins with, and the bytes up to its constants.
pub const MAGIC: [u8; 4] = [0xCA, 0xFE, 0xBA, 0xBE];
const HEAD: usize = 10;
/// The first and the last major version there may be. Universal binaries have the same magic, and few architectures in this place.
const VERSIONS: std::ops::RangeInclusive<u16> = 45..=100;

/// Tags of constants (4.4).
pub mod tag {
    /// A string, in which Java writes UTF-8.
    pub const UTF8: u8 = 1;
    /// A number of 32 bits.
    pub const INTEGER: u8 = 3;
    /// A binary32 number.
    pub const FLOAT: u8 = 4;
    /// A number of 64 bits, which takes two numbers.
    pub const LONG: u8 = 5;
    /// A binary64 number, which takes two numbers.
    pub const DOUBLE: u8 = 6;
    /// A class: its name.
    pub const CLASS: u8 = 7;
    /// A text.
    pub const STRING: u8 = 8;
    /// A field: its class, its name and type.
    pub const FIELD: u8 = 9;
    /// The same of a method.
    pub const METHOD: u8 = 10;
    /// The same of the method of an interface.
    pub const INTERFACE_METHOD: u8 = 11;
    /// A name and a type.
    pub const NAME_AND_TYPE: u8 = 12;
    /// A method as a value.
    pub const METHOD_HANDLE: u8 = 15;
    /// A type as a value.
    pub const METHOD_TYPE: u8 = 16;
    /// A value that is computed.
    pub const DYNAMIC: u8 = 17;
    /// A call whose method is computed.
    pub const INVOKE_DYNAMIC: u8 = 18;
    /// A module: its name.
    pub const MODULE: u8 = 19;
    /// A package: its name.
    pub const PACKAGE: u8 = 20;
}

/// Bytes of a constant with this tag, without the tag; of a string those of its length only. None if there is no such tag.
pub fn constant_len(tag: u8) -> Option<usize> {
    Some(match tag {
        tag::UTF8 | tag::CLASS | tag::STRING | tag::METHOD_TYPE | tag::MODULE | tag::PACKAGE => 2,
        tag::METHOD_HANDLE => 3,
        tag::INTEGER | tag::FLOAT | tag::DYNAMIC | tag::INVOKE_DYNAMIC => 4,
        tag::FIELD | tag::METHOD | tag::INTERFACE_METHOD | tag::NAME_AND_TYPE => 4,
        tag::LONG | tag::DOUBLE => 8,
        _ => return None,
    })
}

/// How many numbers a constant with this tag takes.
pub fn slots(tag: u8) -> usize {
    if matches!(tag, tag::LONG | tag::DOUBLE) { 2 } else { 1 }
}

/// Whether `bytes` are a class: its constants are what they have to be.
pub fn is_class(bytes: &[u8]) -> bool {
    pool_end(bytes).is_some()
}

/// Where the constants of the class end.
fn pool_end(bytes: &[u8]) -> Option<usize> {
    let [a, b, c, d, _, _, e, f, g, h] = *bytes.first_chunk::<HEAD>()?;
    let (version, count) = (u16::from_be_bytes([e, f]), u16::from_be_bytes([g, h]));
    if [a, b, c, d] != MAGIC || !VERSIONS.contains(&version) || count == 0 {
        return None;
    }
    let (mut at, mut index) = (HEAD, 1);
    while index < usize::from(count) {
        let tag = *bytes.get(at)?;
        at += 1 + constant_len(tag)?;
        if tag == tag::UTF8 {
            let len = bytes.get(..at)?.last_chunk()?;
            at += usize::from(u16::from_be_bytes(*len));
        }
        index += slots(tag);
    }
    (at <= bytes.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_found() {
        let class =
            [&MAGIC[..], &[0, 0, 0, 52, 0, 5, 1, 0, 2, b'n', b'z', 5, 0, 0, 0, 0, 0, 0, 0, 9, 7, 0, 1]].concat();
        assert!(is_class(&class));
        assert_eq!(pool_end(&[&class[..], &[9; 7]].concat()), Some(class.len()));
        for len in 0..class.len() {
            assert!(!is_class(&class[..len]), "{len}");
        }
        // A universal binary of two architectures; no constants; a tag that there is not; a long string.
        for (at, byte) in [(7, 2), (9, 0), (10, 2), (12, 200)] {
            let mut other = class.clone();
            other[at] = byte;
            assert!(!is_class(&other), "{at}");
        }
    }
}
