//! The worker that tells subscribers. It has its own hands for each of them: one that hangs keeps
//! nobody else waiting, and no text and no webhook.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::hook::ClaimedHook;
use domain::notify::Hooks;
use domain::ports::{Hands, StoreError};
use domain::subscription::{Format, Subscription, SubscriptionId};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, ObservableGauge};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::news::News;
use super::{BREATH, TROUBLE, cause_of};

/// For so long what is known of the subscribers is believed.
const BELIEVED: Duration = Duration::from_secs(1);

/// Tells subscribers. Clones are the same worker.
#[derive(Clone)]
pub(super) struct HookWorker(Arc<Inner>);

struct Inner {
    hooks: Hooks,
    news: News,
    poll: Duration,
    runtime: Handle,
    known: Arc<Mutex<Known>>,
    busy: Mutex<HashMap<SubscriptionId, u32>>,
    stopping: CancellationToken,
    hurry: CancellationToken,
    tasks: TaskTracker,
    told: Counter<u64>,
    _paused: ObservableGauge<u64>,
}

/// The subscribers, and when they were last read.
#[derive(Default)]
struct Known {
    subscribers: Vec<Arc<Subscription>>,
    read_at: Option<Instant>,
}

impl HookWorker {
    /// A worker whose tasks run on `runtime`; `hurry` cuts its calls short.
    pub(super) fn new(
        hooks: Hooks,
        news: News,
        poll: Duration,
        runtime: Handle,
        hurry: CancellationToken,
    ) -> Self {
        let known = Arc::<Mutex<Known>>::default();
        let meter = opentelemetry::global::meter("sms-foundation");
        Self(Arc::new(Inner {
            hooks,
            news,
            poll,
            runtime,
            busy: Mutex::default(),
            stopping: CancellationToken::new(),
            hurry,
            tasks: TaskTracker::new(),
            told: meter
                .u64_counter("sms_event_deliveries")
                .with_description("Calls of subscribers, by what became of the event")
                .build(),
            _paused: meter
                .u64_observable_gauge("sms_subscriptions_paused")
                .with_description("Subscribers that fail, and are left alone for a while")
                .with_callback({
                    let known = known.clone();
                    move |gauge| gauge.observe(paused(&known), &[])
                })
                .build(),
            known,
        }))
    }

    /// Tells until it is told to stop.
    pub(super) async fn run(&self) {
        self.0.stopping.run_until_cancelled(self.tell_for_ever()).await;
    }

    /// Claims nothing more from now on.
    pub(super) fn stop_claiming(&self) {
        self.0.stopping.cancel();
        self.0.tasks.close();
    }

    /// Waits for the calls that run.
    pub(super) async fn finished(&self) {
        self.0.tasks.wait().await;
    }

    async fn tell_for_ever(&self) {
        loop {
            match self.claim().await {
                Ok(true) => {}
                Ok(false) => self.rest().await,
                Err(error) => {
                    tracing::warn!(error = cause_of(&error), "nobody can be told anything");
                    tokio::time::sleep(TROUBLE).await;
                }
            }
        }
    }

    /// Claims what it has hands for, and starts it; whether there may be more.
    async fn claim(&self) -> Result<bool, StoreError> {
        let subscribers = self.subscribers().await?;
        let hands: Vec<Hands> = subscribers.iter().filter_map(|known| self.hands(known)).collect();
        if hands.is_empty() {
            return Ok(false);
        }
        let claimed = self.0.hooks.claim(hands).await?;
        let is_some = !claimed.is_empty();
        for hook in claimed {
            let of = |known: &&Arc<Subscription>| known.id == hook.ticket.subscription;
            if let Some(subscriber) = subscribers.iter().find(of) {
                self.start(subscriber.clone(), hook);
            }
        }
        Ok(is_some)
    }

    fn hands(&self, subscriber: &Subscription) -> Option<Hands> {
        let busy = self.busy().get(&subscriber.id).copied().unwrap_or(0);
        self.0.hooks.hands(subscriber, busy)
    }

    fn start(&self, subscriber: Arc<Subscription>, hook: ClaimedHook) {
        *self.busy().entry(subscriber.id).or_default() += 1;
        let worker = self.clone();
        let task = async move {
            worker.tell(&subscriber, &hook).await;
            if let Some(busy) = worker.busy().get_mut(&subscriber.id) {
                *busy = busy.saturating_sub(1);
            }
            // A hand is free, and the next of its conversation can go.
            worker.0.news.ring();
        };
        self.0.tasks.spawn_on(task, &self.0.runtime);
    }

    async fn tell(&self, subscriber: &Subscription, hook: &ClaimedHook) {
        let telling = self.0.hooks.deliver(subscriber, hook);
        let told = match self.0.hurry.run_until_cancelled(telling).await {
            Some(Ok(state)) => {
                self.0.told.add(1, &[KeyValue::new("result", state.as_str())]);
                return;
            }
            Some(Err(error)) => Err(error),
            // Whoever comes first may call again; the orchestrator cannot be called again, and its
            // lease runs out.
            None if subscriber.format == Format::Standard => self.0.hooks.give_back(hook).await,
            None => Ok(()),
        };
        if let Err(error) = told {
            tracing::warn!(error = cause_of(&error), "what became of a call is not recorded");
        }
    }

    /// The subscribers, read anew now and then.
    async fn subscribers(&self) -> Result<Vec<Arc<Subscription>>, StoreError> {
        {
            let known = self.known();
            if known.read_at.is_some_and(|at| at.elapsed() < BELIEVED) {
                return Ok(known.subscribers.clone());
            }
        }
        let subscribers = self.0.hooks.subscribers().await?;
        let known = Known { subscribers: subscribers.clone(), read_at: Some(Instant::now()) };
        *self.known() = known;
        Ok(subscribers)
    }

    /// Until something happened here, or it is time to look for what happened elsewhere.
    async fn rest(&self) {
        tokio::time::sleep(BREATH).await;
        tokio::select! {
            () = self.0.news.heard() => {}
            () = tokio::time::sleep(self.0.poll) => {}
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn busy(&self) -> MutexGuard<'_, HashMap<SubscriptionId, u32>> {
        self.0.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn paused(known: &Mutex<Known>) -> u64 {
    let known = known.lock().unwrap_or_else(PoisonError::into_inner);
    let paused = known.subscribers.iter().filter(|known| known.health.is_paused()).count();
    u64::try_from(paused).unwrap_or(u64::MAX)
}
