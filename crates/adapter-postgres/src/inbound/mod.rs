//! Messages to us, as many at a time as have come.

mod ledger;

use std::borrow::Cow;
use std::collections::HashSet;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{Array, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::conversation::Conversation;
use domain::message::{Message, MessageId, RawPayload, TwilioSid};
use domain::ports::{Completion, NewInbound, Recorded};
use futures_util::future::try_join_all;
use futures_util::try_join;
use serde_json::Value;
use time::OffsetDateTime;

use crate::groups::GroupWork;
use crate::locks::hold_sids;
use crate::prepared::Prepared;
use crate::rows::{
    DeliveryRow, MessageRow, UnreadableRow, column, json, json_text, raw_text, received, stored,
};
use crate::schema::sms_messages;
use crate::transaction::{Patience, begin, commit};
use crate::{conversations, events, feed, jobs};

use ledger::{Found, Ledger};

/// Messages to us that share a transaction.
pub(crate) struct InboundGroup;

#[async_trait]
impl GroupWork for InboundGroup {
    type Order = NewInbound;
    type Answer = Recorded;
    type Key = String;

    /// The address of its conversation.
    fn key(inbound: &NewInbound) -> String {
        inbound.message.from.canonical()
    }

    /// Two flights of statements that are sent together: the second needs the conversations as the
    /// first has locked them.
    async fn write(
        conn: &AsyncPgConnection,
        inbound: &[NewInbound],
        patience: Patience,
    ) -> QueryResult<Vec<Recorded>> {
        let arrivals = Arrivals::of(inbound);
        let ((), (), messages, parked, (), conversations) = try_join!(
            begin(conn, patience),
            hold_sids(conn, &arrivals.sids),
            messages_with(conn, &arrivals.sids),
            events::parked_sids(conn, &arrivals.sids),
            conversations::open_unless_known(conn, &arrivals.openings, &arrivals.sids),
            conversations::lock_all(conn, &arrivals.addresses),
        )?;
        let ledger = Ledger::of(inbound, Found { messages, parked, conversations })?;
        try_join!(
            insert_messages(conn, &ledger.messages),
            advance(conn, &ledger.advanced),
            complete(conn, &ledger.completed),
            events::attach_by_sid(conn, &ledger.awaited),
            conversations::update_after_texts(conn, &ledger.conversations),
            jobs::enqueue(conn, &ledger.jobs),
            feed::record(conn, &ledger.events),
        )?;
        commit(conn).await?;
        Ok(ledger.answers)
    }
}

/// What the messages of a group may open and wait for.
struct Arrivals<'a> {
    /// Each once.
    sids: Vec<&'a str>,
    /// The conversation that the first message of each SID would open.
    openings: Vec<Conversation>,
    /// Of all conversations, each once.
    addresses: Vec<String>,
}

impl<'a> Arrivals<'a> {
    fn of(inbound: &'a [NewInbound]) -> Self {
        let mut seen = HashSet::new();
        let firsts = inbound.iter().filter(|new| seen.insert(new.message.twilio_sid.as_str()));
        let (sids, openings) = firsts
            .map(|new| (new.message.twilio_sid.as_str(), Conversation::opened_by(new)))
            .unzip();
        let addresses: HashSet<_> = inbound.iter().map(InboundGroup::key).collect();
        Self { sids, openings, addresses: addresses.into_iter().collect() }
    }
}

/// The messages that have one of these SIDs, which are held; nearly always none.
async fn messages_with(
    mut conn: &AsyncPgConnection,
    sids: &[&str],
) -> QueryResult<Vec<(Message, RawPayload)>> {
    let known = sms_messages::table
        .filter(sms_messages::twilio_sid.eq_any(sids))
        .select((MessageRow::as_select(), sms_messages::raw_webhook_data));
    let rows: Vec<(MessageRow, Option<Value>)> = Prepared(known).load(&mut conn).await?;
    let known = rows.into_iter().map(|(row, raw)| Ok((Message::try_from(row)?, received(raw))));
    Ok(known.collect::<Result<_, UnreadableRow>>()?)
}

