//! Decides whether a slow expert is worth its time. A lane in which the expert saves too little pauses it, for a time that doubles
//! with each failure.

/// The first pause and the longest one, in bytes.
const MIN_PAUSE: usize = 1 << 11;
const MAX_PAUSE: usize = 1 << 16;

/// The gate of one lane.
#[derive(Clone)]
pub struct CostGate {
    /// Bytes over which savings are summed before each decision.
    window: usize,
    /// What a byte must save at min_saved, in units of 1/256 bit.
    min_saved: i64,
    saved: i64,
    bytes: usize,
    /// The next pause in bytes, and the position at which the current one ends.
    pause: usize,
    until: Option<usize>,
}

impl CostGate {
    /// An open gate. It closes if, over `window` bytes, the expert saves less than `min_saved` / 256 bits per byte.
    pub fn new(window: usize, min_saved: i64) -> CostGate {
        CostGate { window, min_saved, saved: 0, bytes: 0, pause: MIN_PAUSE, until: None }
    }

    /// Whether the gate is open, so that the expert is used.
    pub fn is_open(&self) -> bool {
        self.until.is_none()
    }

    /// Adds `saved` / 256 bits saved in the last `bytes` bytes before position `at`. Returns false if the gate closes.
    pub fn learn(&mut self, saved: i64, bytes: usize, at: usize) -> bool {
        self.saved += saved;
        self.bytes += bytes;
        if self.bytes < self.window {
            return true;
        }
        let pays = self.saved >= self.min_saved * self.bytes as i64;
        (self.saved, self.bytes) = (0, 0);
        if pays {
            self.pause = MIN_PAUSE;
        } else {
            self.until = Some(at + self.pause);
            self.pause = (2 * self.pause).min(MAX_PAUSE);
        }
        pays
    }

    /// Opens a closed gate if its pause has ended at position `at`. Returns whether it has.
    pub fn resume(&mut self, at: usize) -> bool {
        let resumes = self.until.is_some_and(|until| at >= until);
        if resumes {
            self.until = None;
        }
        resumes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: usize = 1024;
    const MIN_SAVED: i64 = 1;

    /// Adds a window of bytes that each save `saved` / 256 bits; the last one ends at `at`.
    fn window(gate: &mut CostGate, saved: i64, at: usize) -> bool {
        (1..WINDOW).for_each(|_| assert!(gate.learn(saved, 1, at)));
        gate.learn(saved, 1, at)
    }

    #[test]
    fn goes_on_while_it_pays() {
        let mut gate = CostGate::new(WINDOW, MIN_SAVED);
        assert!((0..1000).all(|at| window(&mut gate, MIN_SAVED, at)) && gate.is_open());
    }

    #[test]
    fn pauses_are_longer_each_time_until_it_pays_again() {
        let mut gate = CostGate::new(WINDOW, MIN_SAVED);
        let mut at = 0;
        for pause in [2, 4, 8, 16, 32, 64, 64, 64].map(|kib| kib << 10) {
            assert!(!window(&mut gate, MIN_SAVED - 1, at) && !gate.is_open());
            assert!(!gate.resume(at + pause - 1) && gate.resume(at + pause) && gate.is_open());
            assert!(!gate.resume(at + pause), "it has resumed");
            at += pause;
        }
        assert!(window(&mut gate, MIN_SAVED, at));
        assert!(!window(&mut gate, MIN_SAVED - 1, at) && gate.resume(at + MIN_PAUSE));
    }
}
