//! Events, and the programs that are told of them.

use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::conversation::ConversationId;
use crate::error::BoxError;
use crate::event::{Event, EventCursor, EventKind, EventUuid};
use crate::hook::{ClaimedHook, HookEnding, HookState, HookTicket, Pulse};
use crate::message::MessageId;
use crate::subscription::{
    Format, HookUrl, Secrets, SigningSecret, Subscription, SubscriptionId, Wants,
};
use crate::tenant::TenantId;
use crate::timestamp::Timestamp;

/// The events that happened, the subscriptions, and what each subscriber was told.
///
/// The methods of the other ports write the events that they cause
/// ([`NewEvent`](crate::event::NewEvent)), and for each enabled subscription that
/// [wants](Subscription::wants) an event that it is to be told, in the same transaction. Every
/// implementation runs [`event_store_contract!`](crate::event_store_contract).
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait EventStore: Send + Sync {
    /// Where the stream is now: everything that is written later is behind it.
    async fn events_end(&self) -> Result<EventCursor, StoreError>;

    /// The events behind a cursor, in their order, as many as `limit`.
    ///
    /// An event MUST NOT be given while one before it may still become visible: whoever goes on
    /// from the last one that was given misses none.
    async fn read_events(&self, behind: EventCursor, limit: u32) -> Result<Vec<Event>, StoreError>;

    /// Makes a subscription; `false` where another has its name.
    async fn create_subscription(&self, new: &Subscription) -> Result<bool, StoreError>;

    /// All subscriptions, by name.
    async fn list_subscriptions(&self) -> Result<Vec<Subscription>, StoreError>;

    /// Changes a subscription as [`SubscriptionChange::applied`] says, unless there is a
    /// [`refusal`](SubscriptionChange::refusal): both MUST be decided under one lock.
    async fn change_subscription(
        &self,
        id: SubscriptionId,
        change: &SubscriptionChange,
    ) -> Result<Changed, StoreError>;

    /// Forgets a subscription and what it was to be told; `false` where there is none.
    ///
    /// What it was to be told may be millions of rows: it is told of nothing more from the first
    /// moment, and forgotten in as many transactions as keep nobody waiting. Where one fails it is
    /// there still, disabled, and forgetting it again goes on.
    async fn delete_subscription(&self, id: SubscriptionId) -> Result<bool, StoreError>;

    /// Takes what is due for some subscriptions, each as many as it has hands for.
    ///
    /// - Due is what is `queued` and whose time has come, and what is `running` and whose lease is
    ///   over ([`ClaimedHook::interrupted`]). No two claims MUST get the same attempt.
    /// - Of a conversation only the first that is `queued` or `running` MUST be given.
    async fn claim_hooks(&self, claim: &HookClaim) -> Result<Vec<ClaimedHook>, StoreError>;

    /// Ends a worker's hold; `false` where the ticket is no longer valid, in which case nothing
    /// MUST change of what is to be told. What the call said of the subscriber MUST be kept all the
    /// same: [`Health::failed`](crate::subscription::Health::failed), or no failures.
    ///
    /// With `Retry`, the conversation's later ones MUST NOT be due before it.
    async fn finish_hook(&self, end: &HookEnd) -> Result<bool, StoreError>;

    /// What a subscriber was told or is to be told, the latest event first.
    async fn list_hooks(&self, query: &HookQuery) -> Result<Vec<HookView>, StoreError>;

    /// Queues again all events since a time that a subscription wants, also those that it was told
    /// and those from before it was made; what is on its way is left alone, and what was delivered to
    /// one that [may not hear it again](Subscription::may_hear_again). In steps: gives how
    /// many were queued, and where to go on.
    async fn redeliver(&self, wish: &Redelivery) -> Result<Redelivered, StoreError>;

    /// Parks what could not be told in time, at most `limit` of each kind: with its last error, or
    /// `overdue`, what is queued; with `no_tenant` what waits.
    async fn park_overdue(&self, what: &Overdue) -> Result<u64, StoreError>;

    /// Deletes old events, and what subscribers were told of them, at most `limit` of each.
    async fn sweep_events(&self, what: &EventSweep) -> Result<u64, StoreError>;
}

