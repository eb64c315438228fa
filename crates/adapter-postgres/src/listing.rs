//! Looking through all messages and all conversations.
//!
//! Every page is read from an index that has its order, from the cursor on: a page far down costs
//! what the first costs.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::delivery::DeliveryStatus;
use domain::message::Message;
use domain::ports::{
    ConversationCursor, ConversationPage, ConversationQuery, Cursor, MessagePage, MessageQuery,
    Order,
};
use time::OffsetDateTime;

use crate::prepared::{Prepared, Rows};
use crate::reading::beyond;
use crate::rows::{
    ConversationColumns, ConversationRow, MessageColumns, MessageRow, UnreadableRow,
    read_conversations,
};
use crate::schema::{sms_conversations, sms_messages};

/// A page of all messages, the latest first.
pub(crate) async fn messages(
    mut conn: &AsyncPgConnection,
    query: &MessageQuery,
) -> QueryResult<MessagePage> {
    let rows: Vec<MessageRow> = message_rows(query).load(&mut conn).await?;
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
pub(crate) fn message_rows(query: &MessageQuery) -> Prepared<impl Rows<MessageColumns>> {
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
    Prepared(rows)
}

/// A page of conversations, the latest active first.
pub(crate) async fn conversations(
    mut conn: &AsyncPgConnection,
    query: &ConversationQuery,
) -> QueryResult<ConversationPage> {
    let rows: Vec<ConversationRow> = conversation_rows(query).load(&mut conn).await?;
    let mut conversations = read_conversations(rows)?;
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let more = conversations.len() > limit;
    conversations.truncate(limit);
    let last = conversations
        .last()
        .filter(|_| more)
        .map(|last| ConversationCursor { last_activity_at: last.last_activity_at(), id: last.id });
    Ok(ConversationPage { conversations, next: last })
}

/// The rows of the page and one more, as above.
pub(crate) fn conversation_rows(
    query: &ConversationQuery,
) -> Prepared<impl Rows<ConversationColumns>> {
    use sms_conversations::dsl;
    let mut rows = dsl::sms_conversations
        .order((dsl::last_activity_at.desc(), dsl::id.desc()))
        .select(ConversationRow::as_select())
        .limit(i64::from(query.limit) + 1)
        .into_boxed();
    if let Some(tenant) = &query.tenant {
        rows = rows.filter(dsl::tenant_id.eq(tenant.to_string()));
    }
    if let Some(workflow_type) = &query.workflow_type {
        rows = rows.filter(dsl::workflow_type.eq(workflow_type.clone()));
    }
    if let Some(workflow_id) = &query.workflow_id {
        rows = rows.filter(dsl::workflow_id.eq(workflow_id.clone()));
    }
    if let Some(language) = query.language {
        rows = rows.filter(dsl::language_detected.eq(language.as_str()));
    }
    if let Some(since) = query.since {
        rows = rows.filter(dsl::last_activity_at.ge(OffsetDateTime::from(since)));
    }
    if let Some(cursor) = query.behind {
        // Compared as a row, so that the index is entered at the cursor.
        let beyond = sql::<Bool>("(last_activity_at, id) < (")
            .bind::<Timestamptz, _>(OffsetDateTime::from(cursor.last_activity_at))
            .sql(", ")
            .bind::<SqlUuid, _>(cursor.id.0)
            .sql(")");
        rows = rows.filter(beyond);
    }
    Prepared(rows)
}
