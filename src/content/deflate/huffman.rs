//! Codes as zlib makes them (its trees.c): the prediction of a dynamic block's description.

use super::format::{
    DISTANCES, END, LITERALS, ORDER, Token, Trees, distance_symbol, fixed_literals, length_symbol, run_extra,
};

/// How often each symbol occurs in a block.
pub struct Counts {
    pub literals: [u32; LITERALS],
    pub distances: [u32; DISTANCES],
    /// Extra bits of all matches.
    extra: u64,
}

impl Counts {
    pub fn of(tokens: &[Token]) -> Counts {
        let mut counts = Counts { literals: [0; LITERALS], distances: [0; DISTANCES], extra: 0 };
        counts.literals[END] = 1;
        for token in tokens {
            if token.len == 0 {
                counts.literals[usize::from(token.value)] += 1;
                continue;
            }
            let (len, _, len_extra) = length_symbol(token.len.into());
            let (distance, _, distance_extra) = distance_symbol(token.value.into());
            counts.literals[END + 1 + len] += 1;
            counts.distances[distance] += 1;
            counts.extra += u64::from(len_extra + distance_extra);
        }
        counts
    }

    /// Bits of the block in the fixed code.
    fn fixed_bits(&self) -> u64 {
        let literals: u64 =
            self.literals.iter().zip(fixed_literals()).map(|(&n, len)| u64::from(n) * u64::from(len)).sum();
        literals + 5 * self.distances.iter().map(|&n| u64::from(n)).sum::<u64>() + self.extra
    }

    /// Bits of the block in a code of its own, its description included.
    fn dynamic_bits(&self, trees: &Trees) -> u64 {
        let bits = |counts: &[u32], lengths: &[u8]| -> u64 {
            counts.iter().zip(lengths).map(|(&n, &len)| u64::from(n) * u64::from(len)).sum()
        };
        let mut code = [0; 19];
        ORDER.iter().zip(&trees.runs_code).for_each(|(&symbol, &len)| code[symbol] = u64::from(len));
        let runs: u64 = trees.runs.iter().map(|&(s, _)| code[usize::from(s)] + u64::from(run_extra(s))).sum();
        let head = 14 + 3 * trees.runs_code.len() as u64;
        bits(&self.literals, &trees.literals) + bits(&self.distances, &trees.distances) + self.extra + runs + head
    }

    /// Whether zlib would take the fixed code.
    pub fn prefers_fixed(&self, trees: &Trees) -> bool {
        (self.fixed_bits() + 10) / 8 <= (self.dynamic_bits(trees) + 10) / 8
    }
}

/// The description that zlib makes for `counts`.
pub fn predict(counts: &Counts) -> Trees {
    let trim = |mut lengths: Vec<u8>, least: usize| {
        while lengths.len() > least && lengths.last() == Some(&0) {
            lengths.pop();
        }
        lengths
    };
    let literals = trim(lengths(&counts.literals, 15), 257);
    let distances = trim(lengths(&counts.distances, 15), 1);
    let runs = predict_runs(&literals, &distances);
    let runs_code = predict_runs_code(&runs);
    Trees { literals, distances, runs, runs_code }
}

/// How zlib writes code lengths down.
pub fn predict_runs(literals: &[u8], distances: &[u8]) -> Vec<(u8, u8)> {
    let mut runs = Vec::new();
    for lengths in [literals, distances] {
        let mut at = 0;
        let mut previous = None;
        while at < lengths.len() {
            let len = lengths[at];
            let same = lengths[at..].iter().take_while(|&&other| other == len).count();
            let (count, run) = match (len, previous == Some(len)) {
                (0, _) if same >= 11 => (same.min(138), (18, same.min(138) as u8 - 11)),
                (0, _) if same >= 3 => (same, (17, same as u8 - 3)),
                (0, _) | (_, false) => (1, (len, 0)),
                (_, true) if same >= 3 => (same.min(6), (16, same.min(6) as u8 - 3)),
                (_, true) => (1, (len, 0)),
            };
            runs.push(run);
            at += count;
            previous = Some(len);
        }
    }
    runs
}

/// The code that zlib makes for run symbols.
pub fn predict_runs_code(runs: &[(u8, u8)]) -> Vec<u8> {
    let mut counts = [0; 19];
    runs.iter().for_each(|&(symbol, _)| counts[usize::from(symbol)] += 1);
    let by_symbol = lengths(&counts, 7);
    let mut code: Vec<u8> = ORDER.iter().map(|&symbol| by_symbol[symbol]).collect();
    while code.len() > 4 && code.last() == Some(&0) {
        code.pop();
    }
    code
}

