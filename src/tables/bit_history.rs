//! Bit histories: a byte that remembers how often a context was followed by 0 and by 1, and lately by which.
//!
//! The machine follows Mahoney's description of indirect modelling (PAQ6, ZPAQ): a state is a pair of bounded counts and the
//! last bit; seeing a bit raises its count and forgets part of the other's, so the history favours the recent past.

/// How large one count may be beside the other: `BOUND[the smaller]`.
const BOUND: [u8; 6] = [20, 48, 15, 8, 6, 5];

#[derive(Clone, Copy, PartialEq, Eq)]
struct Counts {
    zeros: u8,
    ones: u8,
    last: u8,
}

/// The transition table and what each state stands for.
pub struct States {
    /// The state that follows each, `next[bit][state]`.
    pub next: [[u8; 256]; 2],
    /// (zeros, ones) of each state.
    pub counts: [(u8, u8); 256],
}

fn allowed(zeros: u8, ones: u8) -> bool {
    let (low, high) = if zeros < ones { (zeros, ones) } else { (ones, zeros) };
    usize::from(low) < BOUND.len() && high <= BOUND[usize::from(low)]
}

fn forget(count: u8) -> u8 {
    match count {
        0..=5 => count,
        6 => 5,
        7 => 6,
        _ => 7,
    }
}

fn advance(from: Counts, bit: u8) -> Counts {
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
    // The last bit is told apart only where both were seen, and not too often.
    let last = if zeros + ones <= 4 {
        (from.last << 1 | bit) & 15
    } else if zeros > 0 && ones > 0 && zeros + ones <= 15 {
        bit
    } else {
        0
    };
    Counts { zeros, ones, last }
}

impl States {
    /// Numbers the states in the order in which they are first reached, from state 0: nothing seen.
    pub fn new() -> Self {
        let mut known = vec![Counts { zeros: 0, ones: 0, last: 0 }];
        let mut states = States { next: [[0; 256]; 2], counts: [(0, 0); 256] };
        let mut done = 0;
        while done < known.len() {
            let from = known[done];
            states.counts[done] = (from.zeros, from.ones);
            for bit in 0..2 {
                let to = advance(from, bit);
                let number = known.iter().position(|&s| s == to).unwrap_or_else(|| {
                    known.push(to);
                    known.len() - 1
                });
                states.next[usize::from(bit)][done] =
                    u8::try_from(number).expect("the bounds allow at most 256 states");
            }
            done += 1;
        }
        states
    }
}
