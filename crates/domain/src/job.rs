//! Work that must happen later and must not be forgotten: rows written in the transaction that
//! causes them, claimed by lease and attempt.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::conversation::ConversationId;
use crate::language::Language;
use crate::message::{MessageId, id};
use crate::origin::Origin;
use crate::timestamp::Timestamp;

id! {
    /// Our own id of a job.
    JobId
}

impl JobId {
    /// The id that `text` spells.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

/// A thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Ask the Collections Monitor which tenant a conversation's number belongs to.
    TenantLookup {
        /// Whose number.
        conversation: ConversationId,
    },
    /// Tell a tenant's profile, and the tenant's other conversations, of a conversation's language.
    TellLanguage {
        /// Whose language.
        conversation: ConversationId,
        /// The language that is news. What is told is the one that it is when the job runs.
        language: Language,
        /// That of its tenant ([`TenantId::lane`](crate::tenant::TenantId::lane)): a profile is
        /// told one thing after the other.
        lane: Uuid,
    },
    /// Hand a message over to Twilio.
    Send {
        /// The message.
        message: MessageId,
        /// Its conversation: messages of one conversation leave one after the other.
        conversation: ConversationId,
    },
    /// Find out whether a message was made whose request had no answer.
    ResolveSend {
        /// The message.
        message: MessageId,
        /// How often Twilio's list was read to its end without a trace of it.
        looks: u32,
    },
}

impl Job {
    /// The word that names this kind of job in the store, in logs and in metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TenantLookup { .. } => "tenant_lookup",
            Self::TellLanguage { .. } => "tell_language",
            Self::Send { .. } => "send",
            Self::ResolveSend { .. } => "resolve_send",
        }
    }

    /// Names the thing to do: of two unfinished jobs with the same key only one exists.
    #[must_use]
    pub fn unique_key(&self) -> String {
        let thing = match self {
            Self::TenantLookup { conversation } => conversation.0,
            // A further change while the first is being told is a thing of its own.
            Self::TellLanguage { conversation, language, .. } => {
                return format!("{}:{conversation}:{}", self.kind(), language.as_str());
            }
            Self::Send { message, .. } | Self::ResolveSend { message, .. } => message.0,
        };
        format!("{}:{thing}", self.kind())
    }

    /// What the job needs to know. Ids only: never a number, never a text.
    #[must_use]
    pub fn payload(&self) -> Value {
        match self {
            Self::TenantLookup { conversation } => json!({ "conversation_id": conversation.0 }),
            Self::TellLanguage { conversation, language, lane } => json!({
                "conversation_id": conversation.0,
                "language": language.as_str(),
                "lane": lane,
            }),
            Self::Send { message, conversation } => {
                json!({ "message_id": message.0, "conversation_id": conversation.0 })
            }
            Self::ResolveSend { message, looks } => {
                json!({ "message_id": message.0, "looks": looks })
            }
        }
    }

    /// Jobs of one lane run one after the other, in the order in which they were written.
    #[must_use]
    pub fn lane(&self) -> Option<Uuid> {
        match self {
            Self::Send { conversation, .. } => Some(conversation.0),
            Self::TellLanguage { lane, .. } => Some(*lane),
            Self::TenantLookup { .. } | Self::ResolveSend { .. } => None,
        }
    }

    /// The job of a row; `None` where the row is not one of ours.
    #[must_use]
    pub fn from_stored(kind: &str, payload: &Value) -> Option<Self> {
        let id = |name: &str| payload.get(name)?.as_str().and_then(|id| Uuid::try_parse(id).ok());
        let number = |name: &str| payload.get(name)?.as_u64().and_then(|n| u32::try_from(n).ok());
        let message = || id("message_id").map(MessageId);
        let conversation = || id("conversation_id").map(ConversationId);
        Some(match kind {
            "tenant_lookup" => Self::TenantLookup { conversation: conversation()? },
            "tell_language" => {
                let language = Language::from_word(payload.get("language")?.as_str()?)?;
                let conversation = conversation()?;
                Self::TellLanguage { conversation, language, lane: id("lane")? }
            }
            "send" => Self::Send { message: message()?, conversation: conversation()? },
            "resolve_send" => Self::ResolveSend { message: message()?, looks: number("looks")? },
            _ => return None,
        })
    }
}

