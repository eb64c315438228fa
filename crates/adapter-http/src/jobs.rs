//! `GET /jobs` and `POST /jobs/{id}/retry`: what an operator sees of the work behind.

use actix_web::{HttpRequest, HttpResponse, web};
use domain::error::Invalid;
use domain::job::{JobId, JobState};
use domain::ports::{JobQuery, JobView};
use domain::timestamp::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::access::Scope;
use crate::openapi::words;
use crate::parameters::Parameters;
use crate::{ApiError, Services};

/// Every parameter of a list of jobs.
pub(crate) const PARAMETERS: &[&str] = &["state", "limit", "offset"];

/// A page of jobs, the latest changed first.
#[derive(Serialize, ToSchema)]
#[schema(as = JobList)]
pub(crate) struct JobsBody {
    /// The jobs.
    jobs: Vec<JobBody>,
    /// How many were asked for, at most.
    #[schema(minimum = 1, maximum = 100)]
    limit: u32,
    /// How many were passed over.
    #[schema(minimum = 0, maximum = 10000)]
    offset: u32,
}

/// Work that is done behind the API.
#[derive(Serialize, ToSchema)]
#[schema(as = Job)]
pub(crate) struct JobBody {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// What kind.
    kind: String,
    /// What it needs to know: ids only.
    #[schema(schema_with = words::object)]
    payload: Value,
    /// Where it stands.
    #[schema(schema_with = words::job_state)]
    state: &'static str,
    /// How often it was begun.
    #[schema(minimum = 0)]
    attempts: u32,
    /// How often in a row it failed.
    #[schema(minimum = 0)]
    failures: u32,
    /// Why it last failed.
    last_error: Option<String>,
    /// Not before this time.
    #[schema(value_type = String, format = DateTime)]
    run_at: Timestamp,
    /// When it was written.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A job that will run again.
#[derive(Serialize, ToSchema)]
#[schema(as = JobQueued)]
pub(crate) struct QueuedBody {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// `queued`.
    #[schema(schema_with = words::job_state)]
    state: &'static str,
}

/// Jobs by state, the latest changed first.
#[tracing::instrument(name = "http.jobs", skip_all)]
pub(crate) async fn list(
    services: web::Data<Services>,
    request: HttpRequest,
    parameters: web::Query<Parameters>,
) -> Result<HttpResponse, ApiError> {
    services.allow(&request, Scope::Operate)?;
    parameters.expect(PARAMETERS)?;
    let reason = "must be parked, queued, running or done";
    let query = JobQuery {
        state: parameters.read("state", JobState::from_word, reason)?,
        limit: parameters.limit()?,
        offset: parameters.offset()?.unwrap_or(0),
    };
    let jobs = services.backlog.list(&query).await?;
    let jobs = jobs.into_iter().map(JobBody::new).collect();
    Ok(HttpResponse::Ok().json(JobsBody { jobs, limit: query.limit, offset: query.offset }))
}

/// Queues a parked job again.
#[tracing::instrument(name = "http.retry", skip_all)]
pub(crate) async fn retry(
    services: web::Data<Services>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    services.allow(&request, Scope::Operate)?;
    let unreadable = || Invalid { field: "id", reason: "must be a job id (UUID)".into() };
    let id = JobId::parse(&id).ok_or_else(unreadable)?;
    services.backlog.retry(id).await?;
    services.dispatcher.wake();
    let state = JobState::Queued.as_str();
    Ok(HttpResponse::Accepted().json(QueuedBody { id: id.to_string(), state }))
}

impl JobBody {
    fn new(job: JobView) -> Self {
        Self {
            id: job.id.to_string(),
            kind: job.kind,
            payload: job.payload,
            state: job.state.as_str(),
            attempts: job.attempts,
            failures: job.failures,
            last_error: job.last_error,
            run_at: job.run_at,
            created_at: job.created_at,
            updated_at: job.updated_at,
        }
    }
}
