//! The reports about a message, and those that wait for one.

use std::collections::HashSet;

use diesel::prelude::*;
use diesel::sql_types::{Array, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::message::{MessageId, StatusEvent, TwilioSid};
use futures_util::future::try_join_all;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::prepared::Prepared;
use crate::rows::{StatusEventRow, UnreadableRow, column, raw_text};
use crate::schema::sms_message_status_events::dsl;

/// Writes the events, except those whose report is there already.
pub(crate) async fn insert(
    mut conn: &AsyncPgConnection,
    events: &[StatusEvent],
) -> QueryResult<()> {
    let raw = events.iter().map(|event| raw_text(&event.raw)).collect::<QueryResult<Vec<_>>>()?;
    let insert = diesel::sql_query(
        "insert into sms_message_status_events (id, message_id, twilio_sid, provider_status, \
             event_status, error_code, raw_webhook_data, created_at) \
         select id, message_id, twilio_sid, provider_status, event_status, error_code, \
             raw::jsonb, created_at \
         from unnest($1, $2, $3, $4, $5, $6, $7, $8) as new (id, message_id, twilio_sid, \
             provider_status, event_status, error_code, raw, created_at) \
         on conflict do nothing",
    )
    .bind::<Array<SqlUuid>, _>(column(events, |event| event.id.0))
    .bind::<Array<Nullable<SqlUuid>>, _>(column(events, |event| event.message.map(|id| id.0)))
    .bind::<Array<Text>, _>(column(events, |event| event.twilio_sid.as_str()))
    .bind::<Array<Text>, _>(column(events, |event| event.provider_status.as_str()))
    .bind::<Array<Text>, _>(column(events, |event| event.event_status.as_str()))
    .bind::<Array<Nullable<Text>>, _>(column(events, |event| event.error_code.as_deref()))
    .bind::<Array<Nullable<Text>>, _>(raw)
    .bind::<Array<Timestamptz>, _>(column(events, |event| OffsetDateTime::from(event.created_at)));
    Prepared(insert).execute(&mut conn).await?;
    Ok(())
}

/// The reports about these SIDs which wait for their messages. Who holds the SIDs has them alone.
pub(crate) async fn parked(
    mut conn: &AsyncPgConnection,
    sids: &[&str],
) -> QueryResult<Vec<StatusEvent>> {
    let parked = parked_with(sids).order(dsl::id).select(StatusEventRow::as_select());
    read(Prepared(parked).load(&mut conn).await?)
}

/// The reports that wait for one of these SIDs.
#[diesel::dsl::auto_type]
pub(crate) fn parked_with<'a>(sids: &'a [&'a str]) -> _ {
    dsl::sms_message_status_events
        .filter(dsl::twilio_sid.eq_any(sids))
        .filter(dsl::message_id.is_null())
}

/// The SIDs, of these, that reports wait for; nearly always none.
pub(crate) async fn parked_sids(
    mut conn: &AsyncPgConnection,
    sids: &[&str],
) -> QueryResult<HashSet<TwilioSid>> {
    let parked = parked_with(sids).select(dsl::twilio_sid);
    let sids: Vec<String> = Prepared(parked).load(&mut conn).await?;
    let sids = sids.iter().map(|sid| TwilioSid::parse(sid));
    Ok(sids.collect::<Result<_, _>>().map_err(|_| UnreadableRow("twilio_sid"))?)
}

/// Gives the reports that wait for these SIDs to their messages.
pub(crate) async fn attach_by_sid(
    conn: &AsyncPgConnection,
    awaited: &[(MessageId, TwilioSid)],
) -> QueryResult<()> {
    let attach = awaited.iter().map(async |(MessageId(message), sid)| {
        let mut conn = conn;
        let parked = dsl::sms_message_status_events
            .filter(dsl::twilio_sid.eq(sid.as_str()))
            .filter(dsl::message_id.is_null());
        let attach = diesel::update(parked).set(dsl::message_id.eq(*message));
        Prepared(attach).execute(&mut conn).await
    });
    try_join_all(attach).await?;
    Ok(())
}

/// Gives such reports to the message.
pub(crate) async fn attach(
    mut conn: &AsyncPgConnection,
    parked: &[StatusEvent],
    MessageId(message): MessageId,
) -> QueryResult<()> {
    if parked.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = parked.iter().map(|event| event.id.0).collect();
    let parked = dsl::sms_message_status_events.filter(dsl::id.eq_any(ids));
    let attach = diesel::update(parked).set(dsl::message_id.eq(message));
    Prepared(attach).execute(&mut conn).await?;
    Ok(())
}

/// The reports about a message, oldest first.
pub(crate) async fn of_message(
    mut conn: &AsyncPgConnection,
    MessageId(message): MessageId,
) -> QueryResult<Vec<StatusEvent>> {
    let rows: Vec<StatusEventRow> = dsl::sms_message_status_events
        .filter(dsl::message_id.eq(message))
        .order((dsl::created_at, dsl::id))
        .select(StatusEventRow::as_select())
        .load(&mut conn)
        .await?;
    read(rows)
}

fn read(rows: Vec<StatusEventRow>) -> QueryResult<Vec<StatusEvent>> {
    let events = rows.into_iter().map(StatusEvent::try_from);
    Ok(events.collect::<Result<_, UnreadableRow>>()?)
}
