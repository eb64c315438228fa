//! The worker: claims jobs, runs them, and lets none be lost when the process stops.
//!
//! It wakes at once when this process writes a job, and looks for others' work now and then. Each
//! job has its own task; their number is bounded. When it stops it claims no more, lets what runs
//! finish, and cuts calls to Twilio short only where time runs out: their outcome is then ambiguous,
//! and recorded as such.

mod backfilling;
mod chores;
mod crew;
mod hooks;
mod meters;
mod news;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use domain::backfill::Backfill;
use domain::backlog::Backlog;
use domain::error::causes;
use domain::identify::Identify;
use domain::job::{Backoff, ClaimedJob, Job, JobEnding};
use domain::notify::Hooks;
use domain::outbound::Outgoing;
use domain::outbox::Outbox;
use domain::ports::{
    Attended, Chance, Clock, Dispatched, Dispatcher, JobClaim, JobQueue, MessageStore, StoreError,
};
use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use trace_context::TraceParent;
use tracing::field::{Empty, display};
use tracing::{Instrument, Span};

use meters::Meters;

pub(crate) use crew::{Crew, CrewSettings};
pub(crate) use news::News;

/// After a look without result the next is not made earlier, however often there is a call.
const BREATH: Duration = Duration::from_millis(20);
/// While the store does not answer.
const TROUBLE: Duration = Duration::from_secs(1);
/// The most jobs that are claimed at once.
const BATCH: u32 = 32;
/// Before a job that failed is tried again.
const AFTER_FAILURE: Backoff =
    Backoff { base: Duration::from_secs(1), cap: Duration::from_mins(10) };
/// So often a job may fail for a reason that waiting does not mend.
const LASTING_FAILURES: u32 = 10;

/// What to do between two claims.
enum Wait {
    Not,
    ForWork,
    ForTheStore,
}

/// Why a job could not be done.
struct Failure {
    code: &'static str,
    is_lasting: bool,
}

impl Failure {
    const PANIC: Self = Self { code: "panic", is_lasting: true };

    fn of(error: &StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self { code: "store_unavailable", is_lasting: false },
            StoreError::Rejected(_) => Self { code: "store_rejected", is_lasting: true },
        }
    }
}

/// Runs jobs of some kinds. Clones are the same worker.
#[derive(Clone)]
struct Worker(Arc<Inner>);

struct Inner {
    tools: Arc<WorkTools>,
    settings: WorkerSettings,
    kinds: Vec<&'static str>,
    runtime: Handle,
    permits: Arc<Semaphore>,
    called: Notify,
    /// Whether somebody called since the queue was last seen empty.
    expecting: AtomicBool,
    stopping: CancellationToken,
    /// The loop that claims: never dropped in the middle of a claim.
    claiming: TaskTracker,
    tasks: TaskTracker,
    meters: Meters,
}

/// What a worker works with.
pub(crate) struct WorkTools {
    pub(crate) queue: Arc<dyn JobQueue>,
    pub(crate) store: Arc<dyn MessageStore>,
    pub(crate) outbox: Option<Outbox>,
    pub(crate) backfill: Option<Backfill>,
    pub(crate) identify: Identify,
    pub(crate) backlog: Backlog,
    pub(crate) hooks: Hooks,
    pub(crate) keep_events: Duration,
    pub(crate) keep_deliveries: Duration,
    pub(crate) news: News,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Arc<dyn Chance>,
}

/// How much it does, and how often it looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WorkerSettings {
    /// How many jobs run at once.
    pub(crate) concurrency: usize,
    /// For so long a claimed job is ours.
    pub(crate) lease: Duration,
    /// How often it looks for work that nobody called for.
    pub(crate) poll: Duration,
}

impl Worker {
    /// A worker whose tasks run on `runtime`.
    fn new(
        tools: &Arc<WorkTools>,
        kinds: Vec<&'static str>,
        settings: WorkerSettings,
        runtime: Handle,
    ) -> Self {
        let meters = Meters::new(tools.outbox.clone());
        Self(Arc::new(Inner {
            kinds,
            runtime,
            permits: Arc::new(Semaphore::new(settings.concurrency)),
            called: Notify::new(),
            expecting: AtomicBool::new(false),
            stopping: CancellationToken::new(),
            claiming: TaskTracker::new(),
            tasks: TaskTracker::new(),
            meters,
            tools: tools.clone(),
            settings,
        }))
    }

    /// Claims and runs jobs until it is told to stop.
    async fn run(&self) {
        let worker = self.clone();
        let claiming = async move {
            // Cut short between two claims only: what is claimed is begun or given back.
            while let Some(wait) = worker.claim_next().await {
                worker.0.stopping.run_until_cancelled(worker.pause(wait)).await;
            }
        };
        // Whoever runs this may drop it: the loop goes on to where it can stop.
        if self.0.claiming.spawn_on(claiming, &self.0.runtime).await.is_err() {
            tracing::error!(kinds = ?self.0.kinds, "the worker has ended");
        }
    }

