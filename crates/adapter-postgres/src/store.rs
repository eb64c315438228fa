//! The ports: one call, one connection, one transaction.

use std::sync::Arc;

use async_trait::async_trait;
use domain::conversation::{Conversation, ConversationId};
use domain::event::{Event, EventCursor};
use domain::history::{HistoricConversation, HistoricMessage};
use domain::hook::ClaimedHook;
use domain::job::{ClaimedJob, JobEnding, Ticket};
use domain::language::Language;
use domain::message::{Message, MessageDetail, MessageId, TwilioSid};
use domain::outbound::{AttemptEnd, NewAttempt, Outgoing};
use domain::ports::{
    Acceptance, Adopted, Annotated, Annotation, AttemptRecorded, BackfillStore, Begun, Canceled,
    Carried, Changed, Clock, ConversationKey, ConversationPage, ConversationQuery,
    ConversationStore, ConversationTally, EventStore, EventSweep, HistoryStore, HookClaim, HookEnd,
    HookQuery, HookView, Housekeeping, Imported, JobClaim, JobQuery, JobQueue, JobRetried,
    JobRetry, JobView, ListClaim, ListProgress, ListRun, LookupKept, LookupResult, MessageKey,
    MessagePage, MessageQuery, MessageStore, NewInbound, NewOutbound, NewStatusEvent,
    OutboundStore, Overdue, Reconciliation, Recorded, Redelivered, Redelivery, StatusRecorded,
    StoreError, SubscriptionChange, Survey, Surveyor, Swept, ThreadPage, ThreadQuery,
};
use domain::subscription::{Subscription, SubscriptionId};
use domain::tenant::TenantId;
use domain::timestamp::Timestamp;
use tokio::runtime::Handle;

use crate::groups::{GroupCounts, Groups, Turns};
use crate::inbound::InboundGroup;
use crate::pool::{Connections, Pool};
use crate::settings::{InvalidSettings, PgSettings};
use crate::status::StatusGroup;
use crate::{
    acceptance, attempts, backfill, checks, conversations, feed, hooks, housekeeping, idempotency,
    imports, jobs, listing, migrate, outgoing, reading, reconciliation, retry, subscriptions,
    survey, tenants, verdicts,
};

/// Conversations, messages and jobs on PostgreSQL.
///
/// Several processes can share one database. Each call has the time of
/// [`PgSettings::deadline`] and then fails as [`StoreError::Unavailable`]; a call that fails or is
/// dropped leaves no transaction open.
pub struct PgStore {
    pub(crate) pool: Arc<Pool>,
    messages: Groups<InboundGroup>,
    reports: Groups<StatusGroup>,
}

impl PgStore {
    /// A store on the database of `settings`, which need not be there yet: nothing connects before
    /// the first call. Connections are driven by `runtime`, which must outlive the store's use.
    ///
    /// # Errors
    /// [`InvalidSettings`], which says what to change.
    pub fn new(settings: &PgSettings, runtime: Handle) -> Result<Self, InvalidSettings> {
        let pool = Arc::new(Pool::new(settings, runtime.clone())?);
        let turns = Arc::new(Turns::new(settings.pool_size));
        let messages = Groups::start(&pool, settings, &turns, runtime.clone());
        let reports = Groups::start(&pool, settings, &turns, runtime);
        Ok(Self { pool, messages, reports })
    }

    /// Whether all migrations were run. `false` also where that is not to be learnt:
    /// [`migrate`](crate::migrate()) then says why.
    pub async fn is_migrated(&self) -> bool {
        self.pool.run(async |conn| migrate::is_done(conn).await).await.unwrap_or(false)
    }

    /// How messages to us shared transactions so far.
    #[must_use]
    pub fn message_groups(&self) -> GroupCounts {
        self.messages.counts()
    }

    /// How status reports did.
    #[must_use]
    pub fn report_groups(&self) -> GroupCounts {
        self.reports.counts()
    }

    /// The time that every process on this database has: the database's, and the machine's only until
    /// the first connection.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.pool.clock()
    }

    /// How the connections are used now.
    #[must_use]
    pub fn connections(&self) -> Connections {
        self.pool.usage()
    }
}

