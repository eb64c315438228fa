//! Why the store gives no answer, and which of the caller's choices that leaves.

use std::sync::Arc;

use diesel::result::DatabaseErrorKind as Kind;
use diesel::result::Error as DieselError;
use domain::error::BoxError;
use domain::ports::StoreError;

use crate::connection::ConnectError;

/// Why an operation on the database failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The database said no.
    #[error("the database failed")]
    Database(#[from] DieselError),
    /// There is no connection.
    #[error("there is no connection to the database")]
    Connect(#[from] ConnectError),
    /// A column holds what nobody can have written there.
    #[error("a stored {0} cannot be read")]
    Unreadable(&'static str),
    /// The operation itself is broken.
    #[error("the operation panicked")]
    Panicked,
}

/// Why a call got no answer although its operation may be right.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// To wait would only make it worse.
    #[error("too many calls are waiting")]
    QueueFull,
    /// The deadline passed, waiting included.
    #[error("no answer before the deadline")]
    TooLate,
    /// The thread that should answer has ended.
    #[error("nobody is left to answer")]
    Gone,
    /// The transaction of the call's group failed, for a reason that is not the call's.
    #[error("the group of the call was not committed")]
    NotCommitted(#[source] Arc<Failure>),
}

impl Failure {
    /// Whether the same operation will fail again, and only it: nothing is wrong with the
    /// database. Full disks, I/O errors and locks are all `Unknown` to diesel.
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            Self::Unreadable(_) | Self::Panicked => true,
            Self::Connect(_) => false,
            Self::Database(DieselError::DatabaseError(kind, _)) => matches!(
                kind,
                Kind::UniqueViolation
                    | Kind::ForeignKeyViolation
                    | Kind::NotNullViolation
                    | Kind::CheckViolation
            ),
            Self::Database(error) => !matches!(
                error,
                DieselError::RollbackErrorOnCommit { .. }
                    | DieselError::RollbackTransaction
                    | DieselError::AlreadyInTransaction
                    | DieselError::NotInTransaction
                    | DieselError::BrokenTransactionManager
            ),
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        let permanent = failure.is_permanent();
        let cause: BoxError = Box::new(failure);
        if permanent { Self::Rejected(cause) } else { Self::Unavailable(cause) }
    }
}

impl From<NoAnswer> for StoreError {
    fn from(reason: NoAnswer) -> Self {
        Self::Unavailable(Box::new(reason))
    }
}
