//! What another program has stored, taken over.

use diesel::dsl::max;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use domain::conversation::ConversationId;
use domain::event::NewEvent;
use domain::history::{HistoricConversation, HistoricMessage};
use domain::message::{Message, TwilioSid};
use domain::ports::{ConversationKey, Imported, MessageKey};
use domain::timestamp::Timestamp;
use futures_util::try_join;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::locks::{hold_sids, lock_message};
use crate::prepared::Prepared;
use crate::rows::{MessageRow, OutgoingRow, stored};
use crate::schema::sms_messages;
use crate::{conversations, events, feed};

#[derive(QueryableByName)]
struct LeadsTo {
    #[diesel(sql_type = SqlUuid)]
    conversation_id: Uuid,
}

/// Writes a conversation, or completes the one with its address.
pub(crate) async fn conversation(
    conn: &mut AsyncPgConnection,
    old: &HistoricConversation,
) -> QueryResult<Imported> {
    let address = ConversationKey::Address(old.address.clone());
    let opened = old.opened();
    let imported = conn.transaction(async |conn| {
        let conn = &*conn;
        let ((), known) =
            try_join!(conversations::open(conn, &opened), conversations::lock(conn, &address))?;
        let known = known.ok_or(diesel::result::Error::NotFound)?;
        let is_new = known.id == opened.id;
        let after = known.with_history(old);
        let ((), leads_to) = try_join!(
            conversations::update(conn, &after),
            leads_to_or(conn, old.old_id, after.id),
        )?;
        if leads_to != after.id {
            return Err(diesel::result::Error::RollbackTransaction);
        }
        Ok(if is_new { Imported::New } else { Imported::Known })
    });
    match imported.await {
        Err(diesel::result::Error::RollbackTransaction) => Ok(Imported::Taken),
        imported => imported,
    }
}

/// Where an old id leads: to that conversation, unless it leads elsewhere already.
async fn leads_to_or(
    mut conn: &AsyncPgConnection,
    old_id: i64,
    conversation: ConversationId,
) -> QueryResult<ConversationId> {
    let statement = diesel::sql_query(
        "insert into imported_conversations as known (old_id, conversation_id) values ($1, $2) \
         on conflict (old_id) do update set old_id = known.old_id returning conversation_id",
    )
    .bind::<BigInt, _>(old_id)
    .bind::<SqlUuid, _>(conversation.0);
    let row: LeadsTo = Prepared(statement).get_result(&mut conn).await?;
    Ok(ConversationId(row.conversation_id))
}

/// The conversation that an old id leads to.
pub(crate) async fn leads_to(
    mut conn: &AsyncPgConnection,
    old_id: i64,
) -> QueryResult<Option<ConversationId>> {
    let statement =
        diesel::sql_query("select conversation_id from imported_conversations where old_id = $1")
            .bind::<BigInt, _>(old_id);
    let row: Option<LeadsTo> = Prepared(statement).get_result(&mut conn).await.optional()?;
    Ok(row.map(|row| ConversationId(row.conversation_id)))
}

/// Writes a message into the conversation of its address.
pub(crate) async fn message(
    conn: &mut AsyncPgConnection,
    old: &HistoricMessage,
) -> QueryResult<Imported> {
    match write_message(conn, old).await {
        // A message that is known must leave nothing behind, not even a conversation.
        Err(diesel::result::Error::RollbackTransaction) => bring_forward(conn, old).await,
        written => written,
    }
}

/// Completes the message that has the SID or the id already.
async fn bring_forward(
    conn: &mut AsyncPgConnection,
    old: &HistoricMessage,
) -> QueryResult<Imported> {
    let sids = sids_of(old);
    conn.transaction(async |conn| {
        let conn = &*conn;
        let ((), parked, stored) = try_join!(
            hold_sids(conn, &sids),
            events::parked(conn, &sids),
            lock_stored(conn, &old.message)
        )?;
        let further =
            stored.and_then(|stored| Some((old.brings_forward(&stored, &parked)?, stored)));
        let Some((after, stored)) = further else {
            return Ok(Imported::Known);
        };
        let happened = NewEvent::of_change(&stored, &after, false, after.updated_at);
        try_join!(
            update(conn, &after),
            events::attach(conn, &parked, after.id),
            feed::record(conn, &happened),
        )?;
        Ok(Imported::Completed)
    })
    .await
}

/// The message with its SID or else with its id; nobody else changes it until the transaction ends.
async fn lock_stored(conn: &AsyncPgConnection, old: &Message) -> QueryResult<Option<Message>> {
    if let Some(sid) = &old.twilio_sid
        && let Some(stored) = lock_message(conn, &MessageKey::Sid(sid.clone())).await?
    {
        return Ok(Some(stored));
    }
    lock_message(conn, &MessageKey::Id(old.id)).await
}

async fn update(mut conn: &AsyncPgConnection, after: &Message) -> QueryResult<()> {
    let update = diesel::update(sms_messages::table.find(after.id.0)).set(OutgoingRow::from(after));
    Prepared(update).execute(&mut conn).await?;
    Ok(())
}

/// None or one.
fn sids_of(old: &HistoricMessage) -> Vec<&str> {
    old.message.twilio_sid.iter().map(TwilioSid::as_str).collect()
}

async fn write_message(
    conn: &mut AsyncPgConnection,
    old: &HistoricMessage,
) -> QueryResult<Imported> {
    let address = ConversationKey::Address(old.address.clone());
    let sids = sids_of(old);
    conn.transaction(async |conn| {
        let conn = &*conn;
        let ((), parked) = try_join!(hold_sids(conn, &sids), events::parked(conn, &sids))?;
        let opened = old.opened();
        let ((), before) =
            try_join!(conversations::open(conn, &opened), conversations::lock(conn, &address))?;
        let before = before.ok_or(diesel::result::Error::NotFound)?;
        let message = Message { delivery: old.delivery_after(&parked), ..old.stored_in(before.id) };
        // In this order: the newest is the newest of the others.
        let (newest, is_new) = try_join!(newest_in(conn, before.id), insert(conn, &message, old))?;
        if !is_new {
            return Err(diesel::result::Error::RollbackTransaction);
        }
        let after = before.with_historic(old, newest);
        try_join!(events::attach(conn, &parked, message.id), conversations::update(conn, &after),)?;
        Ok(Imported::New)
    })
    .await
}

/// When the latest message of a conversation was said.
async fn newest_in(
    mut conn: &AsyncPgConnection,
    ConversationId(conversation): ConversationId,
) -> QueryResult<Option<Timestamp>> {
    let newest = sms_messages::table
        .filter(sms_messages::conversation_id.eq(conversation))
        .select(max(sms_messages::created_at));
    let newest: Option<OffsetDateTime> = Prepared(newest).get_result(&mut conn).await?;
    Ok(newest.map(Timestamp::from))
}

/// `false` where a message has the SID or the id already.
async fn insert(
    mut conn: &AsyncPgConnection,
    message: &Message,
    old: &HistoricMessage,
) -> QueryResult<bool> {
    let inserted = diesel::insert_into(sms_messages::table)
        .values((
            MessageRow::of(message)?,
            sms_messages::raw_webhook_data.eq(stored(old.raw.clone())),
        ))
        .on_conflict_do_nothing()
        .execute(&mut conn)
        .await?;
    Ok(inserted == 1)
}
