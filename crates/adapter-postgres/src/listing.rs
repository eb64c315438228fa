//! Looking through all messages.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::delivery::DeliveryStatus;
use domain::message::Message;
use domain::ports::{Cursor, MessagePage, MessageQuery, Order};
use time::OffsetDateTime;

use crate::prepared::Prepared;
use crate::reading::beyond;
use crate::rows::{MessageRow, UnreadableRow};
use crate::schema::sms_messages;

/// A page of all messages, the latest first.
pub(crate) async fn messages(
    conn: &AsyncPgConnection,
    query: &MessageQuery,
) -> QueryResult<MessagePage> {
    let rows = rows(conn, query).await?;
    let messages = rows.into_iter().map(Message::try_from);
    let mut messages: Vec<Message> = messages.collect::<Result<_, UnreadableRow>>()?;
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let more = messages.len() > limit;
    messages.truncate(limit);
    let last = messages
        .last()
        .filter(|_| more)
        .map(|last| Cursor { created_at: last.created_at, id: last.id });
    Ok(MessagePage { messages, next: last })
}

/// The rows of the page and one more, if there is one: it tells that another page follows.
async fn rows(mut conn: &AsyncPgConnection, query: &MessageQuery) -> QueryResult<Vec<MessageRow>> {
    let mut rows = sms_messages::table
        .order((sms_messages::created_at.desc(), sms_messages::id.desc()))
        .select(MessageRow::as_select())
        .limit(i64::from(query.limit) + 1)
        .into_boxed();
    if let Some(status) = query.status {
        rows = rows.filter(sms_messages::shown_status.eq(status.as_str()));
        if status != DeliveryStatus::Received {
            // As in the partial index, which is thereby seen to fit.
            rows = rows.filter(sql::<Bool>("shown_status <> 'received'"));
        }
    }
    if let Some(direction) = query.direction {
        rows = rows.filter(sms_messages::direction.eq(direction.as_str()));
    }
    if let Some(since) = query.since {
        rows = rows.filter(sms_messages::created_at.ge(OffsetDateTime::from(since)));
    }
    if let Some(cursor) = query.behind {
        rows = rows.filter(beyond(cursor, Order::NewestFirst));
    }
    Prepared(rows).load(&mut conn).await
}
