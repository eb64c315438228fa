//! What the domain needs from outside. Adapters implement these; use cases hold them as
//! `Arc<dyn Port>`.
//!
//! To add a port: a trait here whose documentation makes promises ("MUST"), a fake in `testing`,
//! and a named test in the contract suite for every promise.

mod archive;
mod backfill;
mod conversations;
mod events;
mod history;
mod jobs;
mod outbound;
mod provider;
mod survey;
mod tenants;
mod work;

use async_trait::async_trait;
use uuid::Uuid;

use crate::conversation::{Conversation, ConversationId, FollowUps, LookupAges};
use crate::delivery::{DeliveryState, StatusReport};
use crate::error::BoxError;
use crate::job::JobId;
use crate::language::{Detection, LanguagePreference};
use crate::message::{
    Direction, EventId, InboundMessage, Media, Message, MessageDetail, MessageId, RawPayload,
    Source, StatusEvent, TwilioSid,
};
use crate::origin::Origin;
use crate::outbound::Moved;
use crate::phone::Address;
use crate::timestamp::Timestamp;

pub use archive::*;
pub use backfill::*;
pub use conversations::*;
pub use events::*;
pub use history::*;
pub use jobs::*;
pub use outbound::*;
pub use provider::*;
pub use survey::*;
pub use tenants::*;
pub use work::*;

/// Where conversations, messages and jobs are kept.
///
/// One method is one transaction: after `Ok` all of it is durable, after `Err` none of it is
/// promised, and the same call MUST be safe to make again.
/// Every implementation runs [`message_store_contract!`](crate::message_store_contract).
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait MessageStore: Send + Sync {
    /// Writes an inbound message, its conversation and its follow-up jobs together.
    ///
    /// - The conversation of [`Address::canonical`] MUST be opened ([`Conversation::opened_by`])
    ///   where there is none, and then be as [`Conversation::with`] says, under a lock, so that
    ///   concurrent messages all count.
    /// - Each of [`Conversation::follow_ups`] MUST be written unless an unfinished job has its
    ///   key.
    /// - Status events that wait for this SID MUST be attached to the message; they do not change
    ///   the status of a message to us.
    /// - A repeated `twilio_sid`, also a concurrent one, MUST change nothing and give
    ///   [`Recorded::Duplicate`]; only a status further on is taken over, as
    ///   [`DeliveryState::advance_inbound`] says, and a webhook completes a message that was found
    ///   in Twilio's list, as [`NewInbound::completes`] says.
    async fn record_inbound(&self, inbound: &NewInbound) -> Result<Recorded, StoreError>;

    /// Keeps what Twilio reported about a message and moves a message from us as
    /// [`Outgoing::report`](crate::outbound::Outgoing::report) says, under a lock.
    ///
    /// - The message is the one with the report's SID. Where there is none, it is the message from
    ///   us with the id that the report carries, if that has no SID yet: it MUST get this one.
    /// - A report of no known message MUST be kept without one: [`StatusRecorded::Parked`]. Its
    ///   `message` is not kept.
    /// - The same word with the same error about the same SID MUST be kept once.
    /// - The status of a message to us MUST NOT be changed by it; the conversation's
    ///   `last_message_at` MUST NOT move.
    async fn record_status(&self, event: &NewStatusEvent) -> Result<StatusRecorded, StoreError>;

    /// The conversation with that address or id.
    async fn find_conversation(
        &self,
        key: &ConversationKey,
    ) -> Result<Option<Conversation>, StoreError>;

    /// A page of a conversation's messages, by `created_at` and then id. Pages that follow each
    /// other's [`ThreadPage::next`] MUST give each message exactly once, also while others arrive.
    async fn read_thread(
        &self,
        conversation: ConversationId,
        query: &ThreadQuery,
    ) -> Result<ThreadPage, StoreError>;

    /// The message with that id or SID, with its events, oldest first.
    async fn find_message(&self, key: &MessageKey) -> Result<Option<MessageDetail>, StoreError>;

    /// Whether the store can answer now.
    async fn check(&self) -> Result<(), StoreError>;
}

/// Everything that is to be written about a message to us.
#[derive(Debug, Clone, PartialEq)]
pub struct NewInbound {
    /// The id that the message gets.
    pub id: MessageId,
    /// The id that its conversation gets if it is the first.
    pub conversation: ConversationId,
    /// The id that the tenant lookup gets if one is needed.
    pub lookup_job: JobId,
    /// The id that the job gets which tells the tenant's profile of the language, if one is needed.
    pub language_job: JobId,
    /// How long what a lookup said is believed; `None` where nobody can be asked.
    pub lookup_ages: Option<LookupAges>,
    /// The message.
    pub message: InboundMessage,
    /// What its text tells about its language.
    pub detection: Detection,
    /// How we learned of it.
    pub source: Source,
    /// When we did.
    pub received_at: Timestamp,
    /// When it was said, where we learned of it late.
    pub sent_at: Option<Timestamp>,
    /// What it follows from.
    pub origin: Origin,
}

