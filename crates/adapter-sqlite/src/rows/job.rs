//! Rows of `jobs`.

use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::job::{Job, JobId, JobState, NewJob};
use domain::origin::Origin;
use domain::ports::JobView;
use domain::timestamp::Timestamp;
use serde_json::Value;

use super::{known, time, uuid};
use crate::failure::Failure;
use crate::schema::jobs;

/// A row of `jobs` without its place, which only the database knows.
#[derive(Queryable, QueryableByName, Selectable, Insertable)]
#[diesel(table_name = jobs, check_for_backend(Sqlite))]
#[diesel(treat_none_as_default_value = false)]
pub(crate) struct JobRow {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) unique_key: String,
    pub(crate) payload: String,
    pub(crate) state: String,
    pub(crate) attempts: i64,
    pub(crate) failures: i64,
    pub(crate) run_at: String,
    pub(crate) lease_expires_at: Option<String>,
    pub(crate) last_error: Option<String>,
    lane: Option<String>,
    created_at: String,
    updated_at: String,
    finished_at: Option<String>,
    request_id: Option<String>,
    traceparent: Option<String>,
}

/// A job that may be claimed, with its place.
#[derive(QueryableByName)]
#[diesel(table_name = jobs, check_for_backend(Sqlite))]
pub(crate) struct DueRow {
    #[diesel(embed)]
    pub(crate) job: JobRow,
    pub(crate) place: i64,
}

impl JobRow {
    /// A job that waits.
    pub(crate) fn queued(new: &NewJob) -> Self {
        let run_at = new.run_at.to_string();
        Self {
            id: new.id.to_string(),
            kind: new.job.kind().to_owned(),
            unique_key: new.job.unique_key(),
            payload: new.job.payload().to_string(),
            state: JobState::Queued.as_str().to_owned(),
            attempts: 0,
            failures: 0,
            lease_expires_at: None,
            last_error: None,
            lane: new.job.lane().map(|lane| lane.to_string()),
            created_at: run_at.clone(),
            updated_at: run_at.clone(),
            finished_at: None,
            request_id: new.origin.request_id.clone(),
            traceparent: new.origin.traceparent.clone(),
            run_at,
        }
    }

    /// A job that whoever writes it has to itself until then.
    pub(crate) fn leased(new: &NewJob, until: Timestamp) -> Self {
        let state = JobState::Running.as_str().to_owned();
        let lease_expires_at = Some(until.to_string());
        Self { state, attempts: 1, lease_expires_at, ..Self::queued(new) }
    }

    /// What is to be done; `None` where the row is not one of ours.
    pub(crate) fn job(&self) -> Option<Job> {
        let payload = serde_json::from_str(&self.payload).ok()?;
        Job::from_stored(&self.kind, &payload)
    }

    /// What it follows from.
    pub(crate) fn origin(&self) -> Origin {
        let (request_id, traceparent) = (self.request_id.clone(), self.traceparent.clone());
        Origin { request_id, traceparent }
    }

    pub(crate) fn id(&self) -> Result<JobId, Failure> {
        uuid(&self.id).map(JobId)
    }

    /// How often it was claimed.
    pub(crate) fn attempts(&self) -> Result<u32, Failure> {
        count(self.attempts)
    }

    /// How often in a row it failed.
    pub(crate) fn failures(&self) -> Result<u32, Failure> {
        count(self.failures)
    }
}

impl TryFrom<JobRow> for JobView {
    type Error = Failure;

    fn try_from(row: JobRow) -> Result<Self, Failure> {
        Ok(Self {
            id: row.id()?,
            state: known("state", &row.state, JobState::from_word)?,
            attempts: row.attempts()?,
            failures: row.failures()?,
            // An operator must see also the row that no version of ours wrote.
            payload: serde_json::from_str(&row.payload).unwrap_or(Value::Null),
            run_at: time(&row.run_at)?,
            created_at: time(&row.created_at)?,
            updated_at: time(&row.updated_at)?,
            kind: row.kind,
            last_error: row.last_error,
        })
    }
}

fn count(stored: i64) -> Result<u32, Failure> {
    stored.try_into().map_err(|_| Failure::Unreadable("count"))
}
