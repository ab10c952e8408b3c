//! A distribution over the next byte, narrowed bit by bit.

use crate::text::{Node, SymbolTree};

/// Probability 1.
pub const ALL: u32 = 1 << 31;
/// The least probability of all bytes that are not candidates.
const FLOOR: u32 = ALL >> 16;

/// A distribution over the next byte: a mass for each candidate, and one for all other bytes together.
#[derive(Clone)]
pub struct Candidates {
    tree: &'static SymbolTree,
    /// By leaf; 0 if the byte is not a candidate.
    masses: [u32; 256],
    /// Whether each byte is a candidate.
    is_candidate: [bool; 256],
    bytes: [u8; 256],
    count: usize,
    /// The mass of each byte that is not a candidate.
    tail: u32,
    /// The next decision, the mass of the candidates that agree with the earlier ones, and the part of it with a 1 next.
    node: Node,
    agreeing: u32,
    ones: u32,
    /// The most probable candidate; 0 if there is none.
    pub top: u8,
    top_mass: u32,
}

impl Candidates {
    /// No candidates.
    pub fn new(tree: &'static SymbolTree) -> Self {
        Candidates {
            tree,
            masses: [0; 256],
            is_candidate: [false; 256],
            bytes: [0; 256],
            count: 0,
            tail: 0,
            node: tree.root(),
            agreeing: 0,
            ones: 0,
            top: 0,
            top_mass: 0,
        }
    }

    /// Starts a new byte.
    pub fn clear(&mut self) {
        for &byte in &self.bytes[..self.count] {
            self.is_candidate[usize::from(byte)] = false;
            self.masses[usize::from(self.tree.leaf(byte))] = 0;
        }
        self.count = 0;
        self.top_mass = 0;
        self.top = 0;
    }

    /// The number of candidates.
    pub fn count(&self) -> u32 {
        self.count as u32
    }

    /// The candidates with their masses.
    pub fn all(&self) -> impl Iterator<Item = (u8, u32)> {
        self.bytes[..self.count].iter().map(|&byte| (byte, self.masses[usize::from(self.tree.leaf(byte))]))
    }

    /// Whether a byte is a candidate.
    #[inline]
    pub fn has(&self, byte: u8) -> bool {
        self.is_candidate[usize::from(byte)]
    }

    /// Adds a candidate.
    #[inline]
    pub fn push(&mut self, byte: u8, mass: u32) {
        self.bytes[self.count & 255] = byte;
        self.is_candidate[usize::from(byte)] = true;
        self.masses[usize::from(self.tree.leaf(byte))] = mass;
        self.count += 1;
        if mass > self.top_mass {
            self.top = byte;
            self.top_mass = mass;
        }
    }

    /// Adds symbols, (byte, frequency), as candidates with their shares of `mass`. `total` is the sum of all frequencies, an
    /// escape's included. Returns the mass that is left.
    #[inline]
    pub fn share(&mut self, mass: u32, total: u32, symbols: impl Iterator<Item = (u8, u32)>) -> u32 {
        let scale = (u64::from(mass) << 16) / u64::from(total);
        symbols.fold(mass, |left, (byte, freq)| {
            let mass = ((u64::from(freq) * scale) >> 16) as u32;
            self.push(byte, mass);
            left - mass
        })
    }

    /// Ends the list. `tail` is the mass of all bytes that are not candidates.
    pub fn close(&mut self, tail: u32) {
        self.tail = tail.max(FLOOR) >> 8;
        self.agreeing = ALL - tail;
        self.node = self.tree.root();
        self.ones = self.masses[self.node.upper()].iter().sum();
    }

    /// The class of the most probable byte's probability p, by the logarithm of 1 − p in steps of about 1/2: 0 to 31.
    pub fn top_class(&self) -> usize {
        let missing = (ALL - self.top_mass).clamp(1 << 12, ALL - 1);
        let scale = missing.leading_zeros();
        (2 * (scale - 1) + (missing >> (30 - scale) & 1 ^ 1)).min(31) as usize
    }

    /// The next decision.
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

    /// The most probable byte's next bit, if that byte agrees with the decisions so far.
    #[inline]
    pub fn expected(&self) -> Option<u32> {
        let leaf = self.tree.leaf(self.top);
        self.node.contains(leaf).then(|| self.node.bit(leaf))
    }

    /// Keeps the candidates that agree with the bit. `next` is the next decision.
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
        let masses = [(b'a', ALL / 2), (b'e', ALL / 4), (b' ', ALL / 8), (0, ALL / 64), (255, ALL / 64)];
        let mut all = 0.0;
        for byte in 0..=255u8 {
            let tree = SymbolTree::of(DataKind::Text);
            let mut candidates = Candidates::new(tree);
            for (byte, mass) in masses {
                candidates.push(byte, mass);
            }
            let tail = ALL - masses.iter().map(|(_, mass)| mass).sum::<u32>();
            candidates.close(tail);
            let mut p = 1.0;
            for (_, bit, next) in tree.decisions(byte) {
                let p1 = f64::from(candidates.p16()) / 65536.0;
                p *= if bit == 1 { p1 } else { 1.0 - p1 };
                candidates.narrow(bit, next);
            }
            let mass = masses.iter().find(|(known, _)| *known == byte).map_or(0, |(_, mass)| *mass);
            let expected = f64::from(mass + tail / 256) / f64::from(ALL);
            assert!((p - expected).abs() < 0.002 + expected * 0.01, "{byte}: {p} instead of {expected}");
            all += p;
        }
        assert!((all - 1.0).abs() < 1e-9, "{all}");
    }
}
