//! Whether a pooler stands in the way that loses what we leave with a connection.
//!
//! In transaction mode a pooler lends another connection of the server for each transaction. What a
//! client has prepared is then not there, unless the pooler prepares it again (`PgBouncer` from 1.21 on,
//! with `max_prepared_statements`); what it has set never is.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::try_join;
use tokio::time::timeout;

use crate::pool::Connector;
use crate::prepared::Prepared;
use crate::settings::{InvalidSettings, PgSettings};

/// The way to the database cannot be used, whatever is tried again.
#[derive(Debug, thiserror::Error)]
pub enum UnusableWay {
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// A pooler that does not keep prepared statements.
    #[error(
        "DATABASE_URL leads to a pooler in transaction mode that loses prepared statements: use its \
         session mode (Supabase: port 5432 instead of 6543), or a direct connection, or PgBouncer 1.21 \
         or later with max_prepared_statements"
    )]
    LosesStatements,
    /// A pooler that does not keep settings, with a schema that must be set.
    #[error(
        "DATABASE_URL leads to a pooler in transaction mode, which forgets DATABASE_SCHEMA: use its \
         session mode (Supabase: port 5432 instead of 6543) or a direct connection, or make the \
         schema the first in the role's search_path and leave DATABASE_SCHEMA out"
    )]
    LosesSchema,
}

/// How long the server may take to answer a probe; a pooler may have no more connections to lend.
const PATIENCE: Duration = Duration::from_secs(1);

/// Looks whether the connection that a statement was prepared on is still there for the next
/// transaction, while others want it too. A database that does not answer is no finding.
///
/// # Errors
/// [`UnusableWay`], which says which port or setting to use.
pub async fn check_way(settings: &PgSettings) -> Result<(), UnusableWay> {
    let connector = Connector::new(settings, String::new())?;
    let connected = try_join!(
        connector.connect_in_time(),
        connector.connect_in_time(),
        connector.connect_in_time(),
    );
    let Ok((mut ours, mut first, mut second)) = connected else {
        return Ok(());
    };
    let probing = probe(&mut ours, &mut first, &mut second);
    match timeout(PATIENCE, probing).await {
        Ok(Ok(Found::LostStatement)) => Err(UnusableWay::LosesStatements),
        Ok(Ok(Found::LostSetting)) if settings.schema.is_some() => Err(UnusableWay::LosesSchema),
        Ok(Ok(Found::LostSetting)) => {
            tracing::warn!(
                "DATABASE_URL leads to a pooler in transaction mode: the server keeps no time limits \
                 for us there; its session mode does"
            );
            Ok(())
        }
        _ => Ok(()),
    }
}

enum Found {
    Nothing,
    LostStatement,
    LostSetting,
}

/// What is set and prepared here; the same text each time, so that it is prepared once.
async fn setting(mut conn: &AsyncPgConnection) -> QueryResult<String> {
    #[derive(QueryableByName)]
    struct Setting {
        #[diesel(sql_type = Text)]
        value: String,
    }
    let read = "select coalesce(current_setting('sms_foundation.probe', true), '') as value";
    let read: Setting = Prepared(diesel::sql_query(read)).get_result(&mut conn).await?;
    Ok(read.value)
}

async fn probe(
    ours: &mut AsyncPgConnection,
    first: &mut AsyncPgConnection,
    second: &mut AsyncPgConnection,
) -> QueryResult<Found> {
    ours.batch_execute("select set_config('sms_foundation.probe', 'set', false)").await?;
    setting(ours).await?;
    // Whoever comes first is lent the connection that rested last: ours.
    first.batch_execute("begin; select 1").await?;
    second.batch_execute("begin; select 1").await?;
    let after = setting(ours).await;
    first.batch_execute("rollback").await?;
    second.batch_execute("rollback").await?;
    Ok(match after {
        Ok(value) if value == "set" => Found::Nothing,
        Ok(_) => Found::LostSetting,
        Err(_) => Found::LostStatement,
    })
}
