//! Conversations: everything that was said with one address.

use uuid::Uuid;

use crate::job::{Job, JobId, NewJob};
use crate::language::LanguagePreference;
use crate::message::id;
use crate::phone::Address;
use crate::ports::{NewInbound, NewOutbound};
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
    /// Our number as it was last used in it, in either direction.
    pub our_number: Option<Text>,
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
        let original = inbound.message.from_number.clone();
        Self::new(inbound.conversation, &inbound.message.from, original, inbound.received_at)
    }

    /// A conversation in which nothing was said yet.
    #[must_use]
    pub fn new(id: ConversationId, address: &Address, original: Text, at: Timestamp) -> Self {
        Self {
            id,
            phone_number_canonical: Text::new(address.canonical()),
            phone_number_original: original,
            tenant_id: None,
            workflow_type: None,
            workflow_id: None,
            language: LanguagePreference::UNKNOWN,
            our_number: None,
            last_message_at: None,
            created_at: at,
            updated_at: at,
        }
    }

    /// The conversation after a message that was not there before.
    ///
    /// Times only move forward, whatever order messages are recorded in.
    #[must_use]
    pub fn with(&self, inbound: &NewInbound) -> Self {
        let to = Some(inbound.message.to_number.clone()).filter(|to| !to.as_str().is_empty());
        Self {
            language: self.language.fold(inbound.detection),
            our_number: to.or_else(|| self.our_number.clone()),
            last_message_at: self.last_message_at.max(Some(inbound.received_at)),
            updated_at: self.updated_at.max(inbound.received_at),
            ..self.clone()
        }
    }

    /// The conversation after a message from us was taken in to be sent. `last_message_at` moves
    /// when Twilio has it.
    #[must_use]
    pub fn with_outbound(&self, outbound: &NewOutbound, sender: &Text) -> Self {
        let given =
            |new: &Option<String>, old: &Option<String>| new.clone().or_else(|| old.clone());
        Self {
            workflow_type: given(&outbound.workflow_type, &self.workflow_type),
            workflow_id: given(&outbound.workflow_id, &self.workflow_id),
            our_number: Some(sender.clone()),
            updated_at: self.updated_at.max(outbound.accepted_at),
            ..self.clone()
        }
    }

    /// What must follow from a message that was not there before: a lookup while nobody knows
    /// the tenant. A store writes a job only where no unfinished one has its key.
    #[must_use]
    pub fn follow_ups(&self, lookup_job: JobId, at: Timestamp) -> Vec<NewJob> {
        if self.tenant_id.is_some() {
            return Vec::new();
        }
        let job = Job::TenantLookup { conversation: self.id };
        vec![NewJob { id: lookup_job, job, run_at: at }]
    }
}
