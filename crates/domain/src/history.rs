//! Conversations and messages that another program has stored, as they are taken over.

use crate::conversation::{Conversation, ConversationId};
use crate::delivery::{DeliveryState, StatusReport};
use crate::language::{Language, LanguagePreference};
use crate::message::{Direction, Message, RawPayload, StatusEvent, TwilioSid};
use crate::outbound::SendState;
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

    /// The message that is stored with its SID or else with its id, after what is known of it by now:
    /// the other program may have gone on since it was taken over. `parked` are the reports that
    /// waited for its SID. `None` where that is nothing new.
    ///
    /// It only moves forward, so that nothing of it comes twice and an old copy undoes nothing.
    #[must_use]
    pub fn brings_forward(&self, stored: &Message, parked: &[StatusEvent]) -> Option<Message> {
        let is_ours = |message: &Message| message.direction == Direction::Outbound;
        if !is_ours(stored) || !is_ours(&self.message) {
            return None;
        }
        let further = match (&stored.twilio_sid, &self.message.twilio_sid) {
            (None, None) => self.refused(stored),
            (None, Some(_)) => self.handed_over(stored, parked),
            (Some(known), Some(sid)) if known == sid => self.reported(stored, sid),
            (Some(_), _) => return None,
        };
        let updated_at = stored.updated_at.max(self.message.updated_at);
        (further != *stored).then_some(Message { updated_at, ..further })
    }

    /// Nobody knew what became of it, and now it is known to have failed.
    fn refused(&self, stored: &Message) -> Message {
        let state = |message: &Message| message.sending.as_ref().map(|sending| sending.state);
        let is_news = state(stored) == Some(SendState::Ambiguous)
            && state(&self.message) == Some(SendState::Refused);
        let sending = if is_news { &self.message } else { stored }.sending.clone();
        Message { sending, ..stored.clone() }
    }

    /// Twilio had it after all.
    fn handed_over(&self, stored: &Message, parked: &[StatusEvent]) -> Message {
        let Message { twilio_sid, sending, .. } = self.message.clone();
        let delivery = self.delivery_after(parked);
        asked_no_more(Message { twilio_sid, delivery, sending, ..stored.clone() })
    }

    /// What the other program was told of it counts as one more report.
    fn reported(&self, stored: &Message, sid: &TwilioSid) -> Message {
        let DeliveryState { status, error_code, error_message } = &self.message.delivery;
        let (code, message) = (error_code.as_deref(), error_message.as_deref());
        let raw = RawPayload::default();
        let report = StatusReport::new(sid.clone(), status.as_str(), code, message, raw);
        let delivery = stored.delivery.advance(Direction::Outbound, &report);
        if delivery == stored.delivery {
            return stored.clone();
        }
        asked_no_more(Message { delivery, ..stored.clone() })
    }

    fn our_number(&self) -> Option<&Text> {
        let ours = match self.message.direction {
            Direction::Inbound => &self.message.to_number,
            Direction::Outbound => &self.message.from_number,
        };
        Some(ours).filter(|number| !number.as_str().is_empty())
    }
}

/// Where the message is final there is nothing left to ask Twilio.
fn asked_no_more(mut message: Message) -> Message {
    if message.delivery.status.is_final()
        && let Some(sending) = &mut message.sending
    {
        sending.next_check_at = None;
    }
    message
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

    /// The conversation after a message that was said before, or elsewhere. `newest` is when the
    /// latest of its messages was said that are stored already: `last_message_at` may be later than
    /// any, where another program has moved it for reasons of its own.
    #[must_use]
    pub fn with_historic(&self, old: &HistoricMessage, newest: Option<Timestamp>) -> Self {
        let said_at = old.message.created_at;
        let is_latest = newest.is_none_or(|newest| said_at >= newest);
        let theirs = old.our_number().filter(|_| is_latest || self.our_number.is_none());
        Self {
            our_number: theirs.or(self.our_number.as_ref()).cloned(),
            last_message_at: self.last_message_at.max(Some(said_at)),
            updated_at: self.updated_at.max(old.message.updated_at),
            ..self.clone()
        }
    }
}
