//! What another program has stored, taken over.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use domain::conversation::ConversationId;
use domain::history::{HistoricConversation, HistoricMessage};
use domain::message::{Message, TwilioSid};
use domain::ports::{ConversationKey, Imported};
use futures_util::try_join;
use uuid::Uuid;

use crate::locks::hold_sids;
use crate::prepared::Prepared;
use crate::rows::{MessageRow, stored};
use crate::schema::sms_messages;
use crate::{conversations, events};

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
        Err(diesel::result::Error::RollbackTransaction) => Ok(Imported::Known),
        written => written,
    }
}

async fn write_message(
    conn: &mut AsyncPgConnection,
    old: &HistoricMessage,
) -> QueryResult<Imported> {
    let address = ConversationKey::Address(old.address.clone());
    // None or one.
    let sids: Vec<&str> = old.message.twilio_sid.iter().map(TwilioSid::as_str).collect();
    conn.transaction(async |conn| {
        let conn = &*conn;
        let ((), parked) = try_join!(hold_sids(conn, &sids), events::parked(conn, &sids))?;
        let opened = old.opened();
        let ((), before) =
            try_join!(conversations::open(conn, &opened), conversations::lock(conn, &address))?;
        let before = before.ok_or(diesel::result::Error::NotFound)?;
        let message = Message { delivery: old.delivery_after(&parked), ..old.stored_in(before.id) };
        if !insert(conn, &message, old).await? {
            return Err(diesel::result::Error::RollbackTransaction);
        }
        let after = before.with_historic(old);
        try_join!(events::attach(conn, &parked, message.id), conversations::update(conn, &after),)?;
        Ok(Imported::New)
    })
    .await
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