/// What somebody changes of a subscription. `None` leaves a field as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionChange {
    /// What people call it.
    pub name: Option<String>,
    /// Where it is told.
    pub url: Option<HookUrl>,
    /// What it wants.
    pub wants: Option<Wants>,
    /// In which form.
    pub format: Option<Format>,
    /// What calls are signed with from now on; the one before is used for a while too.
    pub secret: Option<SigningSecret>,
    /// Whether it is told anything. To enable it forgets its failures.
    pub enabled: Option<bool>,
    /// Whether it stands in the configuration now. `None`: only one that does not is changed.
    pub configured: Option<bool>,
    /// Only if it was last changed then. `None`: however it is.
    pub seen: Option<Timestamp>,
    /// Now.
    pub at: Timestamp,
}

impl SubscriptionChange {
    /// One that changes nothing.
    #[must_use]
    pub fn none(at: Timestamp) -> Self {
        Self {
            name: None,
            url: None,
            wants: None,
            format: None,
            secret: None,
            enabled: None,
            configured: None,
            seen: None,
            at,
        }
    }

    /// Why it may not be made of that subscription.
    #[must_use]
    pub fn refusal(&self, known: &Subscription) -> Option<Changed> {
        if known.configured && self.configured.is_none() {
            return Some(Changed::Configured);
        }
        self.seen.is_some_and(|seen| seen != known.updated_at).then_some(Changed::Outdated)
    }

    /// The subscription after it. Its time of change moves on with every change, also of one instant:
    /// [`seen`](Self::seen) tells versions apart by it.
    #[must_use]
    pub fn applied(&self, to: &Subscription) -> Subscription {
        let mut after = to.clone();
        let secrets =
            |secret: &SigningSecret| after.secrets.clone().renewed(secret.clone(), self.at);
        if let Some(secrets) = self.secret.as_ref().map(secrets) {
            after.secrets = secrets;
        }
        after.name = self.name.clone().unwrap_or(after.name);
        after.url = self.url.clone().unwrap_or(after.url);
        after.wants = self.wants.clone().unwrap_or(after.wants);
        after.format = self.format.unwrap_or(after.format);
        after.configured = self.configured.unwrap_or(after.configured);
        if let Some(enabled) = self.enabled {
            after.enabled = enabled;
            if enabled {
                after.health = crate::subscription::Health::default();
            }
        }
        if after != *to {
            after.updated_at = to.updated_at.after(Duration::from_micros(1)).max(self.at);
        }
        after
    }
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// The subscription as it is now.
    Done(Box<Subscription>),
    /// There is no such subscription.
    NotFound,
    /// It stands in the configuration.
    Configured,
    /// Somebody else has changed it since it was seen.
    Outdated,
    /// Another has that name.
    NameTaken,
}

/// What a worker wants to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookClaim {
    /// Whom, how much at once, and until when it has that to itself.
    pub hands: Vec<Hands>,
    /// Now.
    pub at: Timestamp,
}

/// A worker's free hands for one subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hands {
    /// The subscriber.
    pub subscription: SubscriptionId,
    /// How many are free.
    pub free: u32,
    /// Until then the worker has what it takes to itself.
    pub lease_until: Timestamp,
}

/// The end of a worker's hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookEnd {
    /// The right to it.
    pub ticket: HookTicket,
    /// In which conversation it was.
    pub conversation: ConversationId,
    /// What becomes of it.
    pub ending: HookEnding,
    /// The HTTP status of the answer.
    pub status_code: Option<u16>,
    /// What the call says of the subscriber.
    pub pulse: Pulse,
    /// Now.
    pub at: Timestamp,
}

/// Which of what a subscriber was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookQuery {
    /// Whom.
    pub subscription: SubscriptionId,
    /// Where it stands; `None` for all.
    pub state: Option<HookState>,
    /// Older than this one.
    pub before: Option<i64>,
    /// How many at most.
    pub limit: u32,
}

