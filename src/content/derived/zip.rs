//! Zip archives: the members tell check sums and lengths, and the local headers what the central directory repeats (PKWARE's APPNOTE, 4.3).

use std::ops::Range;

use flate2::{Decompress, FlushDecompress, Status};

use super::{Fields, u16_at, u32_at};
use crate::content::deflate;

pub const LOCAL: &[u8] = b"PK\x03\x04";
const DESCRIPTOR: &[u8] = b"PK\x07\x08";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
/// Bytes of a local header, and of a central one, before the name.
const LOCAL_LEN: usize = 30;
const CENTRAL_LEN: usize = 46;
/// Fewer members have too few fields.
const MIN_MEMBERS: usize = 2;
/// More members are not read: the end record can't count them.
pub const MAX_MEMBERS: usize = u16::MAX as usize;
/// How often a member is looked for where a signature is.
const MAX_TRIES: usize = 16;

/// The members that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where the first one begins.
    pub start: usize,
    pub members: usize,
}

/// A member.
pub struct Member {
    /// Where its header begins.
    at: usize,
    name: Range<usize>,
    extra: Range<usize>,
    pub data: Range<usize>,
    method: usize,
    has_descriptor: bool,
    /// The CRC-32 and the length of what is in it, if that can be read.
    plain: Option<(u32, usize)>,
}

impl Member {
    /// The member at byte `at`, whose plain data may take `limit` bytes.
    fn read(bytes: &[u8], at: usize, limit: usize) -> Option<Member> {
        if !bytes.get(at..)?.starts_with(LOCAL) {
            return None;
        }
        let (flags, method) = (u16_at(bytes, at + 6)?, u16_at(bytes, at + 8)?);
        let name = at + LOCAL_LEN..at + LOCAL_LEN + u16_at(bytes, at + 26)?;
        let extra = name.end..name.end + u16_at(bytes, at + 28)?;
        let rest = bytes.get(extra.end..)?;
        let (has_descriptor, is_encrypted) = (flags & 8 != 0, flags & 1 != 0);
        let (len, plain) = match method {
            8 if !is_encrypted => {
                let mut crc = crc32fast::Hasher::new();
                let (len, plain_len) = inflate(rest, limit, |part| crc.update(part))?;
                (len, Some((crc.finalize(), plain_len)))
            }
            // Only the descriptor tells where it ends.
            _ if has_descriptor => return None,
            _ => {
                let len = u32_at(bytes, at + 18)? as usize;
                let data = rest.get(..len)?;
                (len, (method == 0 && !is_encrypted).then(|| (crc32fast::hash(data), len)))
            }
        };
        let data = extra.end..extra.end + len;
        Some(Member { at, name, extra, data, method, has_descriptor, plain })
    }

    /// Where its descriptor's numbers begin, if it has one.
    fn descriptor(&self, bytes: &[u8]) -> Option<usize> {
        let end = self.data.end;
        let has_signature = bytes[end..].starts_with(DESCRIPTOR);
        self.has_descriptor.then_some(if has_signature { end + DESCRIPTOR.len() } else { end })
    }

    /// Where the next member may begin.
    fn end(&self, bytes: &[u8]) -> usize {
        self.descriptor(bytes).map_or(self.data.end, |descriptor| descriptor + 12)
    }

    /// Its name.
    pub fn name<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.name.clone()]
    }

    /// Gives out what is in it, part by part. None if it can't be read.
    pub fn read_plain(&self, bytes: &[u8], mut sink: impl FnMut(&[u8])) -> Option<()> {
        let (_, len) = self.plain?;
        let data = &bytes[self.data.clone()];
        match self.method {
            8 => drop(inflate(data, len, sink)?),
            _ => sink(data),
        }
        Some(())
    }

    /// Whether its deflate stream is one by all rules, so that later releases of the library will read it, too.
    fn is_sure(&self, bytes: &[u8]) -> bool {
        let Some((crc, len)) = self.plain.filter(|_| self.method == 8) else { return true };
        deflate::inflate(&bytes[self.data.clone()], len)
            .is_ok_and(|inflated| inflated.consumed == self.data.len() && crc32fast::hash(&inflated.plain) == crc)
    }

    /// Whether its data are what is in it.
    pub fn is_stored(&self) -> bool {
        self.method == 0
    }

    /// Bytes of what is in it.
    pub fn plain_len(&self) -> usize {
        self.plain.map_or(0, |(_, len)| len)
    }
}

/// Inflates the deflate stream that `bytes` begin with, of at most `limit` plain bytes. Returns its length and theirs.
fn inflate(bytes: &[u8], limit: usize, mut sink: impl FnMut(&[u8])) -> Option<(usize, usize)> {
    let mut inflater = Decompress::new(false);
    let mut plain = vec![0; 1 << 15];
    loop {
        let (taken, given) = (inflater.total_in() as usize, inflater.total_out() as usize);
        let status = inflater.decompress(&bytes[taken..], &mut plain, FlushDecompress::None).ok()?;
        let len = inflater.total_out() as usize - given;
        sink(&plain[..len]);
        if given + len > limit {
            return None;
        }
        if status == Status::StreamEnd {
            return Some((inflater.total_in() as usize, given + len));
        }
        if len == 0 && inflater.total_in() as usize == taken {
            return None;
        }
    }
}

