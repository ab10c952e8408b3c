//! The binary decisions that code a byte: a path in a binary tree whose leaves are the 256 bytes. If frequent bytes are near the
//! root and similar bytes near each other, a byte of text takes fewer than 8 decisions on average, and contexts predict them
//! better (alphabet decomposition: Tjalkens, Volf & Willems, "A Context-tree Weighting Method for Text Generating Sources", 1997).

use crate::content::DataKind;
use std::ops::{Range, RangeInclusive};
use std::sync::LazyLock;

/// The tree for text: depths and bytes of the leaves from left to right. The first decisions tell apart classes of characters:
/// lower-case letters, then vowels; space, line end, punctuation, and so on. Within a class, both children of a node are about
/// equally frequent in held-out text of many kinds.
#[rustfmt::skip]
const TEXT_LEAVES: [(u8, RangeInclusive<u8>); 83] = [
    (3, b' '..=b' '), (5, b'\n'..=b'\n'), (6, b'\r'..=b'\r'), (6, b'\t'..=b'\t'), (7, b'.'..=b'.'), (8, b','..=b','),
    (8, b';'..=b';'), (9, b':'..=b':'), (10, b'!'..=b'!'), (10, b'?'..=b'?'), (8, b'-'..=b'-'), (8, b')'..=b')'),
    (8, b']'..=b']'), (10, b'}'..=b'}'), (10, b'>'..=b'>'), (9, b'\''..=b'\''), (8, b'"'..=b'"'), (9, b'('..=b'('),
    (9, b'['..=b'['), (10, b'{'..=b'{'), (10, b'<'..=b'<'), (10, b'#'..=b'#'), (11, b'$'..=b'%'), (10, b'&'..=b'&'),
    (10, b'*'..=b'*'), (9, b'+'..=b'+'), (8, b'/'..=b'/'), (9, b'='..=b'='), (10, b'@'..=b'@'), (11, b'\\'..=b'\\'),
    (11, b'^'..=b'^'), (9, b'_'..=b'_'), (10, b'`'..=b'`'), (11, b'|'..=b'|'), (11, b'~'..=b'~'), (9, b'A'..=b'B'),
    (8, b'C'..=b'E'), (9, b'F'..=b'G'), (8, b'H'..=b'I'), (10, b'J'..=b'K'), (9, b'L'..=b'L'), (8, b'M'..=b'M'),
    (9, b'N'..=b'O'), (8, b'P'..=b'P'), (9, b'Q'..=b'R'), (8, b'S'..=b'T'), (9, b'U'..=b'W'), (10, b'X'..=b'X'),
    (11, b'Y'..=b'Z'), (6, b'0'..=b'0'), (7, b'1'..=b'2'), (8, b'3'..=b'4'), (7, b'5'..=b'5'), (8, b'6'..=b'9'),
    (11, 128..=255), (8, 0..=0), (9, 1..=8), (9, 11..=12), (9, 14..=17), (8, 18..=18), (9, 19..=31), (9, 127..=127),
    (4, b'a'..=b'a'), (4, b'e'..=b'e'), (4, b'i'..=b'i'), (5, b'o'..=b'o'), (6, b'u'..=b'u'), (6, b'y'..=b'y'),
    (7, b'b'..=b'c'), (6, b'd'..=b'd'), (7, b'f'..=b'g'), (6, b'h'..=b'h'), (8, b'j'..=b'k'), (7, b'l'..=b'l'),
    (6, b'm'..=b'm'), (5, b'n'..=b'n'), (7, b'p'..=b'q'), (6, b'r'..=b'r'), (5, b's'..=b't'), (6, b'v'..=b'v'),
    (7, b'w'..=b'w'), (8, b'x'..=b'x'), (8, b'z'..=b'z'),
];

