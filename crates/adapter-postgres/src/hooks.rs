//! The queue of what subscribers are to be told.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Int4, Nullable, Text, Timestamptz, Untyped, Uuid as SqlUuid,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use domain::conversation::ConversationId;
use domain::event::EventCursor;
use domain::hook::{ClaimedHook, HookEnding, HookTicket};
use domain::ports::{
    EventSweep, HookClaim, HookEnd, HookQuery, HookView, Overdue, Redelivered, Redelivery,
};
use domain::subscription::SubscriptionId;
use domain::timestamp::Timestamp;
use futures_util::try_join;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::feed::{self, WANTS};
use crate::prepared::{Prepared, Rows};
use crate::rows::{DueHookRow, EventRow, HookViewRow, UnreadableRow, stored_count};
use crate::schema::sms_conversations;
use crate::subscriptions;

/// What is due: in these words, which are those of the partial indexes.
pub(crate) const QUEUED: &str = "d.state = 'queued' and d.run_at <= $3";
pub(crate) const ABANDONED: &str = "d.state = 'running' and d.lease_expires_at <= $3";

/// Takes what is due for each of some subscribers.
pub(crate) async fn claim(
    conn: &mut AsyncPgConnection,
    claim: &HookClaim,
) -> QueryResult<Vec<ClaimedHook>> {
    if claim.hands.is_empty() {
        return Ok(Vec::new());
    }
    conn.transaction(async |conn| {
        let conn = &*conn;
        let (queued, abandoned) =
            try_join!(lock_where(QUEUED, conn, claim), lock_where(ABANDONED, conn, claim),)?;
        let due = within_hands(queued.into_iter().chain(abandoned), claim);
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let ((), rows) = try_join!(mark_running(conn, &due, claim), about(conn, &due))?;
        let now: BTreeMap<_, _> = rows
            .iter()
            .map(|row| Ok((row.place, (row.tenant_now()?, row.was_looked_up))))
            .collect::<Result<_, UnreadableRow>>()?;
        let events = feed::with_messages(conn, rows).await?;
        let events: BTreeMap<_, _> =
            events.into_iter().map(|event| (event.cursor, event)).collect();
        let (due, gone): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|row| events.contains_key(&row.cursor()));
        forget(conn, &gone).await?;
        let claimed = due.iter().filter_map(|row| {
            let event = events.get(&row.cursor())?.clone();
            let (tenant, was_looked_up) = now.get(&row.place)?.clone();
            Some(claimed(row, event, tenant, was_looked_up))
        });
        Ok(claimed.collect::<Result<_, UnreadableRow>>()?)
    })
    .await
}

fn claimed(
    row: &DueHookRow,
    event: domain::event::Event,
    tenant: Option<domain::tenant::TenantId>,
    was_looked_up: bool,
) -> Result<ClaimedHook, UnreadableRow> {
    let subscription = SubscriptionId(row.subscription_id);
    let attempt = row.next_attempt()?;
    Ok(ClaimedHook {
        ticket: HookTicket { subscription, event: event.cursor, attempt },
        event,
        tenant,
        was_looked_up,
        failures: row.failures()?,
        since: row.since(),
        interrupted: row.is_interrupted(),
    })
}

async fn lock_where(
    condition: &'static str,
    mut conn: &AsyncPgConnection,
    claim: &HookClaim,
) -> QueryResult<Vec<DueHookRow>> {
    due_rows(condition, claim).load(&mut conn).await
}

