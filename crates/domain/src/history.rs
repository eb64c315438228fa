//! Conversations and messages that another program has stored, as they are taken over.

use crate::conversation::{Conversation, ConversationId};
use crate::delivery::DeliveryState;
use crate::language::{Language, LanguagePreference};
use crate::message::{Direction, Message, RawPayload, StatusEvent};
use crate::phone::Address;
use crate::tenant::TenantId;
use crate::text::Text;
use crate::timestamp::Timestamp;

/// A conversation that another program has stored.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoricConversation {
    /// The id that it gets if there is none with its address.
    pub id: ConversationId,
    /// The id that it had.
    pub old_id: i64,
    /// Who it is with.
    pub address: Address,
    /// The address as it first came.
    pub original: Text,
    /// The tenant.
    pub tenant: Option<TenantId>,
    /// Its language. The profile of its tenant was told it.
    pub language: LanguagePreference,
    /// When something was last said.
    pub last_message_at: Option<Timestamp>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A message that was stored, or sent, by another program.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoricMessage {
    /// The message. Its conversation is the one that is opened where there is none with the
    /// address.
    pub message: Message,
    /// What the other program kept of Twilio's request.
    pub raw: RawPayload,
    /// Who it is from or to.
    pub address: Address,
    /// That as it came.
    pub original: Text,
}

impl HistoricConversation {
    /// The conversation where there is none with its address.
    #[must_use]
    pub fn opened(&self) -> Conversation {
        let opened =
            Conversation::new(self.id, &self.address, self.original.clone(), self.created_at);
        opened.with_history(self)
    }
}

impl HistoricMessage {
    /// The conversation that it opens where there is none with its address.
    #[must_use]
    pub fn opened(&self) -> Conversation {
        let (id, at) = (self.message.conversation, self.message.created_at);
        Conversation::new(id, &self.address, self.original.clone(), at)
    }

    /// The message as it is stored in that conversation.
    #[must_use]
    pub fn stored_in(&self, conversation: ConversationId) -> Message {
        Message { conversation, ..self.message.clone() }
    }

    /// How far it got, after the reports that waited for its SID.
    #[must_use]
    pub fn delivery_after(&self, parked: &[StatusEvent]) -> DeliveryState {
        let Message { direction, delivery, .. } = &self.message;
        match direction {
            // No report changes a message to us.
            Direction::Inbound => delivery.clone(),
            Direction::Outbound => parked.iter().fold(delivery.clone(), |state, event| {
                state.advance(Direction::Outbound, &event.report())
            }),
        }
    }

    fn our_number(&self) -> Option<&Text> {
        let ours = match self.message.direction {
            Direction::Inbound => &self.message.to_number,
            Direction::Outbound => &self.message.from_number,
        };
        Some(ours).filter(|number| !number.as_str().is_empty())
    }
}

impl Conversation {
    /// The conversation with what another program knew of it. What is known here wins.
    #[must_use]
    pub fn with_history(&self, old: &HistoricConversation) -> Self {
        let takes_language = self.language.language == Language::Unknown
            && old.language.language != Language::Unknown;
        let tenant_id = self.tenant_id.clone().or_else(|| old.tenant.clone());
        let was_told = takes_language && tenant_id == old.tenant && tenant_id.is_some();
        Self {
            language: if takes_language { old.language } else { self.language },
            told_language: if was_told { Some(old.language.language) } else { self.told_language },
            tenant_id,
            last_message_at: self.last_message_at.max(old.last_message_at),
            updated_at: self.updated_at.max(old.updated_at),
            ..self.clone()
        }
    }

    /// The conversation after a message that was said before, or elsewhere.
    #[must_use]
    pub fn with_historic(&self, old: &HistoricMessage) -> Self {
        let said_at = old.message.created_at;
        let is_latest = self.last_message_at.is_none_or(|last| said_at >= last);
        let theirs = old.our_number().filter(|_| is_latest || self.our_number.is_none());
        Self {
            our_number: theirs.or(self.our_number.as_ref()).cloned(),
            last_message_at: self.last_message_at.max(Some(said_at)),
            updated_at: self.updated_at.max(old.message.updated_at),
            ..self.clone()
        }
    }
}
