//! Subscriptions: which program wants to be told of what, where, and how it is doing.

use std::fmt;
use std::time::Duration;

use uuid::Uuid;

use crate::event::{EventKind, NewEvent};
use crate::job::Backoff;
use crate::message::{Direction, id};
use crate::timestamp::Timestamp;

id! {
    /// Our own id of a subscription.
    SubscriptionId
}

impl SubscriptionId {
    /// The id that `text` spells.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

/// After so many failures in a row a subscriber is left alone for a while.
const PATIENCE: u32 = 10;
/// For so long, and longer each time that it fails again.
const PAUSE: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_mins(5) };
/// For so long the secret before is used beside a new one.
pub const SECRET_OVERLAP: Duration = Duration::from_hours(24);

/// A program that is told of events.
#[derive(Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Our id.
    pub id: SubscriptionId,
    /// What people call it; no two have the same.
    pub name: String,
    /// Where it is told.
    pub url: HookUrl,
    /// What it wants.
    pub wants: Wants,
    /// In which form.
    pub format: Format,
    /// What each call is signed with.
    pub secrets: Secrets,
    /// Whether anything is kept for it and told.
    pub enabled: bool,
    /// Whether it stands in the configuration; then it is changed there only.
    pub configured: bool,
    /// How it is doing.
    pub health: Health,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed by somebody.
    pub updated_at: Timestamp,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Subscription");
        shown.field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a subscriber wants to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wants {
    /// Events of these kinds.
    pub kinds: Vec<EventKind>,
    /// Of statuses, also those after which more is to be expected.
    pub all_statuses: bool,
    /// In conversations with this kind of workflow.
    pub workflow_type: Option<String>,
    /// In conversations whose tenant is known, or is not.
    pub tenant: Option<TenantWanted>,
    /// About messages that go this way. Events about conversations come all the same.
    pub direction: Option<Direction>,
    /// Where the format needs a tenant and nobody knows one: whether it is told once one is found.
    pub when_identified: bool,
}

impl Default for Wants {
    fn default() -> Self {
        Self {
            kinds: EventKind::ALL.to_vec(),
            all_statuses: false,
            workflow_type: None,
            tenant: None,
            direction: None,
            when_identified: false,
        }
    }
}

/// What somebody changes of what a subscriber wants. An outer `None` leaves a field as it is, an inner
/// one empties it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WantsEdit {
    /// Events of these kinds.
    pub kinds: Option<Vec<EventKind>>,
    /// Whether of every status.
    pub all_statuses: Option<bool>,
    /// The kind of workflow.
    pub workflow_type: Option<Option<String>>,
    /// Whether the tenant must be known.
    pub tenant: Option<Option<TenantWanted>>,
    /// Which way messages go.
    pub direction: Option<Option<Direction>>,
    /// Whether it is told once a tenant is found.
    pub when_identified: Option<bool>,
}

impl WantsEdit {
    /// What it wants after that.
    #[must_use]
    pub fn applied(&self, to: &Wants) -> Wants {
        Wants {
            kinds: self.kinds.clone().unwrap_or_else(|| to.kinds.clone()),
            all_statuses: self.all_statuses.unwrap_or(to.all_statuses),
            workflow_type: self.workflow_type.clone().unwrap_or_else(|| to.workflow_type.clone()),
            tenant: self.tenant.unwrap_or(to.tenant),
            direction: self.direction.unwrap_or(to.direction),
            when_identified: self.when_identified.unwrap_or(to.when_identified),
        }
    }
}

/// Whether the tenant must be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantWanted {
    /// It must.
    Known,
    /// It must not.
    Unknown,
}

impl TenantWanted {
    /// The word in the store and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Unknown => "unknown",
        }
    }

    /// Such a word; `None` for any other.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Known, Self::Unknown].into_iter().find(|wanted| wanted.as_str() == word)
    }
}

/// In which form a subscriber is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Our own events.
    Standard,
    /// The orchestrator's hook (wire contracts, section 5): inbound messages of known tenants, and
    /// never told twice, because it cannot tell a repetition.
    Orchestrator,
}

impl Format {
    /// The word in the store and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Orchestrator => "orchestrator",
        }
    }

    /// Such a word; `None` for any other.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Standard, Self::Orchestrator].into_iter().find(|format| format.as_str() == word)
    }

    /// The kinds of events that can be told in it.
    #[must_use]
    pub fn kinds(self) -> &'static [EventKind] {
        match self {
            Self::Standard => &EventKind::ALL,
            Self::Orchestrator => &[EventKind::Received],
        }
    }
}

/// Where a subscriber is told. May hold a token in its path or query: `Debug` does not show it, and it
/// is never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct HookUrl(String);

impl HookUrl {
    /// That address. Whoever calls it has checked it
    /// ([`HookSender::check_url`](crate::ports::HookSender::check_url)).
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The address: for the call, for the store, and for whoever may read subscriptions.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HookUrl(..)")
    }
}

/// A secret of a subscription, as the Standard Webhooks specification writes it: `whsec_` and
/// base64. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(String);

impl SigningSecret {
    /// A secret in that form. Whoever signs with it has checked it
    /// ([`HookSender::check_secret`](crate::ports::HookSender::check_secret)).
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret: for signing, for the store, and for whoever made the subscription, once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(..)")
    }
}

/// What calls are signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secrets {
    /// The newest.
    pub current: SigningSecret,
    /// The one before, and until when calls are signed with it too.
    pub previous: Option<(SigningSecret, Timestamp)>,
}

impl Secrets {
    /// Only that one.
    #[must_use]
    pub fn of(current: SigningSecret) -> Self {
        Self { current, previous: None }
    }

