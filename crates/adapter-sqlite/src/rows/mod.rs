//! Rows of the tables: the domain's values as columns, and back.
//!
//! No row is `Debug`: they hold numbers and texts.

mod attempt;
mod conversation;
mod event;
mod feed;
mod job;
mod message;

use diesel::result::Error::SerializationError;
use domain::delivery::DeliveryStatus;
use domain::message::{RawPayload, TwilioSid};
use domain::timestamp::Timestamp;
use uuid::Uuid;

use crate::failure::Failure;

pub(crate) use attempt::{AttemptRow, OutcomeColumns};
pub(crate) use conversation::{ConversationRow, SaidColumns, TenantColumns};
pub(crate) use event::EventRow;
pub(crate) use feed::{FeedRow, HookRow, SubscriptionRow};
pub(crate) use job::{DueRow, JobRow};
pub(crate) use message::{MessageRow, ProgressColumns, SendingColumns};

/// `raw_webhook_data`: null where nothing came.
pub(crate) fn raw_to_column(raw: &RawPayload) -> Result<Option<String>, Failure> {
    let members = raw.members();
    (!members.is_empty()).then(|| to_json(members)).transpose()
}

/// What came, from `raw_webhook_data`.
pub(crate) fn raw_from_column(column: Option<&str>) -> Result<RawPayload, Failure> {
    let Some(text) = column else {
        return Ok(RawPayload::default());
    };
    serde_json::from_str(text)
        .map(RawPayload::from_stored)
        .map_err(|_| Failure::Unreadable("raw_webhook_data"))
}

pub(crate) fn uuid(text: &str) -> Result<Uuid, Failure> {
    Uuid::try_parse(text).map_err(|_| Failure::Unreadable("id"))
}

pub(crate) fn time(text: &str) -> Result<Timestamp, Failure> {
    Timestamp::parse(text).map_err(|_| Failure::Unreadable("time"))
}

pub(crate) fn delivery_status(word: &str) -> Result<DeliveryStatus, Failure> {
    known("delivery status", word, DeliveryStatus::from_word)
}

/// What a word of the data model means.
pub(crate) fn known<T>(
    column: &'static str,
    word: &str,
    from_word: fn(&str) -> Option<T>,
) -> Result<T, Failure> {
    from_word(word).ok_or(Failure::Unreadable(column))
}

pub(crate) fn sid(text: &str) -> Result<TwilioSid, Failure> {
    TwilioSid::parse(text).map_err(|_| Failure::Unreadable("twilio_sid"))
}

pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<String, Failure> {
    let json = serde_json::to_string(value);
    Ok(json.map_err(|error| SerializationError(Box::new(error)))?)
}
