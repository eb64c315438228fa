//! Making the tables, from `migrations/postgres`.
//!
//! To add a migration: a folder there, named by its time, with `up.sql` and a `down.sql` that
//! undoes it; the tests run both. All that are due run in one transaction, so that a failure leaves
//! nothing half done: no migration may need to run outside of one (`create index concurrently`).

use std::collections::HashSet;

use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Array, Text};
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_async::pooled_connection::PoolableConnection;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use domain::error::BoxError;

use crate::pool::Connector;
use crate::settings::{InvalidSettings, PgSettings};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// The names of our tables.
const TABLES: [&str; 11] = [
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

/// Why the tables are not up to date. Nothing is half done, and to try again is safe.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// There was no connection to be had, or it was lost: the same may work later.
    #[error("the database cannot be reached")]
    Unreachable(#[source] BoxError),
    /// Somebody else's tables have our names.
    #[error(
        "the schema {schema} has tables that this service did not make: {}. Set DATABASE_SCHEMA to \
         the name of another schema, which will be created",
        .tables.join(", ")
    )]
    ForeignTables {
        /// Where they are.
        schema: String,
        /// Their names.
        tables: Vec<String>,
    },
    /// The database refused a statement.
    #[error("the database refused the migration")]
    Failed(#[source] BoxError),
}

/// Makes or completes the tables, and the schema if one is named; gives the names of the
/// migrations that were run. Several processes may do this at the same time: one does the work,
/// the others wait for it.
///
/// # Errors
/// [`MigrateError`], with which nothing is half done.
pub async fn migrate(settings: &PgSettings) -> Result<Vec<String>, MigrateError> {
    let schema = settings.schema.clone();
    in_transaction(settings, move |conn| {
        wait_for_turn(conn, schema.as_deref())?;
        create_schema(conn, schema.as_deref())?;
        run_pending(conn)
    })
    .await
}

/// Whether all our migrations were run, by one question: at nearly every start they were. An error also
/// where none was.
pub(crate) async fn is_done(mut conn: &AsyncPgConnection) -> QueryResult<bool> {
    let names = diesel::sql_query("select version as name from __diesel_schema_migrations");
    let done: Vec<Name> = diesel_async::RunQueryDsl::load(names, &mut conn).await?;
    let done: HashSet<_> = done.into_iter().filter_map(|row| row.name).collect();
    let is_done = |due: Box<dyn Migration<Pg>>| done.contains(&due.name().version().to_string());
    Ok(ours().is_ok_and(|ours| ours.into_iter().all(is_done)))
}

/// The names of the migrations that [`migrate`] would run. Changes nothing.
///
/// # Errors
/// [`MigrateError`], as there.
pub async fn pending_migrations(settings: &PgSettings) -> Result<Vec<String>, MigrateError> {
    in_transaction(settings, |conn| {
        let (present, applied) = (present_tables(conn)?, remembered(conn)?);
        let (known, due): (Vec<_>, Vec<_>) = ours()?
            .into_iter()
            .partition(|migration| applied.contains(&migration.name().version().to_string()));
        if known.is_empty() && !present.is_empty() {
            return Err(foreign(conn, present)?);
        }
        Ok(due.iter().map(|migration| migration.name().to_string()).collect())
    })
    .await
}

/// The versions of the migrations that were run. To ask diesel would make the table in which it
/// remembers them, for which whoever only asks may lack the right.
fn remembered(conn: &mut BlockingConnection) -> QueryResult<HashSet<String>> {
    let table: Name =
        diesel::sql_query("select to_regclass('__diesel_schema_migrations')::text as name")
            .get_result(conn)?;
    if table.name.is_none() {
        return Ok(HashSet::new());
    }
    let versions: Vec<Name> =
        diesel::sql_query("select version as name from __diesel_schema_migrations").load(conn)?;
    Ok(versions.into_iter().filter_map(|row| row.name).collect())
}

fn foreign(
    conn: &mut BlockingConnection,
    tables: Vec<String>,
) -> Result<MigrateError, MigrateError> {
    let schema = current_schema(conn)?.unwrap_or_default();
    Ok(MigrateError::ForeignTables { schema, tables })
}

