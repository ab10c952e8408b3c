//! Whether asking the network pays: where it saves next to nothing, a lane does without it, longer each time.

/// Tokens after which the balance is drawn.
const WINDOW: usize = 64;
/// What a byte must save at least, in units of 1/256 bit.
const LEAST: i64 = -30000;
/// Bytes to do without.
const SHORTEST: usize = 1 << 10;
const LONGEST: usize = 1 << 15;

/// The balance of one lane.
pub struct Score {
    saved: i64,
    bytes: usize,
    tokens: usize,
    /// For how long to do without next time, and until where this time.
    pause: usize,
    until: Option<usize>,
}

impl Default for Score {
    fn default() -> Self {
        Score { saved: 0, bytes: 0, tokens: 0, pause: SHORTEST, until: None }
    }
}

impl Score {
    /// Whether the network is asked.
    pub fn asked(&self) -> bool {
        self.until.is_none()
    }

    /// Adds a token of `bytes` bytes that ended at `at`, which saved so many units of 1/256 bit. False where the network
    /// is not to be asked any more.
    pub fn learn(&mut self, saved: i64, bytes: usize, at: usize) -> bool {
        self.saved += saved;
        self.bytes += bytes;
        self.tokens += 1;
        if self.tokens < WINDOW {
            return true;
        }
        let pays = self.saved >= LEAST * self.bytes as i64;
        (self.saved, self.bytes, self.tokens) = (0, 0, 0);
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
