//! The worker that tells subscribers. It has its own hands for each of them: one that hangs keeps
//! nobody else waiting, and no text and no webhook.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::hook::ClaimedHook;
use domain::notify::Hooks;
use domain::ports::{Hands, StoreError};
use domain::subscription::{Format, Subscription, SubscriptionId};
use futures_util::FutureExt;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, ObservableGauge};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use trace_context::TraceParent;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::news::News;
use super::{BREATH, TROUBLE, Wait, cause_of};
use crate::metered::{meter, seconds};

/// For so long what is known of the subscribers is believed.
const BELIEVED: Duration = Duration::from_secs(1);

/// From a neighbour that answers at once to an orchestrator that works on it for a minute.
const TELLING: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 5.0, 15.0, 60.0];

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
    /// The loop that claims: never dropped in the middle of a claim.
    claiming: TaskTracker,
    tasks: TaskTracker,
    told: Counter<u64>,
    took: Histogram<f64>,
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
        let meter = meter();
        Self(Arc::new(Inner {
            hooks,
            news,
            poll,
            runtime,
            busy: Mutex::default(),
            stopping: CancellationToken::new(),
            hurry,
            claiming: TaskTracker::new(),
            tasks: TaskTracker::new(),
            told: deliveries(),
            took: seconds("sms_event_delivery_duration", "How long a telling took", &TELLING),
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
        let worker = self.clone();
        let claiming = async move {
            // Cut short between two claims only: what is claimed is begun or given back.
            while !worker.0.stopping.is_cancelled() {
                let wait = worker.claim_next().await;
                worker.0.stopping.run_until_cancelled(worker.pause(wait)).await;
            }
        };
        // Whoever runs this may drop it: the loop goes on to where it can stop.
        if self.0.claiming.spawn_on(claiming, &self.0.runtime).await.is_err() {
            tracing::error!("the worker that tells subscribers has ended");
        }
    }

    /// Claims nothing more from now on.
    pub(super) fn stop_claiming(&self) {
        self.0.stopping.cancel();
        self.0.claiming.close();
        self.0.tasks.close();
    }

    /// Waits for the calls that run.
    pub(super) async fn finished(&self) {
        self.0.claiming.wait().await;
        self.0.tasks.wait().await;
    }

    async fn claim_next(&self) -> Wait {
        match self.claim().await {
            Ok(true) => Wait::Not,
            Ok(false) => Wait::ForWork,
            Err(error) => {
                tracing::warn!(error = cause_of(&error), "nobody can be told anything");
                Wait::ForTheStore
            }
        }
    }

    async fn pause(&self, wait: Wait) {
        match wait {
            Wait::Not => {}
            Wait::ForWork => self.rest().await,
            Wait::ForTheStore => tokio::time::sleep(TROUBLE).await,
        }
    }

    /// Claims what it has hands for, and starts it, or gives it back where it is told to stop
    /// meanwhile; whether there may be more.
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
            match subscribers.iter().find(of) {
                Some(subscriber) if !self.0.stopping.is_cancelled() => {
                    self.start(subscriber.clone(), hook);
                }
                _ => self.give_back(&hook).await,
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
        let span = span_of(&hook);
        let task = async move {
            let telling = AssertUnwindSafe(worker.tell(&subscriber, &hook));
            if telling.catch_unwind().await.is_err() {
                tracing::error!("telling a subscriber panicked: it is tried again");
            }
            if let Some(busy) = worker.busy().get_mut(&subscriber.id) {
                *busy = busy.saturating_sub(1);
            }
            // A hand is free, and the next of its conversation can go.
            worker.0.news.ring();
        };
        self.0.tasks.spawn_on(task.instrument(span), &self.0.runtime);
    }

    async fn tell(&self, subscriber: &Subscription, hook: &ClaimedHook) {
        if self.0.hurry.is_cancelled() {
            return self.give_back(hook).await;
        }
        let begun = Instant::now();
        let telling = self.0.hooks.deliver(subscriber, hook);
        match self.0.hurry.run_until_cancelled(telling).await {
            Some(Ok(state)) => {
                self.0.told.add(1, &[KeyValue::new("result", state.as_str())]);
                self.0.took.record(begun.elapsed().as_secs_f64(), &[]);
            }
            Some(Err(error)) => unrecorded(&error),
            // Whoever comes first may call again; the orchestrator cannot be called again, and its
            // lease runs out.
            None if subscriber.format == Format::Standard => self.give_back(hook).await,
            None => {}
        }
    }

    async fn give_back(&self, hook: &ClaimedHook) {
        if let Err(error) = self.0.hooks.give_back(hook).await {
            unrecorded(&error);
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

/// What became of events that subscribers were to be told.
pub(super) fn deliveries() -> Counter<u64> {
    let meter = meter();
    let counter = meter.u64_counter("sms_event_deliveries");
    counter.with_description("Events for subscribers, by what became of them").build()
}

/// What a delivery logs and calls belongs together: a trace of its own, because many may tell of one event.
fn span_of(hook: &ClaimedHook) -> Span {
    let span = tracing::info_span!(
        parent: None,
        "delivery",
        otel.kind = "producer",
        trace_id = Empty,
        conversation_id = %hook.event.conversation,
        event_id = %hook.event.id,
    );
    if let Some(own) = TraceParent::of(&span) {
        span.record("trace_id", own.trace_id());
    }
    span
}

/// Its lease runs out, and then it comes back.
fn unrecorded(error: &StoreError) {
    tracing::warn!(error = cause_of(error), "what became of a call is not recorded");
}

fn paused(known: &Mutex<Known>) -> u64 {
    let known = known.lock().unwrap_or_else(PoisonError::into_inner);
    let paused = known.subscribers.iter().filter(|known| known.health.is_paused()).count();
    u64::try_from(paused).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use adapter_http::EventTail;
    use domain::hook::{HookEnding, HookRules};
    use domain::job::Backoff;
    use domain::notify::{Feed, HookPorts};
    use domain::ports::{EventStore, HookClaim, HookOutcome, MessageStore, MockEventStore};
    use domain::testing::event_promises::subscription;
    use domain::testing::fixture::{at, inbound};
    use domain::testing::{FixedChance, FixedHooks, InMemoryStore, SteppingClock};
    use std::sync::mpsc;

    use super::*;

    fn orchestrator() -> Subscription {
        Subscription { format: Format::Orchestrator, ..subscription(1) }
    }

    /// What a claim gives where one text is to be told.
    async fn one_claimed() -> Vec<ClaimedHook> {
        let store = InMemoryStore::default();
        store.create_subscription(&orchestrator()).await.unwrap();
        store.record_inbound(&inbound(1, "+18605550199")).await.unwrap();
        let hands = Hands { subscription: orchestrator().id, free: 1, lease_until: at(60) };
        store.claim_hooks(&HookClaim { hands: vec![hands], at: at(9) }).await.unwrap()
    }

    fn worker(store: MockEventStore) -> HookWorker {
        let store: Arc<dyn EventStore> = Arc::new(store);
        let ports = HookPorts {
            store: store.clone(),
            sender: Arc::new(FixedHooks(HookOutcome::Accepted { status: 200 })),
            clock: Arc::new(SteppingClock::standing(at(9))),
            chance: Arc::new(FixedChance::default()),
        };
        let backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(1) };
        let rules = HookRules { backoff, retry_for: Duration::from_hours(1), hands: 1 };
        let poll = Duration::from_secs(1);
        let news = News::new(EventTail::new(Feed::new(store), poll));
        let hooks = Hooks::new(ports, rules);
        HookWorker::new(hooks, news, poll, Handle::current(), CancellationToken::new())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_claimed_while_it_is_told_to_stop_is_given_back_and_not_called() {
        let (claiming, claim_begins) = mpsc::channel();
        let (go_on, claim_ends) = mpsc::channel();
        let endings = Arc::<Mutex<Vec<HookEnding>>>::default();
        let (kept, claimed) = (endings.clone(), one_claimed().await);
        let mut store = MockEventStore::new();
        store.expect_list_subscriptions().returning(|| Ok(vec![orchestrator()]));
        store.expect_claim_hooks().returning(move |_| {
            claiming.send(()).unwrap();
            claim_ends.recv().unwrap();
            Ok(claimed.clone())
        });
        store.expect_finish_hook().returning(move |end| {
            kept.lock().unwrap().push(end.ending.clone());
            Ok(true)
        });
        let worker = worker(store);
        let running = tokio::spawn({
            let worker = worker.clone();
            async move { worker.run().await }
        });
        tokio::task::spawn_blocking(move || claim_begins.recv().unwrap()).await.unwrap();
        worker.stop_claiming();
        running.abort();
        go_on.send(()).unwrap();
        worker.finished().await;
        assert_eq!(*endings.lock().unwrap(), [HookEnding::Release]);
    }
}