/// Code lengths of at most `limit` bits, as zlib's `build_tree` gives them.
fn lengths(counts: &[u32], limit: usize) -> Vec<u8> {
    let mut heap = Heap { nodes: Vec::new(), count: counts.to_vec(), depth: vec![0; counts.len()] };
    for symbol in 0..counts.len() {
        if counts[symbol] > 0 {
            heap.nodes.push(symbol);
        }
    }
    // A code has at least two symbols.
    let mut most = heap.nodes.last().copied();
    while heap.nodes.len() < 2 {
        let symbol = match most {
            None => 0,
            Some(most) if most < 2 => most + 1,
            Some(_) => 0,
        };
        most = most.map_or(Some(symbol), |most| Some(most.max(symbol)));
        heap.count[symbol] = 1;
        heap.nodes.push(symbol);
    }
    for at in (0..heap.nodes.len() / 2).rev() {
        heap.sift(at);
    }
    let leaves = counts.len();
    // Nodes in the order they were taken, two by two, and each one's parent.
    let mut order = Vec::new();
    let mut parent = vec![0; leaves];
    loop {
        let first = heap.pop();
        let second = heap.nodes[0];
        order.extend([first, second]);
        let node = heap.count.len();
        heap.count.push(heap.count[first] + heap.count[second]);
        heap.depth.push(heap.depth[first].max(heap.depth[second]) + 1);
        parent.push(0);
        (parent[first], parent[second]) = (node, node);
        heap.nodes[0] = node;
        heap.sift(0);
        if heap.nodes.len() < 2 {
            break;
        }
    }
    limit_lengths(&order, &parent, leaves, limit)
}

/// zlib's `gen_bitlen`: depths in the tree, those beyond the limit repaired.
fn limit_lengths(order: &[usize], parent: &[usize], leaves: usize, limit: usize) -> Vec<u8> {
    let mut depth = vec![0usize; parent.len()];
    let mut of_length = vec![0i32; limit + 1];
    let mut overflow = 0i32;
    // From the root down: the last ones taken are the topmost.
    for &node in order.iter().rev() {
        let mut len = depth[parent[node]] + 1;
        if len > limit {
            len = limit;
            overflow += 1;
        }
        depth[node] = len;
        if node < leaves {
            of_length[len] += 1;
        }
    }
    if overflow > 0 {
        while overflow > 0 {
            let mut len = limit - 1;
            while of_length[len] == 0 {
                len -= 1;
            }
            of_length[len] -= 1;
            of_length[len + 1] += 2;
            of_length[limit] -= 1;
            overflow -= 2;
        }
        // The rarest get the longest codes.
        let mut taken = order.iter().filter(|&&node| node < leaves);
        for len in (1..=limit).rev() {
            for _ in 0..of_length[len] {
                if let Some(&node) = taken.next() {
                    depth[node] = len;
                }
            }
        }
    }
    depth[..leaves].iter().map(|&len| len as u8).collect()
}

/// The rarest node first; of equally rare ones the shallower.
struct Heap {
    nodes: Vec<usize>,
    count: Vec<u32>,
    depth: Vec<u32>,
}

impl Heap {
    fn smaller(&self, a: usize, b: usize) -> bool {
        (self.count[a], self.depth[a]) <= (self.count[b], self.depth[b])
    }

    fn sift(&mut self, mut at: usize) {
        let node = self.nodes[at];
        loop {
            let mut child = 2 * at + 1;
            if child >= self.nodes.len() {
                break;
            }
            if child + 1 < self.nodes.len() && self.smaller(self.nodes[child + 1], self.nodes[child]) {
                child += 1;
            }
            if self.smaller(node, self.nodes[child]) {
                break;
            }
            self.nodes[at] = self.nodes[child];
            at = child;
        }
        self.nodes[at] = node;
    }

    /// Takes the first node; the last one takes its place.
    fn pop(&mut self) -> usize {
        let first = self.nodes[0];
        if let Some(last) = self.nodes.pop()
            && !self.nodes.is_empty()
        {
            self.nodes[0] = last;
            self.sift(0);
        }
        first
    }
}