/// Writes messages to us. What no such message has is left empty.
async fn insert_messages(
    mut conn: &AsyncPgConnection,
    messages: &[(Message, Cow<'_, RawPayload>)],
) -> QueryResult<()> {
    if messages.is_empty() {
        return Ok(());
    }
    let media =
        messages.iter().map(|new| json_text(&new.0.media)).collect::<QueryResult<Vec<_>>>()?;
    let raw = messages.iter().map(|new| raw_text(&new.1)).collect::<QueryResult<Vec<_>>>()?;
    let insert = diesel::sql_query(
        "insert into sms_messages (id, conversation_id, twilio_sid, from_number, to_number, \
             message_content, delivery_status, source, media, raw_webhook_data, created_at, \
             updated_at, direction) \
         select id, conversation_id, twilio_sid, from_number, to_number, message_content, \
             delivery_status, source, media::jsonb, raw::jsonb, created_at, updated_at, 'inbound' \
         from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
             as new (id, conversation_id, twilio_sid, from_number, to_number, message_content, \
                 delivery_status, source, media, raw, created_at, updated_at)",
    )
    .bind::<Array<SqlUuid>, _>(column(messages, |(new, _)| new.id.0))
    .bind::<Array<SqlUuid>, _>(column(messages, |(new, _)| new.conversation.0))
    .bind::<Array<Nullable<Text>>, _>(column(messages, |(new, _)| {
        new.twilio_sid.as_ref().map(TwilioSid::as_str)
    }))
    .bind::<Array<Text>, _>(column(messages, |(new, _)| new.from_number.as_str()))
    .bind::<Array<Text>, _>(column(messages, |(new, _)| new.to_number.as_str()))
    .bind::<Array<Nullable<Text>>, _>(column(messages, |(new, _)| {
        new.content.as_ref().map(domain::text::Text::as_str)
    }))
    .bind::<Array<Text>, _>(column(messages, |(new, _)| new.delivery.status.as_str()))
    .bind::<Array<Text>, _>(column(messages, |(new, _)| new.source.as_str()))
    .bind::<Array<Text>, _>(media)
    .bind::<Array<Nullable<Text>>, _>(raw)
    .bind::<Array<Timestamptz>, _>(column(messages, |(new, _)| {
        OffsetDateTime::from(new.created_at)
    }))
    .bind::<Array<Timestamptz>, _>(column(messages, |(new, _)| {
        OffsetDateTime::from(new.updated_at)
    }));
    Prepared(insert).execute(&mut conn).await?;
    Ok(())
}

/// Writes the status of messages whose repeat brought something new: hardly ever any.
async fn advance(conn: &AsyncPgConnection, messages: &[Message]) -> QueryResult<()> {
    try_join_all(messages.iter().map(|message| advance_one(conn, message))).await?;
    Ok(())
}

async fn advance_one(mut conn: &AsyncPgConnection, message: &Message) -> QueryResult<()> {
    let update = diesel::update(sms_messages::table.find(message.id.0)).set((
        DeliveryRow::of(&message.delivery),
        sms_messages::updated_at.eq(OffsetDateTime::from(message.updated_at)),
    ));
    Prepared(update).execute(&mut conn).await?;
    Ok(())
}

/// Writes what the webhooks of messages carried that were found in Twilio's list before.
async fn complete(
    conn: &AsyncPgConnection,
    completed: &[(MessageId, Completion)],
) -> QueryResult<()> {
    try_join_all(completed.iter().map(|(id, completion)| complete_one(conn, *id, completion)))
        .await?;
    Ok(())
}

async fn complete_one(
    mut conn: &AsyncPgConnection,
    id: MessageId,
    completion: &Completion,
) -> QueryResult<()> {
    let update = diesel::update(sms_messages::table.find(id.0)).set((
        sms_messages::raw_webhook_data.eq(stored(completion.raw.clone())),
        sms_messages::media.eq(json(&completion.media)?),
    ));
    Prepared(update).execute(&mut conn).await?;
    Ok(())
}
