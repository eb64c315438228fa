//! Lookups that are due again, whether or not anybody writes to us.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz, Untyped, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use domain::conversation::ConversationId;
use domain::job::{Job, NewJob};
use domain::origin::Origin;
use domain::ports::Reconciliation;
use futures_util::try_join;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::jobs;
use crate::locks::hold_reconciliation;
use crate::prepared::{Prepared, Rows};

/// Writes lookups for those that nobody knew long ago; gives how many.
pub(crate) async fn reconcile(
    conn: &mut AsyncPgConnection,
    due: &Reconciliation,
) -> QueryResult<u64> {
    conn.transaction(async |conn| {
        let conn = &*conn;
        let ((), unknown) = try_join!(hold_reconciliation(conn), unknown(conn, due))?;
        let lookups = due.jobs.iter().zip(unknown).map(|(id, conversation)| NewJob {
            id: *id,
            job: Job::TenantLookup { conversation },
            run_at: due.at,
            origin: Origin::default(),
        });
        let mut lookups: Vec<NewJob> = lookups.collect();
        // As `locks` has it: keys begin with the conversation's id.
        lookups.sort_by_cached_key(|lookup| lookup.job.unique_key());
        let written = jobs::enqueue(conn, &lookups).await?;
        Ok(u64::try_from(written).unwrap_or(u64::MAX))
    })
    .await
}

async fn unknown(
    mut conn: &AsyncPgConnection,
    due: &Reconciliation,
) -> QueryResult<Vec<ConversationId>> {
    let rows: Vec<UnknownRow> = unknown_rows(due).load(&mut conn).await?;
    Ok(rows.into_iter().map(|row| ConversationId(row.id)).collect())
}

#[derive(QueryableByName)]
struct UnknownRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// The longest waiting first. The key is spelled as [`Job::unique_key`] spells it.
pub(crate) fn unknown_rows(due: &Reconciliation) -> Prepared<impl Rows<Untyped>> {
    let unknown = diesel::sql_query(
        "select id from sms_conversations \
         where tenant_id is null and coalesce(tenant_checked_at, created_at) < $1 \
             and not exists ( \
                 select 1 from jobs where state <> 'done' \
                     and unique_key = 'tenant_lookup:' || sms_conversations.id::text \
             ) \
         order by coalesce(tenant_checked_at, created_at), id limit $2",
    )
    .bind::<Timestamptz, _>(OffsetDateTime::from(due.looked_up_before))
    .bind::<BigInt, _>(i64::try_from(due.jobs.len()).unwrap_or(i64::MAX));
    Prepared(unknown)
}