    /// After that one has taken the place of the newest, which is used for a while beside it.
    #[must_use]
    pub fn renewed(self, with: SigningSecret, at: Timestamp) -> Self {
        if with == self.current {
            return self;
        }
        Self { current: with, previous: Some((self.current, at.after(SECRET_OVERLAP))) }
    }

    /// Those in use, the newest first.
    pub fn in_use(&self, at: Timestamp) -> impl Iterator<Item = &SigningSecret> {
        let previous = self.previous.as_ref().filter(|(_, until)| at < *until);
        std::iter::once(&self.current).chain(previous.map(|(secret, _)| secret))
    }
}

/// How a subscriber is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// How often in a row it failed.
    pub failures: u32,
    /// Since when.
    pub failing_since: Option<Timestamp>,
    /// Until then it is left alone; then one call finds out how it is.
    pub paused_until: Option<Timestamp>,
    /// Why it last failed: a code.
    pub last_error: Option<String>,
}

impl Health {
    /// After a call, begun at that time, that failed. `chance` is a random number.
    ///
    /// Calls that were on their way when a pause began say nothing new: counted one by one, a
    /// moment's hang would be a pause of minutes.
    #[must_use]
    pub fn failed(&self, error: &str, begun: Timestamp, at: Timestamp, chance: u64) -> Self {
        if self.paused_until.is_some_and(|until| begun < until) {
            return self.clone();
        }
        let failures = self.failures.saturating_add(1);
        let pause =
            failures.checked_sub(PATIENCE).map(|more| at.after(PAUSE.wait(more + 1, chance)));
        Self {
            failures,
            failing_since: self.failing_since.or(Some(at)),
            paused_until: self.paused_until.max(pause),
            last_error: Some(error.to_owned()),
        }
    }

    /// How many calls may be made at once, of so many: none in a pause, one after it.
    #[must_use]
    pub fn hands(&self, most: u32, at: Timestamp) -> u32 {
        match self.paused_until {
            Some(until) if at < until => 0,
            Some(_) => most.min(1),
            None => most,
        }
    }

    /// Whether it is left alone, or is being tried again.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused_until.is_some()
    }
}

impl Subscription {
    /// Whether it bears to be told what it has answered 2xx.
    #[must_use]
    pub fn may_hear_again(&self) -> bool {
        self.format == Format::Standard
    }

    /// Whether it is told of that event, in a conversation with that tenant and workflow. Every
    /// store decides the same.
    #[must_use]
    pub fn wants(&self, event: &NewEvent, has_tenant: bool, workflow_type: Option<&str>) -> bool {
        let wants = &self.wants;
        let direction = event.message.as_ref().map(|message| message.direction);
        self.enabled
            && wants.kinds.contains(&event.kind)
            && (wants.all_statuses || !event.is_passing())
            && wants.workflow_type.as_deref().is_none_or(|wanted| workflow_type == Some(wanted))
            && wants.tenant.is_none_or(|wanted| (wanted == TenantWanted::Known) == has_tenant)
            && wants.direction.is_none_or(|wanted| direction.is_none_or(|way| way == wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_secs(seconds))
    }

    #[test]
    fn a_subscriber_that_fails_on_and_on_is_left_alone_for_longer_each_time() {
        let mut health = Health::default();
        for nth in 1..PATIENCE {
            health = health.failed("http_500", at(1), at(1), 0);
            assert_eq!((health.failures, health.hands(8, at(1))), (nth, 8));
        }
        health = health.failed("timeout", at(1), at(2), 0);
        assert_eq!(
            (health.failing_since, health.last_error.as_deref()),
            (Some(at(1)), Some("timeout"))
        );
        assert_eq!((health.hands(8, at(2)), health.hands(8, at(3))), (0, 1));
        let longer = health.failed("timeout", at(3), at(3), 0);
        assert!(
            longer.paused_until
                > health.paused_until.map(|until| until.after(Duration::from_millis(400)))
        );
        let mut worst = longer;
        for _ in 0..100 {
            let probed = worst.paused_until.unwrap();
            worst = worst.failed("timeout", probed, probed, u64::MAX);
            assert!(worst.paused_until <= Some(probed.after(Duration::from_mins(5))));
        }
        assert_eq!(worst.failures, PATIENCE + 101);
    }

    #[test]
    fn what_was_on_its_way_when_a_pause_began_makes_it_no_longer() {
        let fail = |health: Health, _| health.failed("timeout", at(1), at(2), 0);
        let paused = (0..PATIENCE).fold(Health::default(), fail);
        assert!(paused.is_paused());
        assert_eq!((0..100).fold(paused.clone(), fail), paused);
        let until = paused.paused_until.unwrap();
        let probed = paused.failed("timeout", until, until, 0);
        assert_eq!(probed.failures, PATIENCE + 1);
        // The probes of other processes, begun in the same moment.
        assert_eq!(
            probed.failed("timeout", until, until.after(Duration::from_millis(1)), 0),
            probed
        );
    }

    #[test]
    fn a_new_secret_is_used_beside_the_one_before_for_a_day() {
        let secret = |text: &str| SigningSecret::new(text);
        let secrets = Secrets::of(secret("a")).renewed(secret("b"), at(0));
        let used =
            |seconds| secrets.in_use(at(seconds)).map(SigningSecret::expose).collect::<Vec<_>>();
        assert_eq!(used(0), ["b", "a"]);
        assert_eq!(used(24 * 60 * 60), ["b"]);
        assert_eq!(secrets.clone().renewed(secret("b"), at(9)), secrets);
        assert_eq!(format!("{secrets:?}").matches("SigningSecret(..)").count(), 2);
    }
}
