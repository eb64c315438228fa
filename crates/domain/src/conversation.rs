//! Conversations: everything that was said with one address.

use uuid::Uuid;

use crate::job::{Job, NewJob};
use crate::language::LanguagePreference;
use crate::message::id;
use crate::ports::NewInbound;
use crate::tenant::TenantId;
use crate::text::Text;
use crate::timestamp::Timestamp;

id! {
    /// Our own id of a conversation.
    ConversationId
}

impl ConversationId {
    /// The id that `text` spells.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

/// Everything that was said with one address, and what we know of whom it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// Our id.
    pub id: ConversationId,
    /// The one spelling of the address; no two conversations share it.
    pub phone_number_canonical: Text,
    /// The address as it first came.
    pub phone_number_original: Text,
    /// The tenant, once the Collections Monitor has named one.
    pub tenant_id: Option<TenantId>,
    /// Which kind of workflow the callers run in it.
    pub workflow_type: Option<String>,
    /// Which workflow.
    pub workflow_id: Option<String>,
    /// The language that its texts are in.
    pub language: LanguagePreference,
    /// When something was last said.
    pub last_message_at: Option<Timestamp>,
    /// When it began.
    pub created_at: Timestamp,
    /// When anything of it last changed.
    pub updated_at: Timestamp,
}

impl Conversation {
    /// The conversation that a first message opens, before that message is taken in.
    #[must_use]
    pub fn opened_by(inbound: &NewInbound) -> Self {
        Self {
            id: inbound.conversation,
            phone_number_canonical: Text::new(inbound.message.from.canonical()),
            phone_number_original: inbound.message.from_number.clone(),
            tenant_id: None,
            workflow_type: None,
            workflow_id: None,
            language: LanguagePreference::UNKNOWN,
            last_message_at: None,
            created_at: inbound.received_at,
            updated_at: inbound.received_at,
        }
    }

    /// The conversation after a message that was not there before.
    ///
    /// Times only move forward, whatever order messages are recorded in.
    #[must_use]
    pub fn with(&self, inbound: &NewInbound) -> Self {
        Self {
            language: self.language.fold(inbound.detection),
            last_message_at: self.last_message_at.max(Some(inbound.received_at)),
            updated_at: self.updated_at.max(inbound.received_at),
            ..self.clone()
        }
    }

    /// What must follow from a message that was not there before: a lookup while nobody knows
    /// the tenant. A store writes a job only where no unfinished one has its key.
    #[must_use]
    pub fn follow_ups(&self, inbound: &NewInbound) -> Vec<NewJob> {
        if self.tenant_id.is_some() {
            return Vec::new();
        }
        let job = Job::TenantLookup { conversation: self.id };
        vec![NewJob { id: inbound.lookup_job, job, run_at: inbound.received_at }]
    }
}
