//! The store that the settings name.

use std::sync::Arc;

use adapter_postgres::{MigrateError, PgSettings, PgStore};
use adapter_sqlite::SqliteStore;
use anyhow::Context;
use domain::ports::{ConversationStore, EventStore, JobQueue, MessageStore, OutboundStore};
use secrecy::ExposeSecret;
use tokio::runtime::Handle;

use crate::config::DatabaseSettings;

/// An open store, with what its migrations need.
pub(crate) enum Database {
    Sqlite(Arc<SqliteStore>),
    Postgres { store: Arc<PgStore>, migrations: PgSettings },
}

/// The ports that one store implements.
pub(crate) struct Stores {
    pub(crate) messages: Arc<dyn MessageStore>,
    pub(crate) outbound: Arc<dyn OutboundStore>,
    pub(crate) conversations: Arc<dyn ConversationStore>,
    pub(crate) queue: Arc<dyn JobQueue>,
    pub(crate) events: Arc<dyn EventStore>,
}

impl Stores {
    fn of<S>(store: &Arc<S>) -> Self
    where
        S: MessageStore + OutboundStore + ConversationStore + JobQueue + EventStore + 'static,
    {
        Self {
            messages: store.clone(),
            outbound: store.clone(),
            conversations: store.clone(),
            queue: store.clone(),
            events: store.clone(),
        }
    }
}

/// Why the tables are not up to date.
pub(crate) enum MigrationFailure {
    /// The database does not answer: try again.
    Later(anyhow::Error),
    /// Trying again would not help.
    Never(anyhow::Error),
}

impl Database {
    /// Opens the store. An embedded file must be there and free; a server need not answer yet.
    pub(crate) fn open(settings: &DatabaseSettings) -> anyhow::Result<Self> {
        match settings {
            DatabaseSettings::Sqlite { path } => {
                let store = SqliteStore::open(path)
                    .with_context(|| format!("DATABASE_URL: {} cannot be used", path.display()))?;
                Ok(Self::Sqlite(Arc::new(store)))
            }
            DatabaseSettings::Postgres { url, migration_url, schema, pool_size } => {
                let settings = |url: &secrecy::SecretString| {
                    let mut settings = PgSettings::new(url.expose_secret());
                    settings.schema.clone_from(schema);
                    settings.pool_size = *pool_size;
                    settings
                };
                let store = PgStore::new(&settings(url), Handle::current())
                    .context("DATABASE_URL cannot be used")?;
                let migrations = settings(migration_url.as_ref().unwrap_or(url));
                Ok(Self::Postgres { store: Arc::new(store), migrations })
            }
        }
    }

    /// The ports.
    pub(crate) fn stores(&self) -> Stores {
        match self {
            Self::Sqlite(store) => Stores::of(store),
            Self::Postgres { store, .. } => Stores::of(store),
        }
    }

    /// Brings the tables up to date and names what was applied.
    pub(crate) async fn migrate(&self) -> Result<Vec<String>, MigrationFailure> {
        match self {
            Self::Sqlite(store) => {
                store.migrate().await.map_err(|error| MigrationFailure::Never(error.into()))
            }
            Self::Postgres { migrations, .. } => {
                adapter_postgres::migrate(migrations).await.map_err(|error| match error {
                    MigrateError::Unreachable(_) => MigrationFailure::Later(error.into()),
                    _ => MigrationFailure::Never(error.into()),
                })
            }
        }
    }
}

impl MigrationFailure {
    pub(crate) fn into_error(self) -> anyhow::Error {
        let (Self::Later(error) | Self::Never(error)) = self;
        error.context("the tables cannot be brought up to date")
    }
}
