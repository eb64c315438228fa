//! The tables are made, and made newer, by the migrations in `migrations/sqlite`.

use diesel::SqliteConnection;
use diesel::dsl::sql;
use diesel::migration::{Migration, MigrationSource};
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use domain::error::BoxError;

use crate::connection::ConnectError;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// Every table that the migrations make.
const OURS: [&str; 11] = [
    "sms_conversations",
    "sms_messages",
    "sms_message_status_events",
    "sms_send_attempts",
    "idempotency_keys",
    "jobs",
    "backfill_lists",
    "imported_conversations",
    "sms_events",
    "sms_subscriptions",
    "sms_event_deliveries",
];

/// Where diesel keeps which migrations have run.
const RECORD: &str = "__diesel_schema_migrations";

/// The tables could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Another program's tables have our names: they are left alone. Use another file.
    #[error("the file has tables of another program: {}; use another file", .0.join(", "))]
    Strangers(Vec<String>),
    /// A migration failed; those before it stay.
    #[error("the tables could not be made")]
    Failed(#[source] BoxError),
}

/// Runs the migrations that have not run yet, each in a transaction; gives their names.
pub(crate) fn run_pending(conn: &mut SqliteConnection) -> Result<Vec<String>, MigrateError> {
    refuse_strangers(conn)?;
    let pending = conn.pending_migrations(MIGRATIONS);
    let pending = pending.map_err(MigrateError::Failed)?;
    for migration in &pending {
        conn.run_migration(migration).map_err(MigrateError::Failed)?;
    }
    Ok(pending.iter().map(|each| each.name().to_string()).collect())
}

/// The names of the migrations that have not run yet.
pub(crate) fn pending(conn: &mut SqliteConnection) -> Result<Vec<String>, MigrateError> {
    refuse_strangers(conn)?;
    let pending = conn.pending_migrations(MIGRATIONS).map_err(MigrateError::Failed)?;
    Ok(pending.iter().map(|each| each.name().to_string()).collect())
}

/// Takes every migration back, and with them everything that is stored.
#[cfg(feature = "testing")]
pub(crate) fn revert_all(conn: &mut SqliteConnection) -> Result<(), MigrateError> {
    conn.revert_all_migrations(MIGRATIONS).map(|_| ()).map_err(MigrateError::Failed)
}

/// Tables of our names are ours only if a migration of ours is on record.
fn refuse_strangers(conn: &mut SqliteConnection) -> Result<(), MigrateError> {
    let tables = tables(conn)?;
    let of_our_names: Vec<_> =
        tables.iter().filter(|name| OURS.contains(&name.as_str())).cloned().collect();
    let recorded = tables.iter().any(|name| name == RECORD) && any_of_ours_ran(conn)?;
    if of_our_names.is_empty() || recorded {
        Ok(())
    } else {
        Err(MigrateError::Strangers(of_our_names))
    }
}

/// The names of all tables and views, in lower case: to SQLite case makes no difference.
fn tables(conn: &mut SqliteConnection) -> Result<Vec<String>, MigrateError> {
    let names = "select lower(name) from sqlite_master where type in ('table', 'view') order by 1";
    Ok(sql::<Text>(names).load(conn)?)
}

fn any_of_ours_ran(conn: &mut SqliteConnection) -> Result<bool, MigrateError> {
    let ran = conn.applied_migrations().map_err(MigrateError::Failed)?;
    let ours: Vec<Box<dyn Migration<Sqlite>>> =
        MIGRATIONS.migrations().map_err(MigrateError::Failed)?;
    Ok(ours.iter().any(|each| ran.contains(&each.name().version())))
}

impl From<diesel::result::Error> for MigrateError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl From<ConnectError> for MigrateError {
    fn from(error: ConnectError) -> Self {
        Self::Failed(Box::new(error))
    }
}
