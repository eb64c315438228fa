//! Conversations, messages and reports, as they are written by both ways that messages go.

use diesel::dsl::{exists, select};
use diesel::prelude::*;
use domain::conversation::Conversation;
use domain::message::{Message, MessageId, RawPayload, StatusEvent, TwilioSid};

use crate::failure::Failure;
use crate::prepared::Prepared;
use crate::rows::{
    ConversationRow, EventRow, MessageRow, SaidColumns, TenantColumns, raw_to_column,
};
use crate::schema::sms_message_status_events as events;
use crate::schema::{sms_conversations, sms_messages};

/// Writes a conversation that was not there before.
pub(crate) fn open(conn: &mut SqliteConnection, opened: &Conversation) -> Result<(), Failure> {
    diesel::insert_into(sms_conversations::table)
        .values(ConversationRow::try_from(opened)?)
        .execute(conn)?;
    Ok(())
}

/// Writes what was said or is run in a conversation. What is known of its tenant stays untouched,
/// and so does the index over that.
pub(crate) fn go_on(conn: &mut SqliteConnection, after: &Conversation) -> Result<(), Failure> {
    let update = diesel::update(sms_conversations::table.find(after.id.to_string()))
        .set(SaidColumns::try_from(after)?);
    Prepared(update).execute(conn)?;
    Ok(())
}

/// Writes all that can change in a conversation.
pub(crate) fn revise(conn: &mut SqliteConnection, after: &Conversation) -> Result<(), Failure> {
    let update = diesel::update(sms_conversations::table.find(after.id.to_string()))
        .set((SaidColumns::try_from(after)?, TenantColumns::from(after)));
    Prepared(update).execute(conn)?;
    Ok(())
}

/// Writes a message that was not there before.
pub(crate) fn message(
    conn: &mut SqliteConnection,
    message: &Message,
    raw: &RawPayload,
) -> Result<(), Failure> {
    let raw = raw_to_column(raw)?;
    diesel::insert_into(sms_messages::table)
        .values((MessageRow::try_from(message)?, sms_messages::raw_webhook_data.eq(raw)))
        .execute(conn)?;
    Ok(())
}

/// Gives the message the reports that waited for its SID. Looks first, because there is hardly
/// ever one.
pub(crate) fn attach(
    conn: &mut SqliteConnection,
    sid: &TwilioSid,
    message: MessageId,
) -> Result<Vec<StatusEvent>, Failure> {
    let waiting = events::table
        .filter(events::twilio_sid.eq(sid.as_str()))
        .filter(events::message_id.is_null());
    if !select(exists(waiting)).get_result::<bool>(conn)? {
        return Ok(Vec::new());
    }
    let rows: Vec<EventRow> = waiting.select(EventRow::as_select()).order(events::id).load(conn)?;
    let attach = diesel::update(waiting).set(events::message_id.eq(message.to_string()));
    Prepared(attach).execute(conn)?;
    let attached = |row| StatusEvent::try_from(row).map(|event| of(event, message));
    rows.into_iter().map(attached).collect()
}

fn of(event: StatusEvent, message: MessageId) -> StatusEvent {
    StatusEvent { message: Some(message), ..event }
}
