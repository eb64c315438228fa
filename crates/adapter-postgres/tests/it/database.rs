//! A schema for one test, and a look at the server from outside.

use std::time::{Duration, Instant};
use std::{env, fs};

use adapter_postgres::{PgSettings, PgStore, migrate};
use tokio::runtime::Handle;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// How many migrations there are.
pub(crate) fn all_migrations() -> usize {
    fs::read_dir("../../migrations/postgres").unwrap().count()
}

/// A schema that is dropped with everything in it when the test ends.
pub(crate) struct Schema {
    pub(crate) name: String,
    url: String,
}

impl Schema {
    /// A name that no schema has yet, on the server of the test run.
    #[expect(
        clippy::disallowed_methods,
        reason = "each test needs a name that no other run has, and where the server is"
    )]
    pub(crate) fn unused() -> Self {
        let url = env::var("TEST_DATABASE_URL").unwrap_or_else(|_| {
            panic!(
                "TEST_DATABASE_URL is not set: run `make test`, or `cargo run -p pg-cluster -- run \
                 <command>`, or set it to a PostgreSQL server's address"
            )
        });
        let name = format!("t_{}", Uuid::new_v4().simple());
        Self { name, url }
    }

    /// Connections that the server knows by the name of this schema. Patient: the machine may be
    /// busy with other tests.
    pub(crate) fn settings(&self) -> PgSettings {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}application_name={}", self.url, self.name);
        let mut settings = PgSettings::new(url);
        settings.schema = Some(self.name.clone());
        settings.pool_size = 4;
        settings.deadline = Duration::from_secs(20);
        settings
    }

    /// A connection that is no store's.
    pub(crate) async fn outsider(&self) -> Client {
        connect(&self.url, &self.name).await
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let (url, name) = (self.url.clone(), self.name.clone());
        // Of its own, because a runtime cannot wait inside another.
        let dropping = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let client = connect(&url, &name).await;
                // A test that failed may have left a transaction behind.
                let drop = format!(
                    "set client_min_messages = error;
                     select pg_terminate_backend(pid) from pg_locks
                         join pg_class on pg_class.oid = pg_locks.relation
                         where relnamespace::regnamespace::text = '{name}'
                             and pid <> pg_backend_pid();
                     drop schema if exists {name} cascade"
                );
                client.batch_execute(&drop).await.unwrap();
            });
        });
        let _ = dropping.join();
    }
}

/// A connection to that schema.
pub(crate) async fn connect(url: &str, schema: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let path = format!("set search_path to {schema}");
    client.batch_execute(&path).await.unwrap();
    client
}

/// An empty store.
pub(crate) async fn fresh_store() -> (PgStore, Schema) {
    let schema = Schema::unused();
    let store = store(&schema.settings()).await;
    (store, schema)
}

/// A store whose tables are there.
pub(crate) async fn store(settings: &PgSettings) -> PgStore {
    migrate(settings).await.unwrap();
    PgStore::new(settings, Handle::current()).unwrap()
}

/// How many of the schema's connections the server sees in such a state: a condition on
/// `pg_stat_activity`.
pub(crate) async fn sessions(outsider: &Client, schema: &Schema, condition: &str) -> i64 {
    let count = format!(
        "select count(*) from pg_stat_activity where application_name = $1 and {condition}"
    );
    let row = outsider.query_one(&count, &[&schema.name]).await.unwrap();
    row.get(0)
}

/// Waits until the server sees so many.
pub(crate) async fn until_sessions(
    outsider: &Client,
    schema: &Schema,
    condition: &str,
    expected: i64,
) {
    let start = Instant::now();
    while sessions(outsider, schema, condition).await != expected {
        assert!(start.elapsed() < Duration::from_secs(20), "{condition}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// How often that table was read from end to end.
pub(crate) async fn scans(outsider: &Client, table: &str) -> i64 {
    let count = "select seq_scan from pg_stat_user_tables
        where relname = $1 and schemaname = current_schema()";
    outsider.query_one(count, &[&table]).await.unwrap().get(0)
}
