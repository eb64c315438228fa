//! Where messages from us are kept.

use async_trait::async_trait;

use super::{Cursor, MessageKey, NewStatusEvent, StoreError};
use crate::conversation::{Conversation, ConversationId, FollowUps, LookupAges};
use crate::delivery::{DeliveryState, DeliveryStatus};
use crate::idempotency::IdempotencyClaim;
use crate::job::{ClaimedJob, Job, JobId, Ticket};
use crate::language::Language;
use crate::message::{Direction, Media, Message, MessageId, Source, TwilioSid};
use crate::origin::Origin;
use crate::outbound::{AttemptEnd, Beginning, Moved, NewAttempt, Outgoing, Sending};
use crate::phone::Address;
use crate::senders::Senders;
use crate::text::Text;
use crate::timestamp::Timestamp;

/// Messages from us, the attempts to hand them over, and the idempotency keys of those who asked.
///
/// One method is one transaction: after `Ok` all of it is durable, after `Err` none of it is
/// promised. The rules are those of [`Outgoing`], applied under the message's lock; a store writes
/// the [`Step`](crate::outbound::Step) that they give: message, attempts, follow-up job, and the
/// end of the job where its ticket is still valid (a ticket that is not MUST NOT keep the rest from
/// being written). Every implementation runs
/// [`outbound_store_contract!`](crate::outbound_store_contract).
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait OutboundStore: Send + Sync {
    /// Takes a message in to be sent: conversation, message, send job and idempotency key together.
    ///
    /// - The key MUST be looked at first, under a lock, as [`IdempotencyClaim::decide`] says;
    ///   concurrent requests with one key MUST make one message.
    /// - The conversation is locked; it MUST be as [`NewOutbound::open`] and
    ///   [`Conversation::with_outbound`] say, with its [`Conversation::follow_ups`].
    /// - The send job MUST be written as `running`, attempt 1, leased until
    ///   [`NewOutbound::lease_until`], where no unfinished job of its lane exists; else as `queued`.
    /// - Where the key is taken over from a message that was given up, the parked job of that one
    ///   MUST be finished: nobody can send the text twice.
    async fn accept_outbound(&self, new: &NewOutbound) -> Result<Acceptance, StoreError>;

    /// Remembers that whoever asked for the message was told 2xx.
    async fn mark_answered(&self, message: MessageId, at: Timestamp) -> Result<(), StoreError>;

    /// The message with its attempts; `None` where it is not there or not from us.
    async fn find_outgoing(&self, message: MessageId) -> Result<Option<Outgoing>, StoreError>;

    /// Begins an attempt as [`Outgoing::begin`] says, if the ticket is valid and its job's lease is
    /// not over before the attempt's deadline; else nothing MUST change ([`Begun::Lost`]). The same
    /// attempt may begin again: a repeated call MUST change nothing and give the same answer.
    async fn begin_attempt(&self, new: &NewAttempt) -> Result<Begun, StoreError>;

    /// Ends an attempt as [`Outgoing::record`] says. Reports that wait for the SID MUST be attached
    /// and given to the rule. `None` where there is no such message.
    ///
    /// With [`AttemptEnd::attended`], the message's idempotency key is marked as answered unless
    /// the message is refused or given up.
    async fn record_attempt(&self, end: &AttemptEnd)
    -> Result<Option<AttemptRecorded>, StoreError>;

    /// Takes a message that Twilio listed as the one that `event` names by our id, as
    /// [`record_status`](super::MessageStore::record_status) does; but only if nobody else has that
    /// SID, and no other message of the conversation is on its way, whose SID it might be.
    async fn adopt_found(&self, event: &NewStatusEvent) -> Result<Adopted, StoreError>;

    /// Gives an ambiguous message up, as [`Outgoing::conclude`] says; `false` where it is none.
    async fn conclude_not_sent(
        &self,
        message: MessageId,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Cancels a message as [`Outgoing::cancel`] says, and finishes its send job.
    async fn cancel_outbound(
        &self,
        key: &MessageKey,
        at: Timestamp,
    ) -> Result<Canceled, StoreError>;

    /// A page of all messages, the latest first.
    async fn list_messages(&self, query: &MessageQuery) -> Result<MessagePage, StoreError>;

    /// Messages about which Twilio is to be asked ([`Sending::next_check_at`] has come), the
    /// longest due first. Their next check MUST move to `again_at`, so that no other process asks
    /// too.
    async fn claim_status_checks(
        &self,
        at: Timestamp,
        again_at: Timestamp,
        limit: u32,
    ) -> Result<Vec<(MessageId, TwilioSid)>, StoreError>;

    /// A check was made: the message is as [`Sending::checked`] says.
    async fn finish_status_check(
        &self,
        message: MessageId,
        at: Timestamp,
    ) -> Result<(), StoreError>;
}

/// A message that is to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct NewOutbound {
    /// The id that it gets.
    pub id: MessageId,
    /// The id that its conversation gets if it is the first.
    pub conversation: ConversationId,
    /// The id of the job that sends it.
    pub send_job: JobId,
    /// The id that the tenant lookup gets if one is needed.
    pub lookup_job: JobId,
    /// The id that the job gets which tells the tenant's profile of the language, if one is needed.
    pub language_job: JobId,
    /// How long what a lookup said is believed; `None` where nobody can be asked.
    pub lookup_ages: Option<LookupAges>,
    /// Who it is for.
    pub recipient: Recipient,
    /// What it says.
    pub body: Option<Text>,
    /// Pictures and files.
    pub media: Vec<Media>,
    /// The number that the caller asked for, one of ours.
    pub from: Option<Text>,
    /// All that it may be sent from.
    pub senders: Senders,
    /// Becomes the conversation's where given.
    pub workflow_type: Option<String>,
    /// Becomes the conversation's where given.
    pub workflow_id: Option<String>,
    /// When it was taken in.
    pub accepted_at: Timestamp,
    /// When it is given up.
    pub expires_at: Timestamp,
    /// Until then this process has its job to itself.
    pub lease_until: Timestamp,
    /// Who asked, and how a repetition is known.
    pub idempotency: IdempotencyClaim,
    /// What it follows from.
    pub origin: Origin,
}

