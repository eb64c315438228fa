//! A message from us with its attempts: loaded, and written after a rule was applied to it. The
//! writer is the only one who writes, so what is read in its transaction stays true until the
//! commit: that is its lock.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Text;
use domain::job::Ticket;
use domain::message::{Direction, Message, MessageId};
use domain::outbound::{Outgoing, SendAttempt, Step};
use domain::ports::MessageKey;
use domain::timestamp::Timestamp;

use crate::failure::Failure;
use crate::prepared::Prepared;
use crate::rows::{AttemptRow, OutcomeColumns, ProgressColumns};
use crate::schema::{sms_messages, sms_send_attempts};
use crate::{feed, jobs, reading};

/// Something was sent in it. Times only move forward.
const TOUCH_CONVERSATION: &str = "
    update sms_conversations
    set last_message_at = max(coalesce(last_message_at, ?1), ?1), updated_at = max(updated_at, ?1),
        our_number = ?3
    where id = ?2";

/// The message from us with that id or SID, and its attempts.
pub(crate) fn find(
    conn: &mut SqliteConnection,
    key: &MessageKey,
) -> Result<Option<Outgoing>, Failure> {
    let message = reading::message(conn, key)?;
    let ours = message.filter(|message| message.direction == Direction::Outbound);
    ours.map(|message| of(conn, message)).transpose()
}

/// The message with its attempts.
pub(crate) fn of(conn: &mut SqliteConnection, message: Message) -> Result<Outgoing, Failure> {
    let attempts = attempts(conn, message.id)?;
    Ok(Outgoing { message, attempts })
}

/// The attempts to hand a message over, oldest first.
pub(crate) fn attempts(
    conn: &mut SqliteConnection,
    message: MessageId,
) -> Result<Vec<SendAttempt>, Failure> {
    let rows: Vec<AttemptRow> = sms_send_attempts::table
        .filter(sms_send_attempts::message_id.eq(message.to_string()))
        .order(sms_send_attempts::number)
        .select(AttemptRow::as_select())
        .load(conn)?;
    rows.into_iter().map(SendAttempt::try_from).collect()
}

/// The message from us with that id, if it has no SID yet.
pub(crate) fn nameless(
    conn: &mut SqliteConnection,
    id: Option<MessageId>,
) -> Result<Option<Message>, Failure> {
    let Some(id) = id else {
        return Ok(None);
    };
    let message = reading::message(conn, &MessageKey::Id(id))?;
    Ok(message
        .filter(|message| message.direction == Direction::Outbound && message.twilio_sid.is_none()))
}

/// Writes all that a rule has led to. A ticket that is no longer valid keeps nothing else from
/// being written.
pub(crate) fn write(
    conn: &mut SqliteConnection,
    before: &Outgoing,
    step: &Step,
    ticket: Option<Ticket>,
    at: Timestamp,
) -> Result<(), Failure> {
    let after = &step.after;
    write_attempts(conn, before, after)?;
    if after.message != before.message {
        write_progress(conn, &after.message)?;
    }
    if let Some(sent_at) = step.sent_at {
        touch_conversation(conn, &after.message, sent_at)?;
    }
    feed::record(conn, &step.events(&before.message, at))?;
    if let Some(job) = &step.follow_up {
        jobs::enqueue(conn, job)?;
    }
    if let (Some(ticket), Some(ending)) = (ticket, &step.ending) {
        jobs::finish(conn, ticket, ending, at)?;
    }
    Ok(())
}

fn write_attempts(
    conn: &mut SqliteConnection,
    before: &Outgoing,
    after: &Outgoing,
) -> Result<(), Failure> {
    for attempt in &after.attempts {
        match before.attempts.iter().find(|known| known.id == attempt.id) {
            Some(known) if known == attempt => {}
            Some(_) => end_attempt(conn, attempt)?,
            None => insert_attempt(conn, attempt)?,
        }
    }
    Ok(())
}

fn insert_attempt(conn: &mut SqliteConnection, attempt: &SendAttempt) -> Result<(), Failure> {
    diesel::insert_into(sms_send_attempts::table)
        .values(AttemptRow::from(attempt))
        .execute(conn)?;
    Ok(())
}

fn end_attempt(conn: &mut SqliteConnection, attempt: &SendAttempt) -> Result<(), Failure> {
    let update = diesel::update(sms_send_attempts::table.find(attempt.id.to_string()))
        .set(OutcomeColumns::from(attempt));
    Prepared(update).execute(conn)?;
    Ok(())
}

fn write_progress(conn: &mut SqliteConnection, message: &Message) -> Result<(), Failure> {
    let update = diesel::update(sms_messages::table.find(message.id.to_string()))
        .set(ProgressColumns::from(message));
    Prepared(update).execute(conn)?;
    Ok(())
}

fn touch_conversation(
    conn: &mut SqliteConnection,
    sent: &Message,
    sent_at: Timestamp,
) -> Result<(), Failure> {
    let touch = sql_query(TOUCH_CONVERSATION)
        .bind::<Text, _>(sent_at.to_string())
        .bind::<Text, _>(sent.conversation.to_string())
        .bind::<Text, _>(sent.from_number.as_str());
    Prepared(touch).execute(conn)?;
    Ok(())
}