/// Locks for each subscriber as much as it has hands for, in its order; of a conversation the first
/// only. What another claim has locked is passed over.
pub(crate) fn due_rows(
    condition: &'static str,
    claim: &HookClaim,
) -> Prepared<impl Rows<Untyped> + use<>> {
    let subscriptions: Vec<_> = claim.hands.iter().map(|hands| hands.subscription.0).collect();
    let free: Vec<_> = claim.hands.iter().map(|hands| i64::from(hands.free)).collect();
    let lock = diesel::sql_query(format!(
        "select due.* from unnest($1, $2) as wanted (id, free) cross join lateral ( \
             select d.subscription_id, d.transaction, d.place, d.state, d.attempts, d.failures, \
                 d.since, d.run_at \
             from sms_event_deliveries d \
             where d.subscription_id = wanted.id and {condition} and not exists ( \
                 select 1 from sms_event_deliveries earlier \
                 where earlier.subscription_id = d.subscription_id \
                     and earlier.conversation_id = d.conversation_id \
                     and earlier.place < d.place and earlier.state in ('queued', 'running') \
             ) \
             order by d.run_at, d.place limit wanted.free for no key update skip locked \
         ) due"
    ))
    .bind::<Array<SqlUuid>, _>(subscriptions)
    .bind::<Array<BigInt>, _>(free)
    .bind::<Timestamptz, _>(OffsetDateTime::from(claim.at));
    Prepared(lock)
}

fn within_hands(due: impl Iterator<Item = DueHookRow>, claim: &HookClaim) -> Vec<DueHookRow> {
    let mut due: Vec<_> = due.collect();
    due.sort_by_key(DueHookRow::turn);
    let mut free: BTreeMap<Uuid, u32> =
        claim.hands.iter().map(|hands| (hands.subscription.0, hands.free)).collect();
    due.retain(|row| {
        let Some(free) = free.get_mut(&row.subscription_id) else {
            return false;
        };
        let has_hand = *free > 0;
        *free = free.saturating_sub(1);
        has_hand
    });
    due
}

