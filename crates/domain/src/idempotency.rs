//! When a request is the repetition of an earlier one.
//!
//! Only a key gives certainty. Without one a repetition is guessed: the same whole request of the
//! same caller, within two minutes, while the first is in progress or its caller was told nothing
//! good. Two honest texts that say the same both go out.

use std::time::Duration;

use crate::outbound::SendState;
use crate::timestamp::Timestamp;

/// For so long a request without a key is compared with those before it.
pub const GUESS_WINDOW: Duration = Duration::from_mins(2);

/// The longest key, in characters.
pub const MAX_KEY: usize = 255;

/// Who asked, and how a repetition of the request is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyClaim {
    /// The name of the caller's API key: keys of different callers never meet.
    pub caller: String,
    /// The caller's key, or else the hash of the whole request.
    pub key: IdempotencyKey,
    /// The hash of the whole request, hexadecimal.
    pub request_hash: String,
    /// For how long a caller's key is kept.
    pub keep: Duration,
}

/// What tells a repetition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdempotencyKey {
    /// The header `Idempotency-Key`.
    Given(String),
    /// The request itself.
    Guessed,
}

/// The earlier request with the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// Its hash.
    pub request_hash: String,
    /// When it came.
    pub created_at: Timestamp,
    /// Whether its caller was told 2xx.
    pub answered: bool,
    /// Where its message stands.
    pub state: SendState,
    /// Whether its key may be given for another message
    /// ([`Outgoing::frees_its_key`](crate::outbound::Outgoing::frees_its_key)).
    pub frees_its_key: bool,
}

/// What is to be done with a request whose key is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is the earlier one: same answer.
    Join,
    /// The key was used for another request.
    Conflict,
    /// The key is free: a new message, which takes the key over.
    Replace,
}

impl IdempotencyClaim {
    /// The text under which a store keeps the key, unique together with the caller.
    #[must_use]
    pub fn stored_key(&self) -> String {
        match &self.key {
            IdempotencyKey::Given(key) => format!("key:{key}"),
            IdempotencyKey::Guessed => format!("request:{}", self.request_hash),
        }
    }

    /// What to do where the key is known.
    #[must_use]
    pub fn decide(&self, earlier: &Earlier, now: Timestamp) -> Decision {
        let same = earlier.request_hash == self.request_hash;
        match self.key {
            IdempotencyKey::Given(_) if now >= earlier.created_at.after(self.keep) => {
                Decision::Replace
            }
            IdempotencyKey::Given(_) if earlier.frees_its_key => Decision::Replace,
            IdempotencyKey::Given(_) if same => Decision::Join,
            IdempotencyKey::Given(_) => Decision::Conflict,
            IdempotencyKey::Guessed => {
                let recent = now < earlier.created_at.after(GUESS_WINDOW);
                let repeated = earlier.state.is_open() || !earlier.answered;
                if same && recent && repeated { Decision::Join } else { Decision::Replace }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Decision::{Conflict, Join, Replace};

    fn claim(key: IdempotencyKey) -> IdempotencyClaim {
        let keep = Duration::from_hours(1);
        IdempotencyClaim { caller: "a".into(), key, request_hash: "00".into(), keep }
    }

    fn earlier(state: SendState, answered: bool) -> Earlier {
        Earlier {
            request_hash: "00".into(),
            created_at: Timestamp::EPOCH,
            answered,
            state,
            frees_its_key: false,
        }
    }

    fn after(seconds: u64) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_secs(seconds))
    }

    #[test]
    fn a_key_joins_conflicts_or_is_free() {
        let claim = claim(IdempotencyKey::Given("k".into()));
        let first = earlier(SendState::Accepted, true);
        assert_eq!(claim.decide(&first, after(3599)), Join);
        assert_eq!(claim.decide(&first, after(3600)), Replace);
        let other = Earlier { request_hash: "11".into(), ..first.clone() };
        assert_eq!(claim.decide(&other, after(1)), Conflict);
        let unsent = Earlier { frees_its_key: true, state: SendState::Refused, ..other };
        assert_eq!(claim.decide(&unsent, after(1)), Replace);
        let given_up = Earlier { state: SendState::NotSent, ..first };
        assert_eq!(claim.decide(&given_up, after(1)), Join);
    }

    #[test]
    fn without_a_key_a_request_joins_what_is_in_progress_or_was_not_answered() {
        let claim = claim(IdempotencyKey::Guessed);
        for (state, answered, seconds, expected) in [
            (SendState::Pending, true, 119, Join),
            (SendState::InFlight, true, 1, Join),
            (SendState::Ambiguous, true, 1, Join),
            (SendState::Ambiguous, true, 120, Replace),
            (SendState::Accepted, true, 1, Replace),
            (SendState::Accepted, false, 1, Join),
            (SendState::Refused, false, 1, Join),
            (SendState::Accepted, false, 120, Replace),
        ] {
            let decision = claim.decide(&earlier(state, answered), after(seconds));
            assert_eq!(decision, expected, "{state:?} {answered} {seconds}");
        }
    }

    #[test]
    fn a_key_is_never_taken_for_a_request() {
        let guessed = claim(IdempotencyKey::Guessed).stored_key();
        assert_ne!(claim(IdempotencyKey::Given(guessed.clone())).stored_key(), guessed);
    }
}
