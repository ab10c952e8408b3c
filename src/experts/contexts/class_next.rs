//! What is known of the next byte of a class.

use super::class::{Class, Current};
use super::class_code::tags;
use super::class_facts::{CANDIDATES, Candidate, FACTS, Mode};
use super::class_field::F;
use super::next::{Next, OWN};
use super::{hash2, hash3, order};
use crate::experts::expert::{OFFERS, Offer};

/// No byte.
const NONE: u32 = 0x100;

impl Class {
    /// Finds what is known of the field that begins.
    pub(super) fn describe(&mut self) {
        let field = self.current.field;
        let mode = self.mode(field);
        let facts = self.find_facts(field);
        let computed = self.computed(field);
        let pool = &self.pool;
        self.facts.describe(field, mode, facts, computed, |what| match mode {
            Mode::Plain => Some(what),
            Mode::From(base) => Some(base.wrapping_add(what)),
            Mode::Constant => pool.find(what).map(u32::from),
        });
    }

    fn mode(&self, field: F) -> Mode {
        match field {
            F::ClassName | F::StringText | F::Owner | F::Member | F::MemberName | F::MemberType | F::HandleMember => {
                Mode::From(u32::from(self.pool.highest))
            }
            F::LinePlace if self.is_first_line() => Mode::Plain,
            F::LinePlace | F::Line | F::LocalPlace | F::From => Mode::From(self.facts.values(field)[0]),
            field if field.is_constant() => Mode::Constant,
            _ => Mode::Plain,
        }
    }

    /// What the field may depend on.
    fn find_facts(&self, field: F) -> [u32; FACTS] {
        let (facts, text) = (&self.facts, &self.facts.text);
        if field.is_of_pool() {
            let current = self.pool.get(self.pool.next as u32);
            let (role, tags) = (u32::from(current.role), facts.tags);
            let part = hash2(u32::from(current.tag), role);
            let distance = u32::from(self.pool.highest).wrapping_sub(self.pool.next as u32);
            return match field {
                F::Tag => [
                    hash2(role, tags as u32 & 0xFF),
                    hash2(role, tags as u32 & 0xFFFF),
                    hash2(role, tags as u32),
                    hash3(role, tags as u32, (tags >> 32) as u32),
                    hash2(text.last[0], role),
                    hash2(tags as u32 & 0xFFFF, distance),
                ],
                F::TextLen => [
                    hash2(role, text.last[0]),
                    hash2(text.last[0], text.last[1]),
                    hash3(text.last[0], text.last[1], text.last[2]),
                    role,
                    hash2(role, facts.values(F::TextLen)[0]),
                    hash2(role, tags as u32),
                ],
                _ => [
                    hash2(part, tags as u32 & 0xFF),
                    hash2(part, tags as u32 & 0xFFFF),
                    hash2(part, tags as u32),
                    hash2(part, facts.what(field)),
                    hash2(part, distance),
                    hash3(part, text.last[0], tags as u32 & 0xFF),
                ],
            };
        }
        if field.is_of_code() {
            let code = &self.code;
            let (i, s, o) = (&code.instructions, &code.shapes, &code.opcodes);
            // Before the opcode, the instruction is not known.
            let opcode = if field == F::Opcode { 0x100 } else { u32::from(code.opcode) };
            return [
                hash2(opcode, i[0]),
                hash3(opcode, i[0], i[1]),
                hash3(opcode, hash2(i[0], i[1]), hash2(i[2], i[3])),
                hash3(opcode, hash2(s[0], s[1]), s[2]),
                hash3(opcode, self.member[0], hash2(o[0].into(), code.count.min(40))),
                hash3(opcode, facts.what(F::Constant), o[0].into()),
            ];
        }
        let [p1, p2, p3, p4] = facts.last;
        let place = self.place();
        [p1, hash2(p1, p2), hash3(p1, p2, hash2(p3, p4)), hash2(place, p1), hash2(place, self.member[1]), {
            hash2(facts.what(field), place)
        }]
    }