/// The tree for text whose leaves are in byte order.
#[rustfmt::skip]
const ORDERED_LEAVES: [(u8, RangeInclusive<u8>); 119] = [
    (9, 0..=7), (7, 8..=b'\t'), (5, b'\n'..=b'\n'), (8, 11..=12), (7, b'\r'..=b'\r'), (8, 14..=14), (9, 15..=16),
    (8, 17..=17), (9, 18..=19), (8, 20..=20), (9, 21..=22), (8, 23..=23), (9, 24..=25), (8, 26..=26), (9, 27..=28),
    (8, 29..=29), (9, 30..=31), (3, b' '..=b' '), (8, b'!'..=b'#'), (9, b'$'..=b'$'), (10, b'%'..=b'&'),
    (8, b'\''..=b'('), (7, b')'..=b'+'), (6, b','..=b','), (5, b'-'..=b'-'), (6, b'.'..=b'/'), (7, b'0'..=b'0'),
    (8, b'1'..=b'2'), (9, b'3'..=b'4'), (8, b'5'..=b'5'), (9, b'6'..=b'9'), (7, b':'..=b':'), (8, b';'..=b'<'),
    (7, b'='..=b'='), (8, b'>'..=b'>'), (9, b'?'..=b'B'), (8, b'C'..=b'C'), (9, b'D'..=b'G'), (8, b'H'..=b'H'),
    (9, b'I'..=b'I'), (10, b'J'..=b'K'), (9, b'L'..=b'P'), (10, b'Q'..=b'R'), (8, b'S'..=b'T'), (10, b'U'..=b'V'),
    (9, b'W'..=b'W'), (10, b'X'..=b'X'), (11, b'Y'..=b'Z'), (9, b'['..=b'_'), (8, b'`'..=b'`'), (6, b'a'..=b'a'),
    (7, b'b'..=b'c'), (6, b'd'..=b'e'), (7, b'f'..=b'g'), (6, b'h'..=b'i'), (8, b'j'..=b'k'), (7, b'l'..=b'l'),
    (6, b'm'..=b'o'), (8, b'p'..=b'q'), (7, b'r'..=b'r'), (6, b's'..=b't'), (7, b'u'..=b'v'), (8, b'w'..=b'z'),
    (7, b'{'..=b'{'), (8, b'|'..=b'}'), (9, b'~'..=132), (10, 133..=136), (9, 137..=137), (10, 138..=139),
    (9, 140..=141), (10, 142..=143), (9, 144..=144), (10, 145..=148), (9, 149..=149), (10, 150..=151), (9, 152..=153),
    (10, 154..=155), (9, 156..=156), (10, 157..=158), (9, 159..=160), (8, 161..=161), (10, 162..=163), (9, 164..=164),
    (10, 165..=166), (9, 167..=170), (10, 171..=172), (8, 173..=173), (10, 174..=175), (9, 176..=178), (8, 179..=180),
    (9, 181..=182), (10, 183..=184), (9, 185..=193), (8, 194..=194), (7, 195..=195), (8, 196..=196), (9, 197..=203),
    (10, 204..=205), (9, 206..=207), (8, 208..=209), (9, 210..=210), (10, 211..=212), (9, 213..=213), (10, 214..=215),
    (9, 216..=216), (10, 217..=222), (8, 223..=226), (9, 227..=228), (8, 229..=231), (9, 232..=234), (10, 235..=238),
    (9, 239..=240), (10, 241..=242), (9, 243..=243), (10, 244..=245), (9, 246..=246), (10, 247..=248), (9, 249..=249),
    (10, 250..=255),
];

/// An inner node: a range of leaves, and the decision which of two subranges a byte is in. It has 8 bytes, which are copied at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Node {
    number: u8,
    /// Decisions before this one.
    pub depth: u8,
    /// [`Node::nibble_path`], and [`CROSSES`] if the node has descendants in the next nibble.
    nibble: u8,
    /// The range: its first leaf, the first leaf of its upper half, its last leaf.
    first: u8,
    middle: u8,
    last: u8,
    /// The numbers of both children; 0 for a leaf.
    children: [u8; 2],
}

/// See [`Node::crosses_nibble`].
const CROSSES: u8 = 1 << 7;

impl Node {
    /// A nibble is a group of four decisions, depths 0 to 3, 4 to 7 and so on. These are the decisions of the current nibble so
    /// far, behind a leading 1: 1 to 15.
    #[inline]
    pub fn nibble_path(self) -> u8 {
        self.nibble & 15
    }

    /// Whether the node has descendants in the next nibble.
    #[inline]
    pub fn crosses_nibble(self) -> bool {
        self.nibble & CROSSES != 0
    }

    /// 1 to 255, in breadth-first order: the root is 1.
    #[inline]
    pub fn number(self) -> usize {
        self.number.into()
    }

    /// The decision that leads to a leaf of the range.
    #[inline]
    pub fn bit(self, leaf: u8) -> u32 {
        u32::from(leaf >= self.middle)
    }

    /// Whether the range contains a leaf.
    #[inline]
    pub fn contains(self, leaf: u8) -> bool {
        (self.first..=self.last).contains(&leaf)
    }

    /// The first leaf of the upper half.
    #[inline]
    pub fn middle(self) -> u8 {
        self.middle
    }

