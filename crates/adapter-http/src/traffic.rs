//! The requests that run, so that a service which stops loses none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Knows which requests run. Clones know the same.
#[derive(Clone, Default)]
pub struct Traffic(Arc<Inner>);

#[derive(Default)]
struct Inner {
    begun: AtomicU64,
    ended: AtomicU64,
    leaving: AtomicBool,
}

impl Traffic {
    /// From now on each answer asks its client to close the connection: a proxy that keeps
    /// connections must not choose one of ours for a request that nobody will read.
    pub fn leave(&self) {
        self.0.leaving.store(true, Ordering::Release);
    }

    /// Comes back once no request has run, and none has come, for that long.
    pub async fn quiet(&self, pause: Duration) {
        loop {
            let begun = self.0.begun.load(Ordering::Acquire);
            tokio::time::sleep(pause).await;
            let ended = self.0.ended.load(Ordering::Acquire);
            if ended == begun && self.0.begun.load(Ordering::Acquire) == begun {
                return;
            }
        }
    }

    /// A request has come; it has ended when this is dropped.
    pub(crate) fn begin(&self) -> Running {
        self.0.begun.fetch_add(1, Ordering::AcqRel);
        Running(self.clone())
    }
}

/// A request that runs.
pub(crate) struct Running(Traffic);

impl Running {
    /// Whether its client is to close the connection.
    pub(crate) fn is_last_of_its_connection(&self) -> bool {
        self.0.0.leaving.load(Ordering::Acquire)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.ended.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_millis(100);

    #[tokio::test(start_paused = true)]
    async fn it_is_quiet_when_nothing_has_run_for_a_while() {
        let traffic = Traffic::default();
        let running = traffic.begin();
        let waited = tokio::time::timeout(PAUSE * 10, traffic.quiet(PAUSE)).await;
        assert!(waited.is_err(), "a request runs");
        drop(running);
        traffic.quiet(PAUSE).await;
        let others = traffic.clone();
        let busy = tokio::spawn(async move {
            for _ in 0..5 {
                drop(others.begin());
                tokio::time::sleep(PAUSE / 2).await;
            }
        });
        traffic.quiet(PAUSE).await;
        assert!(busy.is_finished(), "as long as requests come it is not quiet");
    }

    #[test]
    fn connections_are_kept_until_the_service_leaves() {
        let traffic = Traffic::default();
        assert!(!traffic.begin().is_last_of_its_connection());
        traffic.leave();
        assert!(traffic.begin().is_last_of_its_connection());
    }
}