    /// Values that the field may have for reasons.
    fn computed(&self, field: F) -> [Option<u32>; 2] {
        let facts = &self.facts;
        let last = |field| facts.values(field)[0];
        let (_, entries) = self.attribute();
        let code = &self.code;
        match field {
            F::Constant => [self.pool.unused(tags(code.opcode)).map(u32::from), None],
            F::ClassName | F::StringText | F::Owner | F::Member | F::MemberName | F::MemberType | F::HandleMember => {
                [Some(u32::from(self.pool.highest) + 1), Some(last(field))]
            }
            F::Name | F::Type | F::AttributeName | F::LocalName | F::LocalType | F::Signature => {
                let highest = [F::Name, F::Type, F::AttributeName, F::LocalName, F::LocalType, F::Signature];
                let highest = highest.map(last).into_iter().max().unwrap_or(0);
                [Some(highest + 1), Some(last(field) + 1)]
            }
            F::Interface | F::Thrown | F::Caught | F::InnerClass | F::VerifiedClass | F::Argument => {
                [Some(last(field)), Some(last(field).wrapping_add(1))]
            }
            F::LineCount => [Some(entries(4)), None],
            F::LocalCount => [Some(entries(10)), None],
            F::ThrownCount => [Some(entries(2)), None],
            F::InnerCount => [Some(entries(8)), None],
            F::ParameterCount => [Some(entries(4)), None],
            F::LinePlace => {
                let after = code.statements.partition_point(|&pc| u32::from(pc) <= last(F::LinePlace));
                let first = if self.is_first_line() { 0 } else { after };
                [0, 1].map(|i| code.statements.get(first + i).copied().map(u32::from))
            }
            F::Line => {
                let [a, b] = facts.values(F::Line);
                [Some(a + 1), Some(a.wrapping_add(a.wrapping_sub(b)) & 0xFFFF)]
            }
            F::LocalLen => {
                let len = last(F::CodeLen);
                [Some(len.wrapping_sub(last(F::LocalPlace)) & 0xFFFF), Some(last(F::LocalLen))]
            }
            F::LocalNumber => [Some(last(field).wrapping_add(1) & 0xFFFF), Some(last(field))],
            F::Branch => {
                let distance = |target: u16| u32::from(target.wrapping_sub(code.pc as u16));
                [Some(distance(code.target)), code.pending(code.pc).map(distance)]
            }
            F::Frame | F::FrameDelta => {
                let next = self.facts.frame.map_or(0, |frame| frame.wrapping_add(1));
                let place = code.targets.partition_point(|&target| u32::from(target) < next);
                let target = code.targets.get(place).copied().map(u32::from);
                let delta = target.map(|target| target - next);
                if field == F::FrameDelta {
                    return [delta, None];
                }
                [delta.map(|delta| if delta < 64 { delta } else { 251 }), delta.map(|delta| 64 + delta.min(191))]
            }
            _ => [None, None],
        }
    }

    /// How other constants refer to the current one.
    fn role(&self) -> u8 {
        self.pool.get(self.pool.next as u32).role
    }

    /// Whether no line of the current method is known.
    fn is_first_line(&self) -> bool {
        self.facts.before == F::LineCount
    }

    /// The next byte of each value that the field may have, and how reliable it is, from 1 on; 0 if there is none.
    fn bytes(&self) -> [(u32, u8); CANDIDATES] {
        let Current { field, got, left, value } = self.current;
        let mut bytes = [(NONE, 0); CANDIDATES];
        if field == F::Text {
            for (i, byte) in self.facts.text.following().into_iter().enumerate() {
                bytes[i] = byte.map_or((NONE, 0), |byte| (byte.into(), 1 + got.min(15) as u8));
            }
            return bytes;
        }
        for (byte, candidate) in bytes.iter_mut().zip(self.facts.candidates) {
            if let Some(Candidate { value: likely, class }) = candidate
                && left <= 4
                && u64::from(likely) >> (8 * left) == value
            {
                *byte = (likely >> (8 * (left - 1)) & 0xFF, 1 + class);
            }
        }
        bytes
    }

    /// What other experts should know of the next byte.
    pub fn offers(&self) -> [Offer; OFFERS] {
        if !self.is_known() {
            return [Offer::default(); OFFERS];
        }
        let place = self.current.field as u16 * 2 + u16::from(self.current.left == 1);
        self.bytes().map(|(byte, class)| Offer { byte: byte as u8, class: class.into(), place })
    }

