//! The constants of a class, and what they stand for: hashes that are the same in all classes, where numbers of constants are not.

use super::{hash2, hash3};
use crate::content::class::{slots, tag};
use std::collections::HashMap;

/// How constants are referred to.
pub const ROLE_CLASS: u8 = 1;
pub const ROLE_STRING: u8 = 2;
pub const ROLE_NAME: u8 = 3;
pub const ROLE_TYPE: u8 = 4;
pub const ROLE_OWNER: u8 = 5;
pub const ROLE_MEMBER: u8 = 6;

/// Numbers of tags.
const TAGS: usize = 32;
/// So many constants are looked at for the next unused one.
const MAX_SEARCH: usize = 256;

/// The hash of a string.
pub const fn text_hash(text: &[u8]) -> u32 {
    let (mut hash, mut i) = (0, 0);
    while i < text.len() {
        hash = text_push(hash, text[i]);
        i += 1;
    }
    hash
}

/// The hash of a string with one more byte.
pub const fn text_push(hash: u32, byte: u8) -> u32 {
    let hash = (hash ^ (byte as u32 + 1)).wrapping_mul(0x9E37_79B1);
    hash ^ hash >> 15
}

/// A constant.
#[derive(Clone, Copy, Default)]
pub struct Constant {
    pub tag: u8,
    /// The numbers it refers to, if it refers to any.
    pub parts: [u16; 2],
    /// What it stands for; 0 until that is known.
    pub hash: u32,
    /// The hash of its type, and the last byte of that, if it is a member or a type.
    pub shape: u32,
    pub last: u8,
    /// How another one refers to it, or 0.
    pub role: u8,
    /// Whether code refers to it.
    is_used: bool,
}

/// The constants of a class.
#[derive(Clone, Default)]
pub struct Pool {
    constants: Vec<Constant>,
    /// The next constant that is read.
    pub next: usize,
    by_hash: HashMap<u32, u16>,
    /// The highest number that other constants refer to.
    pub highest: u16,
    /// The highest number with each tag that code refers to.
    newest: [u16; TAGS],
}

impl Pool {
    /// Begins a class of `count` constants, the first of which has number 1.
    pub fn begin(&mut self, count: u16) {
        self.constants.clear();
        self.constants.resize(count.into(), Constant::default());
        self.by_hash.clear();
        (self.next, self.highest, self.newest) = (1, 0, [0; TAGS]);
    }

    /// Whether all constants have been read.
    pub fn is_whole(&self) -> bool {
        self.next >= self.constants.len()
    }

    /// The constant with a number; what has none is empty.
    pub fn get(&self, number: u32) -> Constant {
        self.constants.get(number as usize).copied().unwrap_or_default()
    }

    /// The constant that is read.
    pub fn current(&mut self) -> Option<&mut Constant> {
        self.constants.get_mut(self.next)
    }

    /// Ends the constant that is read.
    pub fn end_constant(&mut self) {
        self.next += slots(self.get(self.next as u32).tag);
    }

    /// Reads that the current constant refers to another one.
    pub fn refer(&mut self, part: usize, number: u16, role: u8) {
        if let Some(current) = self.current() {
            current.parts[part] = number;
        }
        if let Some(constant) = self.constants.get_mut(usize::from(number)) {
            constant.role = role;
        }
        self.highest = self.highest.max(number);
    }

    /// Finds what constants stand for, once all of them have been read.
    pub fn resolve(&mut self) {
        // What is referred to comes first.
        for pass in 0..4 {
            for number in 1..self.constants.len() {
                let Constant { tag, parts: [a, b], .. } = self.constants[number];
                let [first, second] = [a, b].map(|part| self.get(part.into()));
                let of_tag = |hash| hash2(hash, u32::from(tag));
                let (hash, shape, last) = match (pass, tag) {
                    (0, tag::CLASS | tag::STRING | tag::METHOD_TYPE | tag::MODULE | tag::PACKAGE) => {
                        (of_tag(first.hash), first.hash, first.last)
                    }
                    (1, tag::NAME_AND_TYPE) => (hash3(first.hash, second.hash, tag.into()), second.hash, second.last),
                    (2, tag::FIELD | tag::METHOD | tag::INTERFACE_METHOD) => {
                        (hash3(first.hash, second.hash, tag.into()), second.shape, second.last)
                    }
                    (2, tag::DYNAMIC | tag::INVOKE_DYNAMIC) => (of_tag(second.hash), second.shape, second.last),
                    (3, tag::METHOD_HANDLE) => (hash3(second.hash, a.into(), tag.into()), second.shape, second.last),
                    _ => continue,
                };
                let constant = &mut self.constants[number];
                (constant.hash, constant.shape, constant.last) = (hash, shape, last);
            }
        }
        for (number, constant) in self.constants.iter().enumerate().skip(1) {
            if constant.hash != 0 {
                self.by_hash.entry(constant.hash).or_insert(number as u16);
            }
        }
    }

    /// The number of the constant that stands for this, if there is one.
    pub fn find(&self, hash: u32) -> Option<u16> {
        self.by_hash.get(&hash).copied()
    }

    /// Reads that code refers to a constant.
    pub fn use_constant(&mut self, number: u32) {
        if let Some(constant) = self.constants.get_mut(number as usize) {
            constant.is_used = true;
            let newest = &mut self.newest[usize::from(constant.tag) % TAGS];
            *newest = (*newest).max(number as u16);
        }
    }

    /// The next number that code is likely to refer to for the first time, with one of `tags`: constants are numbered in the order of
    /// their first use.
    pub fn unused(&self, tags: &[u8]) -> Option<u16> {
        let newest = tags.iter().map(|&tag| self.newest[usize::from(tag) % TAGS]).max()?;
        let next = usize::from(newest) + 1;
        let is_next = |constant: &Constant| tags.contains(&constant.tag) && !constant.is_used;
        let after = self.constants.get(next..)?.iter().take(MAX_SEARCH).position(is_next)?;
        Some((next + after) as u16)
    }
}

/// What followed each context last, and how often in a row.
#[derive(Clone)]
pub struct Followers {
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    what: u32,
    count: u8,
}

/// Base-2 logarithm of the number of contexts.
const FOLLOWER_BITS: u32 = 18;

impl Default for Followers {
    fn default() -> Self {
        Followers { slots: vec![Slot::default(); 1 << FOLLOWER_BITS] }
    }
}

impl Followers {
    /// What followed the context last, and how often in a row; 0 if nothing did.
    pub fn get(&self, key: u32) -> (u32, u8) {
        let slot = self.slots[(key >> (32 - FOLLOWER_BITS)) as usize];
        (slot.what, slot.count)
    }

    /// Learns what followed a context.
    pub fn learn(&mut self, key: u32, what: u32) {
        let slot = &mut self.slots[(key >> (32 - FOLLOWER_BITS)) as usize];
        let count = if slot.count > 0 && slot.what == what { slot.count.saturating_add(1) } else { 1 };
        *slot = Slot { what, count };
    }
}
