//! The durable queue of work.

use async_trait::async_trait;

use super::StoreError;
use crate::job::{ClaimedJob, JobEnding, JobId, JobState, Ticket};
use crate::timestamp::Timestamp;

/// The jobs that wait, run, or were given up.
///
/// Any number of processes may share one queue. Every implementation runs
/// [`outbound_store_contract!`](crate::outbound_store_contract).
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait JobQueue: Send + Sync {
    /// Takes jobs for a worker, the longest due first; each becomes `running`, its attempt number
    /// grows by one and its lease is the claim's.
    ///
    /// - A job is due where it is `queued` and its time has come, or `running` and its lease is
    ///   over. No two claims MUST get the same attempt of a job.
    /// - Of a lane (see [`Job::lane`](crate::job::Job::lane)) only the first unfinished job MUST be
    ///   given, in the order in which they were written.
    /// - Jobs of other kinds than asked for, also unknown ones, MUST be left alone.
    async fn claim_jobs(&self, claim: &JobClaim) -> Result<Vec<ClaimedJob>, StoreError>;

    /// Ends a worker's hold on a job; `false` where the ticket is no longer valid (another claim
    /// was made, or it was ended), in which case nothing MUST change.
    ///
    /// `Retry` counts one more failure in a row, `Continue` none; `Done` and `Park` set
    /// `finished_at`.
    async fn finish_job(
        &self,
        ticket: Ticket,
        ending: &JobEnding,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Jobs by state, the latest changed first.
    async fn list_jobs(&self, query: &JobQuery) -> Result<Vec<JobView>, StoreError>;

    /// Queues a parked job again, with no failures counted, at the end of its lane. A `send` MUST be refused unless
    /// [`Outgoing::revive`](crate::outbound::Outgoing::revive) allows it, whose step is written too.
    async fn retry_job(&self, retry: &JobRetry) -> Result<JobRetried, StoreError>;

    /// Deletes what is older than it needs to be, at most [`Housekeeping::limit`] rows of each.
    ///
    /// Of a message or a report only its raw payload goes; the rest, `updated_at` too, MUST stay
    /// as it is.
    async fn housekeep(&self, what: &Housekeeping) -> Result<Swept, StoreError>;
}

/// What a worker wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobClaim {
    /// The kinds that it can do ([`Job::kind`](crate::job::Job::kind)).
    pub kinds: Vec<&'static str>,
    /// Now.
    pub at: Timestamp,
    /// Until then it has them to itself.
    pub lease_until: Timestamp,
    /// How many at most.
    pub limit: u32,
}

/// Which jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobQuery {
    /// Where they stand; `None` for all.
    pub state: Option<JobState>,
    /// How many at most.
    pub limit: u32,
    /// How many are passed over.
    pub offset: u32,
}

/// A job as an operator sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct JobView {
    /// Its id.
    pub id: JobId,
    /// What kind; may be one that this version does not know.
    pub kind: String,
    /// What it needs to know: ids only.
    pub payload: serde_json::Value,
    /// Where it stands.
    pub state: JobState,
    /// How often it was claimed.
    pub attempts: u32,
    /// How often in a row it failed.
    pub failures: u32,
    /// Why it last failed.
    pub last_error: Option<String>,
    /// Not before this time.
    pub run_at: Timestamp,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// An operator wants a parked job to be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobRetry {
    /// Which.
    pub id: JobId,
    /// Now.
    pub at: Timestamp,
    /// When its message expires, where it is a `send`.
    pub expires_at: Timestamp,
}

/// What became of that wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobRetried {
    /// It waits again.
    Queued,
    /// There is no such job.
    NotFound,
    /// It is not parked, or the same thing waits already.
    NotParked,
    /// The message may have been sent, or was cancelled: it is never sent again.
    MaybeSent,
}

/// What may be deleted: what was finished before these times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Housekeeping {
    /// Jobs that are done.
    pub done_jobs: Timestamp,
    /// Jobs that are parked.
    pub parked_jobs: Timestamp,
    /// Idempotency keys.
    pub idempotency_keys: Timestamp,
    /// Reports about a SID that no message ever had.
    pub parked_events: Timestamp,
    /// Raw payloads of what was taken in before; `None`: they are kept for ever.
    pub raw_payloads: Option<Timestamp>,
    /// How many rows of each at most.
    pub limit: u32,
}

/// How many rows were deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Jobs.
    pub jobs: u64,
    /// Idempotency keys.
    pub idempotency_keys: u64,
    /// Reports.
    pub parked_events: u64,
    /// Raw payloads, of messages and of reports.
    pub raw_payloads: u64,
}

impl Swept {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            jobs: self.jobs + other.jobs,
            idempotency_keys: self.idempotency_keys + other.idempotency_keys,
            parked_events: self.parked_events + other.parked_events,
            raw_payloads: self.raw_payloads + other.raw_payloads,
        }
    }

    /// The largest of them.
    #[must_use]
    pub fn largest(self) -> u64 {
        let Self { jobs, idempotency_keys, parked_events, raw_payloads } = self;
        jobs.max(idempotency_keys).max(parked_events).max(raw_payloads)
    }
}
