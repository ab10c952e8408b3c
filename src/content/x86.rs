//! Converts relative addresses in x86 code to absolute ones, so that all calls of a function and all uses of a variable have
//! the same bytes (as the E8 filters of cabinet files, lpaq and 7-Zip).
//!
//! The filter switches itself on and off, without headers or signalled regions. It knows two kinds of instructions: `E8 rel32`
//! (call), and those of [`is_memory_opcode`] with the addressing form `[rip + rel32]` of 64-bit code. Each kind has a score,
//! which rises if an absolute address repeats and the relative one does not. Addresses are converted while the score is high.
//! The score depends on earlier instructions only, so the decoder computes the same. In other data it stays low.

/// Bits of a converted address, including the sign. Absolute addresses wrap around.
const ADDRESS_BITS: u32 = 25;
/// Addresses are converted from this score on; and the largest score.
const THRESHOLD: u32 = 16;
const MAX_SCORE: u32 = 1024;
/// What a repeated address adds to the score or subtracts.
const STEP: u32 = 16;
/// Base-2 logarithm of the number of addresses of each form that a score remembers.
const MEMORY_BITS: u32 = 12;

/// Whether compiled code uses the opcode (after a 0F prefix, its last byte) with variables in memory.
fn is_memory_opcode(opcode: u8) -> bool {
    matches!(
        opcode,
        0x01 | 0x03 | 0x09 | 0x0B | 0x10 | 0x11 | 0x21 | 0x23 | 0x28 | 0x29 | 0x2B | 0x2E | 0x2F | 0x31 | 0x33
            | 0x38..=0x3B | 0x51 | 0x54 | 0x57..=0x59 | 0x5C | 0x5E | 0x63 | 0x6F | 0x7E..=0x81 | 0x83..=0x8B | 0x8D
            | 0xAF | 0xB6 | 0xB7 | 0xBE | 0xBF | 0xC6 | 0xC7 | 0xD6 | 0xEF | 0xF6 | 0xF7 | 0xFE | 0xFF
    )
}

/// Whether absolute addresses repeat more often than relative ones.
struct AddressScore {
    value: u32,
    absolute: Vec<u32>,
    relative: Vec<u32>,
}

impl AddressScore {
    fn new() -> Self {
        // Not an address: bit 31 of an address equals bit 24.
        let none = vec![1 << 31; 1 << MEMORY_BITS];
        AddressScore { value: 0, absolute: none.clone(), relative: none }
    }

    fn is_high(&self) -> bool {
        self.value >= THRESHOLD
    }

    /// Updates the score with both forms of an instruction's address.
    fn learn(&mut self, relative: u32, absolute: u32) {
        self.value = match (repeats(&mut self.absolute, absolute), repeats(&mut self.relative, relative)) {
            (true, false) => (self.value + STEP).min(MAX_SCORE),
            (false, true) => self.value.saturating_sub(STEP),
            (false, false) => self.value.saturating_sub(1),
            (true, true) => self.value,
        };
    }
}

/// Whether `address` is remembered. Remembers it.
fn repeats(memory: &mut [u32], address: u32) -> bool {
    let slot = address.wrapping_mul(0x9E37_79B1) >> (32 - MEMORY_BITS);
    std::mem::replace(&mut memory[slot as usize], address) == address
}

/// The low [`ADDRESS_BITS`] bits of `address`, sign-extended.
fn wrapped(address: u32) -> u32 {
    ((address << (32 - ADDRESS_BITS)) as i32 >> (32 - ADDRESS_BITS)) as u32
}

/// The kind (an index of the scores) and the address position of the instruction at `at`, if there seems to be one.
#[inline]
fn instruction(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let (kind, address) = match bytes[at..] {
        [0xE8, ..] => (0, at + 1),
        [opcode, form, ..] if form & 0xC7 == 0x05 && is_memory_opcode(opcode) => (1, at + 2),
        _ => return None,
    };
    (address + 4 <= bytes.len()).then_some((kind, address))
}

/// Advances `at` past the next address, and returns its kind and position. Bytes of an address are not searched for
/// instructions, because the decoder could not see them as they were.
#[inline]
fn next_address(bytes: &[u8], at: &mut usize) -> Option<(usize, usize)> {
    while *at < bytes.len() {
        let Some((kind, address)) = instruction(bytes, *at) else {
            *at += 1;
            continue;
        };
        *at = address + 3;
        if is_sign(bytes[*at]) {
            *at = address + 4;
            return Some((kind, address));
        }
    }
    None
}

/// Whether the top byte of an address only extends the sign, as it does in both forms of a converted one.
fn is_sign(byte: u8) -> bool {
    matches!(byte, 0x00 | 0xFF)
}

fn read(bytes: &[u8], at: usize) -> [u8; 4] {
    [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]
}