/// Undoes all our migrations, and so deletes everything; gives their names, the newest first.
///
/// # Errors
/// As [`migrate`].
#[cfg(feature = "testing")]
pub async fn revert_all(settings: &PgSettings) -> Result<Vec<String>, MigrateError> {
    let schema = settings.schema.clone();
    in_transaction(settings, move |conn| {
        wait_for_turn(conn, schema.as_deref())?;
        let applied = conn.applied_migrations().map_err(MigrateError::Failed)?;
        let mut reverted = Vec::new();
        for migration in ours()?.iter().rev() {
            if applied.contains(&migration.name().version()) {
                let version = conn.revert_migration(migration);
                version.map_err(MigrateError::Failed)?;
                reverted.push(migration.name().to_string());
            }
        }
        Ok(reverted)
    })
    .await
}

type BlockingConnection = AsyncConnectionWrapper<AsyncPgConnection>;

/// Runs `work`, which blocks as diesel's migrations do, in one transaction on a connection of its
/// own.
async fn in_transaction<R: Send + 'static>(
    settings: &PgSettings,
    work: impl FnOnce(&mut BlockingConnection) -> Result<R, MigrateError> + Send + 'static,
) -> Result<R, MigrateError> {
    let connector = Connector::new(settings, settings.unhurried_session())?;
    let connection = connector.connect_in_time().await;
    let connection = connection.map_err(|error| MigrateError::Unreachable(error.into()))?;
    let blocking = tokio::task::spawn_blocking(move || {
        let mut connection = BlockingConnection::from(connection);
        match connection.transaction(work) {
            Err(MigrateError::Failed(cause)) if connection.is_broken() => {
                Err(MigrateError::Unreachable(cause))
            }
            result => result,
        }
    });
    blocking.await.unwrap_or_else(|error| Err(MigrateError::Failed(error.into())))
}

impl From<diesel::result::Error> for MigrateError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Any number that no other program is likely to use for this.
const TURNSTILE: i32 = 0x0053_4d53;

/// Lets one process at a time into a schema. The lock is the transaction's and not the session's,
/// which would not survive a pooler.
fn wait_for_turn(conn: &mut BlockingConnection, schema: Option<&str>) -> QueryResult<()> {
    diesel::sql_query("select pg_advisory_xact_lock($1, hashtext(coalesce($2, current_schema())))")
        .bind::<diesel::sql_types::Integer, _>(TURNSTILE)
        .bind::<diesel::sql_types::Nullable<Text>, _>(schema)
        .execute(conn)?;
    Ok(())
}

/// Asks first: `create schema if not exists` wants the right to create one, even if it exists.
fn create_schema(conn: &mut BlockingConnection, schema: Option<&str>) -> QueryResult<()> {
    let Some(schema) = schema else {
        return Ok(());
    };
    if current_schema(conn)?.is_none() {
        // The name was checked: it needs no escaping.
        diesel::sql_query(format!("create schema \"{schema}\"")).execute(conn)?;
    }
    Ok(())
}

fn run_pending(conn: &mut BlockingConnection) -> Result<Vec<String>, MigrateError> {
    let present = present_tables(conn)?;
    let applied = conn.applied_migrations().map_err(MigrateError::Failed)?;
    let (known, due): (Vec<_>, Vec<_>) =
        ours()?.into_iter().partition(|migration| applied.contains(&migration.name().version()));
    if known.is_empty() && !present.is_empty() {
        return Err(foreign(conn, present)?);
    }
    due.iter()
        .map(|migration| {
            conn.run_migration(migration).map_err(MigrateError::Failed)?;
            Ok(migration.name().to_string())
        })
        .collect()
}

/// All migrations, the oldest first.
fn ours() -> Result<Vec<Box<dyn Migration<Pg>>>, MigrateError> {
    let mut migrations = MIGRATIONS.migrations().map_err(MigrateError::Failed)?;
    migrations.sort_by(|one, other| one.name().version().cmp(&other.name().version()));
    Ok(migrations)
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = diesel::sql_types::Nullable<Text>)]
    name: Option<String>,
}

fn current_schema(conn: &mut BlockingConnection) -> QueryResult<Option<String>> {
    let found: Name =
        diesel::sql_query("select current_schema()::text as name").get_result(conn)?;
    Ok(found.name)
}

/// Which of our names are taken in the schema, by tables, views or whatever else.
fn present_tables(conn: &mut BlockingConnection) -> QueryResult<Vec<String>> {
    let taken: Vec<Name> = diesel::sql_query(
        "select relname::text as name from pg_class \
         where relnamespace = current_schema()::regnamespace and relname = any($1) order by 1",
    )
    .bind::<Array<Text>, _>(TABLES.as_slice())
    .load(conn)?;
    Ok(taken.into_iter().filter_map(|found| found.name).collect())
}
