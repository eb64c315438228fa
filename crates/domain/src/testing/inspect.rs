//! Looking into a store, and putting things there that no use case makes yet.

use async_trait::async_trait;

use crate::conversation::{Conversation, ConversationId};
use crate::job::JobId;
use crate::message::{Message, MessageDetail, StatusEvent};
use crate::origin::Origin;
use crate::ports::{
    BackfillStore, ConversationStore, EventStore, HistoryStore, JobQueue, MessageStore,
    OutboundStore, Surveyor,
};
use crate::tenant::TenantId;
use crate::timestamp::Timestamp;

/// Every row of a store, each table sorted by id.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Everything {
    /// `sms_conversations`.
    pub conversations: Vec<Conversation>,
    /// `sms_messages`, with the events that belong to them, oldest first (then by id).
    pub messages: Vec<MessageDetail>,
    /// The rows of `sms_message_status_events` that belong to no message.
    pub parked_events: Vec<StatusEvent>,
    /// `jobs`.
    pub jobs: Vec<JobRecord>,
}

/// A row of `jobs`.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRecord {
    /// Its id.
    pub id: JobId,
    /// [`Job::kind`](crate::job::Job::kind).
    pub kind: String,
    /// [`Job::unique_key`](crate::job::Job::unique_key).
    pub unique_key: String,
    /// [`Job::payload`](crate::job::Job::payload).
    pub payload: serde_json::Value,
    /// [`JobState`](crate::job::JobState) as its word.
    pub state: String,
    /// Not before this time.
    pub run_at: Timestamp,
    /// How often it was claimed.
    pub attempts: u32,
    /// How often in a row it failed.
    pub failures: u32,
    /// Why it last failed.
    pub last_error: Option<String>,
    /// Until when a worker has it.
    pub lease_expires_at: Option<Timestamp>,
    /// What it follows from.
    pub origin: Origin,
}

/// A store that a test can look into and prepare.
#[async_trait]
pub trait Inspect:
    MessageStore
    + OutboundStore
    + ConversationStore
    + JobQueue
    + EventStore
    + Surveyor
    + BackfillStore
    + HistoryStore
{
    /// Every row.
    async fn everything(&self) -> Everything;

    /// Puts a message there as it stands, of a conversation that exists, without a raw payload.
    async fn plant_message(&self, message: &Message);

    /// Says which tenant a conversation belongs to.
    async fn plant_tenant(&self, conversation: ConversationId, tenant: &TenantId);

    /// Marks every job as done.
    async fn finish_jobs(&self);
}