/// Who a message is for. At least one of them is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The address, and how the caller wrote it.
    pub address: Option<(Address, Text)>,
    /// A conversation that must be there.
    pub conversation: Option<ConversationId>,
}

impl NewOutbound {
    /// What the jobs get that follow from it.
    #[must_use]
    pub fn follow_ups(&self) -> FollowUps {
        FollowUps {
            lookup_job: self.lookup_job,
            language_job: self.language_job,
            heard: Language::Unknown,
            lookup_ages: self.lookup_ages,
            at: self.accepted_at,
            origin: self.origin.clone(),
        }
    }

    /// The conversation that the message goes to, as it is before the message; `known` is what the
    /// store has: the conversation with the given id, or else with the address.
    ///
    /// # Errors
    /// [`Acceptance::NoConversation`], [`Acceptance::OtherNumber`] and
    /// [`Acceptance::CannotBeTexted`].
    #[expect(
        clippy::result_large_err,
        reason = "made once for each text, and returned by value anyway"
    )]
    pub fn open(&self, known: Option<Conversation>) -> Result<Conversation, Acceptance> {
        let Recipient { address, conversation } = &self.recipient;
        match (known, address) {
            (Some(known), Some((address, _)))
                if known.phone_number_canonical.as_str() != address.canonical() =>
            {
                Err(Acceptance::OtherNumber)
            }
            // Of an address that is given the same was asked before.
            (Some(known), None) if !self.senders.can_text(&known.phone_number_canonical) => {
                Err(Acceptance::CannotBeTexted)
            }
            (Some(known), _) => Ok(known),
            (None, Some((address, original))) if conversation.is_none() => Ok(Conversation::new(
                self.conversation,
                address,
                original.clone(),
                self.accepted_at,
            )),
            (None, _) => Err(Acceptance::NoConversation),
        }
    }

    /// The message as it is stored in that conversation, which is as it was before.
    #[must_use]
    pub fn stored_in(&self, conversation: &Conversation) -> Message {
        let to = conversation.phone_number_canonical.clone();
        let used = conversation.our_number.as_ref();
        Message {
            id: self.id,
            conversation: conversation.id,
            direction: Direction::Outbound,
            twilio_sid: None,
            from_number: self.senders.choose(self.from.as_ref(), used, &to),
            to_number: to,
            content: self.body.clone(),
            media: self.media.clone(),
            delivery: DeliveryState::of(DeliveryStatus::Queued),
            sending: Some(Sending::pending(self.expires_at)),
            source: Source::Api,
            created_at: self.accepted_at,
            updated_at: self.accepted_at,
        }
    }

    /// The job that sends it from that conversation.
    #[must_use]
    pub fn job(&self, conversation: ConversationId) -> Job {
        Job::Send { message: self.id, conversation }
    }

    /// That job, where this process may begin at once.
    #[must_use]
    pub fn claimed(&self, conversation: ConversationId) -> ClaimedJob {
        ClaimedJob {
            ticket: Ticket { id: self.send_job, attempt: 1 },
            job: self.job(conversation),
            failures: 0,
            lease_until: self.lease_until,
            origin: self.origin.clone(),
        }
    }
}

