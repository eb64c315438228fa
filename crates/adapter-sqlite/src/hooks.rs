//! The queue of what subscribers are to be told.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use domain::conversation::ConversationId;
use domain::event::EventCursor;
use domain::hook::{ClaimedHook, HookEnding, HookState, HookTicket};
use domain::ports::{
    ConversationKey, EventSweep, Hands, HookClaim, HookEnd, HookQuery, HookView, Overdue,
    Redelivered, Redelivery,
};
use domain::subscription::Subscription;
use domain::timestamp::Timestamp;

use crate::failure::Failure;
use crate::prepared::Prepared;
use crate::rows::{FeedRow, HookRow};
use crate::schema::{sms_event_deliveries, sms_events};
use crate::{feed, reading, subscriptions};

/// What is queued and whose time has come, and what is running and whose lease is over; of a
/// conversation the first only. Each half is read in the order of an index.
pub(crate) const DUE: &str = "
    with first_of_conversation as not materialized (
        select * from sms_event_deliveries d
        where subscription_id = ?1 and not exists (
            select 1 from sms_event_deliveries earlier
            where earlier.subscription_id = d.subscription_id
                and earlier.conversation_id = d.conversation_id
                and earlier.place < d.place and earlier.state in ('queued', 'running')
        )
    )
    select * from first_of_conversation where state = 'queued' and run_at <= ?2
    union all
    select * from first_of_conversation where state = 'running' and lease_expires_at <= ?2
    order by run_at, place
    limit ?3";

const KEEP_BACK: &str = "
    update sms_event_deliveries set run_at = max(run_at, ?4)
    where subscription_id = ?1 and conversation_id = ?2 and place > ?3 and state = 'queued'";

const RELEASE_WAITING: &str = "
    update sms_event_deliveries set state = 'queued', run_at = ?2, since = ?2
    where conversation_id = ?1 and state = 'waiting'";

const PARK_QUEUED: &str = "
    update sms_event_deliveries
    set state = 'parked', finished_at = ?2, last_error = coalesce(last_error, 'overdue')
    where rowid in (
        select rowid from sms_event_deliveries where state = 'queued' and since < ?1 limit ?3
    )";

const PARK_WAITING: &str = "
    update sms_event_deliveries
    set state = 'parked', finished_at = ?2, last_error = coalesce(last_error, 'no_tenant')
    where rowid in (
        select d.rowid from sms_event_deliveries d cross join sms_events e on e.place = d.place
        where d.state = 'waiting' and e.created_at < ?1 limit ?3
    )";

const SWEEP_TOLD: &str = "
    delete from sms_event_deliveries where rowid in (
        select rowid from sms_event_deliveries
        where state in ('delivered', 'skipped') and finished_at < ?1
        order by finished_at limit ?2
    )";

/// Events are written in the order of time, nearly: those of a batch are looked at.
const SWEEP_EVENTS: &str = "
    delete from sms_events where place in (
        select place from (select place, created_at from sms_events order by place limit ?2)
        where created_at < ?1
    )";

const SWEEP_ORPHANS: &str = "
    delete from sms_event_deliveries
    where place < (select coalesce(min(place), 9223372036854775807) from sms_events)";

/// Takes what is due for each of some subscribers.
pub(crate) fn claim(
    conn: &mut SqliteConnection,
    claim: &HookClaim,
) -> Result<Vec<ClaimedHook>, Failure> {
    let mut claimed = Vec::new();
    for hands in &claim.hands {
        let due = sql_query(DUE)
            .bind::<Text, _>(hands.subscription.to_string())
            .bind::<Text, _>(claim.at.to_string())
            .bind::<BigInt, _>(i64::from(hands.free));
        let due: Vec<HookRow> = Prepared(due).load(conn)?;
        for row in due {
            claimed.extend(take(conn, &row, hands)?);
        }
    }
    Ok(claimed)
}

