//! Deleting what is older than it needs to be.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use domain::ports::{Housekeeping, Swept};
use domain::timestamp::Timestamp;
use futures_util::try_join;
use time::OffsetDateTime;

use crate::prepared::Prepared;

/// Rows that somebody else has locked are passed over: they come next time.
pub(crate) async fn sweep(conn: &mut AsyncPgConnection, what: &Housekeeping) -> QueryResult<Swept> {
    conn.transaction(async |conn| {
        let conn = &*conn;
        let (jobs, idempotency_keys, parked_events, raw_payloads) = try_join!(
            sweep_jobs(conn, what),
            sweep_keys(conn, what),
            sweep_events(conn, what),
            sweep_payloads(conn, what)
        )?;
        Ok(Swept { jobs, idempotency_keys, parked_events, raw_payloads })
    })
    .await
}

async fn sweep_jobs(mut conn: &AsyncPgConnection, what: &Housekeeping) -> QueryResult<u64> {
    let delete = diesel::sql_query(
        "delete from jobs where id in ( \
             select id from jobs \
             where (state = 'done' and finished_at < $1) \
                 or (state = 'parked' and finished_at < $2) \
             limit $3 for update skip locked \
         )",
    )
    .bind::<Timestamptz, _>(OffsetDateTime::from(what.done_jobs))
    .bind::<Timestamptz, _>(OffsetDateTime::from(what.parked_jobs))
    .bind::<BigInt, _>(i64::from(what.limit));
    Ok(count(Prepared(delete).execute(&mut conn).await?))
}

async fn sweep_keys(conn: &AsyncPgConnection, what: &Housekeeping) -> QueryResult<u64> {
    let delete = "delete from idempotency_keys where (caller, key) in ( \
             select caller, key from idempotency_keys where created_at < $1 \
             limit $2 for update skip locked \
         )";
    sweep_before(conn, delete, what.idempotency_keys, what.limit).await
}

async fn sweep_events(conn: &AsyncPgConnection, what: &Housekeeping) -> QueryResult<u64> {
    let delete = "delete from sms_message_status_events where id in ( \
             select id from sms_message_status_events \
             where message_id is null and created_at < $1 limit $2 for update skip locked \
         )";
    sweep_before(conn, delete, what.parked_events, what.limit).await
}

async fn sweep_payloads(conn: &AsyncPgConnection, what: &Housekeeping) -> QueryResult<u64> {
    let Some(before) = what.raw_payloads else {
        return Ok(0);
    };
    let (of_messages, of_reports) = try_join!(
        sweep_before(conn, PAYLOADS_OF_MESSAGES, before, what.limit),
        sweep_before(conn, PAYLOADS_OF_REPORTS, before, what.limit)
    )?;
    Ok(of_messages + of_reports)
}

const PAYLOADS_OF_MESSAGES: &str = "update sms_messages set raw_webhook_data = null \
     where id in ( \
         select id from sms_messages where raw_webhook_data is not null and created_at < $1 \
         order by created_at limit $2 for no key update skip locked \
     )";

const PAYLOADS_OF_REPORTS: &str = "update sms_message_status_events set raw_webhook_data = null \
     where id in ( \
         select id from sms_message_status_events \
         where raw_webhook_data is not null and created_at < $1 \
         order by created_at limit $2 for no key update skip locked \
     )";

async fn sweep_before(
    mut conn: &AsyncPgConnection,
    statement: &'static str,
    time: Timestamp,
    limit: u32,
) -> QueryResult<u64> {
    let statement = diesel::sql_query(statement)
        .bind::<Timestamptz, _>(OffsetDateTime::from(time))
        .bind::<BigInt, _>(i64::from(limit));
    Ok(count(Prepared(statement).execute(&mut conn).await?))
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
