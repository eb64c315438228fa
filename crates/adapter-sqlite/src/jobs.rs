//! The queue of jobs: written, claimed by lease and attempt, ended, tried again.

use diesel::dsl::{exists, select, sql};
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Text};
use domain::job::{ClaimedJob, Job, JobEnding, JobState, NewJob, Ticket};
use domain::ports::{JobClaim, JobQuery, JobRetried, JobRetry, JobView, MessageKey};
use domain::timestamp::Timestamp;

use crate::failure::Failure;
use crate::outgoing;
use crate::prepared::Prepared;
use crate::rows::{DueRow, JobRow};
use crate::schema::jobs;

const NEXT_PLACE: &str = "(select coalesce(max(place), 0) + 1 from jobs)";

/// Queued jobs of one kind whose time has come and running ones whose lease is over, but of each
/// lane only the first. Each half is read in the order of an index, so that a long queue costs no
/// more, nor do jobs of other kinds. `likely` keeps SQLite from going through all that run, by the
/// index over states, instead of those whose lease is over.
const DUE: &str = "
    with first_of_lane as not materialized (
        select * from jobs
        where kind = ?1
            and (lane is null or not exists (
                select 1 from jobs other
                where other.lane = jobs.lane and other.place < jobs.place
                    and other.state in ('queued', 'running')
            ))
    )
    select * from first_of_lane where state = 'queued' and run_at <= ?2
    union all
    select * from first_of_lane where likely(state = 'running') and lease_expires_at <= ?2
    order by run_at, place
    limit ?3 offset ?4";

/// What the end of a worker's hold changes in a row.
#[derive(AsChangeset)]
#[diesel(table_name = jobs, treat_none_as_null = true)]
struct EndColumns {
    state: &'static str,
    lease_expires_at: Option<String>,
    updated_at: String,
    finished_at: Option<String>,
    #[diesel(embed)]
    next: NextColumns,
}

/// What it may change besides. What is `None` stays as it was.
#[derive(Default, AsChangeset)]
#[diesel(table_name = jobs)]
struct NextColumns {
    run_at: Option<String>,
    payload: Option<String>,
    failures: Option<i64>,
    last_error: Option<String>,
}

/// Writes a job that waits, unless an unfinished one has its key: the partial unique index knows.
pub(crate) fn enqueue(conn: &mut SqliteConnection, new: &NewJob) -> Result<(), Failure> {
    insert(conn, JobRow::queued(new))
}

/// Writes a job that whoever writes it has to itself until then.
pub(crate) fn enqueue_leased(
    conn: &mut SqliteConnection,
    new: &NewJob,
    until: Timestamp,
) -> Result<(), Failure> {
    insert(conn, JobRow::leased(new, until))
}

fn insert(conn: &mut SqliteConnection, row: JobRow) -> Result<(), Failure> {
    let insert = diesel::insert_into(jobs::table)
        .values((row, jobs::place.eq(sql::<BigInt>(NEXT_PLACE))))
        .on_conflict_do_nothing();
    Prepared(insert).execute(conn)?;
    Ok(())
}

/// Whether an unfinished job of the same lane comes first.
pub(crate) fn is_lane_taken(conn: &mut SqliteConnection, job: &Job) -> Result<bool, Failure> {
    let Some(lane) = job.lane() else {
        return Ok(false);
    };
    let before = jobs::table.filter(jobs::lane.eq(lane.to_string())).filter(unfinished());
    Ok(Prepared(select(exists(before))).get_result(conn)?)
}

/// In the words of the partial indexes, which SQLite compares.
fn unfinished() -> SqlLiteral<Bool> {
    sql("state in ('queued', 'running')")
}

/// Whether the ticket is valid and its lease not over before that time.
pub(crate) fn is_leased(
    conn: &mut SqliteConnection,
    ticket: Ticket,
    until: Timestamp,
) -> Result<bool, Failure> {
    let outlives = held(ticket).filter(jobs::lease_expires_at.ge(until.to_string()));
    Ok(select(exists(outlives)).get_result(conn)?)
}

/// The job of a ticket that is valid.
#[diesel::dsl::auto_type(no_type_alias)]
fn held(ticket: Ticket) -> _ {
    let (id, attempt): (String, i64) = (ticket.id.to_string(), i64::from(ticket.attempt));
    let running: &'static str = JobState::Running.as_str();
    jobs::table
        .filter(jobs::id.eq(id))
        .filter(jobs::attempts.eq(attempt))
        .filter(jobs::state.eq(running))
}

