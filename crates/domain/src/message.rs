//! Messages: who they are from and to, what they say, what Twilio called them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::conversation::ConversationId;
use crate::delivery::{DeliveryState, DeliveryStatus, StatusReport};
use crate::outbound::{Outgoing, SendAttempt, Sending};
use crate::phone::Address;
use crate::text::Text;
use crate::timestamp::Timestamp;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub uuid::Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}
pub(crate) use id;

id! {
    /// Our own id of a message.
    MessageId
}

id! {
    /// Our own id of a status event.
    EventId
}

impl MessageId {
    /// The id that `text` spells.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

/// Twilio's own id of a message, `SM` or `MM` and 32 hexadecimal digits.
///
/// The form is not enforced: a signed webhook is kept whatever its SID looks like. It is 1 to 64
/// visible ASCII characters, so that it fits in an index and a log line.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TwilioSid(String);

/// The text cannot be Twilio's id of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not 1 to 64 visible ASCII characters")]
pub struct InvalidTwilioSid;

impl TwilioSid {
    /// Reads an id.
    ///
    /// # Errors
    /// [`InvalidTwilioSid`] where it is empty, too long or holds anything but visible ASCII.
    pub fn parse(text: &str) -> Result<Self, InvalidTwilioSid> {
        let fits =
            (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned())).ok_or(InvalidTwilioSid)
    }

    /// The id as Twilio wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TwilioSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TwilioSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To us.
    Inbound,
    /// From us.
    Outbound,
}

impl Direction {
    /// The word of the data model.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }

    /// A word of the data model; `None` for any other.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Inbound, Self::Outbound].into_iter().find(|direction| direction.as_str() == word)
    }
}

/// How we learned of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Twilio's webhook.
    Webhook,
    /// A caller of our API.
    Api,
    /// Twilio's list of messages, after a webhook was missed.
    Backfill,
    /// Another program's database.
    Database,
}

impl Source {
    /// The word of the wire contracts, section 7.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Api => "api",
            Self::Backfill => "backfill",
            Self::Database => "database",
        }
    }

    /// A word of the wire contracts; `None` for any other.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Webhook, Self::Api, Self::Backfill, Self::Database]
            .into_iter()
            .find(|source| source.as_str() == word)
    }
}

/// A picture or file that came with a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// Where Twilio keeps it.
    pub url: String,
    /// Its media type, `image/jpeg`, where Twilio said so.
    pub content_type: Option<String>,
}

/// Everything that a request of Twilio's carried: a JSON object, one member for each form field,
/// a repeated field as an array. Holds no NUL, which PostgreSQL cannot keep.
/// A clone shares it.
#[derive(Clone, PartialEq, Default)]
pub struct RawPayload(Arc<Map<String, Value>>);

impl RawPayload {
    /// The members of an object. NUL characters in them are dropped.
    #[must_use]
    pub fn new(members: Map<String, Value>) -> Self {
        let is_clean = !members_hold_nul(&members);
        Self(Arc::new(if is_clean { members } else { storable_members(members) }))
    }

    /// The members.
    #[must_use]
    pub fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The object as JSON.
    #[must_use]
    pub fn into_json(self) -> Value {
        Value::Object(Arc::unwrap_or_clone(self.0))
    }

    /// An object that a store kept; empty where the stored value is no object.
    #[must_use]
    pub fn from_stored(value: Value) -> Self {
        match value {
            Value::Object(members) => Self(Arc::new(members)),
            _ => Self::default(),
        }
    }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(holds_nul),
        Value::Object(members) => members_hold_nul(members),
        _ => false,
    }
}

fn members_hold_nul(members: &Map<String, Value>) -> bool {
    members.iter().any(|(name, value)| name.contains('\0') || holds_nul(value))
}

fn storable_members(members: Map<String, Value>) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (without_nul(name), storable(value))).collect()
}

fn storable(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(without_nul(text)),
        Value::Array(values) => values.into_iter().map(storable).collect(),
        Value::Object(members) => Value::Object(storable_members(members)),
        other => other,
    }
}

fn without_nul(mut text: String) -> String {
    if text.contains('\0') {
        text.retain(|c| c != '\0');
    }
    text
}

