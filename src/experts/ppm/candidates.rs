//! The bytes that may come next and their probabilities, narrowed bit by bit.

use crate::text::{Node, SymbolTree};

/// All of the probability.
pub const ALL: u32 = 1 << 31;
/// At least this much is left to bytes that aren't named.
const FLOOR: u32 = ALL >> 16;

/// A distribution over the next byte: of some bytes each, of the others together.
pub struct Candidates {
    alphabet: &'static SymbolTree,
    /// By leaf; nothing for those that aren't named.
    masses: [u32; 256],
    /// By byte.
    is_named: [bool; 256],
    named: [u8; 256],
    count: usize,
    /// The share of each byte in what is left to those that aren't named.
    tail: u32,
    /// The next decision, the mass of the named bytes that agree with those before, and of those with a 1 next.
    node: Node,
    agreeing: u32,
    ones: u32,
    /// The most probable one.
    pub top: u8,
    top_mass: u32,
}

impl Candidates {
    pub fn new(alphabet: &'static SymbolTree) -> Self {
        Candidates {
            alphabet,
            masses: [0; 256],
            is_named: [false; 256],
            named: [0; 256],
            count: 0,
            tail: 0,
            node: alphabet.root(),
            agreeing: 0,
            ones: 0,
            top: 0,
            top_mass: 0,
        }
    }

    /// Starts a new byte.
    pub fn clear(&mut self) {
        for &byte in &self.named[..self.count] {
            self.is_named[usize::from(byte)] = false;
            self.masses[usize::from(self.alphabet.leaf(byte))] = 0;
        }
        self.count = 0;
        self.top_mass = 0;
        self.top = 0;
    }

    /// How many bytes were named.
    pub fn count(&self) -> u32 {
        self.count as u32
    }

    /// Whether a byte was named.
    #[inline]
    pub fn has(&self, byte: u8) -> bool {
        self.is_named[usize::from(byte)]
    }

    /// Names a byte that wasn't named yet.
    #[inline]
    pub fn push(&mut self, byte: u8, mass: u32) {
        self.named[self.count & 255] = byte;
        self.is_named[usize::from(byte)] = true;
        self.masses[usize::from(self.alphabet.leaf(byte))] = mass;
        self.count += 1;
        if mass > self.top_mass {
            self.top = byte;
            self.top_mass = mass;
        }
    }

    /// Names symbols, (byte, frequency), that share `mass` with an escape; `total` is the sum of all frequencies. Gives what
    /// is left.
    #[inline]
    pub fn share(&mut self, mass: u32, total: u32, symbols: impl Iterator<Item = (u8, u32)>) -> u32 {
        let scale = (u64::from(mass) << 16) / u64::from(total);
        symbols.fold(mass, |left, (byte, freq)| {
            let mass = ((u64::from(freq) * scale) >> 16) as u32;
            self.push(byte, mass);
            left - mass
        })
    }

    /// Ends the list, leaving `tail` to bytes that weren't named.
    pub fn close(&mut self, tail: u32) {
        self.tail = tail.max(FLOOR) >> 8;
        self.agreeing = ALL - tail;
        self.node = self.alphabet.root();
        self.ones = self.masses[self.node.upper()].iter().sum();
    }

    /// How far the most probable byte is from certain: two classes for each power of two, 0 to 31.
    pub fn sureness(&self) -> usize {
        let missing = (ALL - self.top_mass).clamp(1 << 12, ALL - 1);
        let scale = missing.leading_zeros();
        (2 * (scale - 1) + (missing >> (30 - scale) & 1 ^ 1)).min(31) as usize
    }

    /// What is decided next.
    #[inline]
    pub fn node(&self) -> Node {
        self.node
    }

    /// P(the next bit is 1), in units of 2^-16.
    #[inline]
    pub fn p16(&self) -> u32 {
        let tail = u64::from(self.tail);
        let ones = u64::from(self.ones) + tail * self.node.upper().len() as u64;
        let all = u64::from(self.agreeing) + tail * u64::from(self.node.leaves());
        ((ones << 16) / all) as u32
    }

    /// The next bit of the most probable byte, as long as that agrees.
    #[inline]
    pub fn expected(&self) -> Option<u32> {
        let leaf = self.alphabet.leaf(self.top);
        self.node.has(leaf).then(|| self.node.bit(leaf))
    }

    /// Keeps the candidates with such a bit, of which `next` is decided next.
    #[inline]
    pub fn narrow(&mut self, bit: u32, next: Option<Node>) {
        self.agreeing = if bit == 1 { self.ones } else { self.agreeing - self.ones };
        if let Some(next) = next {
            self.node = next;
            self.ones = self.masses[next.upper()].iter().sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::DataKind;

    #[test]
    fn the_bits_add_up_to_the_bytes() {
        let named = [(b'a', ALL / 2), (b'e', ALL / 4), (b' ', ALL / 8), (0, ALL / 64), (255, ALL / 64)];
        let mut all = 0.0;
        for byte in 0..=255u8 {
            let alphabet = SymbolTree::of(DataKind::Text);
            let mut candidates = Candidates::new(alphabet);
            for (byte, mass) in named {
                candidates.push(byte, mass);
            }
            let tail = ALL - named.iter().map(|(_, mass)| mass).sum::<u32>();
            candidates.close(tail);
            let mut p = 1.0;
            for (_, bit, next) in alphabet.decisions(byte) {
                let p1 = f64::from(candidates.p16()) / 65536.0;
                p *= if bit == 1 { p1 } else { 1.0 - p1 };
                candidates.narrow(bit, next);
            }
            let mass = named.iter().find(|(known, _)| *known == byte).map_or(0, |(_, mass)| *mass);
            let expected = f64::from(mass + tail / 256) / f64::from(ALL);
            assert!((p - expected).abs() < 0.002 + expected * 0.01, "{byte}: {p} instead of {expected}");
            all += p;
        }
        assert!((all - 1.0).abs() < 1e-9, "{all}");
    }
}
