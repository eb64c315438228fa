//! Whether a service behind us works, asked seldom and never waited for long.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use domain::ports::Clock;
use domain::timestamp::Timestamp;
use tokio::sync::Mutex;

use crate::Check;

/// Asks a service whether it works.
pub type Probe = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// For so long an answer is believed.
const BELIEVED: Duration = Duration::from_mins(1);
/// Whoever asks for health waits no longer for others.
const PATIENCE: Duration = Duration::from_secs(3);

/// A service behind us, as health shows it.
pub(crate) struct Outside {
    /// None: it is not configured.
    probe: Option<Probe>,
    last: Mutex<Option<(Timestamp, Check)>>,
}

impl Outside {
    pub(crate) fn new(probe: Option<Probe>) -> Self {
        Self { probe, last: Mutex::new(None) }
    }

    /// What was last known, asked again once a minute and by one request at a time.
    pub(crate) async fn check(&self, clock: &dyn Clock) -> Check {
        let Some(probe) = &self.probe else {
            return Check::Disabled;
        };
        let mut last = self.last.lock().await;
        let now = clock.now();
        if let Some((at, check)) = *last
            && now >= at
            && now < at.after(BELIEVED)
        {
            return check;
        }
        let works = tokio::time::timeout(PATIENCE, probe()).await.unwrap_or(false);
        // Without it texts still come in and wait.
        let check = if works { Check::Ok } else { Check::Degraded };
        *last = Some((now, check));
        check
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use domain::testing::SteppingClock;
    use domain::testing::fixture::at;

    use super::*;

    fn counting(works: bool) -> (Probe, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let probe: Probe = Arc::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            Box::pin(std::future::ready(works))
        });
        (probe, asked)
    }

    #[tokio::test]
    async fn a_service_is_asked_once_a_minute() {
        let clock = SteppingClock::standing(at(0));
        let (probe, asked) = counting(false);
        let outside = Outside::new(Some(probe));
        for _ in 0..5 {
            assert_eq!(outside.check(&clock).await, Check::Degraded);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        clock.advance(BELIEVED);
        outside.check(&clock).await;
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_hangs_is_not_waited_for() {
        let outside = Outside::new(Some(Arc::new(|| Box::pin(std::future::pending()))));
        let clock = SteppingClock::standing(at(0));
        assert_eq!(outside.check(&clock).await, Check::Degraded);
    }

    #[tokio::test]
    async fn what_is_not_configured_is_disabled_and_what_works_is_ok() {
        let clock = SteppingClock::standing(at(0));
        assert_eq!(Outside::new(None).check(&clock).await, Check::Disabled);
        let (probe, _) = counting(true);
        assert_eq!(Outside::new(Some(probe)).check(&clock).await, Check::Ok);
    }
}
