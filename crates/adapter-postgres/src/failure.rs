//! What a caller may do about a failure: try again, or not.

use std::sync::Arc;

use diesel::result::DatabaseErrorKind;
use diesel::result::Error as QueryError;
use domain::ports::StoreError;

/// The call took longer than [`PgSettings::deadline`](crate::PgSettings::deadline). Whether it was
/// written is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the database did not answer in time")]
pub(crate) struct DeadlinePassed;

/// Why a call that shares a transaction with others got no answer, although it may be right.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// To wait would only make it worse.
    #[error("too many calls are waiting")]
    QueueFull,
    /// Whoever should answer has ended.
    #[error("nobody is left to answer")]
    Gone,
    /// The transaction failed, for a reason that is not the call's.
    #[error("the transaction that the call shared was not committed")]
    NotCommitted(#[source] Arc<StoreError>),
}

impl From<NoAnswer> for StoreError {
    fn from(reason: NoAnswer) -> Self {
        Self::Unavailable(reason.into())
    }
}

/// Names what will fail again; everything else may work later. It is this way round because
/// diesel-async tells apart few of the server's errors: a deadlock, a timeout and a server that
/// shuts down all arrive as `Unknown`.
pub(crate) fn classify(error: QueryError) -> StoreError {
    if is_permanent(&error) {
        StoreError::Rejected(error.into())
    } else {
        StoreError::Unavailable(error.into())
    }
}

/// Whether the same call will fail again.
pub(crate) fn is_permanent(error: &QueryError) -> bool {
    use DatabaseErrorKind as Kind;
    matches!(
        error,
        QueryError::SerializationError(_)
            | QueryError::DeserializationError(_)
            | QueryError::QueryBuilderError(_)
            | QueryError::DatabaseError(
                Kind::UniqueViolation
                    | Kind::ForeignKeyViolation
                    | Kind::NotNullViolation
                    | Kind::CheckViolation,
                _
            )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(kind: DatabaseErrorKind) -> QueryError {
        QueryError::DatabaseError(kind, Box::new(String::from("as the server says")))
    }

    #[test]
    fn a_broken_constraint_stays_broken() {
        for kind in [
            DatabaseErrorKind::UniqueViolation,
            DatabaseErrorKind::ForeignKeyViolation,
            DatabaseErrorKind::NotNullViolation,
            DatabaseErrorKind::CheckViolation,
        ] {
            assert!(matches!(classify(reported(kind)), StoreError::Rejected(_)));
        }
    }

    #[test]
    fn what_has_no_name_may_work_later() {
        for kind in [
            DatabaseErrorKind::Unknown,
            DatabaseErrorKind::SerializationFailure,
            DatabaseErrorKind::UnableToSendCommand,
            DatabaseErrorKind::ClosedConnection,
            DatabaseErrorKind::ReadOnlyTransaction,
        ] {
            assert!(matches!(classify(reported(kind)), StoreError::Unavailable(_)));
        }
        let broken = classify(QueryError::BrokenTransactionManager);
        assert!(matches!(broken, StoreError::Unavailable(_)));
    }
}