    pub(super) fn next(&self) -> Option<Next> {
        if !self.is_known() {
            return None;
        }
        let Current { field, got, left, value } = self.current;
        let bytes = self.bytes();
        // The most reliable value; computed ones are as reliable as they were.
        let best = (0..CANDIDATES).max_by_key(|&i| (bytes[i].1, CANDIDATES - i)).unwrap_or(0);
        let (likely, class) = bytes[best];
        let votes = bytes.iter().filter(|(byte, class)| *class > 0 && *byte == likely).count() as u32;
        let chosen_by = if field == F::Text && class == 0 {
            // Strings that are new.
            [self.last8 as u8, 128 | self.role().min(7) << 3 | got.min(7) as u8]
        } else {
            [likely as u8, class.saturating_sub(1) << 3 | votes.min(7) as u8]
        };
        let b = bytes.map(|(byte, class)| hash2(byte, class.into()));
        let numbers = match field {
            F::Text => self.text_contexts(b),
            F::Opcode => self.opcode_contexts(b),
            _ => {
                let k = hash2(got, value as u32);
                let f = self.facts.facts;
                let [v1, v2] = self.facts.values(field);
                let [p1, p2, ..] = self.facts.last;
                [
                    hash2(b[0], got),
                    hash2(b[1], got),
                    hash2(b[2], got),
                    hash2(b[3], got),
                    hash2(b[4], got),
                    hash2(b[5], got),
                    hash2(b[6], got),
                    hash2(b[7], got),
                    hash3(bytes[0].0, bytes[1].0, hash2(bytes[6].0, got)),
                    hash3(likely, votes, hash2(bytes[6].0, got)),
                    hash2(k, f[0]),
                    hash2(k, f[1]),
                    hash2(k, f[2]),
                    hash2(k, f[3]),
                    hash2(k, f[4]),
                    hash2(k, f[5]),
                    hash2(k, v1),
                    hash3(k, v1, v2),
                    hash3(k, p1, p2),
                    hash3(k, likely, left),
                ]
            }
        };
        Some(Next::new(field as u8, chosen_by[0], chosen_by[1], numbers))
    }

    fn opcode_contexts(&self, b: [u32; CANDIDATES]) -> [u32; OWN] {
        let code = &self.code;
        let (i, s) = (&code.instructions, &code.shapes);
        let o = code.opcodes.map(u32::from);
        let start = code.count.min(20);
        let is_target = u32::from(code.is_target());
        [
            o[0],
            hash2(o[0], o[1]),
            hash3(o[0], o[1], o[2]),
            hash3(o[0], o[1], hash2(o[2], o[3])),
            hash3(hash3(o[0], o[1], o[2]), o[3], hash2(o[4], o[5])),
            i[0],
            hash2(i[0], i[1]),
            hash3(i[0], i[1], i[2]),
            hash3(i[0], i[1], hash2(i[2], i[3])),
            hash3(i[0], o[1], o[2]),
            hash2(s[0], s[1]),
            hash3(s[0], s[1], hash2(s[2], s[3])),
            hash3(o[0], is_target, o[1]),
            hash3(self.member[0], start, o[0]),
            hash3(self.member[1], start, o[0]),
            hash3(self.facts.what(F::Constant), o[0], 1),
            hash2(b[0], b[1]),
            hash2(b[2], b[4]),
            hash3(o[1], o[2], o[3]),
            hash3(hash3(i[0], i[1], i[2]), i[3], hash2(i[4], i[5])),
        ]
    }

    fn text_contexts(&self, b: [u32; CANDIDATES]) -> [u32; OWN] {
        let text = &self.facts.text;
        let Current { got, left, .. } = self.current;
        let role = u32::from(self.role());
        let c4 = self.last8 as u32;
        let masked = |n: u32| if got >= n { order(self.last8, n) } else { hash2(order(self.last8, n.min(got)), n) };
        let near = left.min(20);
        [
            hash2(text.hash, role),
            hash2(text.hash, text.last[0]),
            hash2(text.hash, got),
            hash2(masked(1), role),
            hash2(masked(2), role),
            hash2(masked(3), near),
            masked(4),
            masked(5),
            hash2(text.part, role),
            hash2(text.part, text.parts[0]),
            hash3(text.part, text.parts[0], text.parts[1]),
            hash2(text.word, c4 & 0xFF),
            hash3(text.word, text.words[0], 1),
            hash3(text.word, text.words[0], text.words[1]),
            hash2(near, hash2(masked(2), 1)),
            hash3(text.word, near, 2),
            hash2(b[0], b[1]),
            hash3(text.hash, text.last[0], text.last[1]),
            hash3(near, role, c4 & 0xFF),
            masked(6),
        ]
    }

    /// Two more, for the second mixer.
    pub fn more_selectors(&self) -> Option<[usize; 2]> {
        let opcode = if self.current.field.is_of_code() { self.code.opcodes[0] } else { 0 };
        self.is_known()
            .then(|| [usize::from(opcode), self.current.field as usize * 2 + usize::from(self.current.left == 1)])
    }
}
