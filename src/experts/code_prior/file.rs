//! The prior's file: magic, checksum, the number of records, Huffman codes of their parts, the records in the order of their places.

use super::evidence::{CODES, mirrored};
use super::table::{Record, Table};
use crate::error::{Error, ErrorKind};
use crate::experts::huffman::{BIT_LENGTHS, BitReader, BitWriter, Decoder, Encoder, Number, count};
use memmap2::MmapMut;
use std::sync::OnceLock;
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: &[u8; 8] = b"nzcode01";
/// Bits of the number of records.
const COUNT_BITS: u32 = 24;

/// Made by training/code_prior.
static EMBEDDED: &[u8] = nzip_code_prior::CODE_PRIOR;

impl Table {
    /// The embedded prior, decoded on first use.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if the program file is damaged.
    pub fn embedded() -> Result<&'static Table, Error> {
        static TABLE: OnceLock<Table> = OnceLock::new();
        match TABLE.get() {
            Some(table) => Ok(table),
            None => Table::parse(EMBEDDED).map(|table| TABLE.get_or_init(|| table)),
        }
    }

    /// The checksum of the embedded prior, as its file says.
    pub fn embedded_id() -> [u8; 8] {
        EMBEDDED.get(MAGIC.len()..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default()
    }

    /// Decodes a prior's file.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if the file is not a prior or is damaged; [`ErrorKind::Io`] if there is not enough memory.
    pub fn parse(file: &[u8]) -> Result<Table, Error> {
        let wrong = |what| Error::new(ErrorKind::Model, format!("the prior of x86 code {what}"));
        let body = file.strip_prefix(MAGIC).ok_or_else(|| wrong("is not a file of this version"))?;
        let (checksum, body) = body.split_first_chunk().ok_or_else(|| wrong("is cut short"))?;
        if u64::from_le_bytes(*checksum) != xxh3_64(body) {
            return Err(wrong("is damaged: its checksum does not match"));
        }
        let no_memory = |error| Error::new(ErrorKind::Io, format!("no memory for the prior of x86 code: {error}"));
        decode(body, Table::room().map_err(no_memory)?).ok_or_else(|| wrong("is not well-formed"))
    }
}

/// Encodes a prior's file. The places of `records` rise.
pub fn encode(records: &[Record]) -> Vec<u8> {
    let mut out = BitWriter::default();
    out.bits(records.len() as u32, COUNT_BITS);
    let mut next = 0;
    let gaps: Vec<Number> = records
        .iter()
        .map(|record| {
            let gap = record.place - next;
            next = record.place + 1;
            Number::of(gap)
        })
        .collect();
    let gap_code = Encoder::write(&count(BIT_LENGTHS, gaps.iter().map(|gap| gap.bit_length())), &mut out);
    let nodes = || records.iter().flat_map(|record| (1..16).filter_map(|node| symbol(&record.evidence, node)));
    let codes: [Encoder; CODES] = std::array::from_fn(|before| {
        let symbols = nodes().filter(|&(context, _)| context == before).map(|(_, symbol)| symbol.into());
        Encoder::write(&count(CODES, symbols), &mut out)
    });
    for (gap, record) in gaps.iter().zip(records) {
        gap_code.symbol(gap.bit_length(), &mut out);
        gap.write_low(&mut out);
        for (before, symbol) in (1..16).filter_map(|node| symbol(&record.evidence, node)) {
            codes[before].symbol(symbol.into(), &mut out);
        }
    }
    let body = out.finish();
    [&MAGIC[..], &xxh3_64(&body).to_le_bytes(), &body].concat()
}

fn decode(body: &[u8], room: MmapMut) -> Option<Table> {
    let mut input = BitReader::new(body);
    let records = input.bits(COUNT_BITS);
    let gap_code = Decoder::read(&mut input, BIT_LENGTHS)?;
    let codes: Vec<Decoder> = (0..CODES).map(|_| Decoder::read(&mut input, CODES)).collect::<Option<_>>()?;
    let mut next = 0u32;
    let records = (0..records).map(|_| {
        let place = next.checked_add(Number::read(&gap_code, &mut input))?;
        next = place + 1;
        let mut evidence = [0; 15];
        for node in 1..16 {
            if let Some((before, _)) = symbol(&evidence, node) {
                input.fill();
                evidence[node - 1] = codes[before].take(&mut input) as u8;
            }
        }
        Some(Record { place, evidence })
    });
    Table::new(room, records)
}

