/// Strokes for words: the commonest word takes one.
pub fn strokes(ledger: &str) -> Vec<(&str, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    for word in ledger.split_whitespace() {
        *counts.entry(word).or_insert(0usize) += 1;
    }
    let mut words: Vec<_> = counts.into_iter().collect();
    words.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    words.into_iter().enumerate().map(|(rank, (word, _))| (word, rank.ilog2_or_zero() + 1)).collect()
}

trait OrZero {
    fn ilog2_or_zero(self) -> usize;
}

impl OrZero for usize {
    fn ilog2_or_zero(self) -> usize {
        if self == 0 { 0 } else { self.ilog2() as usize }
    }
}
