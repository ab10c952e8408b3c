//! Decides by measurement whether to run batches on one thread or on all. This affects time only, never results.

/// Batches of one trial.
const TRIAL: u32 = 4;
/// Batches between trials. The interval doubles while trials confirm the choice.
const MIN_INTERVAL: u32 = 16;
const MAX_INTERVAL: u32 = 4096;

/// Tries the other choice from time to time and keeps the faster one. Which one that is depends on the model and on the load
/// of the machine.
pub struct ThreadTuner {
    parallel: bool,
    /// Recent seconds per row: on one thread, and in parallel.
    costs: [f64; 2],
    /// Whether a trial is running.
    trial: bool,
    /// Batches left until the trial ends, or until the next one begins.
    left: u32,
    /// Batches between this trial and the next.
    interval: u32,
}

impl Default for ThreadTuner {
    fn default() -> Self {
        ThreadTuner { parallel: false, costs: [f64::INFINITY; 2], trial: true, left: TRIAL, interval: 1 }
    }
}

impl ThreadTuner {
    /// Whether to run the next batch in parallel.
    pub fn parallel(&self) -> bool {
        self.parallel
    }

    /// Records that the last batch took `cost` seconds per row.
    pub fn record(&mut self, cost: f64) {
        let mean = &mut self.costs[usize::from(self.parallel)];
        let first = self.trial && self.left == TRIAL;
        *mean = if first { cost } else { *mean + (cost - *mean) / 4.0 };
        self.left -= 1;
        if self.left > 0 {
            return;
        }
        if !self.trial {
            (self.trial, self.left, self.parallel) = (true, TRIAL, !self.parallel);
            return;
        }
        if self.costs[usize::from(self.parallel)] > self.costs[usize::from(!self.parallel)] {
            self.parallel = !self.parallel;
            self.interval = (2 * self.interval).clamp(MIN_INTERVAL, MAX_INTERVAL);
        } else if self.costs[usize::from(!self.parallel)].is_finite() {
            self.interval = MIN_INTERVAL;
        }
        (self.trial, self.left) = (false, self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of 10,000 batches run in parallel if a row takes `costs` seconds: on one thread, and in parallel.
    fn parallel_batches(costs: [f64; 2]) -> usize {
        let mut tuner = ThreadTuner::default();
        let batch = |_: &u32| {
            let parallel = tuner.parallel();
            tuner.record(costs[usize::from(parallel)]);
            parallel
        };
        (0..10_000).filter(batch).count()
    }

    #[test]
    fn the_faster_choice_is_kept() {
        assert!(parallel_batches([2.0, 1.0]) > 9_900);
        assert!(parallel_batches([1.0, 2.0]) < 100);
    }
}