/// What a webhook adds to a message that was found in Twilio's list before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// What the list said, and what the webhook carried.
    pub raw: RawPayload,
    /// Pictures and files.
    pub media: Vec<Media>,
}

impl NewInbound {
    /// When it was said: its place in the conversation.
    #[must_use]
    pub fn said_at(&self) -> Timestamp {
        self.sent_at.unwrap_or(self.received_at)
    }

    /// What this webhook adds to the stored message with its SID, of which `raw` is kept; `None`
    /// where that came by a webhook itself, or was completed before.
    #[must_use]
    pub fn completes(&self, known: &Message, raw: &RawPayload) -> Option<Completion> {
        // Only a webhook spells it so.
        let is_whole = raw.members().contains_key("MessageSid");
        if known.source != Source::Backfill || self.source != Source::Webhook || is_whole {
            return None;
        }
        let mut members = raw.members().clone();
        members.extend(self.message.raw.members().clone());
        let media = Some(&self.message.media).filter(|media| !media.is_empty());
        let media = media.unwrap_or(&known.media).clone();
        Some(Completion { raw: RawPayload::new(members), media })
    }

    /// What the jobs get that follow from it.
    #[must_use]
    pub fn follow_ups(&self) -> FollowUps {
        FollowUps {
            lookup_job: self.lookup_job,
            language_job: self.language_job,
            heard: self.detection.language,
            lookup_ages: self.lookup_ages,
            at: self.received_at,
            origin: self.origin.clone(),
        }
    }

    /// The message as it is stored in that conversation.
    #[must_use]
    pub fn stored_in(&self, conversation: ConversationId) -> Message {
        Message {
            id: self.id,
            conversation,
            direction: Direction::Inbound,
            twilio_sid: Some(self.message.twilio_sid.clone()),
            from_number: self.message.from_number.clone(),
            to_number: self.message.to_number.clone(),
            content: self.message.body.clone(),
            media: self.message.media.clone(),
            delivery: DeliveryState::of(self.message.status),
            sending: None,
            source: self.source,
            created_at: self.said_at(),
            updated_at: self.received_at,
        }
    }
}

/// What became of an inbound message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It was not there before.
    New {
        /// The message.
        message: MessageId,
        /// Its conversation.
        conversation: ConversationId,
        /// The conversation's preference before it.
        before: LanguagePreference,
        /// The conversation's preference after it.
        after: LanguagePreference,
        /// Whether jobs follow from it: no worker is called for nothing.
        has_jobs: bool,
    },
    /// It was there already.
    Duplicate {
        /// The message that has the SID.
        message: MessageId,
    },
}

impl Recorded {
    /// The stored message.
    #[must_use]
    pub fn message(&self) -> MessageId {
        match self {
            Self::New { message, .. } | Self::Duplicate { message } => *message,
        }
    }
}

/// A report of Twilio's that is to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct NewStatusEvent {
    /// The id that it gets.
    pub id: EventId,
    /// What Twilio said.
    pub report: StatusReport,
    /// When it came.
    pub received_at: Timestamp,
}

impl NewStatusEvent {
    /// The event as it is stored, for that message if it is known.
    #[must_use]
    pub fn stored_for(&self, message: Option<MessageId>) -> StatusEvent {
        StatusEvent {
            id: self.id,
            message,
            twilio_sid: self.report.twilio_sid.clone(),
            event_status: self.report.status,
            provider_status: self.report.provider_status.clone(),
            error_code: self.report.error_code.clone(),
            raw: self.report.raw.clone(),
            created_at: self.received_at,
        }
    }
}

/// What became of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusRecorded {
    /// The message is known; this is its state now.
    Applied {
        /// The message.
        message: MessageId,
        /// Its state after the report.
        delivery: DeliveryState,
        /// Whether we had given the message up, and were wrong.
        overturned: bool,
        /// Where the report moved it; `None` where it did not.
        moved: Option<Moved>,
    },
    /// No message has that SID yet: the report is kept.
    Parked,
}

/// Which conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConversationKey {
    /// The one with this id.
    Id(ConversationId),
    /// The one with this address.
    Address(Address),
}

/// Which message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageKey {
    /// The one with this id.
    Id(MessageId),
    /// The one with this SID.
    Sid(TwilioSid),
}

/// Which part of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadQuery {
    /// Which end comes first.
    pub order: Order,
    /// Where the page begins.
    pub start: Start,
    /// How many messages at most.
    pub limit: u32,
}

/// Which end of a thread comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As a reader scrolls back.
    NewestFirst,
    /// As it was said.
    OldestFirst,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// After this many messages.
    Offset(u32),
    /// Right behind this message: every page costs the same.
    Behind(Cursor),
}

/// A place between two messages of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The time of the message before it.
    pub created_at: Timestamp,
    /// That message.
    pub id: MessageId,
}

/// A page of a thread.
#[derive(Debug, Clone, PartialEq)]
pub struct ThreadPage {
    /// The messages, in the order asked for.
    pub messages: Vec<Message>,
    /// How many the whole thread has.
    pub total: u64,
    /// Where the next page begins; `None` where this one is the last.
    pub next: Option<Cursor>,
}

