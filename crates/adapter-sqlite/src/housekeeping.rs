//! What is older than it needs to be is deleted, the oldest first.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use domain::ports::{Housekeeping, Swept};

use crate::failure::Failure;
use crate::prepared::Prepared;

/// The first two conditions are those of an index; the third chooses.
const JOBS: &str = "
    delete from jobs where rowid in (
        select rowid from jobs
        where state in ('done', 'parked') and finished_at < max(?1, ?2)
            and finished_at < case state when 'done' then ?1 else ?2 end
        order by finished_at
        limit ?3
    )";

const IDEMPOTENCY_KEYS: &str = "
    delete from idempotency_keys where rowid in (
        select rowid from idempotency_keys where created_at < ?1 order by created_at limit ?2
    )";

const PARKED_EVENTS: &str = "
    delete from sms_message_status_events where rowid in (
        select rowid from sms_message_status_events
        where message_id is null and created_at < ?1
        order by created_at
        limit ?2
    )";

const PAYLOADS_OF_MESSAGES: &str = "
    update sms_messages set raw_webhook_data = null where rowid in (
        select rowid from sms_messages
        where raw_webhook_data is not null and created_at < ?1
        order by created_at
        limit ?2
    )";

const PAYLOADS_OF_REPORTS: &str = "
    update sms_message_status_events set raw_webhook_data = null where rowid in (
        select rowid from sms_message_status_events
        where raw_webhook_data is not null and created_at < ?1
        order by created_at
        limit ?2
    )";

/// Deletes what `what` allows.
pub(crate) fn sweep(conn: &mut SqliteConnection, what: &Housekeeping) -> Result<Swept, Failure> {
    let limit = i64::from(what.limit);
    let old_jobs = sql_query(JOBS)
        .bind::<Text, _>(what.done_jobs.to_string())
        .bind::<Text, _>(what.parked_jobs.to_string())
        .bind::<BigInt, _>(limit);
    let old_keys = sql_query(IDEMPOTENCY_KEYS)
        .bind::<Text, _>(what.idempotency_keys.to_string())
        .bind::<BigInt, _>(limit);
    let old_events = sql_query(PARKED_EVENTS)
        .bind::<Text, _>(what.parked_events.to_string())
        .bind::<BigInt, _>(limit);
    Ok(Swept {
        jobs: count(Prepared(old_jobs).execute(conn)?),
        idempotency_keys: count(Prepared(old_keys).execute(conn)?),
        parked_events: count(Prepared(old_events).execute(conn)?),
        raw_payloads: sweep_payloads(conn, what)?,
    })
}

fn sweep_payloads(conn: &mut SqliteConnection, what: &Housekeeping) -> Result<u64, Failure> {
    let Some(before) = what.raw_payloads else {
        return Ok(0);
    };
    let mut swept = 0;
    for statement in [PAYLOADS_OF_MESSAGES, PAYLOADS_OF_REPORTS] {
        let old_payloads = sql_query(statement)
            .bind::<Text, _>(before.to_string())
            .bind::<BigInt, _>(i64::from(what.limit));
        swept += count(Prepared(old_payloads).execute(conn)?);
    }
    Ok(swept)
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::plan;

    #[test]
    fn payloads_are_swept_in_the_order_of_an_index_that_holds_nothing_else() {
        for (statement, index) in [
            (PAYLOADS_OF_MESSAGES, "sms_messages_raw"),
            (PAYLOADS_OF_REPORTS, "sms_message_status_events_raw"),
        ] {
            let plan = plan(statement);
            assert!(plan.contains(&format!("INDEX {index}")), "{plan}");
            assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
}
