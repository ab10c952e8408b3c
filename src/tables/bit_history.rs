//! Bit histories: one byte records how often a context was followed by 0 and by 1, and which came last.
//!
//! The state machine follows Mahoney's nonstationary states (PAQ6; ZPAQ level 1 specification, "ICM"): a state is a pair of
//! bounded counts and the last bits. A bit increments its own count and reduces the other one if that is large, so the history
//! favours recent bits.

/// The largest count beside the smaller count n: `BOUND[n]`.
const BOUND: [u8; 6] = [20, 48, 15, 8, 6, 5];

#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    zeros: u8,
    ones: u8,
    /// The last bits, the latest one lowest; 0 if they are not kept.
    last: u8,
}

/// All states: their transitions and counts. Unused numbers are all 0.
pub struct StateTable {
    /// The state after a bit: `next[bit][state]`.
    pub next: [[u8; 256]; 2],
    /// The counts of each state: (zeros, ones).
    pub counts: [(u8, u8); 256],
}

/// Whether the pair of counts is a state.
fn allowed(zeros: u8, ones: u8) -> bool {
    let (low, high) = if zeros < ones { (zeros, ones) } else { (ones, zeros) };
    usize::from(low) < BOUND.len() && high <= BOUND[usize::from(low)]
}

/// The other bit's count after a bit: large counts are reduced.
fn forget(count: u8) -> u8 {
    match count {
        0..=5 => count,
        6 => 5,
        7 => 6,
        _ => 7,
    }
}

/// The state after a bit.
fn advance(from: State, bit: u8) -> State {
    let (mut own, mut other) = if bit == 1 { (from.ones, from.zeros) } else { (from.zeros, from.ones) };
    own += 1;
    other = forget(other);
    while !allowed(own, other) {
        if other < 2 {
            own -= 1;
        } else {
            own = ((u32::from(own) * u32::from(other - 1) + u32::from(other / 2)) / u32::from(other)) as u8;
            other -= 1;
        }
    }
    let (zeros, ones) = if bit == 1 { (other, own) } else { (own, other) };
    // Short histories keep all their bits. Longer ones keep the last bit, but only if both were seen, and at most 15.
    let last = if zeros + ones <= 4 {
        (from.last << 1 | bit) & 15
    } else if zeros > 0 && ones > 0 && zeros + ones <= 15 {
        bit
    } else {
        0
    };
    State { zeros, ones, last }
}

/// P(1) after a history with these counts of zeros and ones, in units of 2^-16: (n1 + 1/2) / (n0 + n1 + 1).
pub fn initial_p16((n0, n1): (u8, u8)) -> u32 {
    let (n0, n1) = (u32::from(n0), u32::from(n1));
    (2 * n1 + 1) * 65535 / (2 * (n0 + n1) + 2)
}

impl StateTable {
    /// Numbers the states in the order in which a breadth-first search from state 0, an empty history, reaches them.
    pub fn generate() -> Self {
        let mut reached = vec![State { zeros: 0, ones: 0, last: 0 }];
        let mut states = StateTable { next: [[0; 256]; 2], counts: [(0, 0); 256] };
        let mut done = 0;
        while done < reached.len() {
            let from = reached[done];
            states.counts[done] = (from.zeros, from.ones);
            for bit in 0..2 {
                let to = advance(from, bit);
                let number = reached.iter().position(|&s| s == to).unwrap_or_else(|| {
                    reached.push(to);
                    reached.len() - 1
                });
                states.next[usize::from(bit)][done] =
                    u8::try_from(number).expect("the bounds allow at most 256 states");
            }
            done += 1;
        }
        states
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    #[test]
    fn short_histories_are_exact() {
        let table = StateTable::generate();
        let mut states = std::collections::HashMap::new();
        for len in 0..=4u32 {
            for bits in 0..1u32 << len {
                let state = (0..len).rev().fold(0, |state, i| table.next[(bits >> i & 1) as usize][usize::from(state)]);
                let ones = bits.count_ones() as u8;
                assert_eq!(table.counts[usize::from(state)], (len as u8 - ones, ones));
                assert_eq!(states.insert(state, (len, bits)), None, "each history of up to four bits has a state");
            }
        }
        assert_eq!(states.len(), 31);
    }

    #[test]
    fn counts_stay_bounded_and_follow_the_bits() {
        let table = StateTable::generate();
        let mut random = TestRandom::new(4);
        for ones_in_16 in 0..=16 {
            let mut state = 0;
            for _ in 0..1000 {
                let bit = usize::from(random.below(16) < ones_in_16);
                let (before, after) = (table.counts[state], table.counts[usize::from(table.next[bit][state])]);
                let [(own, other), (new_own, new_other)] =
                    [before, after].map(|(zeros, ones)| if bit == 1 { (ones, zeros) } else { (zeros, ones) });
                assert!(new_other <= other && new_own <= own + 1, "{before:?}, {bit}: {after:?}");
                // The share of the bit that came never falls.
                assert!(u32::from(new_own) * u32::from(other) >= u32::from(own) * u32::from(new_other));
                assert!(allowed(after.0, after.1));
                state = usize::from(table.next[bit][state]);
            }
        }
    }

    #[test]
    fn runs_reach_the_bound() {
        let table = StateTable::generate();
        for bit in 0..2 {
            let state = (0..100).fold(0, |state, _| usize::from(table.next[bit][state]));
            assert_eq!(table.counts[state], if bit == 1 { (0, BOUND[0]) } else { (BOUND[0], 0) });
            assert_eq!(usize::from(table.next[bit][state]), state);
        }
    }
}