/// Takes jobs for a worker.
pub(crate) fn claim(
    conn: &mut SqliteConnection,
    claim: &JobClaim,
) -> Result<Vec<ClaimedJob>, Failure> {
    let due = due(conn, claim)?;
    for job in &due {
        let lease = diesel::update(jobs::table.find(job.ticket.id.to_string())).set((
            jobs::state.eq(JobState::Running.as_str()),
            jobs::attempts.eq(i64::from(job.ticket.attempt)),
            jobs::lease_expires_at.eq(claim.lease_until.to_string()),
            jobs::updated_at.eq(claim.at.to_string()),
        ));
        Prepared(lease).execute(conn)?;
    }
    Ok(due)
}

/// The jobs to take, as they are once they are taken.
fn due(conn: &mut SqliteConnection, claim: &JobClaim) -> Result<Vec<ClaimedJob>, Failure> {
    let mut due = Vec::new();
    for kind in &claim.kinds {
        due.extend(due_of(conn, kind, claim)?);
    }
    due.sort_by(|(one, _), (other, _)| one.cmp(other));
    due.truncate(usize::try_from(claim.limit).unwrap_or(usize::MAX));
    Ok(due.into_iter().map(|(_, job)| job).collect())
}

/// When a job may run, and its place.
type Turn = (String, i64);

/// Those of one kind, with what they are taken in the order of. Rows that cannot be read are passed
/// over, however many there are.
fn due_of(
    conn: &mut SqliteConnection,
    kind: &str,
    claim: &JobClaim,
) -> Result<Vec<(Turn, ClaimedJob)>, Failure> {
    let limit = usize::try_from(claim.limit).unwrap_or(usize::MAX);
    let (mut due, mut seen) = (Vec::new(), 0_i64);
    while due.len() < limit {
        let page = sql_query(DUE)
            .bind::<Text, _>(kind)
            .bind::<Text, _>(claim.at.to_string())
            .bind::<BigInt, _>(i64::from(claim.limit))
            .bind::<BigInt, _>(seen);
        let rows: Vec<DueRow> = Prepared(page).load(conn)?;
        if rows.is_empty() {
            break;
        }
        seen = seen.saturating_add(i64::try_from(rows.len()).unwrap_or(i64::MAX));
        let turn = |row: &DueRow| (row.job.run_at.clone(), row.place);
        due.extend(rows.iter().filter_map(|row| Some((turn(row), taken(&row.job, claim)?))));
    }
    Ok(due)
}

/// `None` where the row is not one of ours.
fn taken(row: &JobRow, claim: &JobClaim) -> Option<ClaimedJob> {
    Some(ClaimedJob {
        ticket: Ticket { id: row.id().ok()?, attempt: row.attempts().ok()?.checked_add(1)? },
        job: row.job()?,
        failures: row.failures().ok()?,
        lease_until: claim.lease_until,
        origin: row.origin(),
    })
}

/// Ends a worker's hold; `false` where the ticket is no longer valid.
pub(crate) fn finish(
    conn: &mut SqliteConnection,
    ticket: Ticket,
    ending: &JobEnding,
    at: Timestamp,
) -> Result<bool, Failure> {
    let failures: Option<i64> = held(ticket).select(jobs::failures).first(conn).optional()?;
    let Some(failures) = failures else {
        return Ok(false);
    };
    let update = diesel::update(jobs::table.find(ticket.id.to_string()))
        .set(EndColumns::after(ending, failures, at));
    Prepared(update).execute(conn)?;
    Ok(true)
}

/// Finishes a job that nobody needs any more.
pub(crate) fn call_off(
    conn: &mut SqliteConnection,
    job: &Job,
    at: Timestamp,
) -> Result<(), Failure> {
    call_off_where(conn, job, unfinished(), at)
}

/// The same for one that was given up.
pub(crate) fn call_off_parked(
    conn: &mut SqliteConnection,
    job: &Job,
    at: Timestamp,
) -> Result<(), Failure> {
    call_off_where(conn, job, sql("state = 'parked'"), at)
}

fn call_off_where(
    conn: &mut SqliteConnection,
    job: &Job,
    state: SqlLiteral<Bool>,
    at: Timestamp,
) -> Result<(), Failure> {
    let wanted = jobs::table
        .filter(jobs::unique_key.eq(job.unique_key()))
        // Says nothing new: it is the condition of the index over keys.
        .filter(sql::<Bool>("state <> 'done'"))
        .filter(state);
    let update =
        diesel::update(wanted).set(EndColumns::of(JobState::Done, NextColumns::default(), at));
    Prepared(update).execute(conn)?;
    Ok(())
}

/// Jobs by state, the latest changed first.
pub(crate) fn list(conn: &mut SqliteConnection, query: &JobQuery) -> Result<Vec<JobView>, Failure> {
    let rows = sql_query(listed(query.state))
        .bind::<BigInt, _>(i64::from(query.limit))
        .bind::<BigInt, _>(i64::from(query.offset));
    let rows: Vec<JobRow> = Prepared(rows).load(conn)?;
    rows.into_iter().map(JobView::try_from).collect()
}

