//! What another program has stored, taken over.

use diesel::dsl::{exists, select};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use domain::conversation::{Conversation, ConversationId};
use domain::history::{HistoricConversation, HistoricMessage};
use domain::message::Message;
use domain::ports::{ConversationKey, Imported};

use crate::failure::Failure;
use crate::prepared::Prepared;
use crate::rows::{ProgressColumns, uuid};
use crate::schema::sms_messages;
use crate::{reading, writing};

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
    if is_stored(conn, &old.message)? {
        return Ok(Imported::Known);
    }
    let known = reading::conversation(conn, &ConversationKey::Address(old.address.clone()))?;
    let is_first = known.is_none();
    let after = known.unwrap_or_else(|| old.opened()).with_historic(old);
    write(conn, &after, is_first)?;
    let stored = old.stored_in(after.id);
    writing::message(conn, &stored, &old.raw)?;
    if let Some(sid) = &stored.twilio_sid {
        let parked = writing::attach(conn, sid, stored.id)?;
        let delivery = old.delivery_after(&parked);
        if delivery != stored.delivery {
            let update = diesel::update(sms_messages::table.find(stored.id.to_string()))
                .set(ProgressColumns::from(&Message { delivery, ..stored }));
            Prepared(update).execute(conn)?;
        }
    }
    Ok(Imported::New)
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

/// Whether a message has the SID or the id already.
fn is_stored(conn: &mut SqliteConnection, message: &Message) -> Result<bool, Failure> {
    let sid = message.twilio_sid.as_ref().map(ToString::to_string);
    let of_this_id = sms_messages::table.find(message.id.to_string());
    let with_sid = sms_messages::table.filter(sms_messages::twilio_sid.eq(sid));
    Ok(select(exists(of_this_id)).get_result(conn)? || select(exists(with_sid)).get_result(conn)?)
}
