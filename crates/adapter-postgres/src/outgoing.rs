//! A message from us with its attempts: read for a decision, and written as the decision says.

use diesel::prelude::*;
use diesel::sql_types::{Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::job::{Job, NewJob, Ticket};
use domain::message::{Direction, Message, MessageId};
use domain::outbound::{Outgoing, SendAttempt, Step};
use domain::ports::MessageKey;
use domain::timestamp::Timestamp;
use futures_util::try_join;
use time::OffsetDateTime;

use crate::locks::lock_message;
use crate::prepared::Prepared;
use crate::rows::{AttemptRow, OutgoingRow, UnreadableRow};
use crate::schema::{sms_messages, sms_send_attempts};
use crate::{conversations, feed, jobs, reading};

/// The message from us with that id or SID; nobody else changes it until the transaction ends.
pub(crate) async fn lock(
    conn: &AsyncPgConnection,
    key: &MessageKey,
) -> QueryResult<Option<Outgoing>> {
    let (message, attempts) = try_join!(lock_message(conn, key), attempts_of(conn, key))?;
    Ok(message.and_then(|message| outgoing(message, attempts)))
}

/// The message from us with that id, as it is now.
pub(crate) async fn find(
    conn: &AsyncPgConnection,
    message: MessageId,
) -> QueryResult<Option<Outgoing>> {
    let key = MessageKey::Id(message);
    // In this order: attempts that are newer than their message prove no less than they should.
    let (message, attempts) =
        try_join!(reading::bare_message(conn, message), attempts_of(conn, &key))?;
    Ok(message.and_then(|message| outgoing(message, attempts)))
}

/// `None` for a message to us.
pub(crate) fn outgoing(message: Message, attempts: Vec<SendAttempt>) -> Option<Outgoing> {
    (message.direction == Direction::Outbound).then_some(Outgoing { message, attempts })
}

/// The attempts to hand over the message with that id or SID, oldest first.
pub(crate) async fn attempts_of(
    mut conn: &AsyncPgConnection,
    key: &MessageKey,
) -> QueryResult<Vec<SendAttempt>> {
    use sms_send_attempts::dsl;
    let attempts = dsl::sms_send_attempts.order(dsl::number).select(AttemptRow::as_select());
    let rows: Vec<AttemptRow> = match key {
        MessageKey::Id(id) => attempts.filter(dsl::message_id.eq(id.0)).load(&mut conn).await?,
        MessageKey::Sid(sid) => {
            let of_sid = sms_messages::table
                .filter(sms_messages::twilio_sid.eq(sid.as_str()))
                .select(sms_messages::id);
            attempts.filter(dsl::message_id.eq_any(of_sid)).load(&mut conn).await?
        }
    };
    read_attempts(rows)
}

pub(crate) fn read_attempts(rows: Vec<AttemptRow>) -> QueryResult<Vec<SendAttempt>> {
    let attempts = rows.into_iter().map(SendAttempt::try_from);
    Ok(attempts.collect::<Result<_, UnreadableRow>>()?)
}

/// Writes all that a rule has led to, and tells of it; the job of the ticket ends, if that is still
/// valid.
pub(crate) async fn write(
    conn: &AsyncPgConnection,
    before: &Outgoing,
    step: &Step,
    ticket: Option<Ticket>,
    at: Timestamp,
) -> QueryResult<()> {
    let events = step.events(&before.message, at);
    let ticket = ticket.map(|ticket| (ticket, at));
    try_join!(write_untold(conn, before, step, ticket), feed::record(conn, &events))?;
    Ok(())
}

/// The same without telling of it: whoever writes several at once tells of all together.
pub(crate) async fn write_untold(
    conn: &AsyncPgConnection,
    before: &Outgoing,
    step: &Step,
    ticket: Option<(Ticket, Timestamp)>,
) -> QueryResult<()> {
    if matches!(step.follow_up, Some(NewJob { job: Job::Send { .. }, .. })) {
        conversations::hold_lane(conn, step.after.message.conversation).await?;
    }
    try_join!(
        update_message(conn, &before.message, &step.after.message),
        write_attempts(conn, before, &step.after),
        touch_conversation(conn, &step.after.message, step.sent_at),
        jobs::enqueue(conn, step.follow_up.as_slice()),
        end_job(conn, ticket, step),
    )?;
    Ok(())
}

async fn update_message(
    mut conn: &AsyncPgConnection,
    before: &Message,
    after: &Message,
) -> QueryResult<()> {
    if after == before {
        return Ok(());
    }
    let message = sms_messages::table.find(after.id.0);
    let update = diesel::update(message).set(OutgoingRow::from(after));
    Prepared(update).execute(&mut conn).await?;
    Ok(())
}

/// Writes the attempts that are new or have changed: seldom more than one.
async fn write_attempts(
    mut conn: &AsyncPgConnection,
    before: &Outgoing,
    after: &Outgoing,
) -> QueryResult<()> {
    for attempt in after.attempts.iter().filter(|attempt| !before.attempts.contains(attempt)) {
        let write = diesel::insert_into(sms_send_attempts::table)
            .values(AttemptRow::from(attempt))
            .on_conflict(sms_send_attempts::id)
            .do_update()
            .set(AttemptRow::from(attempt));
        Prepared(write).execute(&mut conn).await?;
    }
    Ok(())
}

/// Something was sent in it.
async fn touch_conversation(
    mut conn: &AsyncPgConnection,
    sent: &Message,
    sent_at: Option<Timestamp>,
) -> QueryResult<()> {
    let Some(sent_at) = sent_at.map(OffsetDateTime::from) else {
        return Ok(());
    };
    let update = diesel::sql_query(
        "update sms_conversations set last_message_at = greatest(last_message_at, $1), \
             updated_at = greatest(updated_at, $1), our_number = $3 where id = $2",
    )
    .bind::<Timestamptz, _>(sent_at)
    .bind::<SqlUuid, _>(sent.conversation.0)
    .bind::<Text, _>(sent.from_number.as_str());
    Prepared(update).execute(&mut conn).await?;
    Ok(())
}

async fn end_job(
    conn: &AsyncPgConnection,
    ticket: Option<(Ticket, Timestamp)>,
    step: &Step,
) -> QueryResult<()> {
    if let (Some((ticket, at)), Some(ending)) = (ticket, &step.ending) {
        jobs::finish(conn, ticket, ending, at).await?;
    }
    Ok(())
}
