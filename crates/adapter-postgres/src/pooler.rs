//! Whether the address leads to a pooler that gives each transaction another connection of the
//! server.

use diesel::dsl::sql;
use diesel::result::ConnectionError;
use diesel::sql_types::Integer;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use crate::migrate::MigrateError;
use crate::pool::Connector;
use crate::settings::PgSettings;

/// Whether a pooler in transaction mode answers at that address. Prepared statements and session
/// settings, which this store relies on, get lost there.
///
/// # Errors
/// [`MigrateError::Unreachable`] and [`MigrateError::Settings`].
pub async fn is_transaction_pooler(settings: &PgSettings) -> Result<bool, MigrateError> {
    let connector = Connector::new(settings, String::new())?;
    let unreachable = |error: ConnectionError| MigrateError::Unreachable(error.into());
    let mut one = connector.connect_in_time().await.map_err(unreachable)?;
    let mut other = connector.connect_in_time().await.map_err(unreachable)?;
    let asked = moves(&mut one, &mut other).await;
    asked.map_err(|error| MigrateError::Unreachable(error.into()))
}

/// Two connections that are open at the same time have two servers to themselves; a pooler in
/// transaction mode lends both of them the same one, and another where that is held.
async fn moves(
    one: &mut AsyncPgConnection,
    other: &mut AsyncPgConnection,
) -> diesel::QueryResult<bool> {
    let first = server_of(one).await?;
    other.batch_execute("begin").await?;
    let held = server_of(other).await?;
    let second = server_of(one).await?;
    other.batch_execute("rollback").await?;
    Ok(held == first || second != first)
}

async fn server_of(conn: &mut AsyncPgConnection) -> diesel::QueryResult<i32> {
    diesel::select(sql::<Integer>("pg_backend_pid()")).get_result(conn).await
}
