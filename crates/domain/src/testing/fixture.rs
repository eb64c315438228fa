//! Messages and reports to test with.

use std::time::Duration;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::conversation::{ConversationId, LookupAges};
use crate::delivery::{DeliveryState, DeliveryStatus, StatusReport};
use crate::idempotency::{IdempotencyClaim, IdempotencyKey};
use crate::job::{ClaimedJob, Job, JobId};
use crate::language::{Confidence, Detection, Language};
use crate::message::{
    Direction, EventId, InboundMessage, Media, Message, MessageId, RawPayload, Source, TwilioSid,
};
use crate::origin::Origin;
use crate::outbound::{AfterUnsent, AttemptEnd, AttemptId, NewAttempt, SendState, Sending};
use crate::phone::{Address, Region};
use crate::ports::{
    NewInbound, NewOutbound, NewStatusEvent, ProviderFault, ProviderMessage, Recipient,
    SendOutcome, Sender, UnsentReason,
};
use crate::senders::Senders;
use crate::text::Text;
use crate::timestamp::Timestamp;

/// This many seconds after the morning of 22 November 2026.
#[must_use]
pub fn at(seconds: u32) -> Timestamp {
    let morning = Timestamp::EPOCH.after(Duration::from_secs(1_795_340_000));
    morning.after(Duration::from_secs(u64::from(seconds)))
}

/// An id; the same number gives the same id.
#[must_use]
pub fn uuid(number: u32) -> Uuid {
    Uuid::from_u128(0x0195_f2a0_7c1e_7000_8000_0000_0000_0000 | u128::from(number))
}

/// A SID of Twilio's form; the same number gives the same SID.
#[must_use]
pub fn sid(number: u32) -> TwilioSid {
    sid_named(&format!("SM{number:032x}"))
}

/// A SID of any form that fits.
#[must_use]
pub fn sid_named(text: &str) -> TwilioSid {
    TwilioSid::parse(text).unwrap_or_else(|_| sid(0))
}

/// A message to us from `from`, English, taken in `number` seconds after the morning.
#[must_use]
pub fn inbound(number: u32, from: &str) -> NewInbound {
    NewInbound {
        id: MessageId(uuid(10_000_000 + number)),
        conversation: ConversationId(uuid(20_000_000 + number)),
        lookup_job: JobId(uuid(30_000_000 + number)),
        language_job: JobId(uuid(90_000_000 + number)),
        lookup_ages: Some(lookup_ages()),
        detection: detection(Language::English, 900),
        source: Source::Webhook,
        received_at: at(number),
        sent_at: None,
        origin: origin(number),
        message: message(sid(number), from, "Hello, my sink is leaking again"),
    }
}

