//! The worker: claims jobs, runs them, and lets none be lost when the process stops.
//!
//! It wakes at once when this process writes a job, and looks for others' work now and then. Each
//! job has its own task; their number is bounded. When it stops it claims no more, lets what runs
//! finish, and cuts calls to Twilio short only where time runs out: their outcome is then ambiguous,
//! and recorded as such.

mod backfilling;
mod chores;
mod crew;
mod meters;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::backfill::Backfill;
use domain::backlog::Backlog;
use domain::identify::Identify;
use domain::job::{ClaimedJob, Job, JobEnding};
use domain::outbound::Outgoing;
use domain::outbox::Outbox;
use domain::ports::{
    Attended, Chance, Clock, Dispatched, Dispatcher, JobClaim, JobQueue, MessageStore, StoreError,
};
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use meters::Meters;

pub(crate) use crew::{Crew, CrewSettings};

/// After a look without result the next is not made earlier, however often there is a call.
const BREATH: Duration = Duration::from_millis(20);
/// While the store does not answer.
const TROUBLE: Duration = Duration::from_secs(1);
/// The most jobs that are claimed at once.
const BATCH: u32 = 32;

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
            tasks: TaskTracker::new(),
            meters,
            tools: tools.clone(),
            settings,
        }))
    }

    /// Claims and runs jobs until it is told to stop.
    async fn run(&self) {
        self.0.stopping.run_until_cancelled(self.claim_for_ever()).await;
    }

    /// Claims nothing more from now on.
    fn stop_claiming(&self) {
        self.0.stopping.cancel();
        self.0.tasks.close();
    }

    /// Waits for what runs.
    async fn finished(&self) {
        self.0.tasks.wait().await;
    }

    async fn claim_for_ever(&self) {
        if self.0.kinds.is_empty() {
            return std::future::pending().await;
        }
        loop {
            // One permit first, so that a full worker claims nothing.
            let Ok(permit) = self.0.permits.clone().acquire_owned().await else {
                return;
            };
            drop(permit);
            match self.claim().await {
                Ok(true) => {}
                Ok(false) => self.rest().await,
                Err(error) => {
                    tracing::warn!(error = cause_of(&error), "no jobs could be claimed");
                    tokio::time::sleep(TROUBLE).await;
                }
            }
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
        if was_expecting && count == 0 && !self.0.tasks.is_empty() {
            self.0.expecting.store(true, Ordering::Release);
        }
        for job in claimed {
            let permit = self.0.permits.clone().acquire_owned().await;
            let Ok(permit) = permit else { return Ok(false) };
            let worker = self.clone();
            let nobody: Attended = Arc::new(|| false);
            self.0.tasks.spawn_on(
                async move { worker.perform(job, &nobody, permit).await },
                &self.0.runtime,
            );
        }
        Ok(count > 0)
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
        let kind = job.job.kind();
        let done = self.do_job(&job, attended).await;
        self.0.meters.job(kind, done.is_ok());
        // Others of its lane can go now.
        if self.0.expecting.load(Ordering::Acquire) {
            self.0.called.notify_one();
        }
        done.unwrap_or_else(|error| {
            tracing::warn!(job = %job.ticket.id, kind, error = cause_of(&error), "job not done");
            None
        })
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
}

fn cause_of(error: &StoreError) -> String {
    use std::error::Error;
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}
