//! The workers of a process: each thing outside has its own, so that a Monitor that hangs holds no
//! text up.

use std::sync::Arc;

use domain::job::ClaimedJob;
use domain::ports::{Attended, Dispatched, Dispatcher};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::hooks::HookWorker;
use super::{WorkTools, Worker, WorkerSettings, backfilling, chores};

/// All workers. Clones are the same crew.
#[derive(Clone)]
pub(crate) struct Crew {
    tools: Arc<WorkTools>,
    /// Sends texts and searches for them.
    sends: Worker,
    /// Asks for tenants and tells of them.
    tenants: Worker,
    /// Tells subscribers.
    hooks: HookWorker,
    stopping: CancellationToken,
}

/// How much each worker does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CrewSettings {
    pub(crate) sends: WorkerSettings,
    pub(crate) tenants: WorkerSettings,
}

impl Crew {
    /// A crew whose tasks run on `runtime`.
    pub(crate) fn new(
        tools: WorkTools,
        settings: CrewSettings,
        runtime: &Handle,
        hurry: &CancellationToken,
    ) -> Self {
        let tools = Arc::new(tools);
        let sends = if tools.outbox.is_some() { vec!["send", "resolve_send"] } else { vec![] };
        // Without a directory lookups wait until there is one.
        let tenants = if tools.identify.has_directory() {
            vec!["tenant_lookup", "tell_language"]
        } else {
            vec!["tell_language"]
        };
        let worker = |kinds, settings| Worker::new(&tools, kinds, settings, runtime.clone());
        let hooks = HookWorker::new(
            tools.hooks.clone(),
            tools.news.clone(),
            settings.sends.poll,
            runtime.clone(),
            hurry.clone(),
        );
        Self {
            hooks,
            sends: worker(sends, settings.sends),
            tenants: worker(tenants, settings.tenants),
            tools,
            stopping: CancellationToken::new(),
        }
    }

    /// Works until it is told to stop.
    pub(crate) async fn run(&self) {
        tokio::join!(
            self.sends.run(),
            self.tenants.run(),
            self.hooks.run(),
            self.stopping.run_until_cancelled(chores::do_for_ever(&self.tools)),
        );
    }

    /// Claims nothing more from now on.
    pub(crate) fn stop_claiming(&self) {
        self.stopping.cancel();
        self.sends.stop_claiming();
        self.tenants.stop_claiming();
        self.hooks.stop_claiming();
    }

    /// Waits for what runs. [`run`](Self::run) must be over.
    pub(crate) async fn finished(&self) {
        tokio::join!(
            self.sends.finished(),
            self.tenants.finished(),
            self.hooks.finished(),
            backfilling::give_back(&self.tools),
        );
    }
}

impl Dispatcher for Crew {
    fn dispatch(&self, job: ClaimedJob, attended: Attended) -> Dispatched {
        self.sends.dispatch(job, attended)
    }

    fn wake(&self) {
        self.sends.wake();
        self.tenants.wake();
        self.happened();
    }

    fn happened(&self) {
        self.tools.news.ring();
    }
}