/// Why a store gave no answer. Callers branch on the variant; the source is for the log.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The same call may work later.
    #[error("the store is unavailable")]
    Unavailable(#[source] BoxError),
    /// The same call will fail again: the query or a stored row is wrong.
    #[error("the store rejected the operation")]
    Rejected(#[source] BoxError),
}

/// Tells the language of a text. Pure computation of microseconds: it is called in the webhook's path.
#[cfg_attr(feature = "testing", mockall::automock)]
pub trait LanguageDetector: Send + Sync {
    /// What the text tells. MUST NOT panic on any text.
    fn detect(&self, text: &str) -> Detection;
}

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Makes ids that nobody else makes; later ones sort behind earlier ones.
pub trait IdSource: Send + Sync {
    /// The next id.
    fn next(&self) -> Uuid;
}

/// The only way from a raw request to a message: verifies first, and only then parses.
///
/// There is no default implementation: nobody gets a gate that lets everything through by forgetting it.
pub trait WebhookGate: Send + Sync {
    /// Reads a message to us.
    ///
    /// # Errors
    /// [`Refusal::Forged`] MUST come before anything else of the request is looked at.
    fn open_inbound(&self, request: &RawWebhook<'_>) -> Result<InboundMessage, Refusal>;

    /// Reads a status report.
    ///
    /// # Errors
    /// As above.
    fn open_status(&self, request: &RawWebhook<'_>) -> Result<StatusDelivery, Refusal>;

    /// Whether a request that is not proven names our account all the same: it may be Twilio's,
    /// refused by a mistake in our settings. Proves nothing.
    fn names_our_account(&self, request: &RawWebhook<'_>) -> bool;
}

/// A request as it came, before anybody trusted it.
#[derive(Clone, Copy)]
pub struct RawWebhook<'a> {
    /// Path and query as in the request line, not decoded.
    pub target: &'a str,
    /// Names, in lower case, and values, in the order of the request.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The body as it came.
    pub body: &'a [u8],
}

/// A verified status callback.
#[derive(Debug, Clone, PartialEq)]
pub enum StatusDelivery {
    /// About a message of our account.
    Ours(StatusReport),
    /// About a message of another account: not our business.
    OtherAccount,
}

/// Why a webhook was not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not proven to come from Twilio.
    #[error("the signature is missing or does not fit")]
    Forged(SignatureMistake),
    /// It comes from Twilio but is not a form.
    #[error("the body must be application/x-www-form-urlencoded")]
    NotAForm,
    /// It comes from Twilio but names no message.
    #[error("MessageSid is missing or unusable")]
    NoMessageSid,
}

/// The likely reason why a signature does not fit: what an operator should look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureMistake {
    /// No signature was sent: not Twilio, or a proxy drops the header.
    Missing,
    /// More than one signature was sent.
    Repeated,
    /// It is not the base64 of 20 bytes.
    Malformed,
    /// A body that is no form came without `bodySHA256`, or with one that does not fit.
    BodyHash,
    /// It fits with `http` for `https` or the other way round: `PUBLIC_BASE_URL` has the wrong scheme.
    Scheme,
    /// It fits the host that the request names: `PUBLIC_BASE_URL` has the wrong host.
    Host,
    /// It fits with another port.
    Port,
    /// It fits with another path prefix or trailing slash.
    Path,
    /// It fits the URL without its query: a proxy added parameters, or dropped them.
    Query,
    /// It fits with blanks cut off the values: something in between trims them.
    TrimmedValues,
    /// It fits nothing that we tried: forged, or signed with another auth token.
    Unexplained,
}

impl SignatureMistake {
    /// The word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Repeated => "repeated",
            Self::Malformed => "malformed",
            Self::BodyHash => "body_hash",
            Self::Scheme => "scheme",
            Self::Host => "host",
            Self::Port => "port",
            Self::Path => "path",
            Self::Query => "query",
            Self::TrimmedValues => "trimmed_values",
            Self::Unexplained => "unexplained",
        }
    }

    /// What an operator should look at.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Missing => "no X-Twilio-Signature: not from Twilio, or a proxy drops the header",
            Self::Repeated => {
                "more than one X-Twilio-Signature: a proxy repeats it, or it is forged"
            }
            Self::Malformed => "X-Twilio-Signature is not the base64 of 20 bytes: forged",
            Self::BodyHash => "the body is no form and bodySHA256 does not fit it",
            Self::Scheme => "it would fit with http for https or the reverse: mend PUBLIC_BASE_URL",
            Self::Host => "it would fit the host named in the request: mend PUBLIC_BASE_URL",
            Self::Port => "it would fit with another port: mend PUBLIC_BASE_URL",
            Self::Path => {
                "it would fit with another path prefix or trailing slash: mend PUBLIC_BASE_URL"
            }
            Self::Query => "it would fit without the query: something changes it on the way",
            Self::TrimmedValues => {
                "it would fit with blanks cut off the values: a proxy trims them"
            }
            Self::Unexplained => {
                "it fits nothing: forged, or TWILIO_AUTH_TOKEN is another account's"
            }
        }
    }
}
