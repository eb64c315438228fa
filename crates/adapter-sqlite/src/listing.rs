//! Pages of messages.

use diesel::dsl::{count_star, sql};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel::sqlite::Sqlite;
use domain::conversation::ConversationId;
use domain::delivery::DeliveryStatus;
use domain::message::Message;
use domain::ports::{Cursor, MessagePage, MessageQuery, Order, Start, ThreadPage, ThreadQuery};

use crate::failure::Failure;
use crate::rows::MessageRow;
use crate::schema::sms_messages;

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
    let mut page = sms_messages::table
        .filter(sms_messages::conversation_id.eq(conversation.to_string()))
        .select(MessageRow::as_select())
        .into_boxed::<Sqlite>();
    page = match query.start {
        Start::Offset(offset) => page.offset(offset.into()),
        Start::Behind(cursor) => behind(page, query.order, &cursor),
    };
    let (messages, next) = load(conn, page, query.order, query.limit)?;
    Ok(ThreadPage { messages, total: u64::try_from(total).unwrap_or_default(), next })
}

/// A page of all messages, the latest first.
pub(crate) fn latest(
    conn: &mut SqliteConnection,
    query: &MessageQuery,
) -> Result<MessagePage, Failure> {
    let mut page = sms_messages::table.select(MessageRow::as_select()).into_boxed::<Sqlite>();
    if let Some(status) = query.status {
        page = shown_as(page, status);
    }
    if let Some(direction) = query.direction {
        page = page.filter(sms_messages::direction.eq(direction.as_str()));
    }
    if let Some(since) = query.since {
        page = page.filter(sms_messages::created_at.ge(since.to_string()));
    }
    if let Some(cursor) = query.behind {
        page = behind(page, Order::NewestFirst, &cursor);
    }
    let (messages, next) = load(conn, page, Order::NewestFirst, query.limit)?;
    Ok(MessagePage { messages, next })
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

/// All but the received have an index, which SQLite takes where its condition is said again.
fn shown_as(page: Page<'_>, status: DeliveryStatus) -> Page<'_> {
    let page = page.filter(sms_messages::shown_status.eq(status.as_str()));
    match status {
        DeliveryStatus::Received => page,
        _ => page.filter(sql::<Bool>("shown_status <> 'received'")),
    }
}

/// The messages of a page, and where the next one begins: one message more than the page holds
/// tells whether another follows.
fn load(
    conn: &mut SqliteConnection,
    page: Page<'_>,
    order: Order,
    limit: u32,
) -> Result<(Vec<Message>, Option<Cursor>), Failure> {
    let page = match order {
        Order::NewestFirst => {
            page.order((sms_messages::created_at.desc(), sms_messages::id.desc()))
        }
        Order::OldestFirst => page.order((sms_messages::created_at, sms_messages::id)),
    };
    let rows: Vec<MessageRow> = page.limit(i64::from(limit) + 1).load(conn)?;
    let messages = rows.into_iter().map(Message::try_from);
    let mut messages = messages.collect::<Result<Vec<_>, _>>()?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = messages.len() > limit;
    messages.truncate(limit);
    let last = messages.last().map(|last| Cursor { created_at: last.created_at, id: last.id });
    Ok((messages, last.filter(|_| more)))
}
