//! Who is told of events, and how each is doing.

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as QueryError};
use diesel::sql_types::{BigInt, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use domain::hook::Pulse;
use domain::ports::{Changed, HookEnd, SubscriptionChange};
use domain::subscription::{Health, Subscription, SubscriptionId};

use crate::prepared::Prepared;
use crate::rows::{HealthRow, SubscriptionRow, UnreadableRow};
use crate::schema::sms_subscriptions;

/// So much of what one was to be told is forgotten at once.
const STEP: i64 = 1000;

/// `false` where another has its name.
pub(crate) async fn create(mut conn: &AsyncPgConnection, new: &Subscription) -> QueryResult<bool> {
    let inserted = diesel::insert_into(sms_subscriptions::table)
        .values(SubscriptionRow::from(new))
        .on_conflict(sms_subscriptions::name)
        .do_nothing()
        .execute(&mut conn)
        .await?;
    Ok(inserted == 1)
}

/// All, by name.
pub(crate) async fn list(mut conn: &AsyncPgConnection) -> QueryResult<Vec<Subscription>> {
    let rows: Vec<SubscriptionRow> = sms_subscriptions::table
        .order(sms_subscriptions::name)
        .select(SubscriptionRow::as_select())
        .load(&mut conn)
        .await?;
    let mut all =
        rows.into_iter().map(Subscription::try_from).collect::<Result<Vec<_>, UnreadableRow>>()?;
    // The database may sort letters otherwise.
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

/// Changes one under its lock.
pub(crate) async fn change(
    conn: &mut AsyncPgConnection,
    id: SubscriptionId,
    change: &SubscriptionChange,
) -> QueryResult<Changed> {
    let changed = conn
        .transaction(async |conn| {
            let mut conn = &*conn;
            let Some(known) = lock(conn, id).await? else {
                return Ok(Changed::NotFound);
            };
            if let Some(refusal) = change.refusal(&known) {
                return Ok(refusal);
            }
            let after = change.applied(&known);
            let update = diesel::update(sms_subscriptions::table.find(id.0))
                .set(SubscriptionRow::from(&after));
            Prepared(update).execute(&mut conn).await?;
            Ok(Changed::Done(Box::new(after)))
        })
        .await;
    match changed {
        Err(QueryError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => {
            Ok(Changed::NameTaken)
        }
        changed => changed,
    }
}

/// Whoever writes an event from now on does not tell it; `false` where there is none. Before its rows
/// go: who tells it waits for them, and is refused once they are gone.
pub(crate) async fn silence(
    mut conn: &AsyncPgConnection,
    SubscriptionId(id): SubscriptionId,
) -> QueryResult<bool> {
    let silence =
        diesel::update(sms_subscriptions::table.find(id)).set(sms_subscriptions::enabled.eq(false));
    Ok(silence.execute(&mut conn).await? == 1)
}

/// Forgets some of what one was to be told; whether there may be more. What somebody has locked is
/// left for the end.
pub(crate) async fn forget_some(
    mut conn: &AsyncPgConnection,
    SubscriptionId(id): SubscriptionId,
) -> QueryResult<bool> {
    let forget = diesel::sql_query(
        "delete from sms_event_deliveries where (subscription_id, place) in ( \
             select subscription_id, place from sms_event_deliveries \
             where subscription_id = $1 order by place limit $2 for update skip locked \
         )",
    )
    .bind::<SqlUuid, _>(id)
    .bind::<BigInt, _>(STEP);
    let forgotten = Prepared(forget).execute(&mut conn).await?;
    Ok(i64::try_from(forgotten).is_ok_and(|forgotten| forgotten == STEP))
}

/// Forgets one, and with it what is left of what it was to be told.
pub(crate) async fn delete(
    mut conn: &AsyncPgConnection,
    SubscriptionId(id): SubscriptionId,
) -> QueryResult<bool> {
    let deleted = diesel::delete(sms_subscriptions::table.find(id)).execute(&mut conn).await?;
    Ok(deleted == 1)
}

/// Keeps what a call said of the subscriber. A success locks nothing where there was no failure.
pub(crate) async fn feel(mut conn: &AsyncPgConnection, end: &HookEnd) -> QueryResult<()> {
    let id = end.ticket.subscription;
    let this = sms_subscriptions::table.find(id.0);
    match &end.pulse {
        Pulse::Unknown => {}
        Pulse::Alive => {
            let failing = this.filter(
                sms_subscriptions::failures.gt(0).or(sms_subscriptions::last_error.is_not_null()),
            );
            let well = diesel::update(failing).set(HealthRow::from(&Health::default()));
            Prepared(well).execute(&mut conn).await?;
        }
        Pulse::Failed { error, begun, chance } => {
            let Some(known) = lock(conn, id).await? else {
                return Ok(());
            };
            let health = known.health.failed(error, *begun, end.at, *chance);
            let ill = diesel::update(this).set(HealthRow::from(&health));
            Prepared(ill).execute(&mut conn).await?;
        }
        Pulse::Gone => {
            let gone = diesel::update(this).set((
                sms_subscriptions::enabled.eq(false),
                sms_subscriptions::last_error.eq("http_410"),
            ));
            Prepared(gone).execute(&mut conn).await?;
        }
    }
    Ok(())
}

async fn lock(
    mut conn: &AsyncPgConnection,
    SubscriptionId(id): SubscriptionId,
) -> QueryResult<Option<Subscription>> {
    let row: Option<SubscriptionRow> = sms_subscriptions::table
        .filter(sms_subscriptions::id.eq(id))
        .select(SubscriptionRow::as_select())
        .for_no_key_update()
        .get_result(&mut conn)
        .await
        .optional()?;
    Ok(row.map(Subscription::try_from).transpose()?)
}