/// What a subscriber was told, or is to be, of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookView {
    /// The event's place.
    pub cursor: EventCursor,
    /// The event.
    pub event: EventUuid,
    /// Of what kind.
    pub kind: EventKind,
    /// In which conversation.
    pub conversation: ConversationId,
    /// About which message.
    pub message: Option<MessageId>,
    /// Where it stands.
    pub state: HookState,
    /// How often it was begun.
    pub attempts: u32,
    /// The HTTP status of the last answer.
    pub status_code: Option<u16>,
    /// Why it last failed: a code.
    pub last_error: Option<String>,
    /// Not before this time.
    pub run_at: Timestamp,
    /// When the event happened.
    pub created_at: Timestamp,
    /// When it was told or given up.
    pub finished_at: Option<Timestamp>,
}

/// What is to be told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redelivery {
    /// To whom.
    pub subscription: SubscriptionId,
    /// Events that happened then or later.
    pub since: Timestamp,
    /// Behind this place.
    pub behind: EventCursor,
    /// How many events are looked at.
    pub limit: u32,
    /// Now.
    pub at: Timestamp,
}

/// What a step of telling again came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redelivered {
    /// How many were queued.
    pub queued: u64,
    /// Where the next step begins; `None` where there is none.
    pub next: Option<EventCursor>,
}

/// What is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overdue {
    /// What is queued, and was first to be told before this.
    pub queued: Timestamp,
    /// What waits for a tenant, of events that happened before this.
    pub waiting: Timestamp,
    /// How many of each at most.
    pub limit: u32,
    /// Now.
    pub at: Timestamp,
}

/// What may be deleted of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventSweep {
    /// Events that happened before this.
    pub events: Timestamp,
    /// What was told, or needed no telling, before this.
    pub delivered: Timestamp,
    /// How many rows of each at most.
    pub limit: u32,
}

/// Calls subscribers.
#[async_trait]
pub trait HookSender: Send + Sync {
    /// Tells one subscriber of one event: one request, no redirect, within
    /// [`call_timeout`](Self::call_timeout). It MUST answer [`HookOutcome::NotMade`] only where the
    /// subscriber has not seen the request.
    async fn send(&self, call: &HookCall<'_>) -> HookOutcome;

    /// The longest time that [`send`](Self::send) takes in that format.
    fn call_timeout(&self, format: Format) -> Duration;

    /// Whether that URL may be called at all; what to change where it may not.
    ///
    /// # Errors
    /// The reason, which never repeats the URL.
    fn check_url(&self, url: &str) -> Result<(), &'static str>;

    /// Whether calls can be signed with that secret; what to change where they cannot.
    ///
    /// # Errors
    /// The reason.
    fn check_secret(&self, secret: &SigningSecret) -> Result<(), &'static str>;

    /// A secret that nobody knows yet.
    ///
    /// # Errors
    /// Where the machine has no random numbers to give.
    fn new_secret(&self) -> Result<SigningSecret, BoxError>;
}

/// A call to be made.
#[derive(Debug, Clone, Copy)]
pub struct HookCall<'a> {
    /// Where.
    pub url: &'a HookUrl,
    /// In which form.
    pub format: Format,
    /// What it is signed with.
    pub secrets: &'a Secrets,
    /// What happened.
    pub event: &'a Event,
    /// The conversation's tenant as it is now.
    pub tenant: Option<&'a TenantId>,
    /// Now.
    pub at: Timestamp,
}

/// What became of a call. The words are codes for logs, metrics and the list of deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookOutcome {
    /// It answered 2xx.
    Accepted {
        /// The HTTP status.
        status: u16,
    },
    /// It answered otherwise.
    Refused {
        /// The HTTP status.
        status: u16,
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
    },
    /// It has not seen the request: `connect`, `address_refused`, `name`, `url_refused`.
    NotMade(&'static str),
    /// It may have seen it: `timeout`, `connection`.
    NoAnswer(&'static str),
    /// The event cannot be told in this format: `no_tenant`, `no_phone_number`, `other_event`.
    Unfit(&'static str),
}
