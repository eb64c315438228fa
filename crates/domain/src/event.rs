//! What happened: the events that other programs are told of.
//!
//! An event is written in the transaction that causes it. What it says of a message or conversation
//! that can change later (status, tenant, workflow, language) is kept with it, as it was then.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::conversation::{Conversation, ConversationId};
use crate::delivery::{DeliveryState, DeliveryStatus};
use crate::language::Language;
use crate::message::{Direction, Message, MessageId, id};
use crate::ports::NewInbound;
use crate::tenant::TenantId;
use crate::text::Text;
use crate::timestamp::Timestamp;

id! {
    /// Our own id of an event: whoever gets it twice knows it by that.
    EventUuid
}

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// Somebody texted us.
    Received,
    /// Twilio took a message from us.
    Sent,
    /// What everybody is told of a message's status changed.
    Status,
    /// A conversation got a tenant, or another one.
    Identified,
    /// A conversation's language is another one now.
    LanguageChanged,
}

impl EventKind {
    /// All five.
    pub const ALL: [Self; 5] =
        [Self::Received, Self::Sent, Self::Status, Self::Identified, Self::LanguageChanged];

    /// The word in the store and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "message.received",
            Self::Sent => "message.sent",
            Self::Status => "message.status",
            Self::Identified => "conversation.identified",
            Self::LanguageChanged => "conversation.language_changed",
        }
    }

    /// Such a word; `None` for any other.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// An event to be written. What it does not say of its conversation the store takes from the
/// conversation's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The id that it gets. It follows from what happened, so that a transaction that is tried
    /// again writes the same event.
    pub id: EventUuid,
    /// What kind.
    pub kind: EventKind,
    /// In which conversation.
    pub conversation: ConversationId,
    /// To which message.
    pub message: Option<EventMessage>,
    /// The conversation's tenant and language, where the same transaction may change them.
    pub now: Option<(Option<TenantId>, Language)>,
    /// The tenant or the language before.
    pub previous: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// What an event keeps of its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventMessage {
    /// Which.
    pub id: MessageId,
    /// Which way it goes.
    pub direction: Direction,
    /// How far it had got ([`Message::shown`]).
    pub status: DeliveryStatus,
    /// Why not further.
    pub error_code: Option<String>,
}

impl EventMessage {
    fn of(message: &Message) -> Self {
        let shown = message.shown();
        let (status, error_code) = (shown.status, shown.error_code);
        Self { id: message.id, direction: message.direction, status, error_code }
    }

    /// Whether nothing further is to be expected of it.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.status.is_final() || self.status == DeliveryStatus::Received
    }
}

impl NewEvent {
    /// What happens where a message to us is new: it was received, and may have changed the
    /// language of its conversation.
    #[must_use]
    pub fn of_inbound(
        inbound: &NewInbound,
        before: &Conversation,
        after: &Conversation,
    ) -> Vec<Self> {
        let message = inbound.stored_in(after.id);
        let received = Self::of_message(EventKind::Received, &message, inbound.received_at);
        let received = Self { now: Some(now(after)), ..received };
        let language = Self::of_language(before, after, inbound.received_at);
        std::iter::once(received).chain(language).collect()
    }

    /// What happens where a message changes: Twilio took it, everybody is told another status.
    #[must_use]
    pub fn of_change(before: &Message, after: &Message, sent: bool, at: Timestamp) -> Vec<Self> {
        let told = |message: &Message| {
            let DeliveryState { status, error_code, .. } = message.shown();
            (status, error_code)
        };
        let sent = sent.then(|| Self::of_message(EventKind::Sent, after, at));
        let moved = told(before) != told(after);
        let status = moved.then(|| Self::of_message(EventKind::Status, after, at));
        sent.into_iter().chain(status).collect()
    }

    /// What happens where a conversation changes otherwise than by a message: its tenant, its
    /// language.
    #[must_use]
    pub fn of_conversation(
        before: &Conversation,
        after: &Conversation,
        at: Timestamp,
    ) -> Vec<Self> {
        let is_another = after.tenant_id.is_some() && after.tenant_id != before.tenant_id;
        let previous = before.tenant_id.as_ref().map(TenantId::to_string);
        let identified =
            is_another.then(|| Self::of_change_in(EventKind::Identified, after, previous, at));
        identified.into_iter().chain(Self::of_language(before, after, at)).collect()
    }

    fn of_language(before: &Conversation, after: &Conversation, at: Timestamp) -> Option<Self> {
        let (was, is) = (before.language.language, after.language.language);
        let previous = Some(was.as_str().to_owned());
        (was != is).then(|| Self::of_change_in(EventKind::LanguageChanged, after, previous, at))
    }

    fn of_change_in(
        kind: EventKind,
        after: &Conversation,
        previous: Option<String>,
        at: Timestamp,
    ) -> Self {
        let id = EventUuid(Uuid::nil());
        let (conversation, now) = (after.id, Some(now(after)));
        Self { id, kind, conversation, message: None, now, previous, at }.identified()
    }

    fn of_message(kind: EventKind, message: &Message, at: Timestamp) -> Self {
        let id = EventUuid(Uuid::nil());
        let (conversation, message) = (message.conversation, Some(EventMessage::of(message)));
        Self { id, kind, conversation, message, now: None, previous: None, at }.identified()
    }

    fn identified(self) -> Self {
        Self { id: self.derived_id(), ..self }
    }

