//! The durable queue of work.

use diesel::dsl::{exists, sql};
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Bool, Int4, Jsonb, Nullable, Text, Timestamptz, Untyped, Uuid as SqlUuid,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use domain::job::{ClaimedJob, Job, JobEnding, JobState, NewJob, Ticket};
use domain::ports::{ConversationKey, JobClaim, JobQuery, JobView};
use domain::timestamp::Timestamp;
use futures_util::future::try_join_all;
use futures_util::try_join;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::prepared::{Prepared, Rows};
use crate::rows::{DueRow, JobRow, JobViewRow, UnreadableRow, column, stored_count};
use crate::schema::{jobs, sms_conversations};

/// Takes jobs that are due for a worker, the longest due first.
pub(crate) async fn claim(
    conn: &mut AsyncPgConnection,
    claim: &JobClaim,
) -> QueryResult<Vec<ClaimedJob>> {
    conn.transaction(async |conn| {
        let conn = &*conn;
        let mut unreadable = Vec::new();
        loop {
            let due = lock_due(conn, claim, &unreadable).await?;
            let read = due.iter().map(|row| (row.id, row.claimed(claim.lease_until)));
            let (readable, others): (Vec<_>, Vec<_>) = read.partition(|(_, job)| job.is_some());
            let claimed: Vec<ClaimedJob> =
                readable.into_iter().filter_map(|(_, job)| job).collect();
            // Rows that only another version can read are left to it, however many come first.
            if claimed.is_empty() && !others.is_empty() {
                unreadable.extend(others.into_iter().map(|(id, _)| id));
                continue;
            }
            mark_running(conn, &claimed, claim).await?;
            return Ok(claimed);
        }
    })
    .await
}

/// Locks as many jobs as are wanted, in their order; those that another claim has locked are passed
/// over. A statement for each kind that waits, so that each reads no more of its index than it
/// needs: however many jobs of other kinds are due, they are not in the way.
async fn lock_due(
    conn: &AsyncPgConnection,
    claim: &JobClaim,
    except: &[Uuid],
) -> QueryResult<Vec<DueRow>> {
    let queued = claim.kinds.iter().map(|kind| {
        let kind = std::slice::from_ref(kind);
        lock_where(QUEUED, conn, claim, kind, except)
    });
    let (queued, abandoned) =
        try_join!(try_join_all(queued), lock_where(ABANDONED, conn, claim, &claim.kinds, except),)?;
    let mut due: Vec<DueRow> = queued.into_iter().flatten().chain(abandoned).collect();
    due.sort_by_key(DueRow::turn);
    due.truncate(usize::try_from(claim.limit).unwrap_or(usize::MAX));
    Ok(due)
}

const QUEUED: &str = "kind = ($2)[1] and state = 'queued' and run_at <= $1";
/// Found by their leases, in the order of the index: whatever order is wanted, and whatever the
/// planner knows of the table, the jobs that are done and not swept out yet are not read for it.
const ABANDONED: &str = "id = any(array( \
        select id from jobs where state = 'running' and lease_expires_at <= $1 \
        order by lease_expires_at limit 1000 \
    )) and kind = any($2) and state = 'running' and lease_expires_at <= $1";