#[async_trait]
impl MessageStore for PgStore {
    #[tracing::instrument(name = "pg.record_inbound", skip_all)]
    async fn record_inbound(&self, inbound: &NewInbound) -> Result<Recorded, StoreError> {
        self.messages.write(inbound.clone()).await
    }

    #[tracing::instrument(name = "pg.record_status", skip_all)]
    async fn record_status(&self, event: &NewStatusEvent) -> Result<StatusRecorded, StoreError> {
        self.reports.write(event.clone()).await
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

#[async_trait]
impl OutboundStore for PgStore {
    #[tracing::instrument(name = "pg.accept_outbound", skip_all)]
    async fn accept_outbound(&self, new: &NewOutbound) -> Result<Acceptance, StoreError> {
        self.pool.run(async |conn| acceptance::accept(conn, new).await).await
    }

    #[tracing::instrument(name = "pg.mark_answered", skip_all)]
    async fn mark_answered(&self, message: MessageId, at: Timestamp) -> Result<(), StoreError> {
        self.pool.run(async |conn| idempotency::mark_answered(conn, message, at).await).await
    }

    #[tracing::instrument(name = "pg.find_outgoing", skip_all)]
    async fn find_outgoing(&self, message: MessageId) -> Result<Option<Outgoing>, StoreError> {
        self.pool.run(async |conn| outgoing::find(conn, message).await).await
    }

    #[tracing::instrument(name = "pg.begin_attempt", skip_all)]
    async fn begin_attempt(&self, new: &NewAttempt) -> Result<Begun, StoreError> {
        self.pool.run(async |conn| attempts::begin(conn, new).await).await
    }

    #[tracing::instrument(name = "pg.record_attempt", skip_all)]
    async fn record_attempt(
        &self,
        end: &AttemptEnd,
    ) -> Result<Option<AttemptRecorded>, StoreError> {
        self.pool.run(async |conn| attempts::record(conn, end).await).await
    }

    #[tracing::instrument(name = "pg.adopt_found", skip_all)]
    async fn adopt_found(&self, event: &NewStatusEvent) -> Result<Adopted, StoreError> {
        self.pool.run(async |conn| verdicts::adopt(conn, event).await).await
    }

    #[tracing::instrument(name = "pg.conclude_not_sent", skip_all)]
    async fn conclude_not_sent(
        &self,
        message: MessageId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.pool.run(async |conn| verdicts::conclude(conn, message, at).await).await
    }

    #[tracing::instrument(name = "pg.cancel_outbound", skip_all)]
    async fn cancel_outbound(
        &self,
        key: &MessageKey,
        at: Timestamp,
    ) -> Result<Canceled, StoreError> {
        self.pool.run(async |conn| verdicts::cancel(conn, key, at).await).await
    }

    #[tracing::instrument(name = "pg.list_messages", skip_all)]
    async fn list_messages(&self, query: &MessageQuery) -> Result<MessagePage, StoreError> {
        self.pool.run(async |conn| listing::messages(conn, query).await).await
    }

    #[tracing::instrument(name = "pg.claim_status_checks", skip_all)]
    async fn claim_status_checks(
        &self,
        at: Timestamp,
        again_at: Timestamp,
        limit: u32,
    ) -> Result<Vec<(MessageId, TwilioSid)>, StoreError> {
        self.pool.run(async |conn| checks::claim(conn, at, again_at, limit).await).await
    }

    #[tracing::instrument(name = "pg.finish_status_check", skip_all)]
    async fn finish_status_check(
        &self,
        message: MessageId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.pool.run(async |conn| checks::finish(conn, message, at).await).await
    }
}

#[async_trait]
impl ConversationStore for PgStore {
    #[tracing::instrument(name = "pg.list_conversations", skip_all)]
    async fn list_conversations(
        &self,
        query: &ConversationQuery,
    ) -> Result<ConversationPage, StoreError> {
        self.pool.run(async |conn| listing::conversations(conn, query).await).await
    }

    #[tracing::instrument(name = "pg.imported_conversation", skip_all)]
    async fn imported_conversation(
        &self,
        old_id: i64,
    ) -> Result<Option<ConversationId>, StoreError> {
        self.pool.run(async |conn| imports::leads_to(conn, old_id).await).await
    }

    #[tracing::instrument(name = "pg.annotate_conversation", skip_all)]
    async fn annotate_conversation(&self, change: &Annotation) -> Result<Annotated, StoreError> {
        self.pool.run(async |conn| conversations::annotate(conn, change).await).await
    }

    #[tracing::instrument(name = "pg.record_lookup", skip_all)]
    async fn record_lookup(&self, found: &LookupResult) -> Result<Option<LookupKept>, StoreError> {
        self.pool.run(async |conn| tenants::record_lookup(conn, found).await).await
    }

    #[tracing::instrument(name = "pg.reconcile_lookups", skip_all)]
    async fn reconcile_lookups(&self, due: &Reconciliation) -> Result<u64, StoreError> {
        self.pool.run(async |conn| reconciliation::reconcile(conn, due).await).await
    }

    #[tracing::instrument(name = "pg.carry_language", skip_all)]
    async fn carry_language(
        &self,
        conversation: ConversationId,
        at: Timestamp,
    ) -> Result<Option<Carried>, StoreError> {
        self.pool.run(async |conn| tenants::carry_language(conn, conversation, at).await).await
    }

    #[tracing::instrument(name = "pg.mark_language_told", skip_all)]
    async fn mark_language_told(
        &self,
        conversation: ConversationId,
        tenant: &TenantId,
        language: Language,
    ) -> Result<Option<Conversation>, StoreError> {
        self.pool
            .run(async |conn| {
                tenants::mark_language_told(conn, conversation, tenant, language).await
            })
            .await
    }
}

#[async_trait]
impl JobQueue for PgStore {
    #[tracing::instrument(name = "pg.claim_jobs", skip_all)]
    async fn claim_jobs(&self, claim: &JobClaim) -> Result<Vec<ClaimedJob>, StoreError> {
        self.pool.run(async |conn| jobs::claim(conn, claim).await).await
    }

    #[tracing::instrument(name = "pg.finish_job", skip_all)]
    async fn finish_job(
        &self,
        ticket: Ticket,
        ending: &JobEnding,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.pool.run(async |conn| jobs::finish(conn, ticket, ending, at).await).await
    }

    #[tracing::instrument(name = "pg.list_jobs", skip_all)]
    async fn list_jobs(&self, query: &JobQuery) -> Result<Vec<JobView>, StoreError> {
        self.pool.run(async |conn| jobs::list(conn, query).await).await
    }

    #[tracing::instrument(name = "pg.retry_job", skip_all)]
    async fn retry_job(&self, retry: &JobRetry) -> Result<JobRetried, StoreError> {
        self.pool.run(async |conn| retry::retry(conn, retry).await).await
    }

    #[tracing::instrument(name = "pg.housekeep", skip_all)]
    async fn housekeep(&self, what: &Housekeeping) -> Result<Swept, StoreError> {
        self.pool.run(async |conn| housekeeping::sweep(conn, what).await).await
    }
}

#[async_trait]
impl BackfillStore for PgStore {
    #[tracing::instrument(name = "pg.claim_list", skip_all)]
    async fn claim_list(&self, claim: &ListClaim) -> Result<Option<ListRun>, StoreError> {
        self.pool.run(async |conn| backfill::claim(conn, claim).await).await
    }

    #[tracing::instrument(name = "pg.save_list", skip_all)]
    async fn save_list(&self, run: &ListRun, progress: &ListProgress) -> Result<bool, StoreError> {
        self.pool.run(async |conn| backfill::save(conn, run, progress).await).await
    }

    #[tracing::instrument(name = "pg.hasten_lists", skip_all)]
    async fn hasten_lists(&self, due_at: Timestamp) -> Result<(), StoreError> {
        self.pool.run(async |conn| backfill::hasten(conn, due_at).await).await
    }

    #[tracing::instrument(name = "pg.messages_with", skip_all)]
    async fn messages_with(&self, sids: &[TwilioSid]) -> Result<Vec<Message>, StoreError> {
        self.pool.run(async |conn| backfill::messages_with(conn, sids).await).await
    }
}

#[async_trait]
impl HistoryStore for PgStore {
    #[tracing::instrument(name = "pg.import_conversation", skip_all)]
    async fn import_conversation(
        &self,
        conversation: &HistoricConversation,
    ) -> Result<Imported, StoreError> {
        self.pool.run(async |conn| imports::conversation(conn, conversation).await).await
    }

    #[tracing::instrument(name = "pg.import_message", skip_all)]
    async fn import_message(&self, message: &HistoricMessage) -> Result<Imported, StoreError> {
        self.pool.run(async |conn| imports::message(conn, message).await).await
    }
}

#[async_trait]
impl EventStore for PgStore {
    #[tracing::instrument(name = "pg.events_end", skip_all)]
    async fn events_end(&self) -> Result<EventCursor, StoreError> {
        self.pool.run(async |conn| feed::end(conn).await).await
    }

    #[tracing::instrument(name = "pg.read_events", skip_all)]
    async fn read_events(&self, behind: EventCursor, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.pool.run(async |conn| feed::read(conn, behind, limit).await).await
    }

    #[tracing::instrument(name = "pg.create_subscription", skip_all)]
    async fn create_subscription(&self, new: &Subscription) -> Result<bool, StoreError> {
        self.pool.run(async |conn| subscriptions::create(conn, new).await).await
    }

    #[tracing::instrument(name = "pg.list_subscriptions", skip_all)]
    async fn list_subscriptions(&self) -> Result<Vec<Subscription>, StoreError> {
        self.pool.run(async |conn| subscriptions::list(conn).await).await
    }

    #[tracing::instrument(name = "pg.change_subscription", skip_all)]
    async fn change_subscription(
        &self,
        id: SubscriptionId,
        change: &SubscriptionChange,
    ) -> Result<Changed, StoreError> {
        self.pool.run(async |conn| subscriptions::change(conn, id, change).await).await
    }

    #[tracing::instrument(name = "pg.delete_subscription", skip_all)]
    async fn delete_subscription(&self, id: SubscriptionId) -> Result<bool, StoreError> {
        if !self.pool.run(async |conn| subscriptions::silence(conn, id).await).await? {
            return Ok(false);
        }
        while self.pool.run(async |conn| subscriptions::forget_some(conn, id).await).await? {}
        self.pool.run(async |conn| subscriptions::delete(conn, id).await).await
    }

    #[tracing::instrument(name = "pg.claim_hooks", skip_all)]
    async fn claim_hooks(&self, claim: &HookClaim) -> Result<Vec<ClaimedHook>, StoreError> {
        self.pool.run(async |conn| hooks::claim(conn, claim).await).await
    }

    #[tracing::instrument(name = "pg.finish_hook", skip_all)]
    async fn finish_hook(&self, end: &HookEnd) -> Result<bool, StoreError> {
        self.pool.run(async |conn| hooks::finish(conn, end).await).await
    }

    #[tracing::instrument(name = "pg.list_hooks", skip_all)]
    async fn list_hooks(&self, query: &HookQuery) -> Result<Vec<HookView>, StoreError> {
        self.pool.run(async |conn| hooks::list(conn, query).await).await
    }

    #[tracing::instrument(name = "pg.redeliver", skip_all)]
    async fn redeliver(&self, wish: &Redelivery) -> Result<Redelivered, StoreError> {
        self.pool.run(async |conn| hooks::redeliver(conn, wish).await).await
    }

    #[tracing::instrument(name = "pg.park_overdue", skip_all)]
    async fn park_overdue(&self, what: &Overdue) -> Result<u64, StoreError> {
        self.pool.run(async |conn| hooks::park_overdue(conn, what).await).await
    }

    #[tracing::instrument(name = "pg.sweep_events", skip_all)]
    async fn sweep_events(&self, what: &EventSweep) -> Result<u64, StoreError> {
        self.pool.run(async |conn| hooks::sweep(conn, what).await).await
    }
}

#[async_trait]
impl Surveyor for PgStore {
    #[tracing::instrument(name = "pg.survey", skip_all)]
    async fn survey(&self) -> Result<Survey, StoreError> {
        self.pool.run(async |conn| survey::survey(conn).await).await
    }

    #[tracing::instrument(name = "pg.census", skip_all)]
    async fn census(&self) -> Result<Vec<ConversationTally>, StoreError> {
        self.pool.run(async |conn| survey::census(conn).await).await
    }
}
