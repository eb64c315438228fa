//! Connections to the file, all with the settings that make a commit durable.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::sql_types::{BigInt, Bool, Integer, Text};
use diesel::{Connection, ConnectionError, QueryResult, RunQueryDsl, SqliteConnection};

/// How SQLite says `FULL`: every commit is on the disk before it is answered.
const FULL: i32 = 2;

/// How long a statement waits for a lock that another program holds, in milliseconds. Shorter
/// than the deadline of a call, so that the caller learns the reason.
const BUSY_MILLIS: u32 = 1000;

/// The settings of a connection, as SQLite itself reports them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pragmas {
    /// `wal`: readers do not wait for the writer.
    pub journal_mode: String,
    /// 2, which is `FULL`: a commit is on the disk before it is answered.
    pub synchronous: i32,
    /// Whether references between tables are enforced.
    pub foreign_keys: bool,
    /// How long a statement waits for another program's lock.
    pub busy_timeout: Duration,
}

/// A connection that keeps what a store promises could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The file cannot be opened.
    #[error("the file cannot be opened")]
    Open(#[source] ConnectionError),
    /// It opens but is no database, or cannot be read.
    #[error("the file cannot be used as a database")]
    Use(#[from] diesel::result::Error),
    /// The file system cannot do what the settings ask for.
    #[error("the settings cannot be had: {0:?}")]
    Settings(Pragmas),
}

/// A connection to the file with that name, which is created if it is not there.
///
/// # Errors
/// [`ConnectError`] also where SQLite silently kept other settings than those asked for.
pub(crate) fn connect(file: &str) -> Result<SqliteConnection, ConnectError> {
    let mut conn = SqliteConnection::establish(file).map_err(ConnectError::Open)?;
    // The wait comes first: to change the journal mode takes a lock.
    conn.batch_execute(&format!(
        "pragma busy_timeout = {BUSY_MILLIS};
         pragma journal_mode = wal;
         pragma synchronous = full;
         pragma foreign_keys = on;"
    ))?;
    let effective = Pragmas::of(&mut conn)?;
    if effective == Pragmas::required() { Ok(conn) } else { Err(ConnectError::Settings(effective)) }
}

impl Pragmas {
    /// What every connection has.
    #[must_use]
    pub fn required() -> Self {
        Self {
            journal_mode: "wal".to_owned(),
            synchronous: FULL,
            foreign_keys: true,
            busy_timeout: Duration::from_millis(BUSY_MILLIS.into()),
        }
    }

    /// What this connection has.
    pub(crate) fn of(conn: &mut SqliteConnection) -> QueryResult<Self> {
        let busy_timeout: i64 = sql::<BigInt>("pragma busy_timeout").get_result(conn)?;
        Ok(Self {
            journal_mode: sql::<Text>("pragma journal_mode").get_result(conn)?,
            synchronous: sql::<Integer>("pragma synchronous").get_result(conn)?,
            foreign_keys: sql::<Bool>("pragma foreign_keys").get_result(conn)?,
            busy_timeout: Duration::from_millis(busy_timeout.try_into().unwrap_or_default()),
        })
    }
}