impl fmt::Debug for RawPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawPayload({} members)", self.0.len())
    }
}

/// A message to us, as the gate read it from a verified webhook.
#[derive(Debug, Clone, PartialEq)]
pub struct InboundMessage {
    /// Twilio's id: the same id is the same message.
    pub twilio_sid: TwilioSid,
    /// Who wrote.
    pub from: Address,
    /// The sender as it came.
    pub from_number: Text,
    /// Our number as it came.
    pub to_number: Text,
    /// What was written; `None` where the webhook had no `Body`.
    pub body: Option<Text>,
    /// Pictures and files, in order.
    pub media: Vec<Media>,
    /// `receiving` or `received`.
    pub status: DeliveryStatus,
    /// Everything that came.
    pub raw: RawPayload,
}

/// A message as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Our id.
    pub id: MessageId,
    /// The conversation that it belongs to.
    pub conversation: ConversationId,
    /// Which way it goes.
    pub direction: Direction,
    /// Twilio's id; `None` for a message from us that Twilio has not answered for.
    pub twilio_sid: Option<TwilioSid>,
    /// The sender as it came.
    pub from_number: Text,
    /// The recipient as it came.
    pub to_number: Text,
    /// What was written.
    pub content: Option<Text>,
    /// Pictures and files, in order.
    pub media: Vec<Media>,
    /// How far it got, in Twilio's words. What everybody is told is [`Message::shown`].
    pub delivery: DeliveryState,
    /// What we know of handing it over; `None` for a message to us.
    pub sending: Option<Sending>,
    /// How we learned of it.
    pub source: Source,
    /// When we took it in.
    pub created_at: Timestamp,
    /// When anything of it last changed.
    pub updated_at: Timestamp,
}

/// A message with all that is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageDetail {
    /// The message.
    pub message: Message,
    /// What Twilio sent; empty for a message from us.
    pub raw: RawPayload,
    /// What Twilio reported since, oldest first.
    pub events: Vec<StatusEvent>,
    /// The attempts to hand it over, oldest first.
    pub attempts: Vec<SendAttempt>,
}

impl MessageDetail {
    /// The part that decisions about a message from us need.
    #[must_use]
    pub fn outgoing(self) -> Outgoing {
        Outgoing { message: self.message, attempts: self.attempts }
    }
}

/// One report of Twilio's about a message, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusEvent {
    /// Our id.
    pub id: EventId,
    /// The message, once it is known.
    pub message: Option<MessageId>,
    /// Twilio's id of the message.
    pub twilio_sid: TwilioSid,
    /// What the word means to us.
    pub event_status: DeliveryStatus,
    /// Twilio's own word.
    pub provider_status: String,
    /// Twilio's error code.
    pub error_code: Option<String>,
    /// Everything that came.
    pub raw: RawPayload,
    /// When it came.
    pub created_at: Timestamp,
}

impl StatusEvent {
    /// What it reported; the text of its error is in `raw` only.
    #[must_use]
    pub fn report(&self) -> StatusReport {
        StatusReport {
            twilio_sid: self.twilio_sid.clone(),
            message: self.message,
            provider_status: self.provider_status.clone(),
            status: self.event_status,
            error_code: self.error_code.clone(),
            error_message: None,
            raw: self.raw.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_sid_fits_in_an_index_and_a_log_line() {
        assert!(TwilioSid::parse("SMda08419398639e0ffd6485f7ee2f8d98").is_ok());
        for odd in ["", "SM 1", "SM\n", "SM\u{e9}", &"S".repeat(65)] {
            assert_eq!(TwilioSid::parse(odd), Err(InvalidTwilioSid), "{odd:?}");
        }
    }

    #[test]
    fn a_raw_payload_holds_no_nul() {
        let Value::Object(members) = json!({"a\0": ["x\0y", {"b": "\0"}], "n": 1}) else {
            panic!()
        };
        let expected = json!({"a": ["xy", {"b": ""}], "n": 1});
        assert_eq!(RawPayload::new(members).into_json(), expected);
    }

    #[test]
    fn debug_shows_no_payload() {
        let mut members = Map::new();
        members.insert("Body".into(), "secret".into());
        assert_eq!(format!("{:?}", RawPayload::new(members)), "RawPayload(1 members)");
    }
}
