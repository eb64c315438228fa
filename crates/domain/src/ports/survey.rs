//! What waits, and how much there is: for whoever watches over the service.

use async_trait::async_trait;

use super::StoreError;
use crate::job::JobState;
use crate::language::Language;
use crate::timestamp::Timestamp;

/// Counts what is in a store. Changes nothing.
///
/// Every implementation runs [`outbound_store_contract!`](crate::outbound_store_contract).
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Surveyor: Send + Sync {
    /// What waits. Costs as much as waits, however much else there is.
    async fn survey(&self) -> Result<Survey, StoreError>;

    /// Conversations by what is known of them. Reads them all: not to be asked often.
    async fn census(&self) -> Result<Vec<ConversationTally>, StoreError>;
}

/// What waits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// The jobs that are not done, by kind and state; what there is none of is left out.
    pub jobs: Vec<JobTally>,
    /// Messages of which nobody knows whether they were sent, and since when. Those that another
    /// program has stored MUST be left out: nobody searches for them.
    pub ambiguous: Tally,
    /// Reports about a SID that no message has, by when they came.
    pub parked_events: Tally,
}

/// How many, and the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Since when the oldest has been so; `None` where there is none.
    pub oldest: Option<Timestamp>,
}

/// The jobs of one kind in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobTally {
    /// What kind; may be one that this version does not know.
    pub kind: String,
    /// Where they stand.
    pub state: JobState,
    /// How many; the oldest of those that are queued is the first due, of others the one that was
    /// longest so.
    pub tally: Tally,
}

/// The conversations of which the same is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationTally {
    /// Whether their tenant is known.
    pub has_tenant: bool,
    /// Their language.
    pub language: Language,
    /// How many.
    pub count: u64,
}
