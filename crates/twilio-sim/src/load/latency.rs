//! How long things took.

use std::time::Duration;

/// Durations, sorted.
#[derive(Debug, Clone, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    pub(super) fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        Self(durations)
    }

    /// The least duration that so many of a thousand did not exceed: 500 for the median, 1000 for
    /// the longest. `None` where there are none.
    #[must_use]
    pub fn permille(&self, share: usize) -> Option<Duration> {
        // The nearest rank, counted from 1.
        let rank = (self.0.len() * share.min(1_000)).div_ceil(1_000).max(1);
        self.0.get(rank - 1).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let latencies = Latencies::of((1..=1_000).rev().map(Duration::from_millis).collect());
        let check = |share, millis| {
            assert_eq!(latencies.permille(share), Some(Duration::from_millis(millis)));
        };
        check(500, 500);
        check(990, 990);
        check(999, 999);
        check(1_000, 1_000);
        check(0, 1);
        let one = Latencies::of(vec![Duration::from_millis(7)]);
        assert_eq!(one.permille(990), Some(Duration::from_millis(7)));
        assert_eq!(Latencies::default().permille(500), None);
    }
}
