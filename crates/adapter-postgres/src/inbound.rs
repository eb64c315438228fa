//! A message to us.

use diesel::dsl::exists;
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use domain::conversation::Conversation;
use domain::event::NewEvent;
use domain::message::{Message, MessageId};
use domain::ports::{ConversationKey, MessageKey, NewInbound, Recorded};
use futures_util::try_join;
use time::OffsetDateTime;

use crate::locks::{hold_sid, lock_message};
use crate::prepared::Prepared;
use crate::rows::{DeliveryRow, MessageRow, stored};
use crate::schema::{sms_message_status_events, sms_messages};
use crate::{conversations, feed, jobs};

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
    let address = ConversationKey::Address(inbound.message.from.clone());
    conn.transaction(async |conn| {
        let conn = &*conn;
        let ((), (), before) = try_join!(
            hold_sid(conn, &inbound.message.twilio_sid),
            conversations::open(conn, &opened),
            conversations::lock(conn, &address),
        )?;
        let before = before.ok_or(diesel::result::Error::NotFound)?;
        let after = before.with(inbound);
        let follow_ups = after.follow_ups(&inbound.follow_ups());
        let events = NewEvent::of_inbound(inbound, &before, &after);
        let (is_new, (), (), (), ()) = try_join!(
            insert_message(conn, &before, inbound),
            attach_parked_events(conn, inbound),
            conversations::update(conn, &after),
            jobs::enqueue(conn, &follow_ups),
            feed::record(conn, &events),
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
    let sid = MessageKey::Sid(inbound.message.twilio_sid.clone());
    conn.transaction(async |conn| {
        let conn = &*conn;
        let known = lock_message(conn, &sid).await?;
        let known = known.ok_or(diesel::result::Error::NotFound)?;
        let further = known.delivery.advance_inbound(inbound.message.status);
        if further != known.delivery {
            let after = Message {
                delivery: further,
                updated_at: known.updated_at.max(inbound.received_at),
                ..known.clone()
            };
            let events = NewEvent::of_change(&known, &after, false, inbound.received_at);
            try_join!(become_state(conn, &after), feed::record(conn, &events))?;
        }
        Ok(Recorded::Duplicate { message: known.id })
    })
    .await
}

async fn become_state(mut conn: &AsyncPgConnection, after: &Message) -> QueryResult<()> {
    let updated_at = OffsetDateTime::from(after.updated_at);
    let update = diesel::update(sms_messages::table.find(after.id.0))
        .set((DeliveryRow::of(&after.delivery), sms_messages::updated_at.eq(updated_at)));
    Prepared(update).execute(&mut conn).await?;
    Ok(())
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
