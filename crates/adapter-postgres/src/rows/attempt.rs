//! Attempts to hand a message over.

use diesel::prelude::*;
use domain::message::MessageId;
use domain::outbound::{AttemptId, AttemptOutcome, SendAttempt};
use domain::timestamp::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{UnreadableRow, count, stored_count};
use crate::schema::sms_send_attempts;

/// A row of `sms_send_attempts`.
#[derive(Insertable, AsChangeset, Queryable, Selectable)]
#[diesel(table_name = sms_send_attempts, check_for_backend(diesel::pg::Pg))]
#[diesel(treat_none_as_null = true, treat_none_as_default_value = false)]
pub(crate) struct AttemptRow {
    id: Uuid,
    message_id: Uuid,
    number: i32,
    started_at: OffsetDateTime,
    deadline: OffsetDateTime,
    finished_at: Option<OffsetDateTime>,
    outcome: Option<String>,
    status_code: Option<i32>,
    error_code: Option<String>,
}

impl From<&SendAttempt> for AttemptRow {
    fn from(attempt: &SendAttempt) -> Self {
        Self {
            id: attempt.id.0,
            message_id: attempt.message.0,
            number: stored_count(attempt.number),
            started_at: attempt.started_at.into(),
            deadline: attempt.deadline.into(),
            finished_at: attempt.finished_at.map(Into::into),
            outcome: attempt.outcome.map(|outcome| outcome.as_str().to_owned()),
            status_code: attempt.status_code.map(i32::from),
            error_code: attempt.error_code.clone(),
        }
    }
}

impl TryFrom<AttemptRow> for SendAttempt {
    type Error = UnreadableRow;

    fn try_from(row: AttemptRow) -> Result<Self, UnreadableRow> {
        let outcome =
            |word: String| AttemptOutcome::from_word(&word).ok_or(UnreadableRow("outcome"));
        let status_code = row.status_code.map(|code| count("status_code", code));
        Ok(Self {
            id: AttemptId(row.id),
            message: MessageId(row.message_id),
            number: count("number", row.number)?,
            started_at: row.started_at.into(),
            deadline: row.deadline.into(),
            finished_at: row.finished_at.map(Timestamp::from),
            outcome: row.outcome.map(outcome).transpose()?,
            status_code: status_code.transpose()?,
            error_code: row.error_code,
        })
    }
}
