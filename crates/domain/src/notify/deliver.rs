//! Telling subscribers what happened.

use std::sync::Arc;
use std::time::Duration;

use crate::hook::{ClaimedHook, HookEnding, HookRules, HookState, Pulse};
use crate::ports::{
    Chance, Clock, EventStore, EventSweep, Hands, HookCall, HookClaim, HookEnd, HookOutcome,
    HookSender, Overdue, StoreError,
};
use crate::subscription::{Format, Subscription};

/// What a lease outlives a call by: the end of it must be written too.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// How many rows are parked or deleted at once.
const BATCH: u32 = 1000;

/// Tells subscribers.
#[derive(Clone)]
pub struct Hooks {
    ports: HookPorts,
    rules: HookRules,
}

/// What [`Hooks`] needs from outside.
#[derive(Clone)]
pub struct HookPorts {
    /// Where events and subscriptions are.
    pub store: Arc<dyn EventStore>,
    /// Who makes the calls.
    pub sender: Arc<dyn HookSender>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes random numbers.
    pub chance: Arc<dyn Chance>,
}

impl Hooks {
    /// On these ports.
    #[must_use]
    pub fn new(ports: HookPorts, rules: HookRules) -> Self {
        Self { ports, rules }
    }

    /// Everybody who may have to be told something.
    ///
    /// # Errors
    /// [`StoreError`]: ask again.
    pub async fn subscribers(&self) -> Result<Vec<Arc<Subscription>>, StoreError> {
        let all = self.ports.store.list_subscriptions().await?;
        Ok(all.into_iter().filter(|known| known.enabled).map(Arc::new).collect())
    }

    /// The hands that are free for a subscriber for whom so many are busy; `None` where there is
    /// none: it is busy, or left alone for now.
    #[must_use]
    pub fn hands(&self, subscriber: &Subscription, busy: u32) -> Option<Hands> {
        let now = self.ports.clock.now();
        let free = subscriber.health.hands(self.rules.hands, now).saturating_sub(busy);
        let lease = self.ports.sender.call_timeout(subscriber.format) + LEASE_MARGIN;
        let lease_until = now.after(lease);
        (free > 0).then_some(Hands { subscription: subscriber.id, free, lease_until })
    }

    /// Takes what is due.
    ///
    /// # Errors
    /// [`StoreError`]: ask again.
    pub async fn claim(&self, hands: Vec<Hands>) -> Result<Vec<ClaimedHook>, StoreError> {
        let claim = HookClaim { hands, at: self.ports.clock.now() };
        self.ports.store.claim_hooks(&claim).await
    }

    /// Tells a subscriber of one event, and keeps what became of it; gives where it stands.
    ///
    /// # Errors
    /// [`StoreError`]: the lease runs out, and it comes back.
    pub async fn deliver(
        &self,
        subscriber: &Subscription,
        hook: &ClaimedHook,
    ) -> Result<HookState, StoreError> {
        let decided = hook.without_call(subscriber.format, subscriber.wants.when_identified);
        let (ending, status_code, pulse) = match decided {
            Some(ending) => (ending, None, Pulse::Unknown),
            None => self.call(subscriber, hook).await,
        };
        note(subscriber, hook, &ending);
        let state = ending.state();
        let at = self.ports.clock.now();
        let conversation = hook.event.conversation;
        let end = HookEnd { ticket: hook.ticket, conversation, ending, status_code, pulse, at };
        self.ports.store.finish_hook(&end).await?;
        Ok(state)
    }

    async fn call(
        &self,
        subscriber: &Subscription,
        hook: &ClaimedHook,
    ) -> (HookEnding, Option<u16>, Pulse) {
        let begun = self.ports.clock.now();
        let call = HookCall {
            url: &subscriber.url,
            format: subscriber.format,
            secrets: &subscriber.secrets,
            event: &hook.event,
            tenant: hook.tenant.as_ref(),
            at: begun,
        };
        let outcome = self.ports.sender.send(&call).await;
        let status_code = match outcome {
            HookOutcome::Accepted { status } | HookOutcome::Refused { status, .. } => Some(status),
            _ => None,
        };
        let (at, chance) = (self.ports.clock.now(), self.ports.chance.next());
        let (ending, pulse) =
            self.rules.after(hook, subscriber.format, &outcome, begun, at, chance);
        (ending, status_code, pulse)
    }

    /// Gives back what was claimed and not begun.
    ///
    /// # Errors
    /// [`StoreError`]: the lease runs out, and it comes back.
    pub async fn give_back(&self, hook: &ClaimedHook) -> Result<(), StoreError> {
        let end = HookEnd {
            ticket: hook.ticket,
            conversation: hook.event.conversation,
            ending: HookEnding::Release,
            status_code: None,
            pulse: Pulse::Unknown,
            at: self.ports.clock.now(),
        };
        self.ports.store.finish_hook(&end).await.map(|_| ())
    }

    /// The longest time that a call takes.
    #[must_use]
    pub fn longest_call(&self) -> Duration {
        let timeout = |format| self.ports.sender.call_timeout(format);
        timeout(Format::Standard).max(timeout(Format::Orchestrator))
    }

    /// Gives up what could not be told for too long, also of subscribers that are left alone, and
    /// what waits for a tenant until the last tenth of `keep_events`: that long it can be seen that
    /// it was never told. Gives how much.
    ///
    /// # Errors
    /// [`StoreError`]: some is given up; try again later.
    pub async fn park_overdue(&self, keep_events: Duration) -> Result<u64, StoreError> {
        let at = self.ports.clock.now();
        let what = Overdue {
            queued: at.before(self.rules.retry_for),
            waiting: at.before(keep_events / 10 * 9),
            limit: BATCH,
            at,
        };
        let mut parked = 0;
        loop {
            let batch = self.ports.store.park_overdue(&what).await?;
            parked += batch;
            if batch < u64::from(BATCH) {
                return Ok(parked);
            }
        }
    }

    /// Deletes events older than `keep_events`, and what was told longer ago than
    /// `keep_delivered`; gives how many rows.
    ///
    /// # Errors
    /// [`StoreError`]: some is gone; try again later.
    pub async fn sweep(
        &self,
        keep_events: Duration,
        keep_delivered: Duration,
    ) -> Result<u64, StoreError> {
        let now = self.ports.clock.now();
        let (events, delivered) = (now.before(keep_events), now.before(keep_delivered));
        let mut swept = 0;
        loop {
            let what = EventSweep { events, delivered, limit: BATCH };
            let batch = self.ports.store.sweep_events(&what).await?;
            swept += batch;
            if batch < u64::from(BATCH) {
                return Ok(swept);
            }
        }
    }
}

fn note(subscriber: &Subscription, hook: &ClaimedHook, ending: &HookEnding) {
    let (subscription, event_id) = (&subscriber.name, &hook.event.id);
    match ending {
        HookEnding::Park { error } => {
            tracing::warn!(subscription, %event_id, error, "given up: a subscriber was not told");
        }
        HookEnding::Retry { error, .. } => {
            tracing::debug!(subscription, %event_id, error, "a subscriber is told again later");
        }
        _ => {}
    }
}
