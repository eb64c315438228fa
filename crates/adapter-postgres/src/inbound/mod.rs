//! Messages to us, as many at a time as have come.

mod ledger;
mod messages;

use std::collections::HashSet;

use async_trait::async_trait;
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::conversation::Conversation;
use domain::message::{Message, MessageId, RawPayload};
use domain::ports::{Completion, NewInbound, Recorded};
use futures_util::future::try_join_all;
use futures_util::try_join;
use serde_json::Value;
use time::OffsetDateTime;

use crate::groups::GroupWork;
use crate::locks::hold_sids;
use crate::prepared::Prepared;
use crate::rows::{
    ConversationRow, DeliveryRow, MessageRow, UnreadableRow, json, read_conversations, received,
    stored,
};
use crate::schema::{sms_conversations, sms_messages};
use crate::transaction::{Patience, begin, commit, roll_back};
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
        let found = match arrivals.find(conn, patience).await? {
            Some(found) => found,
            None => arrivals.open_and_find(conn, patience).await?,
        };
        let ledger = Ledger::of(inbound, found)?;
        if ledger.is_plain() {
            try_join!(write_new(conn, &ledger), commit(conn))?;
        } else {
            try_join!(write_new(conn, &ledger), write_rest(conn, &ledger))?;
            commit(conn).await?;
        }
        Ok(ledger.answers)
    }
}

/// Writes what nearly every group has, in one statement: new messages, what they have made of their
/// conversations, and what happened.
async fn write_new(mut conn: &AsyncPgConnection, ledger: &Ledger<'_>) -> QueryResult<()> {
    if ledger.messages.is_empty() && ledger.events.is_empty() {
        return Ok(());
    }
    let conversations_at = 1 + messages::VALUES;
    let events_at = conversations_at + conversations::VALUES_AFTER_TEXTS;
    let statement = diesel::sql_query(format!(
        "with m as ({}), c as ({}), {}",
        messages::insert(1),
        conversations::update_after_texts(conversations_at),
        feed::record_after(events_at),
    ));
    let statement = messages::bind(statement.into_boxed(), &ledger.messages)?;
    let statement = conversations::bind_after_texts(statement, &ledger.conversations)?;
    Prepared(feed::bind(statement, &ledger.events)).execute(&mut conn).await?;
    Ok(())
}

/// What few do.
async fn write_rest(conn: &AsyncPgConnection, ledger: &Ledger<'_>) -> QueryResult<()> {
    try_join!(
        advance(conn, &ledger.advanced),
        complete(conn, &ledger.completed),
        events::attach_by_sid(conn, &ledger.awaited),
        jobs::enqueue(conn, &ledger.jobs),
    )?;
    Ok(())
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

    /// Begins the transaction, takes its locks and reads what there is. `None` where an address has
    /// no conversation yet.
    async fn find(
        &self,
        conn: &AsyncPgConnection,
        patience: Patience,
    ) -> QueryResult<Option<Found>> {
        let ((), (), conversations) = try_join!(
            begin(conn, patience),
            hold_sids(conn, &self.sids),
            self.lock_conversations(conn),
        )?;
        if conversations.len() < self.addresses.len() {
            return Ok(None);
        }
        self.found(conn, conversations).await.map(Some)
    }

    /// Begins anew, because conversations are opened before others are locked, and opens them.
    async fn open_and_find(
        &self,
        conn: &AsyncPgConnection,
        patience: Patience,
    ) -> QueryResult<Found> {
        let ((), (), (), (), conversations) = try_join!(
            roll_back(conn),
            begin(conn, patience),
            hold_sids(conn, &self.sids),
            conversations::open_unless_known(conn, &self.openings, &self.sids),
            self.lock_conversations(conn),
        )?;
        self.found(conn, conversations).await
    }

    /// The conversations of the addresses, which nobody else changes until the transaction ends;
    /// with each, whether messages of the group are there already and whether reports wait for any.
    async fn lock_conversations(
        &self,
        mut conn: &AsyncPgConnection,
    ) -> QueryResult<Vec<(ConversationRow, bool, bool)>> {
        let known = sms_messages::table.filter(sms_messages::twilio_sid.eq_any(&self.sids));
        let parked = events::parked_with(&self.sids);
        let locked = sms_conversations::table
            .filter(sms_conversations::phone_number_canonical.eq_any(&self.addresses))
            .order(sms_conversations::id)
            .select((ConversationRow::as_select(), exists(known), exists(parked)))
            .for_no_key_update();
        Prepared(locked).load(&mut conn).await
    }

    async fn found(
        &self,
        conn: &AsyncPgConnection,
        rows: Vec<(ConversationRow, bool, bool)>,
    ) -> QueryResult<Found> {
        // All rows say the same; without any nothing was said.
        let is_known = rows.is_empty() || rows.iter().any(|(_, is_known, _)| *is_known);
        let is_awaited = rows.is_empty() || rows.iter().any(|(_, _, is_awaited)| *is_awaited);
        let conversations = rows.into_iter().map(|(row, ..)| row).collect();
        let mut found = Found {
            messages: Vec::new(),
            parked: HashSet::new(),
            conversations: read_conversations(conversations)?,
        };
        if is_known {
            found.messages = messages_with(conn, &self.sids).await?;
        }
        if is_awaited {
            found.parked = events::parked_sids(conn, &self.sids).await?;
        }
        Ok(found)
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
