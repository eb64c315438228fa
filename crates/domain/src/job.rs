//! Work that must happen later and must not be forgotten: rows written in the transaction that
//! causes them.

use serde_json::{Value, json};

use crate::conversation::ConversationId;
use crate::message::id;
use crate::timestamp::Timestamp;

id! {
    /// Our own id of a job.
    JobId
}

/// A thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Ask the Collections Monitor which tenant a conversation's number belongs to.
    TenantLookup {
        /// Whose number.
        conversation: ConversationId,
    },
}

impl Job {
    /// The word that names this kind of job in the store, in logs and in metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TenantLookup { .. } => "tenant_lookup",
        }
    }

    /// Names the thing to do: of two unfinished jobs with the same key only one exists.
    #[must_use]
    pub fn unique_key(&self) -> String {
        match self {
            Self::TenantLookup { conversation } => format!("tenant_lookup:{conversation}"),
        }
    }

    /// What the job needs to know. Ids only: never a number, never a text.
    #[must_use]
    pub fn payload(&self) -> Value {
        match self {
            Self::TenantLookup { conversation } => json!({ "conversation_id": conversation.0 }),
        }
    }
}

/// A job to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// What to do.
    pub job: Job,
    /// Not before this time.
    pub run_at: Timestamp,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Waiting for its time and a worker.
    Queued,
    /// A worker holds a lease on it.
    Running,
    /// Given up after the last attempt, kept for an operator.
    Parked,
    /// Finished.
    Done,
}

impl JobState {
    /// The word in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Parked => "parked",
            Self::Done => "done",
        }
    }
}