    /// Claims nothing more from now on.
    fn stop_claiming(&self) {
        self.0.stopping.cancel();
        self.0.claiming.close();
        self.0.tasks.close();
    }

    /// Waits for what runs.
    async fn finished(&self) {
        self.0.claiming.wait().await;
        self.0.tasks.wait().await;
    }

    /// Claims once; `None` when it is told to stop.
    async fn claim_next(&self) -> Option<Wait> {
        if self.0.kinds.is_empty() {
            self.0.stopping.cancelled().await;
        }
        // One permit first, so that a full worker claims nothing.
        let permit = self.0.permits.clone().acquire_owned();
        let permit = self.0.stopping.run_until_cancelled(permit).await?.ok()?;
        drop(permit);
        Some(match self.claim().await {
            Ok(true) => Wait::Not,
            Ok(false) => Wait::ForWork,
            Err(error) => {
                tracing::warn!(error = cause_of(&error), "no jobs could be claimed");
                Wait::ForTheStore
            }
        })
    }

    async fn pause(&self, wait: Wait) {
        match wait {
            Wait::Not => {}
            Wait::ForWork => self.rest().await,
            Wait::ForTheStore => tokio::time::sleep(TROUBLE).await,
        }
    }

    /// Claims what it has hands for, and starts it; whether there may be more.
    async fn claim(&self) -> Result<bool, StoreError> {
        let free = u32::try_from(self.0.permits.available_permits()).unwrap_or(BATCH).min(BATCH);
        let was_expecting = self.0.expecting.swap(false, Ordering::AcqRel);
        let now = self.0.tools.clock.now();
        let claim = JobClaim {
            kinds: self.0.kinds.clone(),
            at: now,
            lease_until: now.after(self.0.settings.lease),
            limit: free,
        };
        let claimed = self.0.tools.queue.claim_jobs(&claim).await?;
        let count = u32::try_from(claimed.len()).unwrap_or(u32::MAX);
        // What somebody called for may wait behind what runs: look again when that is done.
        if was_expecting && !self.0.tasks.is_empty() {
            self.0.expecting.store(true, Ordering::Release);
        }
        for job in claimed {
            self.begin(job).await?;
        }
        Ok(count > 0)
    }

    /// Begins a claimed job once a hand is free, or gives it back where it is told to stop first.
    async fn begin(&self, job: ClaimedJob) -> Result<(), StoreError> {
        let permit = self.0.permits.clone().acquire_owned();
        let Some(Ok(permit)) = self.0.stopping.run_until_cancelled(permit).await else {
            return self.give_back(&job).await.map(drop);
        };
        let worker = self.clone();
        let nobody: Attended = Arc::new(|| false);
        let task = async move { worker.perform(job, &nobody, permit).await };
        self.0.tasks.spawn_on(task, &self.0.runtime);
        Ok(())
    }

