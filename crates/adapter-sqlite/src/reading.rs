//! Conversations and messages, as they are stored. Each function is called in a transaction, so
//! that what it puts together is of one moment.

use diesel::prelude::*;
use domain::conversation::Conversation;
use domain::message::{Direction, Message, MessageDetail, MessageId, RawPayload, StatusEvent};
use domain::ports::{ConversationKey, MessageKey};

use crate::failure::Failure;
use crate::outgoing;
use crate::rows::{ConversationRow, EventRow, MessageRow, raw_from_column};
use crate::schema::{sms_conversations, sms_message_status_events, sms_messages};

/// The conversation with that address or id.
pub(crate) fn conversation(
    conn: &mut SqliteConnection,
    key: &ConversationKey,
) -> Result<Option<Conversation>, Failure> {
    let all = sms_conversations::table.select(ConversationRow::as_select());
    let row = match key {
        ConversationKey::Id(id) => all.find(id.to_string()).first(conn),
        ConversationKey::Address(address) => all
            .filter(sms_conversations::phone_number_canonical.eq(address.canonical()))
            .first(conn),
    };
    row.optional()?.map(Conversation::try_from).transpose()
}

/// The message with that id or SID.
pub(crate) fn message(
    conn: &mut SqliteConnection,
    key: &MessageKey,
) -> Result<Option<Message>, Failure> {
    let all = sms_messages::table.select(MessageRow::as_select());
    let row = match key {
        MessageKey::Id(id) => all.find(id.to_string()).first(conn),
        MessageKey::Sid(sid) => all.filter(sms_messages::twilio_sid.eq(sid.as_str())).first(conn),
    };
    row.optional()?.map(Message::try_from).transpose()
}

/// The message with that id or SID, and all that is known about it.
pub(crate) fn detail(
    conn: &mut SqliteConnection,
    key: &MessageKey,
) -> Result<Option<MessageDetail>, Failure> {
    let Some(message) = message(conn, key)? else {
        return Ok(None);
    };
    let attempts = match message.direction {
        Direction::Inbound => Vec::new(),
        Direction::Outbound => outgoing::attempts(conn, message.id)?,
    };
    Ok(Some(MessageDetail {
        raw: raw(conn, message.id)?,
        events: events(conn, message.id)?,
        attempts,
        message,
    }))
}

/// Nothing, if the tables are there and can be read.
pub(crate) fn check(conn: &mut SqliteConnection) -> Result<(), Failure> {
    let newest: QueryResult<String> = sms_messages::table.select(sms_messages::id).first(conn);
    newest.optional()?;
    Ok(())
}

/// Nothing, if the file can be written. To begin a transaction does not say so.
pub(crate) fn check_writing(conn: &mut SqliteConnection) -> Result<(), Failure> {
    diesel::sql_query("update sms_messages set id = id where 0").execute(conn)?;
    Ok(())
}

fn raw(conn: &mut SqliteConnection, message: MessageId) -> Result<RawPayload, Failure> {
    let raw: Option<String> = sms_messages::table
        .find(message.to_string())
        .select(sms_messages::raw_webhook_data)
        .first(conn)?;
    raw_from_column(raw.as_deref())
}

fn events(conn: &mut SqliteConnection, message: MessageId) -> Result<Vec<StatusEvent>, Failure> {
    let rows: Vec<EventRow> = sms_message_status_events::table
        .filter(sms_message_status_events::message_id.eq(message.to_string()))
        .order((sms_message_status_events::created_at, sms_message_status_events::id))
        .select(EventRow::as_select())
        .load(conn)?;
    rows.into_iter().map(StatusEvent::try_from).collect()
}