async fn mark_running(
    mut conn: &AsyncPgConnection,
    due: &[DueHookRow],
    claim: &HookClaim,
) -> QueryResult<()> {
    let lease = |row: &DueHookRow| {
        let hands = claim.hands.iter().find(|hands| hands.subscription.0 == row.subscription_id);
        OffsetDateTime::from(hands.map_or(claim.at, |hands| hands.lease_until))
    };
    let mark = diesel::sql_query(
        "update sms_event_deliveries d set state = 'running', attempts = attempts + 1, \
             lease_expires_at = taken.lease_until \
         from unnest($1, $2, $3) as taken (subscription_id, place, lease_until) \
         where d.subscription_id = taken.subscription_id and d.place = taken.place",
    )
    .bind::<Array<SqlUuid>, _>(due.iter().map(|row| row.subscription_id).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(due.iter().map(|row| row.place).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(due.iter().map(lease).collect::<Vec<_>>());
    Prepared(mark).execute(&mut conn).await?;
    Ok(())
}

/// Forgets what nobody can be told any more, as its event was swept while it was queued again: it
/// would hold up what comes behind it in its conversation.
async fn forget(mut conn: &AsyncPgConnection, gone: &[DueHookRow]) -> QueryResult<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let forget = diesel::sql_query(
        "delete from sms_event_deliveries d using unnest($1, $2) as gone (subscription_id, place) \
         where d.subscription_id = gone.subscription_id and d.place = gone.place",
    )
    .bind::<Array<SqlUuid>, _>(gone.iter().map(|row| row.subscription_id).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(gone.iter().map(|row| row.place).collect::<Vec<_>>());
    forget.execute(&mut conn).await?;
    Ok(())
}

/// The events of what is due.
async fn about(mut conn: &AsyncPgConnection, due: &[DueHookRow]) -> QueryResult<Vec<EventRow>> {
    let events = diesel::sql_query(
        "select e.*, c.phone_number_canonical, c.tenant_id as tenant_now, \
             c.tenant_checked_at is not null as was_looked_up \
         from (select distinct * from unnest($1, $2)) as wanted (transaction, place) \
         join sms_events e on e.transaction = wanted.transaction and e.place = wanted.place \
         join sms_conversations c on c.id = e.conversation_id",
    )
    .bind::<Array<BigInt>, _>(due.iter().map(|row| row.transaction).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(due.iter().map(|row| row.place).collect::<Vec<_>>());
    Prepared(events).load(&mut conn).await
}

/// Ends a worker's hold, and keeps what the call said of the subscriber. The subscription is locked
/// before what it is to be told, here as where it is deleted.
pub(crate) async fn finish(conn: &mut AsyncPgConnection, end: &HookEnd) -> QueryResult<bool> {
    conn.transaction(async |conn| {
        let conn = &*conn;
        let end = &HookEnd { ending: ending_now(conn, end).await?, ..end.clone() };
        let ((), held) = try_join!(subscriptions::feel(conn, end), end_hold(conn, end))?;
        if let (true, HookEnding::Retry { run_at, .. }) = (held, &end.ending) {
            keep_back(conn, end, *run_at).await?;
        }
        Ok(held)
    })
    .await
}

/// A lookup locks the conversation before it releases what waits, so after this it finds it waiting.
async fn ending_now(mut conn: &AsyncPgConnection, end: &HookEnd) -> QueryResult<HookEnding> {
    if !matches!(end.ending, HookEnding::Wait { .. }) {
        return Ok(end.ending.clone());
    }
    let (has_tenant, is_looked_up) = sms_conversations::table
        .find(end.conversation.0)
        .select((
            sms_conversations::tenant_id.is_not_null(),
            sms_conversations::tenant_checked_at.is_not_null(),
        ))
        .for_share()
        .first::<(bool, bool)>(&mut conn)
        .await?;
    Ok(end.ending.clone().unless_looked_up(has_tenant, is_looked_up))
}

async fn end_hold(mut conn: &AsyncPgConnection, end: &HookEnd) -> QueryResult<bool> {
    let HookTicket { subscription, event, attempt } = end.ticket;
    let run_at = match &end.ending {
        HookEnding::Retry { run_at, .. } => Some(OffsetDateTime::from(*run_at)),
        _ => None,
    };
    let finish = diesel::sql_query(
        "update sms_event_deliveries set state = $4, lease_expires_at = null, \
             run_at = coalesce($5, run_at), \
             failures = failures + case when $5 is null then 0 else 1 end, \
             status_code = coalesce($6, status_code), last_error = coalesce($7, last_error), \
             finished_at = case when $4 in ('delivered', 'skipped', 'parked') then $8 end \
         where subscription_id = $1 and place = $2 and attempts = $3 and state = 'running'",
    )
    .bind::<SqlUuid, _>(subscription.0)
    .bind::<BigInt, _>(event.place)
    .bind::<Int4, _>(stored_count(attempt))
    .bind::<Text, _>(end.ending.state().as_str())
    .bind::<Nullable<Timestamptz>, _>(run_at)
    .bind::<Nullable<Int4>, _>(end.status_code.map(i32::from))
    .bind::<Nullable<Text>, _>(end.ending.error())
    .bind::<Timestamptz, _>(OffsetDateTime::from(end.at));
    Ok(Prepared(finish).execute(&mut conn).await? == 1)
}

/// The later ones of the conversation are not looked at before it is tried again: a claim would
/// pass over them one by one.
async fn keep_back(
    mut conn: &AsyncPgConnection,
    end: &HookEnd,
    until: Timestamp,
) -> QueryResult<()> {
    let later = diesel::sql_query(
        "update sms_event_deliveries d set run_at = $4 from ( \
             select place from sms_event_deliveries \
             where subscription_id = $1 and conversation_id = $2 and place > $3 \
                 and state = 'queued' and run_at < $4 \
             order by place for no key update \
         ) later \
         where d.subscription_id = $1 and d.place = later.place",
    )
    .bind::<SqlUuid, _>(end.ticket.subscription.0)
    .bind::<SqlUuid, _>(end.conversation.0)
    .bind::<BigInt, _>(end.ticket.event.place)
    .bind::<Timestamptz, _>(OffsetDateTime::from(until));
    Prepared(later).execute(&mut conn).await?;
    Ok(())
}

/// What waits for the tenant of a conversation that was looked up waits no longer.
pub(crate) async fn release_waiting(
    mut conn: &AsyncPgConnection,
    ConversationId(conversation): ConversationId,
    at: Timestamp,
) -> QueryResult<()> {
    let release = diesel::sql_query(
        "update sms_event_deliveries set state = 'queued', run_at = $2, since = $2 \
         where conversation_id = $1 and state = 'waiting'",
    )
    .bind::<SqlUuid, _>(conversation)
    .bind::<Timestamptz, _>(OffsetDateTime::from(at));
    Prepared(release).execute(&mut conn).await?;
    Ok(())
}

/// What a subscriber was told or is to be told, the latest event first.
pub(crate) async fn list(
    mut conn: &AsyncPgConnection,
    query: &HookQuery,
) -> QueryResult<Vec<HookView>> {
    let rows: Vec<HookViewRow> = listed_rows(query).load(&mut conn).await?;
    let views = rows.into_iter().map(HookView::try_from);
    Ok(views.collect::<Result<_, UnreadableRow>>()?)
}

/// The state is a word of the text and not a parameter: it is a word of the partial indexes. The page
/// is cut before the events are joined, of which the planner does not know that each is there.
pub(crate) fn listed_rows(query: &HookQuery) -> Prepared<impl Rows<Untyped>> {
    let of_state = query.state.map(|state| format!("and d.state = '{}'", state.as_str()));
    let page = format!(
        "select d.transaction, d.place, e.id, e.type, e.conversation_id, e.message_id, d.state, \
             d.attempts, d.status_code, d.last_error, d.run_at, e.created_at, d.finished_at \
         from ( \
             select * from sms_event_deliveries d \
             where d.subscription_id = $1 and d.place < $2 {} \
             order by d.place desc limit $3 \
         ) d \
         join sms_events e on e.transaction = d.transaction and e.place = d.place \
         order by d.place desc",
        of_state.unwrap_or_default()
    );
    let page = diesel::sql_query(page)
        .bind::<SqlUuid, _>(query.subscription.0)
        .bind::<BigInt, _>(query.before.unwrap_or(i64::MAX))
        .bind::<BigInt, _>(i64::from(query.limit));
    Prepared(page)
}

#[derive(QueryableByName)]
struct StepRow {
    #[diesel(sql_type = BigInt)]
    queued: i64,
    #[diesel(sql_type = BigInt)]
    looked: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    transaction: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    place: Option<i64>,
}

/// A step of telling a subscriber again.
pub(crate) async fn redeliver(
    mut conn: &AsyncPgConnection,
    wish: &Redelivery,
) -> QueryResult<Redelivered> {
    let step = diesel::sql_query(format!(
        "with e as ( \
             select * from sms_events \
             where created_at >= $2 and (transaction, place) > ($3, $4) \
             order by transaction, place limit $5 \
         ), told as ( \
             insert into sms_event_deliveries as d \
                 (subscription_id, transaction, place, conversation_id, state, since, run_at) \
             select s.id, e.transaction, e.place, e.conversation_id, 'queued', $6, $6 \
             from e join sms_subscriptions s on s.id = $1 and {WANTS} \
             where s.format <> 'orchestrator' or not exists ( \
                 select 1 from sms_event_deliveries known where known.subscription_id = s.id \
                     and known.place = e.place and known.state = 'delivered' \
             ) \
             order by e.place \
             on conflict (subscription_id, place) do update set state = 'queued', failures = 0, \
                 since = $6, run_at = $6, lease_expires_at = null, finished_at = null \
             where d.state not in ('queued', 'running') \
             returning 1 \
         ), last as ( \
             select transaction, place from e order by transaction desc, place desc limit 1 \
         ) \
         select (select count(*) from told) as queued, (select count(*) from e) as looked, \
             (select transaction from last) as transaction, (select place from last) as place"
    ))
    .bind::<SqlUuid, _>(wish.subscription.0)
    .bind::<Timestamptz, _>(OffsetDateTime::from(wish.since))
    .bind::<BigInt, _>(wish.behind.transaction)
    .bind::<BigInt, _>(wish.behind.place)
    .bind::<BigInt, _>(i64::from(wish.limit))
    .bind::<Timestamptz, _>(OffsetDateTime::from(wish.at));
    let step: StepRow = Prepared(step).get_result(&mut conn).await?;
    let more = step.looked >= i64::from(wish.limit);
    let last = step.transaction.zip(step.place);
    let last = last.map(|(transaction, place)| EventCursor { transaction, place });
    let queued = u64::try_from(step.queued).unwrap_or(0);
    Ok(Redelivered { queued, next: last.filter(|_| more) })
}

/// Gives up what could not be told for too long. Rows that somebody else has locked are passed over.
pub(crate) async fn park_overdue(conn: &mut AsyncPgConnection, what: &Overdue) -> QueryResult<u64> {
    conn.transaction(async |conn| {
        let conn = &*conn;
        let (queued, waiting) = try_join!(
            park(PARK_QUEUED, what.queued, conn, what),
            park(PARK_WAITING, what.waiting, conn, what)
        )?;
        Ok(queued + waiting)
    })
    .await
}

const PARK_QUEUED: &str = "update sms_event_deliveries set state = 'parked', finished_at = $2, \
         last_error = coalesce(last_error, 'overdue') \
     where (subscription_id, place) in ( \
         select subscription_id, place from sms_event_deliveries \
         where state = 'queued' and since < $1 \
         order by subscription_id, place limit $3 for no key update skip locked \
     )";

const PARK_WAITING: &str = "update sms_event_deliveries set state = 'parked', finished_at = $2, \
         last_error = coalesce(last_error, 'no_tenant') \
     where (subscription_id, place) in ( \
         select d.subscription_id, d.place from sms_event_deliveries d \
         join sms_events e on e.transaction = d.transaction and e.place = d.place \
         where d.state = 'waiting' and e.created_at < $1 \
         order by d.subscription_id, d.place limit $3 for no key update of d skip locked \
     )";

async fn park(
    statement: &'static str,
    before: Timestamp,
    mut conn: &AsyncPgConnection,
    what: &Overdue,
) -> QueryResult<u64> {
    let park = diesel::sql_query(statement)
        .bind::<Timestamptz, _>(OffsetDateTime::from(before))
        .bind::<Timestamptz, _>(OffsetDateTime::from(what.at))
        .bind::<BigInt, _>(i64::from(what.limit));
    Ok(count(Prepared(park).execute(&mut conn).await?))
}

/// Deletes old events with what anybody was to be told of them, and what was told long ago.
pub(crate) async fn sweep(conn: &mut AsyncPgConnection, what: &EventSweep) -> QueryResult<u64> {
    conn.transaction(async |conn| {
        let conn = &*conn;
        let (told, events) = try_join!(sweep_told(conn, what), sweep_events(conn, what))?;
        Ok(told.max(events))
    })
    .await
}

async fn sweep_told(mut conn: &AsyncPgConnection, what: &EventSweep) -> QueryResult<u64> {
    let delete = diesel::sql_query(
        "delete from sms_event_deliveries where (subscription_id, place) in ( \
             select subscription_id, place from sms_event_deliveries \
             where state in ('delivered', 'skipped') and finished_at < $1 \
             order by finished_at limit $2 for update skip locked \
         )",
    )
    .bind::<Timestamptz, _>(OffsetDateTime::from(what.delivered))
    .bind::<BigInt, _>(i64::from(what.limit));
    Ok(count(Prepared(delete).execute(&mut conn).await?))
}

#[derive(QueryableByName)]
struct SweptRow {
    #[diesel(sql_type = BigInt)]
    swept: i64,
}

async fn sweep_events(mut conn: &AsyncPgConnection, what: &EventSweep) -> QueryResult<u64> {
    let delete = diesel::sql_query(
        "with gone as ( \
             delete from sms_events where (transaction, place) in ( \
                 select transaction, place from sms_events where created_at < $1 \
                 limit $2 for update skip locked \
             ) returning place \
         ), forgotten as ( \
             delete from sms_event_deliveries d using gone, sms_subscriptions s \
             where d.subscription_id = s.id and d.place = gone.place \
         ) \
         select count(*) as swept from gone",
    )
    .bind::<Timestamptz, _>(OffsetDateTime::from(what.events))
    .bind::<BigInt, _>(i64::from(what.limit));
    let row: SweptRow = Prepared(delete).get_result(&mut conn).await?;
    Ok(u64::try_from(row.swept).unwrap_or(0))
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
