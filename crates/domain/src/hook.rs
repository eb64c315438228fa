//! Telling one subscriber of one event: how that stands, and what follows from each try.

use std::time::Duration;

use crate::event::{Event, EventCursor, EventKind};
use crate::job::Backoff;
use crate::ports::HookOutcome;
use crate::subscription::{Format, SubscriptionId};
use crate::tenant::TenantId;
use crate::timestamp::Timestamp;

/// No subscriber makes us wait for longer than this, whatever its `Retry-After` says.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HookState {
    /// It waits for its time and its turn in the conversation.
    Queued,
    /// A worker holds a lease on it.
    Running,
    /// It waits until somebody knows the tenant.
    Waiting,
    /// The subscriber has it.
    Delivered,
    /// It is none that can be told in the subscription's format.
    Skipped,
    /// Given up, kept for an operator.
    Parked,
}

impl HookState {
    /// All six.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Waiting, Self::Delivered, Self::Skipped, Self::Parked];

    /// The word in the store and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Skipped => "skipped",
            Self::Parked => "parked",
        }
    }

    /// Such a word; `None` for any other.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// A worker's right to tell: the attempt number fences every write to the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookTicket {
    /// Whom.
    pub subscription: SubscriptionId,
    /// Of what.
    pub event: EventCursor,
    /// Which claim of it this is, from 1.
    pub attempt: u32,
}

/// What a worker has to itself for a time.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedHook {
    /// The right to it.
    pub ticket: HookTicket,
    /// What happened.
    pub event: Event,
    /// The conversation's tenant as it is now.
    pub tenant: Option<TenantId>,
    /// Whether the Collections Monitor was ever asked about the conversation.
    pub was_looked_up: bool,
    /// How often in a row it failed.
    pub failures: u32,
    /// Since when it is tried: [`HookRules::retry_for`] counts from there.
    pub since: Timestamp,
    /// Whether an earlier claim was never ended: its worker may have called, and died.
    pub interrupted: bool,
}

/// What becomes of it after a worker has had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookEnding {
    /// The subscriber has it.
    Delivered,
    /// It is tried again.
    Retry {
        /// When.
        run_at: Timestamp,
        /// Why it failed: a code.
        error: String,
    },
    /// It is given up.
    Park {
        /// Why: a code.
        error: String,
    },
    /// It cannot be told in this format.
    Skip {
        /// Why: a code.
        reason: String,
    },
    /// It waits until the conversation is looked up.
    Wait {
        /// Whether it had been, when this was decided.
        looked_up: bool,
    },
    /// It was not begun: whoever comes first may have it at once.
    Release,
}

impl HookEnding {
    /// The state that it leads to.
    #[must_use]
    pub fn state(&self) -> HookState {
        match self {
            Self::Delivered => HookState::Delivered,
            Self::Retry { .. } | Self::Release => HookState::Queued,
            Self::Park { .. } => HookState::Parked,
            Self::Skip { .. } => HookState::Skipped,
            Self::Wait { .. } => HookState::Waiting,
        }
    }

    /// The same, where the conversation is as it is said here: what waits for a lookup that has
    /// ended meanwhile would wait for ever.
    #[must_use]
    pub fn unless_looked_up(self, has_tenant: bool, is_looked_up: bool) -> Self {
        match self {
            Self::Wait { looked_up } if has_tenant || (is_looked_up && !looked_up) => Self::Release,
            other => other,
        }
    }

    /// What is to be remembered of it.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Retry { error, .. } | Self::Park { error } => Some(error),
            Self::Skip { reason } => Some(reason),
            Self::Delivered | Self::Wait { .. } | Self::Release => None,
        }
    }
}

/// What a call says of the subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pulse {
    /// It works.
    Alive,
    /// It does not.
    Failed {
        /// Why: a code.
        error: String,
        /// When the call was begun.
        begun: Timestamp,
        /// A random number, for the length of a pause.
        chance: u64,
    },
    /// It says that it does not want any more (410 Gone): it is told nothing further.
    Gone,
    /// Nothing: it was not called.
    Unknown,
}

/// The settings of telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookRules {
    /// Waits between tries.
    pub backoff: Backoff,
    /// For so long it is tried.
    pub retry_for: Duration,
    /// So many calls of one subscriber run at once in a process.
    pub hands: u32,
}

impl HookRules {
    /// What follows from a call that was begun at that time. `chance` is a random number.
    #[must_use]
    pub fn after(
        &self,
        hook: &ClaimedHook,
        format: Format,
        outcome: &HookOutcome,
        begun: Timestamp,
        at: Timestamp,
        chance: u64,
    ) -> (HookEnding, Pulse) {
        let error = match outcome {
            HookOutcome::Accepted { .. } => return (HookEnding::Delivered, Pulse::Alive),
            HookOutcome::Unfit(reason) => {
                return (HookEnding::Skip { reason: (*reason).to_owned() }, Pulse::Unknown);
            }
            HookOutcome::Refused { status: 410, .. } => {
                return (HookEnding::Park { error: "http_410".into() }, Pulse::Gone);
            }
            HookOutcome::Refused { status, .. } => format!("http_{status}"),
            HookOutcome::NotMade(error) | HookOutcome::NoAnswer(error) => (*error).to_owned(),
        };
        let pulse = Pulse::Failed { error: error.clone(), begun, chance };
        let wait = self.backoff.wait(hook.failures.saturating_add(1), chance);
        let asked = match outcome {
            HookOutcome::Refused { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let run_at = at.after(wait.max(asked.min(LONGEST_WAIT)));
        let in_time = run_at < hook.since.after(self.retry_for);
        if in_time && may_repeat(format, outcome) {
            (HookEnding::Retry { run_at, error }, pulse)
        } else {
            (HookEnding::Park { error }, pulse)
        }
    }
}

/// Whether the same event may be told again after that. The orchestrator cannot tell a repetition:
/// only where it surely has not begun.
fn may_repeat(format: Format, outcome: &HookOutcome) -> bool {
    match format {
        Format::Standard => true,
        Format::Orchestrator => matches!(
            outcome,
            HookOutcome::NotMade(_) | HookOutcome::Refused { status: 429 | 503, .. }
        ),
    }
}

impl ClaimedHook {
    /// What is decided without a call; `None`: it is to be made.
    #[must_use]
    pub fn without_call(&self, format: Format, when_identified: bool) -> Option<HookEnding> {
        if format == Format::Standard {
            return None;
        }
        if self.event.kind != EventKind::Received {
            return Some(HookEnding::Skip { reason: "other_event".into() });
        }
        if self.interrupted {
            return Some(HookEnding::Park { error: "interrupted".into() });
        }
        if self.tenant.is_some() {
            return None;
        }
        // A lookup that never ended may name one yet.
        let may_come = when_identified || !self.was_looked_up;
        let skip = || HookEnding::Skip { reason: "no_tenant".into() };
        let wait = HookEnding::Wait { looked_up: self.was_looked_up };
        Some(if may_come { wait } else { skip() })
    }
}
