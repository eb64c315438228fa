//! A message to us.

use diesel::dsl::exists;
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use domain::conversation::Conversation;
use domain::job::NewJob;
use domain::message::MessageId;
use domain::ports::{NewInbound, Recorded};
use futures_util::try_join;

use crate::locks::{hold_sid, lock_message};
use crate::prepared::Prepared;
use crate::rows::{ConversationRow, JobRow, MessageRow, stored};
use crate::schema::{jobs, sms_conversations, sms_message_status_events, sms_messages};

/// Writes it with its conversation and its follow-up jobs, or finds that it is there already.
pub(crate) async fn record(
    conn: &mut AsyncPgConnection,
    inbound: &NewInbound,
) -> QueryResult<Recorded> {
    match write(conn, inbound).await {
        // A repeat must leave nothing behind, not even a conversation that it would have opened.
        Err(diesel::result::Error::RollbackTransaction) => repeat(conn, inbound).await,
        written => written,
    }
}

/// One transaction in two steps, each of statements that are sent together: the second needs the
/// conversation as the first has locked it. `RollbackTransaction` where the SID is known.
async fn write(conn: &mut AsyncPgConnection, inbound: &NewInbound) -> QueryResult<Recorded> {
    let opened = Conversation::opened_by(inbound);
    conn.transaction(async |conn| {
        let conn = &*conn;
        let ((), (), before) = try_join!(
            hold_sid(conn, &inbound.message.twilio_sid),
            open_conversation(conn, &opened),
            lock_conversation(conn, &opened),
        )?;
        let after = before.with(inbound);
        let (is_new, (), (), ()) = try_join!(
            insert_message(conn, &before, inbound),
            attach_parked_events(conn, inbound),
            update_conversation(conn, &after),
            insert_jobs(conn, after.follow_ups(inbound)),
        )?;
        if !is_new {
            return Err(diesel::result::Error::RollbackTransaction);
        }
        Ok(Recorded::New {
            message: inbound.id,
            conversation: after.id,
            before: before.language,
            after: after.language,
        })
    })
    .await
}

/// The same message came again: only a status further on is taken over.
async fn repeat(conn: &mut AsyncPgConnection, inbound: &NewInbound) -> QueryResult<Recorded> {
    conn.transaction(async |conn| {
        let conn = &*conn;
        let known = lock_message(conn, &inbound.message.twilio_sid).await?;
        let known = known.ok_or(diesel::result::Error::NotFound)?;
        let further = known.delivery.advance_inbound(inbound.message.status);
        known.become_state(conn, &further, inbound.received_at).await?;
        Ok(Recorded::Duplicate { message: known.id })
    })
    .await
}

async fn open_conversation(mut conn: &AsyncPgConnection, opened: &Conversation) -> QueryResult<()> {
    diesel::insert_into(sms_conversations::table)
        .values(ConversationRow::of(opened)?)
        .on_conflict_do_nothing()
        .execute(&mut conn)
        .await?;
    Ok(())
}

/// The conversation with the address of `opened`; nobody else changes it until the transaction
/// ends.
async fn lock_conversation(
    mut conn: &AsyncPgConnection,
    opened: &Conversation,
) -> QueryResult<Conversation> {
    let canonical = opened.phone_number_canonical.as_str();
    let row: ConversationRow = sms_conversations::table
        .filter(sms_conversations::phone_number_canonical.eq(canonical))
        .select(ConversationRow::as_select())
        .for_no_key_update()
        .get_result(&mut conn)
        .await?;
    Ok(row.try_into()?)
}

/// `false` where a message has the SID already.
async fn insert_message(
    mut conn: &AsyncPgConnection,
    conversation: &Conversation,
    inbound: &NewInbound,
) -> QueryResult<bool> {
    let raw = stored(inbound.message.raw.clone());
    let inserted = diesel::insert_into(sms_messages::table)
        .values((
            MessageRow::of(&inbound.stored_in(conversation.id))?,
            sms_messages::raw_webhook_data.eq(raw),
        ))
        .on_conflict(sms_messages::twilio_sid)
        .do_nothing()
        .execute(&mut conn)
        .await?;
    Ok(inserted == 1)
}

/// Gives the message the reports that came before it, if the message is the one just inserted.
async fn attach_parked_events(
    mut conn: &AsyncPgConnection,
    inbound: &NewInbound,
) -> QueryResult<()> {
    use sms_message_status_events::dsl;
    let MessageId(id) = inbound.id;
    let parked = dsl::sms_message_status_events
        .filter(dsl::twilio_sid.eq(inbound.message.twilio_sid.as_str()))
        .filter(dsl::message_id.is_null())
        // The insert went ahead in the same breath: whether it found the SID known is not seen yet.
        .filter(exists(sms_messages::table.find(id)));
    let attach = diesel::update(parked).set(dsl::message_id.eq(id));
    Prepared(attach).execute(&mut conn).await?;
    Ok(())
}

async fn update_conversation(
    mut conn: &AsyncPgConnection,
    conversation: &Conversation,
) -> QueryResult<()> {
    let row = ConversationRow::of(conversation)?;
    let update = diesel::update(sms_conversations::table.find(conversation.id.0)).set(row);
    Prepared(update).execute(&mut conn).await?;
    Ok(())
}

/// Writes the jobs of which no unfinished one has the key.
async fn insert_jobs(mut conn: &AsyncPgConnection, follow_ups: Vec<NewJob>) -> QueryResult<()> {
    for job in follow_ups {
        diesel::insert_into(jobs::table)
            .values(JobRow::from(job))
            .on_conflict_do_nothing()
            .execute(&mut conn)
            .await?;
    }
    Ok(())
}