/// What became of a message that was to be taken in.
#[derive(Debug, Clone, PartialEq)]
pub enum Acceptance {
    /// It was taken in.
    New {
        /// The message.
        message: Box<Message>,
        /// The job to be run at once; `None` where others of the conversation come first.
        job: Option<ClaimedJob>,
    },
    /// It is an earlier one, as it stands now.
    Joined(Box<Outgoing>),
    /// The key belongs to another request.
    Conflict {
        /// What that one made.
        existing: MessageId,
    },
    /// There is no conversation with the given id.
    NoConversation,
    /// The conversation with the given id has another number than the one given.
    OtherNumber,
    /// The conversation with the given id is with nobody whom a text can be sent to: with one of our
    /// own numbers, a short code, a name.
    CannotBeTexted,
}

/// Whether an attempt may be made.
#[derive(Debug, Clone, PartialEq)]
pub enum Begun {
    /// As the rule says; the message as it is now.
    As(Beginning, Box<Outgoing>),
    /// The job is no longer this worker's, or not for long enough.
    Lost,
}

/// What the end of an attempt led to.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRecorded {
    /// The message as it is now.
    pub outgoing: Outgoing,
    /// Whether we had given it up, and were wrong.
    pub overturned: bool,
    /// Where its end moved the message; `None` where it did not.
    pub moved: Option<Moved>,
}

/// Whether a message that Twilio listed is the one sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adopted {
    /// It is.
    Taken {
        /// Whether we had given the message up, and were wrong.
        overturned: bool,
        /// Where it moved the message; `None` where it did not.
        moved: Option<Moved>,
    },
    /// It is another's, or the message has a SID already.
    NotIt,
    /// Another message of the conversation is on its way: look again later.
    Wait,
}

/// What became of a cancellation.
#[derive(Debug, Clone, PartialEq)]
pub enum Canceled {
    /// It will not be sent.
    Done(Box<Message>),
    /// It was, or may have been, sent, or was given up.
    TooLate(Box<Message>),
    /// There is no such message from us.
    NotFound,
}

/// Which messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageQuery {
    /// With this status, as [`Message::shown`] gives it.
    pub status: Option<DeliveryStatus>,
    /// Which way they go.
    pub direction: Option<Direction>,
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// Right behind this one.
    pub behind: Option<Cursor>,
    /// How many at most.
    pub limit: u32,
}

/// A page of messages.
#[derive(Debug, Clone, PartialEq)]
pub struct MessagePage {
    /// The latest first.
    pub messages: Vec<Message>,
    /// Where the next page begins; `None` where this one is the last.
    pub next: Option<Cursor>,
}