/// A job to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// What to do.
    pub job: Job,
    /// Not before this time.
    pub run_at: Timestamp,
    /// What it follows from.
    pub origin: Origin,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Waiting for its time and a worker.
    Queued,
    /// A worker holds a lease on it.
    Running,
    /// Given up after the last attempt, kept for an operator.
    Parked,
    /// Finished.
    Done,
}

impl JobState {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Queued, Self::Running, Self::Parked, Self::Done];

    /// The word in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Parked => "parked",
            Self::Done => "done",
        }
    }

    /// A word in the store; `None` for any other.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// A worker's right to a job: the attempt number fences every write to the job's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// The job.
    pub id: JobId,
    /// Which claim of it this is, from 1.
    pub attempt: u32,
}

/// A job that a worker has to itself for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedJob {
    /// The right to it.
    pub ticket: Ticket,
    /// What to do.
    pub job: Job,
    /// How often in a row it has failed.
    pub failures: u32,
    /// Until then nobody else claims it.
    pub lease_until: Timestamp,
    /// What it follows from.
    pub origin: Origin,
}

/// What becomes of a job after a worker has had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEnding {
    /// It is finished.
    Done,
    /// It got on and goes on later; no failure.
    Continue {
        /// What is to be done then: the same thing, further on.
        job: Job,
        /// When.
        run_at: Timestamp,
    },
    /// It failed and is tried again.
    Retry {
        /// When.
        run_at: Timestamp,
        /// Why it failed: ids and codes only.
        error: String,
    },
    /// It is given up, and kept for an operator.
    Park {
        /// Why: ids and codes only.
        error: String,
    },
    /// It was not begun: whoever comes first may have it at once.
    Release {
        /// Not before this time.
        run_at: Timestamp,
    },
}

/// How long to wait after the n-th failure: doubling from `base` to at most `cap`, of which a
/// random part between a half and all is taken, so that many do not come back at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub base: Duration,
    /// At most.
    pub cap: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row. `chance` is a random number.
    #[must_use]
    pub fn wait(&self, failures: u32, chance: u64) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1).min(31)).unwrap_or(u32::MAX);
        let full = self.base.checked_mul(doubled).unwrap_or(self.cap).min(self.cap);
        let half = full / 2;
        let micros = u64::try_from(half.as_micros()).unwrap_or(u64::MAX);
        half + Duration::from_micros(chance % micros.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_read_back_from_its_row() {
        let (message, conversation) =
            (MessageId(Uuid::from_u128(1)), ConversationId(Uuid::from_u128(2)));
        for job in [
            Job::TenantLookup { conversation },
            Job::TellLanguage { conversation, language: Language::Spanish, lane: Uuid::max() },
            Job::Send { message, conversation },
            Job::ResolveSend { message, looks: 3 },
        ] {
            assert_eq!(Job::from_stored(job.kind(), &job.payload()), Some(job));
        }
        assert_eq!(Job::from_stored("send", &json!({ "message_id": 1 })), None);
        assert_eq!(Job::from_stored("brew_coffee", &json!({})), None);
    }

    #[test]
    fn waits_double_up_to_the_cap_and_are_never_less_than_half() {
        let backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(2) };
        for (failures, full) in [(0, 100), (1, 100), (2, 200), (5, 1600), (6, 2000), (99, 2000)] {
            for chance in [0, 1, 12_345_678, u64::MAX] {
                let wait = backoff.wait(failures, chance);
                let full = Duration::from_millis(full);
                assert!((full / 2..=full).contains(&wait), "{failures} {chance}: {wait:?}");
            }
        }
        assert_eq!(backoff.wait(1, 0), Duration::from_millis(50));
    }

    #[test]
    fn a_backoff_of_nothing_is_no_wait() {
        let backoff = Backoff { base: Duration::ZERO, cap: Duration::ZERO };
        assert_eq!(backoff.wait(7, u64::MAX), Duration::ZERO);
    }
}
