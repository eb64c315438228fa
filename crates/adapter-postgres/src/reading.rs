//! Reading, outside a transaction.

use diesel::dsl::sql;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use domain::conversation::{Conversation, ConversationId};
use domain::message::{Message, MessageDetail, MessageId};
use domain::ports::{ConversationKey, Cursor, MessageKey, Order, Start, ThreadPage, ThreadQuery};
use futures_util::try_join;
use serde_json::Value;
use time::OffsetDateTime;

use crate::prepared::{Prepared, Rows};
use crate::rows::{ConversationRow, MessageColumns, MessageRow, UnreadableRow, received};
use crate::schema::{sms_conversations, sms_messages};
use crate::{events, outgoing};

/// The conversation with that address or id.
pub(crate) async fn conversation(
    conn: &mut AsyncPgConnection,
    key: &ConversationKey,
) -> QueryResult<Option<Conversation>> {
    let conversations = sms_conversations::table.select(ConversationRow::as_select());
    let found: Option<ConversationRow> = match key {
        ConversationKey::Id(id) => conversations.find(id.0).get_result(conn).await,
        ConversationKey::Address(address) => {
            conversations
                .filter(sms_conversations::phone_number_canonical.eq(address.canonical()))
                .get_result(conn)
                .await
        }
    }
    .optional()?;
    Ok(found.map(Conversation::try_from).transpose()?)
}

/// A page of a conversation's messages.
pub(crate) async fn thread(
    conn: &mut AsyncPgConnection,
    conversation: ConversationId,
    query: &ThreadQuery,
) -> QueryResult<ThreadPage> {
    let conn = &*conn;
    let (total, rows) =
        try_join!(thread_length(conn, conversation), page(conn, conversation, query),)?;
    let messages = rows.into_iter().map(Message::try_from);
    let mut messages: Vec<Message> = messages.collect::<Result<_, UnreadableRow>>()?;
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let more = messages.len() > limit;
    messages.truncate(limit);
    let last = messages
        .last()
        .filter(|_| more)
        .map(|last| Cursor { created_at: last.created_at, id: last.id });
    Ok(ThreadPage { messages, total: u64::try_from(total).unwrap_or(0), next: last })
}

async fn thread_length(
    mut conn: &AsyncPgConnection,
    conversation: ConversationId,
) -> QueryResult<i64> {
    sms_messages::table
        .filter(sms_messages::conversation_id.eq(conversation.0))
        .count()
        .get_result(&mut conn)
        .await
}

async fn page(
    mut conn: &AsyncPgConnection,
    conversation: ConversationId,
    query: &ThreadQuery,
) -> QueryResult<Vec<MessageRow>> {
    thread_rows(conversation, query).load(&mut conn).await
}

/// The rows of the page and one more, if there is one: it tells that another page follows.
pub(crate) fn thread_rows(
    conversation: ConversationId,
    query: &ThreadQuery,
) -> Prepared<impl Rows<MessageColumns>> {
    let mut rows = sms_messages::table
        .filter(sms_messages::conversation_id.eq(conversation.0))
        .select(MessageRow::as_select())
        .limit(i64::from(query.limit) + 1)
        .into_boxed();
    rows = match query.order {
        Order::NewestFirst => {
            rows.order((sms_messages::created_at.desc(), sms_messages::id.desc()))
        }
        Order::OldestFirst => rows.order((sms_messages::created_at, sms_messages::id)),
    };
    rows = match query.start {
        Start::Offset(offset) => rows.offset(i64::from(offset)),
        Start::Behind(cursor) => rows.filter(beyond(cursor, query.order)),
    };
    Prepared(rows)
}

/// Behind the cursor, in that order. Compared as a row, so that the index is entered at the cursor;
/// diesel has no words for it.
pub(crate) fn beyond(
    cursor: Cursor,
    order: Order,
) -> Box<dyn BoxableExpression<sms_messages::table, Pg, SqlType = Bool>> {
    let sign = match order {
        Order::NewestFirst => "<",
        Order::OldestFirst => ">",
    };
    let condition = sql::<Bool>(&format!("(sms_messages.created_at, sms_messages.id) {sign} ("))
        .bind::<Timestamptz, _>(OffsetDateTime::from(cursor.created_at))
        .sql(", ")
        .bind::<SqlUuid, _>(cursor.id.0)
        .sql(")");
    Box::new(condition)
}

/// The message with that id or SID, with its events and attempts.
pub(crate) async fn message(
    conn: &mut AsyncPgConnection,
    key: &MessageKey,
) -> QueryResult<Option<MessageDetail>> {
    let messages =
        sms_messages::table.select((MessageRow::as_select(), sms_messages::raw_webhook_data));
    let found: Option<(MessageRow, Option<Value>)> = match key {
        MessageKey::Id(id) => messages.find(id.0).get_result(conn).await,
        MessageKey::Sid(sid) => {
            messages.filter(sms_messages::twilio_sid.eq(sid.as_str())).get_result(conn).await
        }
    }
    .optional()?;
    let Some((row, raw)) = found else {
        return Ok(None);
    };
    let conn = &*conn;
    let id = MessageId(row.id);
    let key = MessageKey::Id(id);
    let (events, attempts) =
        try_join!(events::of_message(conn, id), outgoing::attempts_of(conn, &key))?;
    Ok(Some(MessageDetail { message: row.try_into()?, raw: received(raw), events, attempts }))
}

/// The message with that id, alone.
pub(crate) async fn bare_message(
    mut conn: &AsyncPgConnection,
    MessageId(id): MessageId,
) -> QueryResult<Option<Message>> {
    let messages = sms_messages::table.select(MessageRow::as_select());
    let found: Option<MessageRow> = messages.find(id).get_result(&mut conn).await.optional()?;
    Ok(found.map(Message::try_from).transpose()?)
}

/// Whether the tables are there and can be written, without writing anything: to lock rows needs all
/// of that, and here there are none.
pub(crate) async fn check(conn: &mut AsyncPgConnection) -> QueryResult<()> {
    conn.batch_execute("select from sms_messages limit 0 for update").await
}
