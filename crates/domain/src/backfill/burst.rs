//! Whether so many webhooks were refused that it is no accident.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::timestamp::Timestamp;

/// So many refusals ...
const MANY: usize = 3;
/// ... within this time are a burst.
const SOON: Duration = Duration::from_mins(1);
/// After a burst the next one does not count for so long: anybody can make one.
const QUIET: Duration = Duration::from_mins(5);

/// Counts refusals.
#[derive(Debug, Default)]
pub(super) struct Burst(Mutex<Refusals>);

#[derive(Debug, Default)]
struct Refusals {
    recent: Vec<Timestamp>,
    last_burst: Option<Timestamp>,
}

impl Burst {
    /// One more; `true` where it makes a burst.
    pub(super) fn refused(&self, now: Timestamp) -> bool {
        let mut refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.last_burst.is_some_and(|last| now < last.after(QUIET)) {
            return false;
        }
        refusals.recent.retain(|at| now < at.after(SOON));
        refusals.recent.push(now);
        let is_burst = refusals.recent.len() >= MANY;
        if is_burst {
            refusals.recent.clear();
            refusals.last_burst = Some(now);
        }
        is_burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bursts(seconds: &[u64]) -> Vec<u64> {
        let burst = Burst::default();
        let at = |second| Timestamp::EPOCH.after(Duration::from_secs(second));
        seconds.iter().copied().filter(|second| burst.refused(at(*second))).collect()
    }

    #[test]
    fn three_refusals_within_a_minute_are_a_burst() {
        assert_eq!(bursts(&[0, 1]), [0; 0]);
        assert_eq!(bursts(&[0, 30, 59]), [59]);
        assert_eq!(bursts(&[0, 30, 60]), [0; 0]);
        assert_eq!(bursts(&[0, 30, 60, 61]), [61]);
    }

    #[test]
    fn a_flood_is_one_burst_in_five_minutes() {
        let flood: Vec<u64> = (0..900).collect();
        assert_eq!(bursts(&flood), [2, 304, 606]);
    }
}
