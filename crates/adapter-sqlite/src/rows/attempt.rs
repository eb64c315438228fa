//! Rows of `sms_send_attempts`.

use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::message::MessageId;
use domain::outbound::{AttemptId, AttemptOutcome, SendAttempt};

use super::{known, time, uuid};
use crate::failure::Failure;
use crate::schema::sms_send_attempts;

/// A row of `sms_send_attempts`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = sms_send_attempts, check_for_backend(Sqlite))]
#[diesel(treat_none_as_default_value = false)]
pub(crate) struct AttemptRow {
    id: String,
    message_id: String,
    number: i64,
    started_at: String,
    deadline: String,
    #[diesel(embed)]
    end: OutcomeColumns,
}

/// What the end of an attempt changes in its row.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = sms_send_attempts, check_for_backend(Sqlite))]
#[diesel(treat_none_as_default_value = false, treat_none_as_null = true)]
pub(crate) struct OutcomeColumns {
    finished_at: Option<String>,
    outcome: Option<String>,
    status_code: Option<i64>,
    error_code: Option<String>,
}

impl From<&SendAttempt> for AttemptRow {
    fn from(attempt: &SendAttempt) -> Self {
        Self {
            id: attempt.id.to_string(),
            message_id: attempt.message.to_string(),
            number: attempt.number.into(),
            started_at: attempt.started_at.to_string(),
            deadline: attempt.deadline.to_string(),
            end: OutcomeColumns::from(attempt),
        }
    }
}

impl From<&SendAttempt> for OutcomeColumns {
    fn from(attempt: &SendAttempt) -> Self {
        Self {
            finished_at: attempt.finished_at.map(|at| at.to_string()),
            outcome: attempt.outcome.map(|outcome| outcome.as_str().to_owned()),
            status_code: attempt.status_code.map(i64::from),
            error_code: attempt.error_code.clone(),
        }
    }
}

impl TryFrom<AttemptRow> for SendAttempt {
    type Error = Failure;

    fn try_from(row: AttemptRow) -> Result<Self, Failure> {
        let outcome = |word: &str| known("outcome", word, AttemptOutcome::from_word);
        let status_code = row.end.status_code.map(u16::try_from).transpose();
        Ok(Self {
            id: AttemptId(uuid(&row.id)?),
            message: MessageId(uuid(&row.message_id)?),
            number: row.number.try_into().map_err(|_| Failure::Unreadable("number"))?,
            started_at: time(&row.started_at)?,
            deadline: time(&row.deadline)?,
            finished_at: row.end.finished_at.as_deref().map(time).transpose()?,
            outcome: row.end.outcome.as_deref().map(outcome).transpose()?,
            status_code: status_code.map_err(|_| Failure::Unreadable("status_code"))?,
            error_code: row.end.error_code,
        })
    }
}