    /// Whether all leaves of the range are below `leaf`.
    #[inline]
    pub fn is_below(self, leaf: u8) -> bool {
        self.last < leaf
    }

    /// Whether both children are leaves.
    #[inline]
    pub fn is_last(self) -> bool {
        self.children == [0; 2]
    }

    /// The number of leaves in the range.
    #[inline]
    pub fn leaves(self) -> u32 {
        u32::from(self.last - self.first) + 1
    }

    /// The leaves of the upper half.
    #[inline]
    pub fn upper(self) -> Range<usize> {
        usize::from(self.middle)..usize::from(self.last) + 1
    }
}

/// A tree of decisions.
pub struct SymbolTree {
    nodes: [Node; 256],
    /// The leaf of each byte, and the byte of each leaf.
    leaves: [u8; 256],
    bytes: [u8; 256],
}

impl SymbolTree {
    /// The tree whose decisions are a byte's bits, the highest first.
    pub fn bits() -> &'static SymbolTree {
        static BITS: LazyLock<SymbolTree> = LazyLock::new(|| SymbolTree::new(&[(8, 0..=255)]));
        &BITS
    }

    /// The tree for a kind of data.
    pub fn of(kind: DataKind) -> &'static SymbolTree {
        static TEXT: LazyLock<SymbolTree> = LazyLock::new(|| SymbolTree::new(&TEXT_LEAVES));
        match kind {
            DataKind::Text => &TEXT,
            DataKind::Binary => SymbolTree::bits(),
        }
    }

    /// The tree for a kind of data whose leaves are in byte order: leaf = byte. Experts with sorted lists of tokens need it.
    pub fn ordered(kind: DataKind) -> &'static SymbolTree {
        static TEXT: LazyLock<SymbolTree> = LazyLock::new(|| SymbolTree::new(&ORDERED_LEAVES));
        match kind {
            DataKind::Text => &TEXT,
            DataKind::Binary => SymbolTree::bits(),
        }
    }

    /// The tree with these leaves from left to right. `runs` are depths and bytes.
    fn new(runs: &[(u8, RangeInclusive<u8>)]) -> SymbolTree {
        let leaves: Vec<(u8, u8)> =
            runs.iter().flat_map(|(depth, bytes)| bytes.clone().map(|byte| (*depth, byte))).collect();
        let mut tree = SymbolTree { nodes: [Node::default(); 256], leaves: [0; 256], bytes: [0; 256] };
        for (leaf, &(_, byte)) in leaves.iter().enumerate() {
            tree.leaves[usize::from(byte)] = leaf as u8;
            tree.bytes[leaf] = byte;
        }
        // By node number: the range, the depth and the nibble path.
        let mut ranges = vec![(0..leaves.len(), 0, 1)];
        let mut number = 1;
        while let Some((range, depth, nibble_path)) = ranges.get(number - 1).cloned() {
            // A leaf at depth d takes 2^-d of the unit interval; the lower half takes what fits in half of the range's share.
            let mut left = 1u64 << (63 - depth - 1);
            let upper = leaves[range.clone()].iter().position(|&(depth, _)| {
                let full = left == 0;
                left = left.wrapping_sub(1 << (63 - depth));
                full
            });
            let middle = range.start + upper.expect("the tree is complete");
            let mut children = [0; 2];
            for (bit, child) in [range.start..middle, middle..range.end].into_iter().enumerate() {
                if child.len() > 1 {
                    let nibble_path = if depth % 4 == 3 { 1 } else { nibble_path << 1 | bit as u8 };
                    ranges.push((child, depth + 1, nibble_path));
                    children[bit] = ranges.len() as u8;
                }
            }
            let [first, middle, last] = [range.start, middle, range.end - 1].map(|leaf| leaf as u8);
            tree.nodes[number] =
                Node { number: number as u8, depth, nibble: nibble_path, first, middle, last, children };
            number += 1;
        }
        for number in (1..256).rev() {
            let crosses_nibble = |&child: &u8| {
                let child = tree.nodes[usize::from(child)];
                child.number > 0 && (child.nibble_path() == 1 || child.crosses_nibble())
            };
            if tree.nodes[number].children.iter().any(crosses_nibble) {
                tree.nodes[number].nibble |= CROSSES;
            }
        }
        tree
    }

    /// The first decision.
    #[inline]
    pub fn root(&self) -> Node {
        self.nodes[1]
    }

    /// The node after a decision; `None` if it leads to a leaf.
    #[inline]
    pub fn next(&self, node: Node, bit: u32) -> Option<Node> {
        match node.children[bit as usize & 1] {
            0 => None,
            number => Some(self.nodes[usize::from(number)]),
        }
    }

    /// The decisions that code a byte: each one's node, bit, and next node.
    pub fn decisions(&self, byte: u8) -> impl Iterator<Item = (Node, u32, Option<Node>)> {
        let leaf = self.leaf(byte);
        let mut node = Some(self.root());
        std::iter::from_fn(move || {
            let this = node?;
            let bit = this.bit(leaf);
            node = self.next(this, bit);
            Some((this, bit, node))
        })
    }

    /// The byte that a decision leads to, if it leads to a leaf.
    #[inline]
    pub fn byte(&self, node: Node, bit: u32) -> u8 {
        self.bytes[usize::from(if bit == 1 { node.middle } else { node.first })]
    }

    /// The bytes that a decision leaves possible.
    pub fn bytes(&self, node: Node, bit: u32) -> &[u8] {
        let [first, middle, last] = [node.first, node.middle, node.last].map(usize::from);
        if bit == 1 { &self.bytes[middle..=last] } else { &self.bytes[first..middle] }
    }

    /// The byte of a leaf.
    #[inline]
    pub fn byte_of(&self, leaf: u8) -> u8 {
        self.bytes[usize::from(leaf)]
    }

    /// The index of a byte's leaf, from left to right.
    #[inline]
    pub fn leaf(&self, byte: u8) -> u8 {
        self.leaves[usize::from(byte)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [&'static SymbolTree; 3] {
        [SymbolTree::bits(), SymbolTree::of(DataKind::Text), SymbolTree::ordered(DataKind::Text)]
    }

    /// The bits that lead to a byte.
    fn code(tree: &SymbolTree, byte: u8) -> Vec<u32> {
        let check = |(node, bit, next): (Node, u32, Option<Node>)| {
            assert!(node.contains(tree.leaf(byte)));
            assert!(next.is_some() || tree.byte(node, bit) == byte);
            assert!(tree.bytes(node, bit).contains(&byte) && !tree.bytes(node, 1 - bit).contains(&byte));
            bit
        };
        tree.decisions(byte).map(check).collect()
    }

    #[test]
    fn each_byte_has_a_code_of_its_own() {
        for tree in all() {
            let mut codes: Vec<_> = (0..=255).map(|byte| code(tree, byte)).collect();
            codes.sort();
            assert!(codes.windows(2).all(|pair| !pair[1].starts_with(&pair[0])));
            let all: f64 = codes.iter().map(|code| 0.5f64.powi(code.len() as i32)).sum();
            assert_eq!(all, 1.0);
        }
    }

    #[test]
    fn a_node_knows_its_place() {
        for tree in all() {
            let mut numbers = vec![1u8];
            for number in 1..256 {
                let node = tree.nodes[number];
                assert_eq!(node.number(), number);
                let children: Vec<Node> = [0, 1].into_iter().filter_map(|bit| tree.next(node, bit)).collect();
                for child in &children {
                    assert_eq!(child.depth, node.depth + 1);
                    assert!(child.depth % 4 == 0 || child.nibble_path() >> 1 == node.nibble_path());
                    numbers.push(child.number);
                }
                assert_eq!(node.nibble_path() == 1, node.depth % 4 == 0);
                assert_eq!(
                    node.crosses_nibble(),
                    children.iter().any(|child| child.nibble_path() == 1 || child.crosses_nibble())
                );
                assert!(node.upper().len() < node.leaves() as usize);
            }
            numbers.sort_unstable();
            assert_eq!(numbers, (1..=255).collect::<Vec<_>>());
        }
    }

    #[test]
    fn ordered_leaves_are_bytes() {
        for kind in [DataKind::Text, DataKind::Binary] {
            assert!((0..=255).all(|byte| SymbolTree::ordered(kind).leaf(byte) == byte));
        }
    }

    #[test]
    fn bits_are_bits() {
        for byte in 0..=255u8 {
            assert_eq!(
                code(SymbolTree::bits(), byte),
                (0..8).rev().map(|i| u32::from(byte >> i & 1)).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn english_takes_few_decisions() {
        let text = b"What is frequent takes few decisions, and what is alike shares them.\n";
        let decisions: usize = text.iter().map(|&byte| code(SymbolTree::of(DataKind::Text), byte).len()).sum();
        assert!(10 * decisions < 55 * text.len(), "{decisions} for {} bytes", text.len());
    }
}