/// Up to `extent.members` members, at most [`MAX_MEMBERS`], of at most `limit` plain bytes in all.
pub fn members(bytes: &[u8], extent: Extent, limit: usize) -> Vec<Member> {
    let (mut members, mut at, mut limit) = (Vec::new(), extent.start, limit);
    while members.len() < extent.members.min(MAX_MEMBERS)
        && let Some(member) = Member::read(bytes, at, limit)
    {
        at = member.end(bytes);
        limit -= member.plain_len();
        members.push(member);
    }
    members
}

/// The members in `bytes`, if there are enough, of at most `limit` plain bytes; and whether all are [sure](Member::is_sure).
pub fn find(bytes: &[u8], limit: usize) -> Option<(Extent, Vec<Member>, bool)> {
    let mut at = 0;
    for _ in 0..MAX_TRIES {
        let start = super::find(bytes, at, LOCAL)?;
        let mut found = members(bytes, Extent { start, members: MAX_MEMBERS }, limit);
        let unsure = found.iter().position(|member| !member.is_sure(bytes));
        found.truncate(unsure.unwrap_or(found.len()));
        if found.len() >= MIN_MEMBERS {
            return Some((Extent { start, members: found.len() }, found, unsure.is_none()));
        }
        at = start + 1;
    }
    None
}

/// Changes the fields of the archive's headers. None if it has fewer members, or more than `limit` plain bytes.
pub fn walk(fields: &mut Fields<'_>, extent: Extent, limit: usize) -> Option<()> {
    let members = members(fields.bytes, extent, limit);
    let end = members.last().filter(|_| members.len() == extent.members)?.end(fields.bytes);
    let numbers: Vec<[u32; 3]> = members.iter().map(|member| local(fields, member)).collect();
    // Other data may come before it.
    let Some(start) = super::find(fields.bytes, end, CENTRAL) else { return Some(()) };
    let (mut at, mut entries, mut next) = (start, 0, 0);
    // Where the last entry's member begins: as it says, and here.
    let (mut said, mut here) = (0u32, 0);
    while fields.bytes.get(at..).is_some_and(|rest| rest.starts_with(CENTRAL) && rest.len() >= CENTRAL_LEN) {
        let told = members.get(next).map_or(0, |member| said.wrapping_add(member.at.wrapping_sub(here) as u32));
        let offset = fields.number(at + 42, 4, told);
        // Another order may go on from where it leads, if that is further on. The sum must not wrap around where a `usize` has 32 bits.
        let place = here as u64 + u64::from(offset.wrapping_sub(said));
        let found = if entries == 0 { Ok(0) } else { members.binary_search_by_key(&place, |member| member.at as u64) };
        if let Ok(index) = found {
            (said, here, next) = (offset, members[index].at, index);
        }
        at = central(fields, at, members.get(next).filter(|_| found.is_ok()).zip(numbers.get(next)));
        (entries, next) = (entries + 1, next + 1);
    }
    if fields.bytes.get(at..).is_some_and(|rest| rest.starts_with(END)) {
        fields.number(at + 8, 2, entries);
        fields.number(at + 10, 2, entries);
        fields.number(at + 12, 4, (at - start) as u32);
        fields.number(at + 16, 4, said.wrapping_add(start.wrapping_sub(here) as u32));
    }
    Some(())
}

/// Changes a local header, or the descriptor. Returns the CRC-32, the coded length and the plain one.
fn local(fields: &mut Fields<'_>, member: &Member) -> [u32; 3] {
    let header = member.at + 14;
    let Some((crc, plain_len)) = member.plain else {
        return [0, 4, 8].map(|skip| u32_at(fields.bytes, header + skip).unwrap_or(0));
    };
    let at = member.descriptor(fields.bytes).unwrap_or(header);
    let crc = fields.number(at, 4, crc);
    // It tells where data that are not coded end.
    let len = match member.method {
        8 => fields.number(at + 4, 4, member.data.len() as u32),
        _ => member.data.len() as u32,
    };
    [crc, len, fields.number(at + 8, 4, plain_len as u32)]
}

/// Changes the rest of the central header at byte `at`, which should be that of a member with these numbers. Returns where it ends.
fn central(fields: &mut Fields<'_>, at: usize, told: Option<(&Member, &[u32; 3])>) -> usize {
    let lens = |fields: &Fields<'_>, skip| u16_at(fields.bytes, at + skip).unwrap_or(0);
    let Some((member, numbers)) = told else {
        return at + CENTRAL_LEN + [28, 30, 32].map(|skip| lens(fields, skip)).iter().sum::<usize>();
    };
    // The version that is needed, flags, method, time and date.
    for skip in (4..14).step_by(2) {
        let local = u16_at(fields.bytes, member.at + skip).unwrap_or(0);
        fields.number(at + skip + 2, 2, local as u32);
    }
    for (skip, &number) in (16..).step_by(4).zip(numbers) {
        fields.number(at + skip, 4, number);
    }
    let mut end = at + CENTRAL_LEN;
    for (skip, local) in [(28, &member.name), (30, &member.extra)] {
        let len = fields.number(at + skip, 2, local.len() as u32) as usize;
        if len == local.len() {
            let told = fields.bytes[local.clone()].to_vec();
            fields.same(end, &told);
        }
        end += len;
    }
    end + lens(fields, 32)
}
