//! The frame of a transaction whose beginning is sent together with its first statements.
//!
//! Statements on one connection run in the order in which they were sent, also where one of them
//! must be prepared first: while it is, the others wait for it. Where one fails, the server refuses
//! the rest.

use std::time::Duration;

use diesel::QueryResult;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use crate::prepared::Prepared;

/// How long a transaction waits for locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As long as its connection waits for any: nearly the whole time of a call.
    Full,
    /// For so long only, because strangers share it.
    Short(Duration),
}

/// Begins one. It need not be waited for before the next statement is sent.
pub(crate) async fn begin(mut conn: &AsyncPgConnection, patience: Patience) -> QueryResult<()> {
    match patience {
        Patience::Full => conn.batch_execute("begin").await,
        Patience::Short(wait) => {
            let wait = wait.as_millis().max(1);
            conn.batch_execute(&format!("begin; set local lock_timeout = {wait}")).await
        }
    }
}

/// Commits it. Can be sent together with its last statements, where each of these is
/// [`Prepared`] and sent at once: it is sent behind them, and where one of them has failed the
/// server rolls back.
pub(crate) async fn commit(mut conn: &AsyncPgConnection) -> QueryResult<()> {
    Prepared(diesel::sql_query("commit")).execute(&mut conn).await?;
    Ok(())
}

/// Ends one that failed, whatever state it is in.
pub(crate) async fn roll_back(mut conn: &AsyncPgConnection) -> QueryResult<()> {
    conn.batch_execute("rollback").await
}
