//! The events that happened: written with what caused them, and what subscribers are to be told.

use diesel::dsl::{select, sql};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use domain::event::{Event, EventCursor, NewEvent};
use domain::message::MessageId;
use domain::ports::{ConversationKey, MessageKey};
use domain::subscription::Subscription;

use crate::failure::Failure;
use crate::rows::{FeedRow, HookRow, uuid};
use crate::schema::{sms_event_deliveries, sms_events};
use crate::{reading, subscriptions};

/// Writes events, and for each subscriber that wants one that it is to be told.
pub(crate) fn record(conn: &mut SqliteConnection, events: &[NewEvent]) -> Result<(), Failure> {
    if events.is_empty() {
        return Ok(());
    }
    let subscribers = subscriptions::list(conn)?;
    for event in events {
        let key = ConversationKey::Id(event.conversation);
        let Some(conversation) = reading::conversation(conn, &key)? else { continue };
        let row = FeedRow::of(event, &conversation);
        diesel::insert_into(sms_events::table).values(&row).execute(conn)?;
        let place: i64 = select(sql::<BigInt>("last_insert_rowid()")).get_result(conn)?;
        for subscriber in subscribers.iter().filter(|known| row.is_wanted_by(known, event)) {
            queue(conn, subscriber, event, place)?;
        }
    }
    Ok(())
}

fn queue(
    conn: &mut SqliteConnection,
    subscriber: &Subscription,
    event: &NewEvent,
    place: i64,
) -> Result<(), Failure> {
    diesel::insert_into(sms_event_deliveries::table)
        .values(HookRow::queued(subscriber.id, place, event.conversation, event.at))
        .execute(conn)?;
    Ok(())
}

/// Where the stream is now.
pub(crate) fn end(conn: &mut SqliteConnection) -> Result<EventCursor, Failure> {
    let last: Option<i64> = sms_events::table
        .select(sms_events::place)
        .order(sms_events::place.desc())
        .first(conn)
        .optional()?;
    Ok(EventCursor { transaction: 0, place: last.unwrap_or(0) })
}

/// The events behind a cursor: one writer, so that all that is seen is all that there is.
pub(crate) fn read(
    conn: &mut SqliteConnection,
    behind: EventCursor,
    limit: u32,
) -> Result<Vec<Event>, Failure> {
    let rows: Vec<(i64, FeedRow)> = sms_events::table
        .filter(sms_events::place.gt(behind.place))
        .order(sms_events::place)
        .limit(limit.into())
        .select((sms_events::place, FeedRow::as_select()))
        .load(conn)?;
    rows.into_iter().map(|(place, row)| whole(conn, place, row)).collect()
}

/// The event at that place; `None` where it is gone.
pub(crate) fn find(conn: &mut SqliteConnection, place: i64) -> Result<Option<Event>, Failure> {
    let row: Option<FeedRow> =
        sms_events::table.find(place).select(FeedRow::as_select()).first(conn).optional()?;
    row.map(|row| whole(conn, place, row)).transpose()
}

/// With what it is about, as that is now.
fn whole(conn: &mut SqliteConnection, place: i64, row: FeedRow) -> Result<Event, Failure> {
    let conversation = reading::conversation(conn, &ConversationKey::Id(row.conversation()?))?;
    let conversation = conversation.ok_or(Failure::Unreadable("conversation_id"))?;
    let content = match row.message_id() {
        Some(id) => reading::message(conn, &MessageKey::Id(MessageId(uuid(id)?)))?,
        None => None,
    };
    row.event(place, conversation.phone_number_canonical, content)
}