    /// A UUID of version 7: its time, and for the rest a hash of what happened.
    fn derived_id(&self) -> EventUuid {
        let message = self.message.as_ref();
        let mut hash = Sha256::new();
        for part in [
            self.kind.as_str(),
            &self.conversation.to_string(),
            &message.map(|message| message.id.to_string()).unwrap_or_default(),
            message.map(|message| message.status.as_str()).unwrap_or_default(),
            message.and_then(|message| message.error_code.as_deref()).unwrap_or_default(),
            self.previous.as_deref().unwrap_or_default(),
            &self.at.to_string(),
        ] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let mut bytes = [0_u8; 16];
        let (time, rest) = bytes.split_at_mut(6);
        let millis = (self.at.as_micros() / 1000).to_be_bytes();
        time.iter_mut().zip(millis.iter().skip(2)).for_each(|(to, from)| *to = *from);
        rest.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        let number = u128::from_be_bytes(bytes);
        // Version and variant (RFC 9562, section 5.7).
        let number = number & !(0xf << 76) | (0x7 << 76);
        let number = number & !(0x3 << 62) | (0x2 << 62);
        EventUuid(Uuid::from_u128(number))
    }

    /// Whether it is of interest only to those who follow every step of a message.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        is_passing(self.kind, self.message.as_ref())
    }
}

fn now(conversation: &Conversation) -> (Option<TenantId>, Language) {
    (conversation.tenant_id.clone(), conversation.language.language)
}

fn is_passing(kind: EventKind, message: Option<&EventMessage>) -> bool {
    kind == EventKind::Status && !message.is_some_and(EventMessage::is_final)
}

/// An event as it is stored, with what it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its place among all events.
    pub cursor: EventCursor,
    /// Its id.
    pub id: EventUuid,
    /// What kind.
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
    /// In which conversation.
    pub conversation: ConversationId,
    /// The conversation's address.
    pub phone_number_canonical: Text,
    /// Its tenant then.
    pub tenant_id: Option<TenantId>,
    /// The kind of its workflow then.
    pub workflow_type: Option<String>,
    /// Its workflow then.
    pub workflow_id: Option<String>,
    /// Its language then.
    pub language: Language,
    /// What the event keeps of its message.
    pub message: Option<EventMessage>,
    /// The message as it is now: what it says, who wrote it.
    pub content: Option<Message>,
    /// The tenant or the language before.
    pub previous: Option<String>,
}

impl Event {
    /// Whether it is of interest only to those who follow every step of a message.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        is_passing(self.kind, self.message.as_ref())
    }

    /// Which way its message goes.
    #[must_use]
    pub fn direction(&self) -> Option<Direction> {
        self.message.as_ref().map(|message| message.direction)
    }
}

/// A place between two events. Events become visible in its order: whoever has seen all up to a
/// cursor finds everything else behind it.
///
/// Opaque to callers; spelled `<transaction>-<place>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventCursor {
    /// The transaction that wrote the event; 0 in a store with one writer.
    pub transaction: i64,
    /// The place of the event among those of its transaction; higher for each later event.
    pub place: i64,
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.transaction, self.place)
    }
}

/// The text is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the id of an event of this stream")]
pub struct InvalidCursor;

impl FromStr for EventCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let number = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| text.parse().ok()).flatten().ok_or(InvalidCursor)
        };
        let (transaction, place) = text.split_once('-').ok_or(InvalidCursor)?;
        Ok(Self { transaction: number(transaction)?, place: number(place)? })
    }
}

/// Which events of the stream somebody wants. What is not given leaves everything through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    /// Of these kinds; all where it is empty.
    pub kinds: Vec<EventKind>,
    /// In this conversation.
    pub conversation: Option<ConversationId>,
    /// In the conversation with this address.
    pub phone_number_canonical: Option<Text>,
    /// In conversations that were this tenant's.
    pub tenant: Option<TenantId>,
    /// About messages that go this way, and about conversations.
    pub direction: Option<Direction>,
}

impl EventFilter {
    /// Whether it lets that event through.
    #[must_use]
    pub fn passes(&self, event: &Event) -> bool {
        fn is<T: PartialEq>(wanted: Option<&T>, is: Option<&T>) -> bool {
            wanted.is_none() || wanted == is
        }
        (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && is(self.conversation.as_ref(), Some(&event.conversation))
            && is(self.phone_number_canonical.as_ref(), Some(&event.phone_number_canonical))
            && is(self.tenant.as_ref(), event.tenant_id.as_ref())
            && event.direction().is_none_or(|way| is(self.direction.as_ref(), Some(&way)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::{Address, Region};

    #[test]
    fn every_kind_is_read_back_from_its_word() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_word(kind.as_str()), Some(kind));
        }
        assert_eq!(EventKind::from_word("message"), None);
    }

    #[test]
    fn a_cursor_is_read_back_and_nothing_else_is_one() {
        let cursor = EventCursor { transaction: 7, place: 12 };
        assert_eq!(cursor.to_string(), "7-12");
        assert_eq!("7-12".parse(), Ok(cursor));
        for wrong in ["", "7", "-", "7-", "-1", "+7-12", "7-12-1", "7-99999999999999999999"] {
            assert_eq!(wrong.parse::<EventCursor>(), Err(InvalidCursor), "{wrong}");
        }
    }

    #[test]
    fn the_id_follows_from_what_happened_and_sorts_by_time() {
        let at = |second| Timestamp::EPOCH.after(std::time::Duration::from_secs(second));
        let address = Address::read(&Text::new("+18605550199"), Region::default());
        let id = ConversationId(Uuid::from_u128(1));
        let conversation = Conversation::new(id, &address, Text::default(), at(0));
        let event = |kind, second| NewEvent::of_change_in(kind, &conversation, None, at(second)).id;
        assert_eq!(event(EventKind::Identified, 5), event(EventKind::Identified, 5));
        assert_ne!(event(EventKind::Identified, 5), event(EventKind::LanguageChanged, 5));
        assert!(event(EventKind::LanguageChanged, 5) < event(EventKind::Identified, 6));
        let id = event(EventKind::Identified, 5).0;
        assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
    }
}