/// `None` where the event is gone.
fn take(
    conn: &mut SqliteConnection,
    row: &HookRow,
    hands: &Hands,
) -> Result<Option<ClaimedHook>, Failure> {
    let Some(event) = feed::find(conn, row.place)? else {
        return Ok(None);
    };
    let conversation = reading::conversation(conn, &ConversationKey::Id(event.conversation))?;
    let conversation = conversation.ok_or(Failure::Unreadable("conversation_id"))?;
    let attempt = row.attempts()?.saturating_add(1);
    let mark = diesel::update(this(hands.subscription, row.place)).set((
        sms_event_deliveries::state.eq(HookState::Running.as_str()),
        sms_event_deliveries::attempts.eq(i64::from(attempt)),
        sms_event_deliveries::lease_expires_at.eq(hands.lease_until.to_string()),
    ));
    Prepared(mark).execute(conn)?;
    Ok(Some(ClaimedHook {
        ticket: HookTicket { subscription: hands.subscription, event: event.cursor, attempt },
        event,
        tenant: conversation.tenant_id,
        was_looked_up: conversation.tenant_checked_at.is_some(),
        failures: row.failures()?,
        since: row.since()?,
        interrupted: row.state()? == HookState::Running,
    }))
}

#[diesel::dsl::auto_type(no_type_alias)]
fn this(subscription: domain::subscription::SubscriptionId, place: i64) -> _ {
    let id: String = subscription.to_string();
    sms_event_deliveries::table.find((id, place))
}

/// Ends a worker's hold, and keeps what the call said of the subscriber.
pub(crate) fn finish(conn: &mut SqliteConnection, end: &HookEnd) -> Result<bool, Failure> {
    subscriptions::feel(conn, end)?;
    let HookTicket { subscription, event, attempt } = end.ticket;
    let row: Option<HookRow> = this(subscription, event.place)
        .filter(sms_event_deliveries::attempts.eq(i64::from(attempt)))
        .filter(sms_event_deliveries::state.eq(HookState::Running.as_str()))
        .select(HookRow::as_select())
        .first(conn)
        .optional()?;
    let Some(row) = row else {
        return Ok(false);
    };
    let end = &HookEnd { ending: ending_now(conn, end)?, ..end.clone() };
    let update = diesel::update(this(subscription, event.place)).set(row.ended(end));
    Prepared(update).execute(conn)?;
    if let HookEnding::Retry { run_at, .. } = &end.ending {
        let later = sql_query(KEEP_BACK)
            .bind::<Text, _>(subscription.to_string())
            .bind::<Text, _>(end.conversation.to_string())
            .bind::<BigInt, _>(event.place)
            .bind::<Text, _>(run_at.to_string());
        Prepared(later).execute(conn)?;
    }
    Ok(true)
}

fn ending_now(conn: &mut SqliteConnection, end: &HookEnd) -> Result<HookEnding, Failure> {
    if !matches!(end.ending, HookEnding::Wait { .. }) {
        return Ok(end.ending.clone());
    }
    let conversation = reading::conversation(conn, &ConversationKey::Id(end.conversation))?;
    let known = conversation.ok_or(Failure::Unreadable("conversation_id"))?;
    let (has_tenant, is_looked_up) = (known.tenant_id.is_some(), known.tenant_checked_at.is_some());
    Ok(end.ending.clone().unless_looked_up(has_tenant, is_looked_up))
}

/// What waits for the tenant of a conversation that was looked up waits no longer.
pub(crate) fn release_waiting(
    conn: &mut SqliteConnection,
    conversation: ConversationId,
    at: Timestamp,
) -> Result<(), Failure> {
    let release = sql_query(RELEASE_WAITING)
        .bind::<Text, _>(conversation.to_string())
        .bind::<Text, _>(at.to_string());
    Prepared(release).execute(conn)?;
    Ok(())
}

/// What a subscriber was told or is to be told, the latest event first.
pub(crate) fn list(
    conn: &mut SqliteConnection,
    query: &HookQuery,
) -> Result<Vec<HookView>, Failure> {
    let mut page = sms_event_deliveries::table
        .inner_join(sms_events::table.on(sms_events::place.eq(sms_event_deliveries::place)))
        .filter(sms_event_deliveries::subscription_id.eq(query.subscription.to_string()))
        .filter(sms_event_deliveries::place.lt(query.before.unwrap_or(i64::MAX)))
        .order(sms_event_deliveries::place.desc())
        .limit(query.limit.into())
        .select((HookRow::as_select(), FeedRow::as_select()))
        .into_boxed();
    if let Some(state) = query.state {
        page = page.filter(sms_event_deliveries::state.eq(state.as_str()));
    }
    let rows: Vec<(HookRow, FeedRow)> = page.load(conn)?;
    rows.iter().map(|(hook, event)| hook.view(event)).collect()
}

