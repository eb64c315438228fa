//! The events that happened: written with what caused them, read in an order that misses none.

use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Bool, Nullable, Text, Timestamptz, Untyped, Uuid as SqlUuid,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::event::{Event, EventCursor, NewEvent};
use domain::message::MessageId;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::prepared::{Binding, Prepared, Rows, places};
use crate::rows::{EventRow, MessageRow, UnreadableRow, column};
use crate::schema::sms_messages;

/// Whether subscription `s` wants event `e`: `domain::subscription::Subscription::wants`, which the
/// contract suite holds it to.
pub(crate) const WANTS: &str = "s.enabled and e.type = any (s.events) \
    and (s.all_statuses or not e.is_passing) \
    and (s.workflow_type is null or s.workflow_type = e.workflow_type) \
    and (s.tenant is null or (s.tenant = 'known') = (e.tenant_id is not null)) \
    and (s.direction is null or e.direction is null or s.direction = e.direction)";

/// Where the stream is: every transaction that is still open, or begins later, is at it or behind.
const HORIZON: &str = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint";

/// How many values [`bind`] binds.
pub(crate) const VALUES: usize = 13;

/// Writes events of any number of causes, and what subscribers are to be told of them: one
/// statement. It says itself what other statements of the flight may change.
pub(crate) async fn record(mut conn: &AsyncPgConnection, events: &[NewEvent]) -> QueryResult<()> {
    if events.is_empty() {
        return Ok(());
    }
    let insert = diesel::sql_query(format!("with {}", record_after(1))).into_boxed();
    Prepared(bind(insert, events)).execute(&mut conn).await?;
    Ok(())
}

/// The end of a statement that records the events whose values are [bound](bind) from that place on.
/// It reads conversations as they were before that statement.
pub(crate) fn record_after(first: usize) -> String {
    let places = places(first, VALUES);
    format!(
        "e as ( \
             insert into sms_events (id, type, conversation_id, message_id, direction, \
                 delivery_status, error_code, is_passing, tenant_id, workflow_type, workflow_id, \
                 language_detected, previous, created_at) \
             select given.id, given.type, given.conversation_id, given.message_id, \
                 given.direction, given.delivery_status, given.error_code, given.is_passing, \
                 case when given.is_known then given.tenant_id else c.tenant_id end, \
                 c.workflow_type, c.workflow_id, \
                 coalesce(given.language_detected, c.language_detected), \
                 given.previous, given.created_at \
             from unnest({places}) \
                 with ordinality as given (id, type, conversation_id, message_id, direction, \
                 delivery_status, error_code, is_passing, is_known, tenant_id, \
                 language_detected, previous, created_at, nth) \
             join sms_conversations c on c.id = given.conversation_id \
             order by given.nth \
             returning * \
         ) \
         insert into sms_event_deliveries \
             (subscription_id, transaction, place, conversation_id, state, since, run_at) \
         select s.id, e.transaction, e.place, e.conversation_id, 'queued', e.created_at, \
             e.created_at \
         from e join sms_subscriptions s on {WANTS}"
    )
}

/// Binds the values of events.
pub(crate) fn bind<'a>(statement: Binding<'a>, events: &'a [NewEvent]) -> Binding<'a> {
    let messages = || events.iter().map(|event| event.message.as_ref());
    let now = || events.iter().map(|event| event.now.as_ref());
    statement
        .bind::<Array<SqlUuid>, _>(column(events, |event| event.id.0))
        .bind::<Array<Text>, _>(column(events, |event| event.kind.as_str()))
        .bind::<Array<SqlUuid>, _>(column(events, |event| event.conversation.0))
        .bind::<Array<Nullable<SqlUuid>>, _>(
            messages().map(|message| message.map(|message| message.id.0)).collect::<Vec<_>>(),
        )
        .bind::<Array<Nullable<Text>>, _>(
            messages().map(|message| Some(message?.direction.as_str())).collect::<Vec<_>>(),
        )
        .bind::<Array<Nullable<Text>>, _>(
            messages().map(|message| Some(message?.status.as_str())).collect::<Vec<_>>(),
        )
        .bind::<Array<Nullable<Text>>, _>(
            messages().map(|message| message?.error_code.as_deref()).collect::<Vec<_>>(),
        )
        .bind::<Array<Bool>, _>(column(events, NewEvent::is_passing))
        .bind::<Array<Bool>, _>(now().map(|now| now.is_some()).collect::<Vec<_>>())
        .bind::<Array<Nullable<Text>>, _>(
            now().map(|now| now?.0.as_ref().map(ToString::to_string)).collect::<Vec<_>>(),
        )
        .bind::<Array<Nullable<Text>>, _>(
            now().map(|now| Some(now?.1.as_str())).collect::<Vec<_>>(),
        )
        .bind::<Array<Nullable<Text>>, _>(column(events, |event| event.previous.as_deref()))
        .bind::<Array<Timestamptz>, _>(column(events, |event| OffsetDateTime::from(event.at)))
}

#[derive(QueryableByName)]
struct HorizonRow {
    #[diesel(sql_type = BigInt)]
    horizon: i64,
}

/// Where the stream is now.
pub(crate) async fn end(mut conn: &AsyncPgConnection) -> QueryResult<EventCursor> {
    let horizon = diesel::sql_query(format!("select {HORIZON} as horizon"));
    let row: HorizonRow = Prepared(horizon).get_result(&mut conn).await?;
    Ok(EventCursor { transaction: row.horizon, place: 0 })
}

/// The events behind a cursor, of transactions before which none is open any more.
pub(crate) async fn read(
    mut conn: &AsyncPgConnection,
    behind: EventCursor,
    limit: u32,
) -> QueryResult<Vec<Event>> {
    let rows: Vec<EventRow> = rows_behind(behind, limit).load(&mut conn).await?;
    with_messages(conn, rows).await
}

pub(crate) fn rows_behind(behind: EventCursor, limit: u32) -> Prepared<impl Rows<Untyped>> {
    let events = diesel::sql_query(format!(
        "select e.*, c.phone_number_canonical, c.tenant_id as tenant_now, \
             c.tenant_checked_at is not null as was_looked_up \
         from sms_events e join sms_conversations c on c.id = e.conversation_id \
         where (e.transaction, e.place) > ($1, $2) and e.transaction < {HORIZON} \
         order by e.transaction, e.place limit $3"
    ))
    .bind::<BigInt, _>(behind.transaction)
    .bind::<BigInt, _>(behind.place)
    .bind::<BigInt, _>(i64::from(limit));
    Prepared(events)
}

/// The events of rows, with the messages that they are about.
pub(crate) async fn with_messages(
    mut conn: &AsyncPgConnection,
    rows: Vec<EventRow>,
) -> QueryResult<Vec<Event>> {
    let ids: Vec<Uuid> = rows.iter().filter_map(EventRow::message).collect();
    let messages: Vec<MessageRow> = if ids.is_empty() {
        Vec::new()
    } else {
        let about = sms_messages::table
            .filter(sms_messages::id.eq_any(ids))
            .select(MessageRow::as_select());
        about.load(&mut conn).await?
    };
    let messages = messages.into_iter().map(domain::message::Message::try_from);
    let messages: Vec<_> = messages.collect::<Result<_, UnreadableRow>>()?;
    let event = |row: EventRow| {
        let content = row
            .message()
            .and_then(|id| messages.iter().find(|message| message.id == MessageId(id)).cloned());
        row.event(content)
    };
    Ok(rows.into_iter().map(event).collect::<Result<_, UnreadableRow>>()?)
}