    /// Until somebody calls, or it is time to look.
    async fn rest(&self) {
        tokio::time::sleep(BREATH).await;
        let poll = self.0.settings.poll;
        let micros = u64::try_from(poll.as_micros()).unwrap_or(u64::MAX).max(1);
        // Between a half and one and a half, so that many processes do not look at once.
        let wait = poll / 2 + Duration::from_micros(self.0.tools.chance.next() % micros);
        tokio::select! {
            () = self.0.called.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }

    /// Runs one job; gives the message of a send.
    async fn perform(
        &self,
        job: ClaimedJob,
        attended: &Attended,
        _permit: OwnedSemaphorePermit,
    ) -> Option<Outgoing> {
        let span = span_of(&job);
        self.perform_in_span(&job, attended).instrument(span).await
    }

    async fn perform_in_span(&self, job: &ClaimedJob, attended: &Attended) -> Option<Outgoing> {
        let (kind, begun) = (job.job.kind(), Instant::now());
        let done = AssertUnwindSafe(self.do_job(job, attended)).catch_unwind().await;
        self.0.meters.job(kind, begun.elapsed(), matches!(done, Ok(Ok(_))));
        let outgoing = match done {
            Ok(Ok(outgoing)) => outgoing,
            Ok(Err(error)) => {
                tracing::warn!(error = cause_of(&error), "job not done");
                self.put_off(job, &Failure::of(&error)).await;
                None
            }
            Err(_) => {
                tracing::error!("job panicked");
                self.put_off(job, &Failure::PANIC).await;
                None
            }
        };
        self.0.tools.news.ring();
        // Others of its lane can go now.
        if self.0.expecting.load(Ordering::Acquire) {
            self.0.called.notify_one();
        }
        outgoing
    }

    /// A job that failed where it should not comes back later, and is parked where it failed often
    /// for a reason that waiting does not mend: it must not hold its lane up for ever.
    async fn put_off(&self, job: &ClaimedJob, failure: &Failure) {
        let now = self.0.tools.clock.now();
        let error = failure.code.to_owned();
        let ending = if failure.is_lasting && job.failures >= LASTING_FAILURES {
            JobEnding::Park { error }
        } else {
            let wait = AFTER_FAILURE.wait(job.failures + 1, self.0.tools.chance.next());
            JobEnding::Retry { run_at: now.after(wait), error }
        };
        if let Err(error) = self.0.tools.queue.finish_job(job.ticket, &ending, now).await {
            // Its lease runs out, and then it comes back.
            tracing::warn!(job = %job.ticket.id, error = cause_of(&error), "job not put off");
        }
    }

    async fn do_job(
        &self,
        job: &ClaimedJob,
        attended: &Attended,
    ) -> Result<Option<Outgoing>, StoreError> {
        match (job.job, &self.0.tools.outbox) {
            (Job::Send { message, .. }, Some(outbox)) => {
                let performed = outbox.perform(job, message, attended).await?;
                self.0.meters.performed(&performed);
                Ok(performed.into_outgoing())
            }
            (Job::ResolveSend { message, looks }, Some(outbox)) => {
                let resolved = outbox.resolve(job, message, looks).await?;
                self.0.meters.resolved(resolved);
                Ok(None)
            }
            (Job::TenantLookup { conversation }, _) => {
                let identified = self.0.tools.identify.look_up(job, conversation).await?;
                self.0.meters.identified(identified);
                Ok(None)
            }
            (Job::TellLanguage { conversation, .. }, _) => {
                self.0.tools.identify.tell_language(job, conversation).await?;
                Ok(None)
            }
            (Job::Send { .. } | Job::ResolveSend { .. }, None) => self.give_back(job).await,
        }
    }

    async fn give_back(&self, job: &ClaimedJob) -> Result<Option<Outgoing>, StoreError> {
        let now = self.0.tools.clock.now();
        let release = JobEnding::Release { run_at: now };
        self.0.tools.queue.finish_job(job.ticket, &release, now).await?;
        Ok(None)
    }
}

impl Dispatcher for Worker {
    fn dispatch(&self, job: ClaimedJob, attended: Attended) -> Dispatched {
        let worker = self.clone();
        let permit = self.0.permits.clone().try_acquire_owned();
        let task = async move {
            match permit {
                Ok(permit) if !worker.0.stopping.is_cancelled() => {
                    worker.perform(job, &attended, permit).await
                }
                _ => {
                    // Too much to do, or about to stop: whoever has a free hand takes it.
                    let given_back = worker.give_back(&job).await;
                    worker.wake();
                    given_back.unwrap_or_default()
                }
            }
        };
        // On our runtime: a task on that of an HTTP worker would end with it.
        let running = self.0.tasks.spawn_on(task, &self.0.runtime);
        Box::pin(async move { running.await.unwrap_or_default() })
    }

    fn wake(&self) {
        self.0.expecting.store(true, Ordering::Release);
        self.0.called.notify_one();
    }

    fn happened(&self) {
        self.0.tools.news.ring();
    }
}

/// The span of a run: a part of the trace of the request that the job follows from, and linked to it.
fn span_of(job: &ClaimedJob) -> Span {
    let (kind, origin) = (job.job.kind(), &job.origin);
    let span = tracing::info_span!(
        parent: None,
        "job",
        otel.name = format!("job {kind}"),
        otel.kind = "consumer",
        request_id = origin.request_id.as_deref(),
        trace_id = Empty,
        job = %job.ticket.id,
        kind,
        attempt = job.ticket.attempt,
        message_id = Empty,
        conversation_id = Empty,
        tenant_id = Empty,
        twilio_sid = Empty,
        phone = Empty,
    );
    if let Some(parent) = origin.traceparent.as_deref().and_then(TraceParent::parse) {
        parent.adopt(&span);
        parent.link(&span);
    }
    if let Some(own) = TraceParent::of(&span) {
        span.record("trace_id", own.trace_id());
    }
    let (message, conversation) = match job.job {
        Job::Send { message, conversation } => (Some(message), Some(conversation)),
        Job::ResolveSend { message, .. } => (Some(message), None),
        Job::TenantLookup { conversation } | Job::TellLanguage { conversation, .. } => {
            (None, Some(conversation))
        }
    };
    span.record("message_id", message.map(display));
    span.record("conversation_id", conversation.map(display));
    span
}

/// The failure with all its causes: a store's own cause is often that of a whole group of calls.
fn cause_of(error: &StoreError) -> String {
    causes(error)
}
