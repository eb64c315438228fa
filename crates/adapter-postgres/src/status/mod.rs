//! What Twilio reports about messages, as many reports at a time as have come.

mod ledger;
mod steps;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::message::{Message, MessageId, StatusEvent, TwilioSid};
use domain::outbound::{Outgoing, SendAttempt, Step};
use domain::ports::{MessageKey, NewStatusEvent, StatusRecorded};
use futures_util::future::try_join_all;
use futures_util::try_join;
use uuid::Uuid;

use crate::groups::GroupWork;
use crate::locks::hold_sids;
use crate::prepared::Prepared;
use crate::rows::{AttemptRow, MessageRow, UnreadableRow};
use crate::schema::{sms_messages, sms_send_attempts};
use crate::transaction::{Patience, begin, commit};
use crate::{conversations, events, feed, outgoing};

use ledger::{Found, Ledger};

/// Reports that share a transaction.
pub(crate) struct StatusGroup;

#[async_trait]
impl GroupWork for StatusGroup {
    type Order = NewStatusEvent;
    type Answer = StatusRecorded;
    type Key = TwilioSid;

    /// The SID of its message.
    fn key(event: &NewStatusEvent) -> TwilioSid {
        event.report.twilio_sid.clone()
    }

    /// Flights of statements that are sent together: the second needs the messages as the first has
    /// locked them.
    async fn write(
        conn: &AsyncPgConnection,
        reports: &[NewStatusEvent],
        patience: Patience,
    ) -> QueryResult<Vec<StatusRecorded>> {
        let sids: Vec<&str> = reports.iter().map(|new| new.report.twilio_sid.as_str()).collect();
        let named: Vec<Uuid> =
            reports.iter().filter_map(|new| new.report.message).map(|id| id.0).collect();
        let ((), (), messages, attempts, parked) = try_join!(
            begin(conn, patience),
            hold_sids(conn, &sids),
            lock_messages(conn, &sids, &named),
            attempts_of(conn, &sids, &named),
            events::parked(conn, &sids),
        )?;
        let ledger = Ledger::of(reports, Found { messages, attempts, parked });
        conversations::hold(conn, &ledger.touched()).await?;
        try_join!(
            steps::write(conn, &ledger.steps),
            events::insert(conn, &ledger.events),
            attach(conn, &ledger.attached),
            feed::record(conn, &ledger.happened),
        )?;
        commit(conn).await?;
        Ok(ledger.answers)
    }
}

/// Moves the message, which is locked and whose SID is held, as the report and those that waited
/// for it say.
pub(crate) async fn apply(
    conn: &AsyncPgConnection,
    named: &Outgoing,
    event: &NewStatusEvent,
    parked: &[StatusEvent],
) -> QueryResult<Step> {
    let step = named.report(&event.report, event.received_at, parked);
    let kept = [event.stored_for(Some(named.message.id))];
    try_join!(
        events::insert(conn, &kept),
        events::attach(conn, parked, named.message.id),
        outgoing::write(conn, named, &step, None, event.received_at),
    )?;
    Ok(step)
}

/// The message from us with that id, if it has no SID yet; nobody else gives it one until the
/// transaction ends.
pub(crate) async fn lock_nameless(
    conn: &AsyncPgConnection,
    id: Option<MessageId>,
) -> QueryResult<Option<Outgoing>> {
    let Some(id) = id else {
        return Ok(None);
    };
    let named = outgoing::lock(conn, &MessageKey::Id(id)).await?;
    Ok(named.filter(|outgoing| outgoing.message.twilio_sid.is_none()))
}

/// The messages with one of these SIDs or ids; nobody else changes them until the transaction ends.
async fn lock_messages(
    mut conn: &AsyncPgConnection,
    sids: &[&str],
    ids: &[Uuid],
) -> QueryResult<Vec<Message>> {
    let locked = sms_messages::table
        .filter(sms_messages::twilio_sid.eq_any(sids).or(sms_messages::id.eq_any(ids)))
        .order(sms_messages::id)
        .select(MessageRow::as_select())
        .for_no_key_update();
    let rows: Vec<MessageRow> = Prepared(locked).load(&mut conn).await?;
    Ok(rows.into_iter().map(Message::try_from).collect::<Result<_, UnreadableRow>>()?)
}

/// The attempts to hand these messages over, oldest first.
async fn attempts_of(
    mut conn: &AsyncPgConnection,
    sids: &[&str],
    ids: &[Uuid],
) -> QueryResult<Vec<SendAttempt>> {
    use sms_send_attempts::dsl;
    let messages = sms_messages::table
        .filter(sms_messages::twilio_sid.eq_any(sids).or(sms_messages::id.eq_any(ids)))
        .select(sms_messages::id);
    let attempts = dsl::sms_send_attempts
        .filter(dsl::message_id.eq_any(messages))
        .order((dsl::message_id, dsl::number))
        .select(AttemptRow::as_select());
    outgoing::read_attempts(Prepared(attempts).load(&mut conn).await?)
}

async fn attach(
    conn: &AsyncPgConnection,
    attached: &[(MessageId, Vec<StatusEvent>)],
) -> QueryResult<()> {
    let attach = attached.iter().map(|(message, parked)| events::attach(conn, parked, *message));
    try_join_all(attach).await?;
    Ok(())
}
