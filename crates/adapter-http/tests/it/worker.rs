//! A small worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use domain::job::{ClaimedJob, Job};
use domain::outbox::{Outbox, Performed};
use domain::ports::{Attended, Clock, Dispatched, Dispatcher, JobClaim, JobQueue};
use domain::testing::InMemoryStore;
use tokio::sync::oneshot;

/// Runs send jobs in the background; counts how often it is woken.
pub(crate) struct TestWorker {
    sends: Option<Sends>,
    woken: AtomicU32,
}

#[derive(Clone)]
struct Sends {
    outbox: Outbox,
    queue: Arc<InMemoryStore>,
    clock: Arc<dyn Clock>,
}

impl TestWorker {
    /// One that only counts.
    pub(crate) fn idle() -> Self {
        Self { sends: None, woken: AtomicU32::new(0) }
    }

    pub(crate) fn new(outbox: Outbox, queue: Arc<InMemoryStore>, clock: Arc<dyn Clock>) -> Self {
        Self { sends: Some(Sends { outbox, queue, clock }), woken: AtomicU32::new(0) }
    }

    pub(crate) fn woken(&self) -> u32 {
        self.woken.load(Ordering::SeqCst)
    }
}

impl Dispatcher for TestWorker {
    fn dispatch(&self, job: ClaimedJob, attended: Attended) -> Dispatched {
        let sends = self.sends.clone().unwrap();
        let (answer, outcome) = oneshot::channel();
        tokio::spawn(async move {
            let performed = sends.perform(&job, &attended).await;
            // Whoever asked may have gone.
            let _ = answer.send(performed.and_then(Performed::into_outgoing));
            sends.work_off().await;
        });
        Box::pin(async move { outcome.await.ok().flatten() })
    }

    fn wake(&self) {
        self.woken.fetch_add(1, Ordering::SeqCst);
        if let Some(sends) = self.sends.clone() {
            tokio::spawn(async move { sends.work_off().await });
        }
    }

    fn happened(&self) {}
}

impl Sends {
    async fn perform(&self, job: &ClaimedJob, attended: &Attended) -> Option<Performed> {
        let Job::Send { message, .. } = job.job else {
            return None;
        };
        self.outbox.perform(job, message, attended).await.ok()
    }

    async fn work_off(&self) {
        let nobody: Attended = Arc::new(|| false);
        loop {
            let at = self.clock.now();
            let lease_until = at.after(Duration::from_mins(1));
            let claim = JobClaim { kinds: vec!["send"], at, lease_until, limit: 1 };
            let Some(job) = self.queue.claim_jobs(&claim).await.unwrap().pop() else {
                return;
            };
            self.perform(&job, &nobody).await;
        }
    }
}