/// Each state is read in the order of an index, and all of them are merged.
fn listed(state: Option<JobState>) -> String {
    let states = state.map_or_else(|| JobState::ALL.to_vec(), |state| vec![state]);
    let of_state =
        |state: JobState| format!("select * from jobs where state = '{}'", state.as_str());
    let states: Vec<_> = states.into_iter().map(of_state).collect();
    format!("{} order by updated_at desc, id desc limit ?1 offset ?2", states.join(" union all "))
}

/// Queues a parked job again, at the end of its lane. No other unfinished job has its key: the unique index sees to it.
pub(crate) fn retry(conn: &mut SqliteConnection, retry: &JobRetry) -> Result<JobRetried, Failure> {
    let row = jobs::table.find(retry.id.to_string()).select(JobRow::as_select()).first(conn);
    let Some(row) = row.optional()? else {
        return Ok(JobRetried::NotFound);
    };
    if row.state != JobState::Parked.as_str() {
        return Ok(JobRetried::NotParked);
    }
    if !revive(conn, &row, retry)? {
        return Ok(JobRetried::MaybeSent);
    }
    let run_at = Some(retry.at.to_string());
    let next = NextColumns { run_at, failures: Some(0), ..NextColumns::default() };
    let queued = EndColumns::of(JobState::Queued, next, retry.at);
    let last = jobs::place.eq(sql::<BigInt>(NEXT_PLACE));
    Prepared(diesel::update(jobs::table.find(&row.id)).set((queued, last))).execute(conn)?;
    Ok(JobRetried::Queued)
}

/// Lets the message of a `send` be sent after all; `false` where it may have been sent.
fn revive(conn: &mut SqliteConnection, row: &JobRow, retry: &JobRetry) -> Result<bool, Failure> {
    let Some(Job::Send { message, .. }) = row.job() else {
        return Ok(true);
    };
    let before = outgoing::find(conn, &MessageKey::Id(message))?;
    let step = before.as_ref().and_then(|before| before.revive(retry.at, retry.expires_at));
    let (Some(before), Some(step)) = (before, step) else {
        return Ok(false);
    };
    outgoing::write(conn, &before, &step, None, retry.at)?;
    Ok(true)
}

impl EndColumns {
    /// `failures` is how often in a row the job had failed before.
    fn after(ending: &JobEnding, failures: i64, at: Timestamp) -> Self {
        let from = |run_at: &Timestamp| Some(run_at.to_string());
        let (state, next) = match ending {
            JobEnding::Done => (JobState::Done, NextColumns::default()),
            JobEnding::Park { error } => {
                let last_error = Some(error.clone());
                (JobState::Parked, NextColumns { last_error, ..NextColumns::default() })
            }
            JobEnding::Continue { job, run_at } => {
                let (run_at, payload) = (from(run_at), Some(job.payload().to_string()));
                let failures = Some(0);
                (JobState::Queued, NextColumns { run_at, payload, failures, last_error: None })
            }
            JobEnding::Retry { run_at, error } => {
                let (run_at, last_error) = (from(run_at), Some(error.clone()));
                let failures = Some(failures.saturating_add(1));
                (JobState::Queued, NextColumns { run_at, payload: None, failures, last_error })
            }
            JobEnding::Release { run_at } => {
                let run_at = from(run_at);
                (JobState::Queued, NextColumns { run_at, ..NextColumns::default() })
            }
        };
        Self::of(state, next, at)
    }

    /// Nobody holds it any more.
    fn of(state: JobState, next: NextColumns, at: Timestamp) -> Self {
        let is_finished = matches!(state, JobState::Done | JobState::Parked);
        Self {
            state: state.as_str(),
            lease_expires_at: None,
            updated_at: at.to_string(),
            finished_at: is_finished.then(|| at.to_string()),
            next,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::plans::plan;

    use super::*;

    #[test]
    fn a_claim_costs_no_more_when_the_queue_is_long() {
        let plan = plan(DUE);
        for index in ["jobs_due (kind=? AND run_at<?)", "jobs_leases", "jobs_lane"] {
            assert!(plan.contains(index), "{plan}");
        }
        assert!(!plan.contains("SCAN jobs"), "{plan}");
    }

    #[test]
    fn a_list_of_jobs_is_read_in_the_order_of_an_index_whatever_their_state() {
        for state in [None].into_iter().chain(JobState::ALL.map(Some)) {
            let plan = plan(&listed(state));
            assert!(plan.contains("INDEX jobs_latest"), "{plan}");
            assert!(!plan.contains("SCAN jobs") && !plan.contains("TEMP B-TREE"), "{plan}");
        }
    }

    #[test]
    fn the_next_place_is_read_from_an_index() {
        let plan = plan(NEXT_PLACE.trim_matches(['(', ')']));
        assert!(plan.contains("SEARCH jobs USING COVERING INDEX jobs_place"), "{plan}");
    }
}
