//! Whether asking an expert that costs much time pays: where it saves next to nothing, a lane does without it, longer each
//! time.

/// Bytes to do without.
const SHORTEST: usize = 1 << 11;
const LONGEST: usize = 1 << 16;

/// The balance of one lane.
pub struct CostGate {
    /// Bytes after which the balance is drawn.
    window: usize,
    /// What a byte must save at least, in units of 1/256 bit.
    least: i64,
    saved: i64,
    bytes: usize,
    /// For how long to do without next time, and until where this time.
    pause: usize,
    until: Option<usize>,
}

impl CostGate {
    /// The score of an expert that is asked until, over `window` bytes, it saves less than `least` units of 1/256 bit a byte.
    pub fn new(window: usize, least: i64) -> CostGate {
        CostGate { window, least, saved: 0, bytes: 0, pause: SHORTEST, until: None }
    }

    /// Whether the expert is asked.
    pub fn asked(&self) -> bool {
        self.until.is_none()
    }

    /// Adds `bytes` bytes up to `at`, at which so many units of 1/256 bit were saved. False where the expert is not to be
    /// asked any more.
    pub fn learn(&mut self, saved: i64, bytes: usize, at: usize) -> bool {
        self.saved += saved;
        self.bytes += bytes;
        if self.bytes < self.window {
            return true;
        }
        let pays = self.saved >= self.least * self.bytes as i64;
        (self.saved, self.bytes) = (0, 0);
        if pays {
            self.pause = SHORTEST;
        } else {
            self.until = Some(at + self.pause);
            self.pause = (2 * self.pause).min(LONGEST);
        }
        pays
    }

    /// Whether, at `at`, it is time to ask again.
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
    const LEAST: i64 = 1;

    /// Learns a window of bytes that each save this, the last of which ends at `at`.
    fn window(score: &mut CostGate, saved: i64, at: usize) -> bool {
        (1..WINDOW).for_each(|_| assert!(score.learn(saved, 1, at)));
        score.learn(saved, 1, at)
    }

    #[test]
    fn goes_on_while_it_pays() {
        let mut score = CostGate::new(WINDOW, LEAST);
        assert!((0..1000).all(|at| window(&mut score, LEAST, at)) && score.asked());
    }

    #[test]
    fn pauses_are_longer_each_time_until_it_pays_again() {
        let mut score = CostGate::new(WINDOW, LEAST);
        let mut at = 0;
        for pause in [2, 4, 8, 16, 32, 64, 64, 64].map(|kib| kib << 10) {
            assert!(!window(&mut score, LEAST - 1, at) && !score.asked());
            assert!(!score.resume(at + pause - 1) && score.resume(at + pause) && score.asked());
            assert!(!score.resume(at + pause), "it has resumed");
            at += pause;
        }
        assert!(window(&mut score, LEAST, at));
        assert!(!window(&mut score, LEAST - 1, at) && score.resume(at + SHORTEST));
    }
}
