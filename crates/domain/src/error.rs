//! What can go wrong, as the caller of a use case sees it.

use std::borrow::Cow;
use std::fmt;

use crate::message::MessageId;
use crate::ports::StoreError;

/// A cause from outside the domain, kept for the log.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The four failures of the specification, and a refusal. `Display` is what a caller may read: it never holds
/// personal data nor the text of an inner error, which is reached through `source`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is wrong and stays wrong: it says what to change.
    #[error(transparent)]
    Validation(#[from] Invalid),
    /// The same request was taken in before, by another call.
    #[error("this request was already taken in")]
    IdempotentDuplicate {
        /// What the first call made.
        existing: MessageId,
    },
    /// A service behind us failed.
    #[error(transparent)]
    External(#[from] ExternalFailure),
    /// There is no such thing.
    #[error("there is no such {0}")]
    NotFound(Thing),
    /// As things stand it cannot be done: why not.
    #[error("{0}")]
    Refused(&'static str),
}

/// A value that cannot be used: which, and what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    /// The name of the field as the caller wrote it.
    pub field: &'static str,
    /// What to change. Never repeats the value.
    pub reason: Cow<'static, str>,
}

/// A service behind us that did not do its part.
#[derive(Debug, thiserror::Error)]
#[error("{service} is {}", if *.temporary { "unavailable" } else { "refusing the operation" })]
pub struct ExternalFailure {
    /// Which one.
    pub service: Service,
    /// Whether the same call may work later.
    pub temporary: bool,
    /// Why, for the log.
    #[source]
    pub source: BoxError,
}

/// The services behind us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Where conversations and messages are kept.
    Store,
}

/// What was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// A conversation, by number or id.
    Conversation,
    /// A message, by id or SID.
    Message,
    /// A job, by id.
    Job,
    /// A subscription, by id.
    Subscription,
}

/// An error with all its causes, for the log: where it is handled the whole chain is told, once.
/// `Display` of our own errors leaves the cause out.
#[must_use]
pub fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let all = std::iter::successors(Some(error), |error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let (temporary, source) = match error {
            StoreError::Unavailable(source) => (true, source),
            StoreError::Rejected(source) => (false, source),
        };
        Self::External(ExternalFailure { service: Service::Store, temporary, source })
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Store => "the store",
        })
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conversation => "conversation",
            Self::Message => "message",
            Self::Job => "job",
            Self::Subscription => "subscription",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// As groups of calls fail: the reason of the whole group is two causes further down.
    #[derive(Debug, thiserror::Error)]
    #[error("the transaction that the call shared was not committed")]
    struct NotCommitted(#[source] Arc<StoreError>);

    #[test]
    fn an_error_is_told_with_every_cause_down_to_the_last() {
        let last = || std::io::Error::other("the disk is full").into();
        let shared = NotCommitted(Arc::new(StoreError::Rejected(last())));
        for (error, told) in [
            (StoreError::Rejected(last()), "the store rejected the operation: the disk is full"),
            (
                StoreError::Unavailable(shared.into()),
                "the store is unavailable: the transaction that the call shared was not committed: \
                 the store rejected the operation: the disk is full",
            ),
        ] {
            assert_eq!(causes(&error), told);
        }
        assert_eq!(causes(&Error::Refused("not now")), "not now", "no cause is none");
    }
}
