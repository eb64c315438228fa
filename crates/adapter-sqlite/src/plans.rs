//! How SQLite means to run a statement, and what it reads: for tests.

use std::fs;
use std::path::PathBuf;

use diesel::connection::SimpleConnection;
use diesel::debug_query;
use diesel::prelude::*;
use diesel::query_builder::QueryFragment;
use diesel::sql_query;
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;
use tempfile::TempDir;

use crate::connection::connect;
use crate::migrate;

/// A file with our tables.
pub(crate) struct Tables {
    folder: TempDir,
}

#[derive(QueryableByName)]
struct Planned {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// The plan of a statement on empty tables, a line for each step.
pub(crate) fn plan(statement: &str) -> String {
    Tables::empty().plan(statement)
}

impl Tables {
    pub(crate) fn empty() -> Self {
        let tables = Self { folder: tempfile::tempdir().unwrap() };
        migrate::run_pending(&mut tables.connect()).unwrap();
        tables
    }

    /// With what these statements write.
    pub(crate) fn with(statements: &str) -> Self {
        let tables = Self::empty();
        tables.run(statements);
        tables
    }

    pub(crate) fn run(&self, statements: &str) {
        self.connect().batch_execute(statements).unwrap();
    }

    /// A connection that has read nothing yet.
    pub(crate) fn connect(&self) -> SqliteConnection {
        connect(self.file().to_str().unwrap()).unwrap()
    }

    pub(crate) fn plan(&self, statement: &str) -> String {
        let explain = sql_query(format!("explain query plan {statement}"));
        let steps: Vec<Planned> = explain.load(&mut self.connect()).unwrap();
        steps.into_iter().map(|step| step.detail + "\n").collect()
    }

    /// The plan of a query of diesel's.
    pub(crate) fn plan_of(&self, query: &impl QueryFragment<Sqlite>) -> String {
        self.plan(&debug_query::<Sqlite, _>(query).to_string())
    }

    /// How many bytes of the file a cold connection reads for `work`.
    pub(crate) fn bytes_read<T>(&self, work: impl FnOnce(&mut SqliteConnection) -> T) -> u64 {
        let mut conn = self.connect();
        // The names of the tables are read by the first statement, whatever it is.
        conn.batch_execute("select 1 from sms_conversations limit 0").unwrap();
        let before = bytes_read_by_this_thread();
        work(&mut conn);
        bytes_read_by_this_thread() - before
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("test.db")
    }
}

/// As Linux counts them: with those that the system had in its own memory.
fn bytes_read_by_this_thread() -> u64 {
    let counters = fs::read_to_string("/proc/thread-self/io").unwrap();
    let read = counters.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
    read.parse().unwrap()
}
