//! The store that the settings name.

use std::sync::Arc;

use adapter_postgres::{MigrateError, PgSettings, PgStore};
use adapter_sqlite::SqliteStore;
use anyhow::Context;
use domain::ports::{
    BackfillStore, Clock, ConversationStore, EventStore, HistoryStore, JobQueue, MessageStore,
    OutboundStore, Surveyor,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Handle;

use crate::config::{DatabaseSettings, Settings};
use crate::metered::MeteredStore;
use crate::ports::SystemClock;

/// An open store, with what its migrations need.
pub(crate) enum Database {
    Sqlite(Arc<SqliteStore>),
    Postgres { store: Arc<PgStore>, settings: Box<PgSettings>, migrations: Box<PgSettings> },
}

/// The ports that one store implements.
pub(crate) struct Stores {
    pub(crate) messages: Arc<dyn MessageStore>,
    pub(crate) outbound: Arc<dyn OutboundStore>,
    pub(crate) conversations: Arc<dyn ConversationStore>,
    pub(crate) queue: Arc<dyn JobQueue>,
    pub(crate) lists: Arc<dyn BackfillStore>,
    pub(crate) history: Arc<dyn HistoryStore>,
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) surveyor: Arc<dyn Surveyor>,
    /// The time that everybody on this store has.
    pub(crate) clock: Arc<dyn Clock>,
}

impl Stores {
    fn of<S>(store: &Arc<S>, clock: Arc<dyn Clock>) -> Self
    where
        S: MessageStore
            + OutboundStore
            + ConversationStore
            + JobQueue
            + BackfillStore
            + HistoryStore
            + EventStore
            + Surveyor
            + 'static,
    {
        Self {
            messages: store.clone(),
            outbound: store.clone(),
            conversations: store.clone(),
            queue: store.clone(),
            lists: store.clone(),
            history: store.clone(),
            events: store.clone(),
            surveyor: store.clone(),
            clock,
        }
    }

    /// The same, counting what becomes of messages.
    pub(crate) fn metered(self) -> Self {
        let clock = self.clock.clone();
        let metered = Arc::new(MeteredStore::new(self.messages, self.outbound, clock));
        Self { messages: metered.clone(), outbound: metered, ..self }
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
            DatabaseSettings::Postgres { url, migration_url, .. } => {
                let migrations =
                    Box::new(postgres(settings, migration_url.as_ref().unwrap_or(url)));
                let settings = Box::new(postgres(settings, url));
                let store = PgStore::new(&settings, Handle::current())
                    .context("DATABASE_URL cannot be used")?;
                Ok(Self::Postgres { store: Arc::new(store), settings, migrations })
            }
        }
    }

    /// Looks whether a pooler stands in the way that we cannot work through.
    pub(crate) async fn check_way(&self) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres { settings, .. } => Ok(adapter_postgres::check_way(settings).await?),
        }
    }

    /// Learns the store's time before anything is written with it; `false` where the database cannot be
    /// used.
    pub(crate) async fn set_clock(&self) -> bool {
        match self {
            Self::Sqlite(_) => true,
            Self::Postgres { store, .. } => store.check().await.is_ok(),
        }
    }

    /// The ports.
    pub(crate) fn stores(&self) -> Stores {
        match self {
            Self::Sqlite(store) => Stores::of(store, Arc::new(SystemClock)),
            Self::Postgres { store, .. } => Stores::of(store, store.clock()),
        }
    }

    /// For a command: brings the tables up to date where that is wanted. A dry run only looks.
    pub(crate) async fn prepare(&self, settings: &Settings, dry_run: bool) -> anyhow::Result<()> {
        if dry_run {
            anyhow::ensure!(
                self.is_migrated().await,
                "the tables are not up to date, and a dry run changes nothing: \
                 `sms-foundation migrate` brings them up to date"
            );
        } else if settings.migrate_on_start {
            self.migrate().await.map_err(MigrationFailure::into_error)?;
        }
        Ok(())
    }

    async fn is_migrated(&self) -> bool {
        match self {
            Self::Sqlite(store) => store.pending_migrations().await.is_ok_and(|due| due.is_empty()),
            Self::Postgres { store, .. } => store.is_migrated().await,
        }
    }

    /// Brings the tables up to date and names what was applied.
    pub(crate) async fn migrate(&self) -> Result<Vec<String>, MigrationFailure> {
        match self {
            Self::Sqlite(store) => {
                store.migrate().await.map_err(|error| MigrationFailure::Never(error.into()))
            }
            Self::Postgres { store, .. } if store.is_migrated().await => Ok(Vec::new()),
            Self::Postgres { migrations, .. } => {
                adapter_postgres::migrate(migrations).await.map_err(|error| match error {
                    MigrateError::Unreachable(_) => MigrationFailure::Later(error.into()),
                    _ => MigrationFailure::Never(error.into()),
                })
            }
        }
    }
}

/// The way to a database server.
pub(crate) fn postgres(settings: &DatabaseSettings, url: &SecretString) -> PgSettings {
    let mut way = PgSettings::new(url.expose_secret());
    if let DatabaseSettings::Postgres { schema, pool_size, root_certificate, timeouts, .. } =
        settings
    {
        way.schema.clone_from(schema);
        way.pool_size = *pool_size;
        way.root_certificate.clone_from(root_certificate);
        way.connect_timeout = timeouts.connect;
        way.tcp_user_timeout = timeouts.tcp_user;
        way.statement_timeout = Some(timeouts.statement);
        way.lock_timeout = Some(timeouts.lock);
    }
    way
}

impl MigrationFailure {
    pub(crate) fn into_error(self) -> anyhow::Error {
        let (Self::Later(error) | Self::Never(error)) = self;
        error.context("the tables cannot be brought up to date")
    }
}
