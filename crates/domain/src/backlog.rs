//! Use case: an operator looks at the jobs, and the service cleans up after itself.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Thing};
use crate::job::JobId;
use crate::ports::{
    Clock, Housekeeping, JobQuery, JobQueue, JobRetried, JobRetry, JobView, StoreError, Swept,
};

/// The jobs as an operator sees them.
#[derive(Clone)]
pub struct Backlog {
    queue: Arc<dyn JobQueue>,
    clock: Arc<dyn Clock>,
    keep: Keep,
}

/// How long what is finished is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Jobs that are done.
    pub done_jobs: Duration,
    /// Jobs that were given up.
    pub parked_jobs: Duration,
    /// Idempotency keys.
    pub idempotency_keys: Duration,
    /// Reports about a SID that no message ever had.
    pub parked_events: Duration,
    /// What Twilio's requests carried, word for word; `None`: for ever.
    pub raw_payloads: Option<Duration>,
    /// For so long a message may be sent after an operator asked for it again.
    pub send_expiry: Duration,
}

/// How many rows of each kind are deleted at once.
const SWEEP: u32 = 1000;

impl Backlog {
    /// The jobs of this queue.
    #[must_use]
    pub fn new(queue: Arc<dyn JobQueue>, clock: Arc<dyn Clock>, keep: Keep) -> Self {
        Self { queue, clock, keep }
    }

    /// Jobs by state, the latest changed first.
    ///
    /// # Errors
    /// [`Error::External`] where the store does not answer.
    pub async fn list(&self, query: &JobQuery) -> Result<Vec<JobView>, Error> {
        Ok(self.queue.list_jobs(query).await?)
    }

    /// Queues a parked job again.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`] where it is not parked or its message may have been
    /// sent, and [`Error::External`] where the store does not answer.
    pub async fn retry(&self, id: JobId) -> Result<(), Error> {
        let at = self.clock.now();
        let retry = JobRetry { id, at, expires_at: at.after(self.keep.send_expiry) };
        match self.queue.retry_job(&retry).await? {
            JobRetried::Queued => {
                tracing::info!(job = %id, "job queued again");
                Ok(())
            }
            JobRetried::NotFound => Err(Error::NotFound(Thing::Job)),
            JobRetried::NotParked => Err(Error::Refused("only a parked job can be retried")),
            JobRetried::MaybeSent => Err(Error::Refused(
                "its message may have been sent, or was cancelled: it is never sent again",
            )),
        }
    }

    /// Deletes what is older than it needs to be, batch by batch, each a transaction of its own.
    ///
    /// # Errors
    /// [`StoreError`]: the batches before it are gone; try again later.
    pub async fn sweep(&self) -> Result<Swept, StoreError> {
        let mut all = Swept::default();
        loop {
            let batch = self.sweep_batch().await?;
            all = all.and(batch);
            if batch.largest() < u64::from(SWEEP) {
                return Ok(all);
            }
        }
    }

    async fn sweep_batch(&self) -> Result<Swept, StoreError> {
        let now = self.clock.now();
        let what = Housekeeping {
            done_jobs: now.before(self.keep.done_jobs),
            parked_jobs: now.before(self.keep.parked_jobs),
            idempotency_keys: now.before(self.keep.idempotency_keys),
            parked_events: now.before(self.keep.parked_events),
            raw_payloads: self.keep.raw_payloads.map(|kept| now.before(kept)),
            limit: SWEEP,
        };
        self.queue.housekeep(&what).await
    }
}