/// The content with converted addresses; `None` if they are fewer than `min_addresses`.
pub fn encode(content: &[u8], min_addresses: usize) -> Option<Vec<u8>> {
    let mut filtered = Vec::new();
    let mut converted = 0;
    let mut scores = [AddressScore::new(), AddressScore::new()];
    let mut at = 0;
    while let Some((kind, address)) = next_address(content, &mut at) {
        let end = address + 4;
        let relative = u32::from_le_bytes(read(content, address));
        let absolute = wrapped(relative.wrapping_add(end as u32));
        if scores[kind].is_high() {
            if converted == 0 {
                filtered = content.to_vec();
            }
            // The low three bytes, the most significant one first: it is the easiest to predict.
            let [a, b, c, sign] = absolute.to_le_bytes();
            filtered[address..end].copy_from_slice(&[c, b, a, sign]);
            converted += 1;
        }
        scores[kind].learn(relative, absolute);
    }
    (converted >= min_addresses).then_some(filtered)
}

/// Inverse of [`encode`].
pub fn decode(bytes: &mut [u8]) {
    let mut scores = [AddressScore::new(), AddressScore::new()];
    let mut at = 0;
    while let Some((kind, address)) = next_address(bytes, &mut at) {
        let end = address + 4;
        if scores[kind].is_high() {
            let [c, b, a, sign] = read(bytes, address);
            let absolute = u32::from_le_bytes([a, b, c, sign]);
            bytes[address..end].copy_from_slice(&wrapped(absolute.wrapping_sub(end as u32)).to_le_bytes());
        }
        let relative = u32::from_le_bytes(read(bytes, address));
        scores[kind].learn(relative, wrapped(relative.wrapping_add(end as u32)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trips(content: &[u8]) -> usize {
        let Some(mut bytes) = encode(content, 0).filter(|filtered| !filtered.is_empty()) else { return 0 };
        let changed = bytes.iter().zip(content).filter(|(a, b)| a != b).count();
        decode(&mut bytes);
        assert!(bytes == content);
        changed
    }

    /// Calls of `functions` functions with a byte or more between them, and 64-bit code's uses of variables.
    fn code(functions: i32, gaps: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (i, &gap) in gaps.iter().enumerate() {
            bytes.extend(std::iter::repeat_n(gap, 1 + usize::from(gap % 5)));
            bytes.extend([&[0xE8][..], &[0x48, 0x8B, gap & 0x38 | 5]][i % 2]);
            let target = i as i32 * 7919 % functions * 4096 - 40_000;
            bytes.extend((target - bytes.len() as i32 - 4).to_le_bytes());
        }
        bytes
    }

    /// Pieces of instructions and of what looks like them.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            Just(vec![0xE8]),
            Just(vec![0x8B, 0x05]),
            Just(vec![0xFF, 0xFF, 0xFF, 0xFF]),
            any::<[u8; 2]>().prop_map(|[a, b]| vec![0xE8, a, b & 1, 0, 0]),
            any::<[u8; 3]>().prop_map(|[a, b, c]| vec![0x8D, 0x0D, a, b, c, 0xFF]),
            prop::collection::vec(any::<u8>(), 0..9),
        ]
    }

    proptest! {
        #[test]
        fn anything_comes_back(pieces in prop::collection::vec(piece(), 0..300)) {
            round_trips(&pieces.concat());
        }

        #[test]
        fn code_comes_back_wherever_it_is_cut(gaps in prop::collection::vec(any::<u8>(), 300), from in 0..40usize, to in 0..40usize) {
            let code = code(9, &gaps);
            prop_assert!(round_trips(&code[from..code.len() - to]) > 100);
        }

        #[test]
        fn undoing_takes_anything(mut bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            decode(&mut bytes);
        }
    }

    /// An opcode inside what may be another instruction's address.
    #[test]
    fn overlapping_instructions_come_back() {
        let overlap: &[&[u8]] = &[
            &[0xE8, 0xE8, 1, 2, 3, 0],
            &[0xE8, 1, 0xE8, 2, 0xFF, 0xFF, 0xFF],
            &[0x8B, 5, 0x8B, 5, 1, 2, 0, 0],
            &[0xE8, 1, 2, 3, 0xE8, 1, 2, 3, 0],
            &[0x8B, 5, 1, 2, 0xE8, 9, 0, 0, 0],
        ];
        for tail in overlap {
            assert!(round_trips(&[&code(3, &[0x90; 400]), *tail, &code(5, &[0x90; 50])].concat()) > 100);
        }
    }

    #[test]
    fn repeated_targets_look_alike() {
        let code = code(3, &[0x90; 400]);
        let filtered = encode(&code, 16).unwrap();
        // Beyond the start there are three functions, seen twice, at most.
        let mut calls: Vec<_> = filtered[1000..].windows(5).filter(|w| w[0] == 0xE8).map(<[u8]>::to_vec).collect();
        calls.sort();
        calls.dedup();
        assert_eq!(calls.len(), 3);
    }

    #[test]
    fn addresses_wrap_around() {
        for (relative, end) in [(-1i32 << 24, 5u32), ((1 << 24) - 1, 5), (-1, 1 << 30), (5, u32::MAX)] {
            let absolute = wrapped((relative as u32).wrapping_add(end));
            assert!(matches!(absolute >> 24, 0x00 | 0xFF));
            assert_eq!(wrapped(absolute.wrapping_sub(end)), relative as u32);
        }
    }
}
