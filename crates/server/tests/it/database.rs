//! The databases that the service is tested on.

use std::sync::Arc;
use std::time::Duration;

use adapter_postgres::{PgSettings, PgStore};
use adapter_sqlite::{Limits, SqliteStore};
use domain::testing::{Everything, Inspect};
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::service::Settings;

/// To look at everything takes longer than any call of the service may.
const UNHURRIED: Duration = Duration::from_mins(5);

/// An empty place to keep texts in, of one's own.
pub(crate) enum Database {
    Sqlite(TempDir),
    Postgres { url: String, schema: String },
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(TempDir::new().unwrap())
    }

    /// A schema of the server that the tests share.
    pub(crate) fn postgres() -> Self {
        Self::postgres_at(&shared_server())
    }

    /// A schema of that server.
    pub(crate) fn postgres_at(url: &str) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a name that no other test has")]
        let schema = format!("t_{}", uuid::Uuid::now_v7().simple());
        Self::Postgres { url: url.to_owned(), schema }
    }

    /// How a service is told to use it.
    pub(crate) fn settings(&self) -> Settings {
        match self {
            Self::Sqlite(folder) => {
                Settings::local(&format!("sqlite://{}", folder.path().join("sms.db").display()))
            }
            Self::Postgres { url, schema } => Settings::local(url).with("DATABASE_SCHEMA", schema),
        }
    }

    /// Opens it beside, or in place of, the service. SQLite serves one process at a time.
    pub(crate) fn open(&self) -> Arc<dyn InspectStore> {
        match self {
            Self::Sqlite(folder) => {
                let limits = Limits { deadline: UNHURRIED, ..Limits::default() };
                Arc::new(SqliteStore::open_with(&folder.path().join("sms.db"), limits).unwrap())
            }
            Self::Postgres { url, schema } => {
                let mut settings = PgSettings::new(url);
                settings.schema = Some(schema.clone());
                settings.deadline = UNHURRIED;
                Arc::new(PgStore::new(&settings, Handle::current()).unwrap())
            }
        }
    }

    /// Everything that is kept.
    pub(crate) async fn everything(&self) -> Everything {
        self.open().everything().await
    }
}

/// Any store that a test can look into.
pub(crate) trait InspectStore: Inspect {}
impl<T: Inspect> InspectStore for T {}

#[expect(clippy::disallowed_methods, reason = "`make test` says where the server is")]
pub(crate) fn shared_server() -> String {
    std::env::var("TEST_DATABASE_URL").expect("run `make test`, or set TEST_DATABASE_URL")
}
