//! Who is told of events, and how each is doing.

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use domain::hook::Pulse;
use domain::ports::{Changed, HookEnd, SubscriptionChange};
use domain::subscription::{Health, Subscription, SubscriptionId};

use crate::failure::Failure;
use crate::prepared::Prepared;
use crate::rows::SubscriptionRow;
use crate::schema::sms_subscriptions;

/// So much of what one was to be told is forgotten at once.
const STEP: i64 = 1000;

/// `false` where another has its name.
pub(crate) fn create(conn: &mut SqliteConnection, new: &Subscription) -> Result<bool, Failure> {
    let inserted = diesel::insert_into(sms_subscriptions::table)
        .values(SubscriptionRow::try_from(new)?)
        .on_conflict(sms_subscriptions::name)
        .do_nothing()
        .execute(conn)?;
    Ok(inserted == 1)
}

/// All, by name.
pub(crate) fn list(conn: &mut SqliteConnection) -> Result<Vec<Subscription>, Failure> {
    let rows: Vec<SubscriptionRow> = sms_subscriptions::table
        .order(sms_subscriptions::name)
        .select(SubscriptionRow::as_select())
        .load(conn)?;
    rows.into_iter().map(Subscription::try_from).collect()
}

/// Changes one.
pub(crate) fn change(
    conn: &mut SqliteConnection,
    id: SubscriptionId,
    change: &SubscriptionChange,
) -> Result<Changed, Failure> {
    let Some(known) = find(conn, id)? else {
        return Ok(Changed::NotFound);
    };
    if let Some(refusal) = change.refusal(&known) {
        return Ok(refusal);
    }
    let after = change.applied(&known);
    match write(conn, &after) {
        Err(Failure::Database(DieselError::DatabaseError(
            DatabaseErrorKind::UniqueViolation,
            _,
        ))) => Ok(Changed::NameTaken),
        written => written.map(|()| Changed::Done(Box::new(after))),
    }
}

/// Nothing is written any more that it is to be told; `false` where there is none.
pub(crate) fn silence(conn: &mut SqliteConnection, id: SubscriptionId) -> Result<bool, Failure> {
    let silence = diesel::update(sms_subscriptions::table.find(id.to_string()))
        .set(sms_subscriptions::enabled.eq(false));
    Ok(silence.execute(conn)? == 1)
}

/// Forgets some of what one was to be told; whether there may be more. In steps, as there is one
/// writer, and texts wait for it too.
pub(crate) fn forget_some(
    conn: &mut SqliteConnection,
    id: SubscriptionId,
) -> Result<bool, Failure> {
    let forget = sql_query(
        "delete from sms_event_deliveries where rowid in (
             select rowid from sms_event_deliveries where subscription_id = ?1 limit ?2
         )",
    )
    .bind::<Text, _>(id.to_string())
    .bind::<BigInt, _>(STEP);
    let forgotten = Prepared(forget).execute(conn)?;
    Ok(i64::try_from(forgotten).is_ok_and(|forgotten| forgotten == STEP))
}

/// Forgets one, and with it what is left of what it was to be told.
pub(crate) fn delete(conn: &mut SqliteConnection, id: SubscriptionId) -> Result<bool, Failure> {
    let deleted = diesel::delete(sms_subscriptions::table.find(id.to_string())).execute(conn)?;
    Ok(deleted == 1)
}

/// Keeps what a call said of the subscriber.
pub(crate) fn feel(conn: &mut SqliteConnection, end: &HookEnd) -> Result<(), Failure> {
    if end.pulse == Pulse::Unknown {
        return Ok(());
    }
    let Some(mut known) = find(conn, end.ticket.subscription)? else {
        return Ok(());
    };
    let before = known.clone();
    match &end.pulse {
        Pulse::Unknown => {}
        Pulse::Alive => known.health = Health::default(),
        Pulse::Failed { error, begun, chance } => {
            known.health = known.health.failed(error, *begun, end.at, *chance);
        }
        Pulse::Gone => {
            known.enabled = false;
            known.health.last_error = Some("http_410".to_owned());
        }
    }
    if known != before {
        write(conn, &known)?;
    }
    Ok(())
}

/// The one with that id.
pub(crate) fn find(
    conn: &mut SqliteConnection,
    id: SubscriptionId,
) -> Result<Option<Subscription>, Failure> {
    let row: Option<SubscriptionRow> = sms_subscriptions::table
        .find(id.to_string())
        .select(SubscriptionRow::as_select())
        .first(conn)
        .optional()?;
    row.map(Subscription::try_from).transpose()
}

fn write(conn: &mut SqliteConnection, after: &Subscription) -> Result<(), Failure> {
    let update = diesel::update(sms_subscriptions::table.find(after.id.to_string()))
        .set(SubscriptionRow::try_from(after)?);
    Prepared(update).execute(conn)?;
    Ok(())
}
