//! Converts relative addresses in Arm64 and RISC-V code to absolute ones, so that all calls of a function and all uses of a page
//! have the same bits (as 7-Zip's filters of these names). The bits that tell an instruction are never changed, so that the
//! inverse finds the same ones.

/// Adds addresses; or subtracts them, to undo that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToAbsolute,
    ToRelative,
}

impl Way {
    fn convert(self, value: u32, address: u32) -> u32 {
        match self {
            Way::ToAbsolute => value.wrapping_add(address),
            Way::ToRelative => value.wrapping_sub(address),
        }
    }
}

/// Arm64: BL, whose 26 bits count words, and ADRP, whose 21 bits count pages (Arm Architecture Reference Manual, C6.2).
pub fn arm64(bytes: &mut [u8], way: Way) {
    for (i, word) in bytes.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let (code, address) = (u32::from_le_bytes(*word), 4 * i as u32);
        let converted = if code >> 26 == 0b10_0101 {
            code & 0xFC00_0000 | way.convert(code, address >> 2) & 0x03FF_FFFF
        } else if code & 0x9F00_0000 == 0x9000_0000 {
            let pages = way.convert(code >> 3 & 0x1F_FFFC | code >> 29 & 3, address >> 12);
            code & 0x9F00_001F | (pages & 3) << 29 | (pages >> 2 & 0x7_FFFF) << 5
        } else {
            continue;
        };
        *word = converted.to_le_bytes();
    }
}

/// Those of processors whose instructions begin with their high byte. SPARC: CALL, whose 30 bits count words, of which 23 are used here, the
/// highest of them as the sign (The SPARC Architecture Manual, version 8, B.24). PowerPC: BL, whose bits 2 to 25 count words (Power ISA,
/// book I, 2.4).
pub fn big_endian(bytes: &mut [u8], way: Way) {
    for (i, word) in bytes.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let (code, address) = (u32::from_be_bytes(*word), i as u32);
        let converted = if matches!(code >> 22, 0x100 | 0x1FF) {
            let words = way.convert(code, address) << 9;
            0x4000_0000 | ((words as i32 >> 9) as u32 & 0x3FFF_FFFF)
        } else if code & 0xFC00_0003 == 0x4800_0001 {
            code & 0xFC00_0003 | way.convert(code & 0x03FF_FFFC, address << 2) & 0x03FF_FFFC
        } else {
            continue;
        };
        *word = converted.to_be_bytes();
    }
}

/// RISC-V: JAL of the return address, and AUIPC with the instruction behind it that adds the low 12 bits to the same register:
/// ADDI and its kin, a load, JALR (The RISC-V Instruction Set Manual, volume I, 2.3 to 2.6).
pub fn risc_v(bytes: &mut [u8], way: Way) {
    let mut at = 0;
    while let Some(&pair) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let code = u64::from_le_bytes(pair);
        let (first, second) = (code as u32, (code >> 32) as u32);
        let address = at as u32;
        let register = first >> 7 & 31;
        if first & 0xFFF == 0x0EF {
            let converted = jump(first >> 12, address, way);
            bytes[at..at + 4].copy_from_slice(&(converted << 12 | 0x0EF).to_le_bytes());
            at += 4;
        } else if first & 0x7F == 0x17 && register != 0 {
            if second >> 15 & 31 != register || !matches!(second & 0x7F, 0x03 | 0x13 | 0x67) {
                // What begins at its middle stays as it is, so that the inverse finds the same bits of `second`.
                at += 4;
                continue;
            }
            let low = (second as i32 >> 20) as u32;
            let sum = way.convert((first & 0xFFFF_F000).wrapping_add(low), address);
            // The low 12 bits are signed.
            let high = sum.wrapping_add(0x800) & 0xFFFF_F000;
            bytes[at..at + 4].copy_from_slice(&(high | first & 0xFFF).to_le_bytes());
            bytes[at + 4..at + 8].copy_from_slice(&(sum << 20 | second & 0xF_FFFF).to_le_bytes());
            at += 8;
        } else {
            at += 2;
        }
    }
}

