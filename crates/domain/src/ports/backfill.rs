//! How far the provider's lists have been read.

use async_trait::async_trait;

use super::{MessageList, PageToken, StoreError};
use crate::message::{Message, TwilioSid};
use crate::timestamp::Timestamp;

/// Remembers how far each list of the provider's was read, and lets one process at a time read it.
///
/// One method is one transaction. Every implementation runs
/// [`backfill_store_contract!`](crate::backfill_store_contract).
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait BackfillStore: Send + Sync {
    /// Takes a list to be read. One that was never claimed begins now: its first time and its
    /// watermark are the claim's, and it is due.
    ///
    /// `None` where it is not due yet, or another run has it: no two runs MUST have a list at the
    /// same time. A run that did not end is over when its lease is. What was written later than
    /// `lease_until` was written by a clock that was ahead, and keeps nobody out.
    async fn claim_list(&self, claim: &ListClaim) -> Result<Option<ListRun>, StoreError>;

    /// Keeps how far a run got; `false` where the list is no longer the run's, in which case
    /// nothing MUST change.
    async fn save_list(&self, run: &ListRun, progress: &ListProgress) -> Result<bool, StoreError>;

    /// Lets every list be due at that time that would be later. One that a run has is so once the
    /// run has ended.
    async fn hasten_lists(&self, due_at: Timestamp) -> Result<(), StoreError>;

    /// The messages with these SIDs that are stored, in any order.
    async fn messages_with(&self, sids: &[TwilioSid]) -> Result<Vec<Message>, StoreError>;
}

/// A process wants to read a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListClaim {
    /// Which.
    pub list: MessageList,
    /// Now.
    pub at: Timestamp,
    /// Until then it has the list to itself.
    pub lease_until: Timestamp,
}

/// A list that a process has to itself for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRun {
    /// Which.
    pub list: MessageList,
    /// Which run of it this is, from 1: fences what it writes.
    pub number: u32,
    /// When it was claimed for the first time ever: nothing older is taken in.
    pub first_at: Timestamp,
    /// How far it was read.
    pub mark: ListMark,
}

/// How far a list was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListMark {
    /// Everything up to this time is stored.
    pub watermark: Timestamp,
    /// A part that was not read to its end.
    pub unfinished: Option<Unfinished>,
}

/// A part of a list, read from its newest message on, that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Where the part begins: what becomes the watermark when its end is reached.
    pub until: Timestamp,
    /// Where to go on.
    pub page: PageToken,
}

/// How far a run got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListProgress {
    /// How far the list is read now.
    pub mark: ListMark,
    /// When it is to be read again, unless [`hasten_lists`](BackfillStore::hasten_lists) wished it
    /// earlier since the run began. Says nothing while the run has it still.
    pub due_at: Timestamp,
    /// Until then the run has it still; `None` where the run ends.
    pub lease_until: Option<Timestamp>,
    /// Now.
    pub at: Timestamp,
}