async fn lock_where(
    condition: &'static str,
    mut conn: &AsyncPgConnection,
    claim: &JobClaim,
    kinds: &[&'static str],
    except: &[Uuid],
) -> QueryResult<Vec<DueRow>> {
    let query = format!(
        "select id, kind, payload, attempts, failures, run_at, place, request_id, traceparent from jobs \
         where {condition} and id <> all($3) \
             and (lane is null or not exists ( \
                 select 1 from jobs earlier \
                 where earlier.lane = jobs.lane and earlier.place < jobs.place \
                     and earlier.state in ('queued', 'running') \
             )) \
         order by run_at, place limit $4 for no key update skip locked"
    );
    let query = diesel::sql_query(query)
        .bind::<Timestamptz, _>(OffsetDateTime::from(claim.at))
        .bind::<Array<Text>, _>(kinds)
        .bind::<Array<SqlUuid>, _>(except)
        .bind::<BigInt, _>(i64::from(claim.limit));
    Prepared(query).load(&mut conn).await
}

async fn mark_running(
    mut conn: &AsyncPgConnection,
    claimed: &[ClaimedJob],
    claim: &JobClaim,
) -> QueryResult<()> {
    if claimed.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = claimed.iter().map(|job| job.ticket.id.0).collect();
    let mark = diesel::update(jobs::table.filter(jobs::id.eq_any(ids))).set((
        jobs::state.eq(JobState::Running.as_str()),
        jobs::attempts.eq(jobs::attempts + 1),
        jobs::lease_expires_at.eq(OffsetDateTime::from(claim.lease_until)),
        jobs::updated_at.eq(OffsetDateTime::from(claim.at)),
    ));
    Prepared(mark).execute(&mut conn).await?;
    Ok(())
}

/// Ends a worker's hold on a job; `false` where the ticket is no longer valid.
pub(crate) async fn finish(
    mut conn: &AsyncPgConnection,
    ticket: Ticket,
    ending: &JobEnding,
    at: Timestamp,
) -> QueryResult<bool> {
    let change = Change::of(ending);
    let finish = diesel::sql_query(
        "update jobs set state = $3, updated_at = $4, lease_expires_at = null, \
             finished_at = case when $3 in ('done', 'parked') then $4 end, \
             run_at = coalesce($5, run_at), payload = coalesce($6, payload), \
             last_error = coalesce($7, last_error), failures = coalesce(failures + $8, 0) \
         where id = $1 and attempts = $2 and state = 'running'",
    )
    .bind::<SqlUuid, _>(ticket.id.0)
    .bind::<Int4, _>(stored_count(ticket.attempt))
    .bind::<Text, _>(change.state.as_str())
    .bind::<Timestamptz, _>(OffsetDateTime::from(at))
    .bind::<Nullable<Timestamptz>, _>(change.run_at.map(OffsetDateTime::from))
    .bind::<Nullable<Jsonb>, _>(change.payload)
    .bind::<Nullable<Text>, _>(change.error)
    .bind::<Nullable<Int4>, _>(change.more_failures);
    Ok(Prepared(finish).execute(&mut conn).await? == 1)
}

/// What an ending changes of a job; `None` leaves a column as it is.
struct Change<'a> {
    state: JobState,
    run_at: Option<Timestamp>,
    payload: Option<Value>,
    error: Option<&'a str>,
    /// `None` forgets the failures.
    more_failures: Option<i32>,
}

impl<'a> Change<'a> {
    fn of(ending: &'a JobEnding) -> Self {
        let only = |state| Self {
            state,
            run_at: None,
            payload: None,
            error: None,
            more_failures: Some(0),
        };
        let queued = |run_at: &Timestamp| Self { run_at: Some(*run_at), ..only(JobState::Queued) };
        match ending {
            JobEnding::Done => only(JobState::Done),
            JobEnding::Park { error } => Self { error: Some(error), ..only(JobState::Parked) },
            JobEnding::Continue { job, run_at } => {
                Self { payload: Some(job.payload()), more_failures: None, ..queued(run_at) }
            }
            JobEnding::Retry { run_at, error } => {
                Self { error: Some(error), more_failures: Some(1), ..queued(run_at) }
            }
            JobEnding::Release { run_at } => queued(run_at),
        }
    }
}

/// Writes the jobs of which no unfinished one has the key; gives how many. Jobs of several
/// conversations come in the order of these.
pub(crate) async fn enqueue(mut conn: &AsyncPgConnection, new: &[NewJob]) -> QueryResult<usize> {
    if new.is_empty() {
        return Ok(0);
    }
    let insert = diesel::sql_query(
        "insert into jobs (id, kind, unique_key, payload, lane, run_at, created_at, updated_at, \
             request_id, traceparent, state) \
         select id, kind, unique_key, payload, lane, run_at, run_at, run_at, request_id, \
             traceparent, 'queued' \
         from unnest($1, $2, $3, $4, $5, $6, $7, $8) with ordinality \
             as new (id, kind, unique_key, payload, lane, run_at, request_id, traceparent, nth) \
         order by nth \
         on conflict do nothing",
    )
    .bind::<Array<SqlUuid>, _>(column(new, |new| new.id.0))
    .bind::<Array<Text>, _>(column(new, |new| new.job.kind()))
    .bind::<Array<Text>, _>(column(new, |new| new.job.unique_key()))
    .bind::<Array<Jsonb>, _>(column(new, |new| new.job.payload()))
    .bind::<Array<Nullable<SqlUuid>>, _>(column(new, |new| new.job.lane()))
    .bind::<Array<Timestamptz>, _>(column(new, |new| OffsetDateTime::from(new.run_at)))
    .bind::<Array<Nullable<Text>>, _>(column(new, |new| new.origin.request_id.as_deref()))
    .bind::<Array<Nullable<Text>>, _>(column(new, |new| new.origin.traceparent.as_deref()));
    Prepared(insert).execute(&mut conn).await
}

/// Writes a job that this process has claimed already.
pub(crate) async fn enqueue_leased(
    mut conn: &AsyncPgConnection,
    new: &NewJob,
    until: Timestamp,
) -> QueryResult<()> {
    diesel::insert_into(jobs::table)
        .values(JobRow::from(new).leased(until))
        .execute(&mut conn)
        .await?;
    Ok(())
}