/// A step of telling a subscriber again.
pub(crate) fn redeliver(
    conn: &mut SqliteConnection,
    wish: &Redelivery,
) -> Result<Redelivered, Failure> {
    let Some(subscriber) = subscriptions::find(conn, wish.subscription)? else {
        return Ok(Redelivered { queued: 0, next: None });
    };
    let step: Vec<(i64, FeedRow)> = sms_events::table
        .filter(sms_events::place.gt(wish.behind.place))
        .filter(sms_events::created_at.ge(wish.since.to_string()))
        .order(sms_events::place)
        .limit(wish.limit.into())
        .select((sms_events::place, FeedRow::as_select()))
        .load(conn)?;
    let mut queued = 0;
    for (place, row) in &step {
        queued += u64::from(tell_again(conn, &subscriber, *place, row, wish.at)?);
    }
    let more = u32::try_from(step.len()).is_ok_and(|looked| looked >= wish.limit);
    let last = step.last().map(|(place, _)| EventCursor { transaction: 0, place: *place });
    Ok(Redelivered { queued, next: last.filter(|_| more) })
}

/// Whether it is queued by that.
fn tell_again(
    conn: &mut SqliteConnection,
    subscriber: &Subscription,
    place: i64,
    event: &FeedRow,
    at: Timestamp,
) -> Result<bool, Failure> {
    if !event.was_wanted_by(subscriber)? {
        return Ok(false);
    }
    let known: Option<HookRow> =
        this(subscriber.id, place).select(HookRow::as_select()).first(conn).optional()?;
    let fresh = HookRow::queued(subscriber.id, place, event.conversation()?, at);
    match known {
        None => {
            diesel::insert_into(sms_event_deliveries::table).values(fresh).execute(conn)?;
        }
        Some(known) if known.is_unfinished()? => return Ok(false),
        Some(known) if !subscriber.may_hear_again() && known.state()? == HookState::Delivered => {
            return Ok(false);
        }
        Some(known) => {
            let again = diesel::update(this(subscriber.id, place)).set(known.again(at));
            Prepared(again).execute(conn)?;
        }
    }
    Ok(true)
}

/// Gives up what could not be told for too long.
pub(crate) fn park_overdue(conn: &mut SqliteConnection, what: &Overdue) -> Result<u64, Failure> {
    let mut parked = 0;
    for (statement, before) in [(PARK_QUEUED, what.queued), (PARK_WAITING, what.waiting)] {
        let park = sql_query(statement)
            .bind::<Text, _>(before.to_string())
            .bind::<Text, _>(what.at.to_string())
            .bind::<BigInt, _>(i64::from(what.limit));
        parked += count(Prepared(park).execute(conn)?);
    }
    Ok(parked)
}

/// Deletes old events with what anybody was to be told of them, and what was told long ago.
pub(crate) fn sweep(conn: &mut SqliteConnection, what: &EventSweep) -> Result<u64, Failure> {
    let limit = i64::from(what.limit);
    let told =
        sql_query(SWEEP_TOLD).bind::<Text, _>(what.delivered.to_string()).bind::<BigInt, _>(limit);
    let events =
        sql_query(SWEEP_EVENTS).bind::<Text, _>(what.events.to_string()).bind::<BigInt, _>(limit);
    let told = count(Prepared(told).execute(conn)?);
    let events = count(Prepared(events).execute(conn)?);
    if events > 0 {
        Prepared(sql_query(SWEEP_ORPHANS)).execute(conn)?;
    }
    Ok(told.max(events))
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use crate::plans::plan;

    use super::*;

    #[test]
    fn a_claim_costs_no_more_when_much_is_queued() {
        let plan = plan(DUE);
        let indexes = ["queued", "leases", "lane"].map(|of| format!("sms_event_deliveries_{of}"));
        for index in indexes {
            assert!(plan.contains(&index), "{plan}");
        }
        assert!(!plan.contains("SCAN d"), "{plan}");
    }

    #[test]
    fn what_waits_is_found_without_a_look_at_what_does_not() {
        let plan = plan(PARK_WAITING);
        assert!(plan.contains("sms_event_deliveries_waiting"), "{plan}");
        assert!(!plan.contains("SCAN e"), "{plan}");
    }
}
