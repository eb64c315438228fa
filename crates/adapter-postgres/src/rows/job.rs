//! Jobs.

use diesel::prelude::*;
use diesel::sql_types::{Int4, Int8, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use domain::job::{ClaimedJob, Job, JobId, JobState, NewJob, Ticket};
use domain::origin::Origin;
use domain::ports::JobView;
use domain::timestamp::Timestamp;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{UnreadableRow, count};
use crate::schema::jobs;

/// A row of `jobs` to be written.
#[derive(Insertable)]
#[diesel(table_name = jobs, treat_none_as_default_value = false)]
pub(crate) struct JobRow {
    id: Uuid,
    kind: &'static str,
    unique_key: String,
    payload: Value,
    lane: Option<Uuid>,
    state: &'static str,
    attempts: i32,
    run_at: OffsetDateTime,
    lease_expires_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    request_id: Option<String>,
    traceparent: Option<String>,
}

impl JobRow {
    /// The same job, already claimed: its first attempt has a lease until then.
    pub(crate) fn leased(self, until: Timestamp) -> Self {
        let state = JobState::Running.as_str();
        Self { state, attempts: 1, lease_expires_at: Some(until.into()), ..self }
    }
}

impl From<&NewJob> for JobRow {
    fn from(new: &NewJob) -> Self {
        Self {
            id: new.id.0,
            kind: new.job.kind(),
            unique_key: new.job.unique_key(),
            payload: new.job.payload(),
            lane: new.job.lane(),
            state: JobState::Queued.as_str(),
            attempts: 0,
            run_at: new.run_at.into(),
            lease_expires_at: None,
            created_at: new.run_at.into(),
            updated_at: new.run_at.into(),
            request_id: new.origin.request_id.clone(),
            traceparent: new.origin.traceparent.clone(),
        }
    }
}

/// A job that may be claimed.
#[derive(QueryableByName)]
pub(crate) struct DueRow {
    #[diesel(sql_type = SqlUuid)]
    pub(crate) id: Uuid,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Jsonb)]
    payload: Value,
    #[diesel(sql_type = Int4)]
    attempts: i32,
    #[diesel(sql_type = Int4)]
    failures: i32,
    #[diesel(sql_type = Timestamptz)]
    run_at: OffsetDateTime,
    #[diesel(sql_type = Int8)]
    place: i64,
    #[diesel(sql_type = Nullable<Text>)]
    request_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    traceparent: Option<String>,
}

impl DueRow {
    /// Which comes first.
    pub(crate) fn turn(&self) -> (OffsetDateTime, i64) {
        (self.run_at, self.place)
    }

    /// The job with one more attempt; `None` where it is none that this version can read.
    pub(crate) fn claimed(&self, lease_until: Timestamp) -> Option<ClaimedJob> {
        let attempt = u32::try_from(self.attempts).ok()?.checked_add(1)?;
        Some(ClaimedJob {
            ticket: Ticket { id: JobId(self.id), attempt },
            job: Job::from_stored(&self.kind, &self.payload)?,
            failures: u32::try_from(self.failures).ok()?,
            lease_until,
            origin: Origin {
                request_id: self.request_id.clone(),
                traceparent: self.traceparent.clone(),
            },
        })
    }
}

/// A job as an operator sees it.
#[derive(QueryableByName)]
#[diesel(table_name = jobs, check_for_backend(diesel::pg::Pg))]
pub(crate) struct JobViewRow {
    id: Uuid,
    kind: String,
    payload: Value,
    state: String,
    attempts: i32,
    failures: i32,
    last_error: Option<String>,
    run_at: OffsetDateTime,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl TryFrom<JobViewRow> for JobView {
    type Error = UnreadableRow;

    fn try_from(row: JobViewRow) -> Result<Self, UnreadableRow> {
        Ok(Self {
            id: JobId(row.id),
            state: JobState::from_word(&row.state).ok_or(UnreadableRow("state"))?,
            kind: row.kind,
            payload: row.payload,
            attempts: count("attempts", row.attempts)?,
            failures: count("failures", row.failures)?,
            last_error: row.last_error,
            run_at: row.run_at.into(),
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        })
    }
}