/// The 20 bits of a JAL's operand, converted. The absolute address has its bits in order, the highest in the first byte.
fn jump(operand: u32, address: u32, way: Way) -> u32 {
    match way {
        Way::ToAbsolute => {
            let offset =
                (operand >> 19 & 1) << 19 | (operand & 0xFF) << 11 | (operand >> 8 & 1) << 10 | operand >> 9 & 0x3FF;
            let halves = offset.wrapping_add(address >> 1);
            halves >> 16 & 0xF | (halves >> 8 & 0xFF) << 4 | (halves & 0xFF) << 12
        }
        Way::ToRelative => {
            let halves = (operand & 0xF) << 16 | (operand >> 4 & 0xFF) << 8 | operand >> 12 & 0xFF;
            let offset = halves.wrapping_sub(address >> 1);
            (offset >> 19 & 1) << 19 | offset >> 11 & 0xFF | (offset >> 10 & 1) << 8 | (offset & 0x3FF) << 9
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Convert = fn(&mut [u8], Way);

    /// Words, and instructions that are converted.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            any::<u32>().prop_map(|x| (0x9400_0000 | x >> 6).to_le_bytes().to_vec()),
            any::<u32>().prop_map(|x| (0x4000_0000 | (x as i32 >> 9) as u32 & 0x3FFF_FFFF).to_be_bytes().to_vec()),
            any::<u32>().prop_map(|x| (0x4800_0001 | x >> 6 & !3).to_be_bytes().to_vec()),
            any::<u32>().prop_map(|x| (0x9000_0000 | x & 0x60FF_FFFF).to_le_bytes().to_vec()),
            any::<u32>().prop_map(|x| (0x0EF | x << 12).to_le_bytes().to_vec()),
            any::<[u32; 2]>().prop_map(|[x, y]| {
                let pair = [0x517 | x << 12, 0x5_0013 | y << 20].map(u32::to_le_bytes);
                pair.concat()
            }),
            prop::collection::vec(any::<u8>(), 0..9),
        ]
    }

    proptest! {
        #[test]
        fn anything_comes_back(pieces in prop::collection::vec(piece(), 0..300)) {
            let content = pieces.concat();
            for convert in [arm64 as Convert, big_endian, risc_v] {
                let mut bytes = content.clone();
                convert(&mut bytes, Way::ToAbsolute);
                convert(&mut bytes, Way::ToRelative);
                prop_assert_eq!(&bytes, &content);
            }
        }
    }

    /// A jump in the middle of AUIPC would make what follows an ADDI.
    #[test]
    fn overlapping_instructions_come_back() {
        let content = [&[0x17, 5][..], &0x6000_20EFu32.to_le_bytes(), &[5, 0, 0, 0, 0, 0]].concat();
        let mut bytes = content.clone();
        risc_v(&mut bytes, Way::ToAbsolute);
        risc_v(&mut bytes, Way::ToRelative);
        assert_eq!(bytes, content);
    }

    /// Calls of one function from everywhere have the same bytes.
    #[test]
    fn targets_look_alike() {
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        // bl to 0x40 from 0, 4, 8.
        let mut arm = words(&[0x9400_0010, 0x9400_000F, 0x9400_000E]);
        arm64(&mut arm, Way::ToAbsolute);
        assert_eq!(arm, words(&[0x9400_0010; 3]));
        // jal ra to 0x40 from 0, 4; then auipc a0, addi a0 with the address 0x1840 from 8, 16.
        let mut risc = words(&[0x0400_00EF, 0x03C0_00EF, 0x0000_2517, 0x8385_0513, 0x0000_2517, 0x8305_0513]);
        risc_v(&mut risc, Way::ToAbsolute);
        assert_eq!(risc[..4], risc[4..8]);
        assert_eq!(risc[8..16], risc[16..]);
        assert_eq!(risc[8..16], words(&[0x0000_2517, 0x8405_0513]));
    }
}
