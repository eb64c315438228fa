//! How long a service is waited for, and how often it is asked: wire contracts, section 4.

use std::error::Error as StdError;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use crate::fault::Fault;

/// How long a service is waited for, and how often it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long a connection may take: name, TCP and TLS.
    pub connect_timeout: Duration,
    /// How long a service may be silent, from the beginning of the request on. Together with
    /// `connect_timeout` it is also the longest time until the whole answer is there.
    pub read_timeout: Duration,
    /// How often one question is asked at most; once at least.
    pub attempts: u32,
    /// How long to wait before the second time. Every further wait is twice as long; each is up to
    /// once more as long by chance, so that many that failed together do not come back together.
    pub first_wait: Duration,
    /// No wait is longer, chance included. Where the service asks us to wait for longer, it is not
    /// asked again now.
    pub longest_wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            read_timeout: Duration::from_secs(3),
            attempts: 4,
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_secs(2),
        }
    }
}

impl Patience {
    /// Asks until there is an answer, a fault that does not pass, or no attempt left.
    pub(crate) async fn ask<T, F>(&self, once: impl FnMut() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        once.retry(self.waits())
            .when(Fault::is_passing)
            .adjust(|fault, wait| self.wait(fault.retry_after(), wait))
            .notify(|fault, wait| {
                let error: &(dyn StdError + 'static) = fault;
                tracing::debug!(error, ?wait, "no answer yet: asking again");
            })
            .await
    }

    /// The longest time until the whole answer of one request is there.
    pub(crate) fn timeout(&self) -> Duration {
        self.connect_timeout.saturating_add(self.read_timeout)
    }

    /// The waits between attempts. Chance comes on top of backon's maximum, hence the half.
    fn waits(&self) -> ExponentialBuilder {
        let longest = self.longest_wait / 2;
        let waits = usize::try_from(self.attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        ExponentialBuilder::new()
            .with_min_delay(self.first_wait.min(longest))
            .with_max_delay(longest)
            .with_max_times(waits)
            .with_jitter()
    }

    /// At least as long as the service asks for; `None` where that is too long to wait for here.
    fn wait(&self, retry_after: Option<Duration>, wait: Option<Duration>) -> Option<Duration> {
        let wait = wait?.max(retry_after.unwrap_or_default());
        (wait <= self.longest_wait).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use backon::BackoffBuilder;

    const ONE_MS: Duration = Duration::from_millis(1);

    fn waits(patience: Patience, seed: u64) -> Vec<Duration> {
        patience.waits().with_jitter_seed(seed).build().collect()
    }

    #[test]
    fn waits_double_from_100_ms_to_2_s_and_differ_by_chance() {
        let patience = Patience { attempts: 9, ..Patience::default() };
        let steps = [100, 200, 400, 800, 1000, 1000, 1000, 1000].map(Duration::from_millis);
        for seed in 0..1000 {
            let waits = waits(patience, seed);
            assert_eq!(waits.len(), steps.len());
            for (wait, step) in waits.into_iter().zip(steps) {
                assert!(wait + ONE_MS >= step && wait <= step * 2 + ONE_MS, "{wait:?}, {step:?}");
                assert!(wait <= patience.longest_wait, "{wait:?}");
            }
        }
        assert_ne!(waits(patience, 1), waits(patience, 2));
    }

    #[test]
    fn two_processes_do_not_wait_alike() {
        let waits = || Patience::default().waits().build().collect::<Vec<_>>();
        assert_ne!(waits(), waits());
    }

    #[test]
    fn there_is_one_wait_less_than_attempts() {
        for (attempts, expected) in [(0, 0), (1, 0), (2, 1), (4, 3)] {
            let patience = Patience { attempts, ..Patience::default() };
            assert_eq!(waits(patience, 0).len(), expected);
        }
    }

    #[test]
    fn the_longest_wait_binds_the_first_too() {
        let patience = Patience { longest_wait: 4 * ONE_MS, ..Patience::default() };
        assert!(waits(patience, 0).into_iter().all(|wait| wait <= 4 * ONE_MS));
    }

    #[test]
    fn a_service_may_ask_for_a_longer_wait_but_not_for_too_long_a_one() {
        let wait = |retry_after: Option<u64>, wait: Option<u64>| {
            let (retry_after, wait) =
                (retry_after.map(Duration::from_millis), wait.map(Duration::from_millis));
            Patience::default().wait(retry_after, wait).map(|wait| wait.as_millis())
        };
        assert_eq!(wait(None, Some(150)), Some(150));
        assert_eq!(wait(Some(1000), Some(150)), Some(1000));
        assert_eq!(wait(Some(0), Some(150)), Some(150));
        assert_eq!(wait(Some(2000), Some(150)), Some(2000));
        assert_eq!(wait(Some(2001), Some(150)), None);
        assert_eq!(wait(Some(1000), None), None);
    }
}
