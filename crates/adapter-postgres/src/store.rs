//! The port: one call, one connection, one transaction.

use async_trait::async_trait;
use domain::conversation::{Conversation, ConversationId};
use domain::message::MessageDetail;
use domain::ports::{
    ConversationKey, MessageKey, MessageStore, NewInbound, NewStatusEvent, Recorded,
    StatusRecorded, StoreError, ThreadPage, ThreadQuery,
};
use tokio::runtime::Handle;

use crate::pool::Pool;
use crate::settings::{InvalidSettings, PgSettings};
use crate::{inbound, reading, status};

/// Conversations, messages and jobs on PostgreSQL.
///
/// Several processes can share one database. Each call has the time of
/// [`PgSettings::deadline`] and then fails as [`StoreError::Unavailable`]; a call that fails or is
/// dropped leaves no transaction open.
pub struct PgStore {
    pub(crate) pool: Pool,
}

impl PgStore {
    /// A store on the database of `settings`, which need not be there yet: nothing connects before
    /// the first call. Connections are driven by `runtime`, which must outlive the store's use.
    ///
    /// # Errors
    /// [`InvalidSettings`], which says what to change.
    pub fn new(settings: &PgSettings, runtime: Handle) -> Result<Self, InvalidSettings> {
        let pool = Pool::new(settings, runtime)?;
        Ok(Self { pool })
    }
}

#[async_trait]
impl MessageStore for PgStore {
    #[tracing::instrument(name = "pg.record_inbound", skip_all)]
    async fn record_inbound(&self, inbound: &NewInbound) -> Result<Recorded, StoreError> {
        self.pool.run(async |conn| inbound::record(conn, inbound).await).await
    }

    #[tracing::instrument(name = "pg.record_status", skip_all)]
    async fn record_status(&self, event: &NewStatusEvent) -> Result<StatusRecorded, StoreError> {
        self.pool.run(async |conn| status::record(conn, event).await).await
    }

    #[tracing::instrument(name = "pg.find_conversation", skip_all)]
    async fn find_conversation(
        &self,
        key: &ConversationKey,
    ) -> Result<Option<Conversation>, StoreError> {
        self.pool.run(async |conn| reading::conversation(conn, key).await).await
    }

    #[tracing::instrument(name = "pg.read_thread", skip_all)]
    async fn read_thread(
        &self,
        conversation: ConversationId,
        query: &ThreadQuery,
    ) -> Result<ThreadPage, StoreError> {
        self.pool.run(async |conn| reading::thread(conn, conversation, query).await).await
    }

    #[tracing::instrument(name = "pg.find_message", skip_all)]
    async fn find_message(&self, key: &MessageKey) -> Result<Option<MessageDetail>, StoreError> {
        self.pool.run(async |conn| reading::message(conn, key).await).await
    }

    #[tracing::instrument(name = "pg.check", skip_all)]
    async fn check(&self) -> Result<(), StoreError> {
        self.pool.run(async |conn| reading::check(conn).await).await
    }
}