/// Whether an unfinished job is in the lane of that conversation.
pub(crate) async fn lane_is_taken(
    mut conn: &AsyncPgConnection,
    conversation: &ConversationKey,
) -> QueryResult<bool> {
    use sms_conversations::dsl;
    let unfinished = jobs::table.filter(is_unfinished());
    match conversation {
        ConversationKey::Id(id) => {
            let lane = unfinished.filter(jobs::lane.eq(id.0));
            Prepared(diesel::select(exists(lane))).get_result(&mut conn).await
        }
        ConversationKey::Address(address) => {
            let of_address = dsl::sms_conversations
                .filter(dsl::phone_number_canonical.eq(address.canonical()))
                .select(dsl::id.nullable());
            let lane = unfinished.filter(jobs::lane.eq_any(of_address));
            Prepared(diesel::select(exists(lane))).get_result(&mut conn).await
        }
    }
}

/// Whether the ticket is valid and its lease is not over before `deadline`; the job stays as it is
/// until the transaction ends.
pub(crate) async fn lock_ticket(
    mut conn: &AsyncPgConnection,
    ticket: Ticket,
    deadline: Timestamp,
) -> QueryResult<bool> {
    let held: Option<Uuid> = jobs::table
        .filter(jobs::id.eq(ticket.id.0))
        .filter(jobs::attempts.eq(stored_count(ticket.attempt)))
        .filter(jobs::state.eq(JobState::Running.as_str()))
        .filter(jobs::lease_expires_at.ge(OffsetDateTime::from(deadline)))
        .select(jobs::id)
        .for_no_key_update()
        .get_result(&mut conn)
        .await
        .optional()?;
    Ok(held.is_some())
}

/// Finishes the job of which only one unfinished exists, if there is one.
pub(crate) async fn finish_unclaimed(
    conn: &AsyncPgConnection,
    job: &Job,
    at: Timestamp,
) -> QueryResult<()> {
    finish_where(conn, job, is_unfinished(), at).await
}

/// Finishes the job if it was given up.
pub(crate) async fn finish_parked(
    conn: &AsyncPgConnection,
    job: &Job,
    at: Timestamp,
) -> QueryResult<()> {
    finish_where(conn, job, sql("jobs.state = 'parked'"), at).await
}

/// Whether that job waits or runs.
pub(crate) async fn waits_or_runs(mut conn: &AsyncPgConnection, job: &Job) -> QueryResult<bool> {
    let of_key = jobs::table.filter(jobs::unique_key.eq(job.unique_key())).filter(is_unfinished());
    Prepared(diesel::select(exists(of_key))).get_result(&mut conn).await
}

async fn finish_where(
    mut conn: &AsyncPgConnection,
    job: &Job,
    state: SqlLiteral<Bool>,
    at: Timestamp,
) -> QueryResult<()> {
    let of_key = jobs::table.filter(jobs::unique_key.eq(job.unique_key()));
    let at = OffsetDateTime::from(at);
    let finish = diesel::update(of_key.filter(state)).set((
        jobs::state.eq(JobState::Done.as_str()),
        jobs::lease_expires_at.eq(None::<OffsetDateTime>),
        jobs::updated_at.eq(at),
        jobs::finished_at.eq(at),
    ));
    Prepared(finish).execute(&mut conn).await?;
    Ok(())
}

/// Jobs by state, the latest changed first.
pub(crate) async fn list(
    mut conn: &AsyncPgConnection,
    query: &JobQuery,
) -> QueryResult<Vec<JobView>> {
    let rows: Vec<JobViewRow> = listed_rows(query).load(&mut conn).await?;
    Ok(rows.into_iter().map(JobView::try_from).collect::<Result<_, UnreadableRow>>()?)
}

/// Each state is read in the order of an index, no further than the page reaches, and all of them
/// are merged.
pub(crate) fn listed_rows(query: &JobQuery) -> Prepared<impl Rows<Untyped>> {
    let states = query.state.map_or_else(|| JobState::ALL.to_vec(), |state| vec![state]);
    let of_state = |state: JobState| {
        format!(
            "(select * from jobs where state = '{}' \
              order by updated_at desc, id desc limit $1 + $2)",
            state.as_str()
        )
    };
    let states: Vec<_> = states.into_iter().map(of_state).collect();
    let rows = format!(
        "select id, kind, payload, state, attempts, failures, last_error, run_at, created_at, \
             updated_at \
         from ({}) listed order by updated_at desc, id desc limit $1 offset $2",
        states.join(" union all ")
    );
    let rows = diesel::sql_query(rows)
        .bind::<BigInt, _>(i64::from(query.limit))
        .bind::<BigInt, _>(i64::from(query.offset));
    Prepared(rows)
}

/// In these words, and not with parameters: they are those of the partial indexes.
fn is_unfinished() -> SqlLiteral<Bool> {
    sql("jobs.state in ('queued', 'running')")
}
