//! What another program has stored, taken over.

use diesel::dsl::max;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use domain::conversation::{Conversation, ConversationId};
use domain::event::NewEvent;
use domain::history::{HistoricConversation, HistoricMessage};
use domain::message::{Direction, Message};
use domain::ports::{ConversationKey, Imported, MessageKey};
use domain::timestamp::Timestamp;

use crate::failure::Failure;
use crate::prepared::Prepared;
use crate::rows::{ProgressColumns, time, uuid};
use crate::schema::sms_messages;
use crate::{feed, reading, writing};

#[derive(QueryableByName)]
struct LeadsTo {
    #[diesel(sql_type = Text)]
    conversation_id: String,
}

/// Writes a conversation, or completes the one with its address.
pub(crate) fn conversation(
    conn: &mut SqliteConnection,
    old: &HistoricConversation,
) -> Result<Imported, Failure> {
    let known = reading::conversation(conn, &ConversationKey::Address(old.address.clone()))?;
    let is_first = known.is_none();
    let after = known.map_or_else(|| old.opened(), |known| known.with_history(old));
    let leads_to = leads_to(conn, old.old_id)?;
    if leads_to.is_some_and(|id| id != after.id) {
        return Ok(Imported::Taken);
    }
    write(conn, &after, is_first)?;
    if leads_to.is_none() {
        lead(conn, old.old_id, after.id)?;
    }
    Ok(if is_first { Imported::New } else { Imported::Known })
}

/// The conversation that an old id leads to.
pub(crate) fn leads_to(
    conn: &mut SqliteConnection,
    old_id: i64,
) -> Result<Option<ConversationId>, Failure> {
    let statement =
        sql_query("select conversation_id from imported_conversations where old_id = ?1")
            .bind::<BigInt, _>(old_id);
    let row: Option<LeadsTo> = Prepared(statement).get_result(conn).optional()?;
    row.map(|row| Ok(ConversationId(uuid(&row.conversation_id)?))).transpose()
}

/// Writes a message into the conversation of its address.
pub(crate) fn message(
    conn: &mut SqliteConnection,
    old: &HistoricMessage,
) -> Result<Imported, Failure> {
    if let Some(stored) = stored(conn, &old.message)? {
        return bring_forward(conn, &stored, old);
    }
    let known = reading::conversation(conn, &ConversationKey::Address(old.address.clone()))?;
    let is_first = known.is_none();
    let before = known.unwrap_or_else(|| old.opened());
    let after = before.with_historic(old, newest_in(conn, before.id)?);
    write(conn, &after, is_first)?;
    let stored = old.stored_in(after.id);
    writing::message(conn, &stored, &old.raw)?;
    if let Some(sid) = &stored.twilio_sid {
        let parked = writing::attach(conn, sid, stored.id)?;
        let delivery = old.delivery_after(&parked);
        if delivery != stored.delivery {
            update(conn, &Message { delivery, ..stored })?;
        }
    }
    Ok(Imported::New)
}

/// Completes the message that has the SID or the id already.
fn bring_forward(
    conn: &mut SqliteConnection,
    stored: &Message,
    old: &HistoricMessage,
) -> Result<Imported, Failure> {
    // Reports wait only for a SID that no message has.
    let is_nameless = stored.direction == Direction::Outbound && stored.twilio_sid.is_none();
    let parked = match &old.message.twilio_sid {
        Some(sid) if is_nameless => writing::attach(conn, sid, stored.id)?,
        _ => Vec::new(),
    };
    let Some(after) = old.brings_forward(stored, &parked) else {
        return Ok(Imported::Known);
    };
    update(conn, &after)?;
    feed::record(conn, &NewEvent::of_change(stored, &after, false, after.updated_at))?;
    Ok(Imported::Completed)
}

fn update(conn: &mut SqliteConnection, message: &Message) -> Result<(), Failure> {
    let update = diesel::update(sms_messages::table.find(message.id.to_string()))
        .set(ProgressColumns::from(message));
    Prepared(update).execute(conn)?;
    Ok(())
}

fn write(
    conn: &mut SqliteConnection,
    conversation: &Conversation,
    is_first: bool,
) -> Result<(), Failure> {
    if is_first { writing::open(conn, conversation) } else { writing::revise(conn, conversation) }
}

/// From now on the old id leads to that conversation.
fn lead(
    conn: &mut SqliteConnection,
    old_id: i64,
    conversation: ConversationId,
) -> Result<(), Failure> {
    let statement =
        sql_query("insert into imported_conversations (old_id, conversation_id) values (?1, ?2)")
            .bind::<BigInt, _>(old_id)
            .bind::<Text, _>(conversation.to_string());
    Prepared(statement).execute(conn)?;
    Ok(())
}

/// The message with its SID or else with its id.
fn stored(conn: &mut SqliteConnection, old: &Message) -> Result<Option<Message>, Failure> {
    if let Some(sid) = &old.twilio_sid
        && let Some(stored) = reading::message(conn, &MessageKey::Sid(sid.clone()))?
    {
        return Ok(Some(stored));
    }
    reading::message(conn, &MessageKey::Id(old.id))
}

/// When the latest message of a conversation was said.
fn newest_in(
    conn: &mut SqliteConnection,
    conversation: ConversationId,
) -> Result<Option<Timestamp>, Failure> {
    let newest: Option<String> = sms_messages::table
        .filter(sms_messages::conversation_id.eq(conversation.to_string()))
        .select(max(sms_messages::created_at))
        .get_result(conn)?;
    newest.as_deref().map(time).transpose()
}
