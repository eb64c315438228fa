//! Conversations, threads and messages, as they are stored. Each function is called in a
//! transaction, so that what it puts together is of one moment.

use diesel::dsl::count_star;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::conversation::{Conversation, ConversationId};
use domain::message::{Message, MessageDetail, MessageId, StatusEvent};
use domain::ports::{ConversationKey, Cursor, MessageKey, Order, Start, ThreadPage, ThreadQuery};

use crate::failure::Failure;
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

/// A page of the messages of a conversation.
pub(crate) fn thread(
    conn: &mut SqliteConnection,
    conversation: ConversationId,
    query: &ThreadQuery,
) -> Result<ThreadPage, Failure> {
    let total: i64 = sms_messages::table
        .filter(sms_messages::conversation_id.eq(conversation.to_string()))
        .select(count_star())
        .first(conn)?;
    let mut messages = one_more_than_asked(conn, conversation, query)?;
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let more = messages.len() > limit;
    messages.truncate(limit);
    let last = messages.last().map(|last| Cursor { created_at: last.created_at, id: last.id });
    Ok(ThreadPage {
        messages,
        total: u64::try_from(total).unwrap_or_default(),
        next: last.filter(|_| more),
    })
}

/// The message with that id or SID, and its events.
pub(crate) fn message(
    conn: &mut SqliteConnection,
    key: &MessageKey,
) -> Result<Option<MessageDetail>, Failure> {
    let all = sms_messages::table.select((MessageRow::as_select(), sms_messages::raw_webhook_data));
    let row = match key {
        MessageKey::Id(id) => all.find(id.to_string()).first(conn),
        MessageKey::Sid(sid) => all.filter(sms_messages::twilio_sid.eq(sid.as_str())).first(conn),
    };
    let Some((row, raw)) = row.optional()? else {
        return Ok(None);
    };
    let raw: Option<String> = raw;
    let message = Message::try_from(row)?;
    Ok(Some(MessageDetail {
        events: events(conn, message.id)?,
        raw: raw_from_column(raw.as_deref())?,
        message,
    }))
}

/// Nothing, if the tables are there and can be read.
pub(crate) fn check(conn: &mut SqliteConnection) -> Result<(), Failure> {
    let newest: QueryResult<String> = sms_messages::table.select(sms_messages::id).first(conn);
    newest.optional()?;
    Ok(())
}

/// One message more than the page holds tells whether another page follows.
fn one_more_than_asked(
    conn: &mut SqliteConnection,
    conversation: ConversationId,
    query: &ThreadQuery,
) -> Result<Vec<Message>, Failure> {
    let mut page = sms_messages::table
        .filter(sms_messages::conversation_id.eq(conversation.to_string()))
        .select(MessageRow::as_select())
        .limit(i64::from(query.limit) + 1)
        .into_boxed::<Sqlite>();
    page = match query.order {
        Order::NewestFirst => {
            page.order((sms_messages::created_at.desc(), sms_messages::id.desc()))
        }
        Order::OldestFirst => page.order((sms_messages::created_at, sms_messages::id)),
    };
    page = match query.start {
        Start::Offset(offset) => page.offset(offset.into()),
        Start::Behind(cursor) => behind(page, query.order, &cursor),
    };
    let rows: Vec<MessageRow> = page.load(conn)?;
    rows.into_iter().map(Message::try_from).collect()
}

type Page<'a> = sms_messages::BoxedQuery<
    'a,
    Sqlite,
    diesel::dsl::SqlTypeOf<diesel::dsl::AsSelect<MessageRow, Sqlite>>,
>;

/// The first condition is what the index starts from; the second leaves out the cursor's own
/// instant up to its message.
fn behind<'a>(page: Page<'a>, order: Order, cursor: &Cursor) -> Page<'a> {
    let (at, id) = (cursor.created_at.to_string(), cursor.id.to_string());
    match order {
        Order::NewestFirst => page
            .filter(sms_messages::created_at.le(at.clone()))
            .filter(sms_messages::created_at.lt(at).or(sms_messages::id.lt(id))),
        Order::OldestFirst => page
            .filter(sms_messages::created_at.ge(at.clone()))
            .filter(sms_messages::created_at.gt(at).or(sms_messages::id.gt(id))),
    }
}

fn events(conn: &mut SqliteConnection, message: MessageId) -> Result<Vec<StatusEvent>, Failure> {
    let rows: Vec<EventRow> = sms_message_status_events::table
        .filter(sms_message_status_events::message_id.eq(message.to_string()))
        .order((sms_message_status_events::created_at, sms_message_status_events::id))
        .select(EventRow::as_select())
        .load(conn)?;
    rows.into_iter().map(StatusEvent::try_from).collect()
}
