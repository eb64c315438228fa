//! Whether a pooler stands in the way that loses what we leave with a connection.
//!
//! In transaction mode a pooler lends another connection of the server for each transaction. What a
//! client has prepared is then not there, unless the pooler prepares it again (`PgBouncer` from 1.21 on,
//! with `max_prepared_statements`); what it has set never is.

use std::time::Duration;

use futures_util::try_join;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, Statement};

use crate::pool::Connector;
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
/// Somebody who uses the pooler meanwhile can, by chance, leave us the connection that we had.
const PROBES: usize = 4;

/// Looks whether the connection that a statement was prepared on is still there for the next
/// transaction, while others want it too. A database that does not answer is no finding.
///
/// # Errors
/// [`UnusableWay`], which says which port or setting to use.
pub async fn check_way(settings: &PgSettings) -> Result<(), UnusableWay> {
    let connector = Connector::new(settings, String::new())?;
    let connected = try_join!(connector.client(), connector.client(), connector.client());
    let Ok((ours, first, second)) = connected else {
        return Ok(());
    };
    match timeout(PATIENCE, probe_often(&ours, [&first, &second])).await {
        Ok(Err(error)) if error.code() == Some(&SqlState::INVALID_SQL_STATEMENT_NAME) => {
            Err(UnusableWay::LosesStatements)
        }
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

#[derive(PartialEq, Eq)]
enum Found {
    Nothing,
    LostSetting,
}

async fn probe_often(ours: &Client, others: [&Client; 2]) -> Result<Found, Error> {
    let read = "select coalesce(current_setting('sms_foundation.probe', true), '')";
    let read = ours.prepare(read).await?;
    for _ in 0..PROBES {
        if probe(ours, &read, others).await? == Found::LostSetting {
            return Ok(Found::LostSetting);
        }
    }
    Ok(Found::Nothing)
}

async fn probe(ours: &Client, read: &Statement, others: [&Client; 2]) -> Result<Found, Error> {
    ours.batch_execute("select set_config('sms_foundation.probe', 'set', false)").await?;
    // Whoever comes first is lent the connection that rested last: ours.
    for other in others {
        other.batch_execute("begin; select 1").await?;
    }
    let value: String = ours.query_one(read, &[]).await?.get(0);
    for other in others {
        other.batch_execute("rollback").await?;
    }
    Ok(if value == "set" { Found::Nothing } else { Found::LostSetting })
}
