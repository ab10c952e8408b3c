//! Decides whether a batch is worth sharing among threads.

/// Batches of a trial, and from one trial to the next, at least and at most.
const TRIAL: u32 = 4;
const LEAST_INTERVAL: u32 = 16;
const MOST_INTERVAL: u32 = 4096;

/// Whether it pays to share batches out, as found by trial: that depends on the model, and on what else the machine has to do.
pub struct ThreadTuner {
    shared: bool,
    /// Seconds that a row took lately, alone and shared.
    costs: [f64; 2],
    /// Whether this is a trial, and the batches left of it or until the next.
    trial: bool,
    left: u32,
    interval: u32,
}

impl Default for ThreadTuner {
    fn default() -> Self {
        ThreadTuner { shared: false, costs: [f64::INFINITY; 2], trial: true, left: TRIAL, interval: 1 }
    }
}

impl ThreadTuner {
    /// Whether to share the next batch.
    pub fn parallel(&self) -> bool {
        self.shared
    }

    /// Learns that a row of the batch took `cost` seconds.
    pub fn record(&mut self, cost: f64) {
        let mean = &mut self.costs[usize::from(self.shared)];
        let first = self.trial && self.left == TRIAL;
        *mean = if first { cost } else { *mean + (cost - *mean) / 4.0 };
        self.left -= 1;
        if self.left > 0 {
            return;
        }
        if !self.trial {
            (self.trial, self.left, self.shared) = (true, TRIAL, !self.shared);
            return;
        }
        if self.costs[usize::from(self.shared)] > self.costs[usize::from(!self.shared)] {
            self.shared = !self.shared;
            self.interval = (2 * self.interval).clamp(LEAST_INTERVAL, MOST_INTERVAL);
        } else if self.costs[usize::from(!self.shared)].is_finite() {
            self.interval = LEAST_INTERVAL;
        }
        (self.trial, self.left) = (false, self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of 10,000 batches are shared where a row takes so long, alone and shared.
    fn shared(costs: [f64; 2]) -> usize {
        let mut tuner = ThreadTuner::default();
        let share = |_: &u32| {
            let shares = tuner.parallel();
            tuner.record(costs[usize::from(shares)]);
            shares
        };
        (0..10_000).filter(share).count()
    }

    #[test]
    fn batches_are_shared_where_that_is_faster() {
        assert!(shared([2.0, 1.0]) > 9_900);
        assert!(shared([1.0, 2.0]) < 100);
    }
}