/// What is written for a node: which code, by the node that it comes after, and the symbol. `None` if that node was never seen: nor was this.
pub fn symbol(evidence: &[u8; 15], node: usize) -> Option<(usize, u8)> {
    let own = evidence[node - 1];
    if node == 1 {
        return Some((0, own));
    }
    let before = evidence[node / 2 - 1];
    let towards = if node & 1 == 1 { before } else { mirrored(before) };
    (before > 0).then_some((towards.into(), own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    fn records() -> Vec<Record> {
        let mut random = TestRandom::new(3);
        let mut place = 0;
        let mut record = || {
            place += 1 + random.below(1 << 10) as u32;
            let mut evidence = [0; 15];
            for node in 1..16 {
                if symbol(&evidence, node).is_some() {
                    evidence[node - 1] = random.below(CODES as u64) as u8;
                }
            }
            Record { place, evidence }
        };
        (0..1000).map(|_| record()).collect()
    }

    #[test]
    fn a_file_comes_back() {
        let records = records();
        let table = Table::parse(&encode(&records)).unwrap();
        for Record { place, evidence } in &records {
            assert_eq!(table.find(*place)[1..], evidence[..]);
        }
        let known: Vec<u32> = records.iter().map(|record| record.place).collect();
        assert!((0..1 << 16).filter(|place| !known.contains(place)).all(|place| table.find(place)[1..] == [0; 15]));
    }

    #[test]
    fn damage_is_found() {
        let file = encode(&records());
        for at in (0..file.len()).step_by(97) {
            let mut damaged = file.clone();
            damaged[at] ^= 4;
            assert!(Table::parse(&damaged).is_err() && Table::parse(&file[..at]).is_err());
        }
        // What a checksum does not see.
        let body = &file[MAGIC.len() + 8..];
        let refused = (0..body.len()).step_by(31).filter(|&at| {
            let mut damaged = body.to_vec();
            damaged[at] = damaged[at].wrapping_add(85);
            decode(&damaged, Table::room().unwrap()).is_none()
        });
        assert!(refused.count() > 10, "codes that are not complete, places out of range");
    }

    #[test]
    fn a_line_has_room_for_four() {
        let crowded = |n| (0..n).map(|place| Some(Record { place, evidence: [1; 15] }));
        let table = |records| Table::new(Table::room().unwrap(), records);
        assert!(table(crowded(4)).is_some() && table(crowded(5)).is_none());
        let falling = [7, 6].map(|place| Some(Record { place, evidence: [1; 15] }));
        assert!(Table::new(Table::room().unwrap(), falling).is_none());
    }

    #[test]
    fn the_embedded_prior_knows_what_functions_begin_with() {
        use crate::experts::code_prior::evidence::initial_map;
        use crate::experts::code_prior::table::place;
        use crate::experts::contexts::x86::X86;
        use crate::tables::hash_table::{first_nibble, second_nibble};
        let table = Table::embedded().unwrap();
        let mut x86 = X86::new(true);
        // ret; push ebp; what follows is mov ebp, esp: 8B EC.
        [0xC3, 0x55].into_iter().for_each(|byte| x86.push(byte));
        let contexts = x86.prior().unwrap();
        let first = first_nibble(1, contexts[1]);
        let bucket = table.find(place(first, 0));
        let map = initial_map();
        assert!(map[usize::from(bucket[1])] >> 16 > 1 << 15, "8: its first bit is 1");
        // Behind 100, and then 0.
        let bucket = table.find(place(second_nibble(first, 0b1100), 0));
        assert!(map[usize::from(bucket[1])] >> 16 > 1 << 15, "B: its first bit is 1");
    }
}