/// The request that a message comes from: unlike any other, and a part of a trace.
#[must_use]
pub fn origin(number: u32) -> Origin {
    Origin {
        request_id: Some(format!("request-{number}")),
        traceparent: Some(format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{:016x}-01", number + 1)),
    }
}

/// A tenant is believed for 30 days, that there is none for one.
#[must_use]
pub fn lookup_ages() -> LookupAges {
    LookupAges { tenant: Duration::from_hours(30 * 24), nobody: Duration::from_hours(24) }
}

/// A message as the gate gives it.
#[must_use]
pub fn message(twilio_sid: TwilioSid, from: &str, body: &str) -> InboundMessage {
    let raw = payload(json!({
        "MessageSid": twilio_sid.as_str(), "From": from, "To": "+18605550100", "Body": body,
        "NumMedia": "1", "Unheard": ["of", "before"],
    }));
    let from_number = Text::new(from);
    InboundMessage {
        twilio_sid,
        from: Address::read(&from_number, Region::default()),
        from_number,
        to_number: Text::new("+18605550100"),
        body: Some(Text::new(body)),
        media: vec![Media {
            url: "https://api.twilio.com/media/1".into(),
            content_type: Some("image/jpeg".into()),
        }],
        status: DeliveryStatus::Received,
        raw,
    }
}

/// The members of a JSON object.
#[must_use]
pub fn payload(value: Value) -> RawPayload {
    match value {
        Value::Object(members) => RawPayload::new(members),
        _ => RawPayload::new(Map::new()),
    }
}

/// What a detector says.
#[must_use]
pub fn detection(language: Language, thousandths: u16) -> Detection {
    Detection { language, confidence: Confidence::from_thousandths(thousandths) }
}

/// A message from us that Twilio has taken, in that conversation.
#[must_use]
pub fn outbound(number: u32, conversation: ConversationId) -> Message {
    Message {
        id: MessageId(uuid(40_000_000 + number)),
        conversation,
        direction: Direction::Outbound,
        twilio_sid: Some(sid(number)),
        from_number: Text::new("+18605550100"),
        to_number: Text::new("+18605550199"),
        content: Some(Text::new("We will come by at four")),
        media: Vec::new(),
        delivery: DeliveryState::of(DeliveryStatus::Queued),
        sending: Some(Sending {
            state: SendState::Accepted,
            error: None,
            expires_at: at(number + 14_400),
            checks: 0,
            next_check_at: None,
        }),
        source: Source::Api,
        created_at: at(number),
        updated_at: at(number),
    }
}

/// A report about the message with SID number `message`.
#[must_use]
pub fn status(number: u32, message: u32, word: &str, error_code: Option<&str>) -> NewStatusEvent {
    let twilio_sid = sid(message);
    let raw = payload(json!({ "MessageSid": twilio_sid.as_str(), "MessageStatus": word }));
    NewStatusEvent {
        id: EventId(uuid(50_000_000 + number)),
        report: StatusReport::new(twilio_sid, word, error_code, None, raw),
        received_at: at(number),
    }
}

/// A text to `to` that somebody asks for `number` seconds after the morning, without a key and
/// unlike any other.
#[must_use]
pub fn new_outbound(number: u32, to: &str) -> NewOutbound {
    let original = Text::new(to);
    let ours = ["+18605550100", "+18605550101"].map(Sender::read);
    NewOutbound {
        id: MessageId(uuid(40_000_000 + number)),
        conversation: ConversationId(uuid(20_000_000 + number)),
        send_job: JobId(uuid(60_000_000 + number)),
        lookup_job: JobId(uuid(30_000_000 + number)),
        language_job: JobId(uuid(90_000_000 + number)),
        lookup_ages: Some(lookup_ages()),
        recipient: Recipient {
            address: Some((Address::read(&original, Region::default()), original)),
            conversation: None,
        },
        body: Some(Text::new(format!("We will come by at {number}"))),
        media: Vec::new(),
        from: None,
        senders: Senders::new(ours.to_vec(), Region::default()),
        workflow_type: Some("collections".into()),
        workflow_id: None,
        accepted_at: at(number),
        expires_at: at(number + 4 * 3600),
        lease_until: at(number + 5 * 3600),
        idempotency: IdempotencyClaim {
            caller: "tests".into(),
            key: IdempotencyKey::Guessed,
            request_hash: format!("hash {number}"),
            keep: Duration::from_hours(24),
        },
        origin: origin(number),
    }
}

/// The same to a conversation that must be there.
#[must_use]
pub fn to_conversation(new: NewOutbound, conversation: ConversationId) -> NewOutbound {
    let conversation = Some(conversation);
    NewOutbound { recipient: Recipient { address: None, conversation }, ..new }
}

/// The attempt that a send job makes, `number` seconds after the morning.
#[must_use]
pub fn attempt(number: u32, job: &ClaimedJob) -> NewAttempt {
    NewAttempt {
        id: AttemptId(uuid(70_000_000 + number)),
        message: message_of(job),
        ticket: job.ticket,
        at: at(number),
        deadline: at(number + 15),
        resolve_job: JobId(uuid(80_000_000 + number)),
        resolve_at: at(number + 1),
        origin: job.origin.clone(),
    }
}

/// The end of that attempt, a second later.
#[must_use]
pub fn attempt_end(number: u32, job: &ClaimedJob, outcome: SendOutcome) -> AttemptEnd {
    AttemptEnd {
        attempt: AttemptId(uuid(70_000_000 + number)),
        message: message_of(job),
        ticket: job.ticket,
        at: at(number + 1),
        outcome,
        if_unsent: AfterUnsent::RetryAt(at(number + 2)),
        resolve_job: JobId(uuid(85_000_000 + number)),
        resolve_at: at(number + 2),
        attended: false,
        origin: job.origin.clone(),
    }
}

fn message_of(job: &ClaimedJob) -> MessageId {
    match job.job {
        Job::Send { message, .. } | Job::ResolveSend { message, .. } => message,
        Job::TenantLookup { .. } | Job::TellLanguage { .. } => MessageId(uuid(0)),
    }
}

/// Twilio has taken the message and calls it by SID number `of`.
#[must_use]
pub fn accepted(of: u32) -> SendOutcome {
    SendOutcome::Accepted(Box::new(ProviderMessage {
        sid: sid(of),
        status: "queued".into(),
        error_code: None,
        error_message: None,
        inbound: false,
        from: None,
        to: None,
        body: None,
        num_media: 0,
        created_at: None,
        sent_at: None,
        raw: RawPayload::default(),
    }))
}

/// Twilio has refused the message for good.
#[must_use]
pub fn refused(code: &str) -> SendOutcome {
    SendOutcome::Refused(fault(400, code))
}

/// Twilio had no time for the message.
#[must_use]
pub fn unsent() -> SendOutcome {
    let (reason, fault) = (UnsentReason::Busy, fault(429, "20429"));
    SendOutcome::Unsent { reason, fault, retry_after: None }
}

/// Nobody knows.
#[must_use]
pub fn ambiguous() -> SendOutcome {
    SendOutcome::Ambiguous(fault(500, "20500"))
}

fn fault(status: u16, code: &str) -> ProviderFault {
    let message = Some("what it means".into());
    ProviderFault { status: Some(status), code: Some(code.to_owned()), message }
}
