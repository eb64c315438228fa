//! The ports: each call is handed to the writer or to the readers.

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
    Carried, Changed, ConversationKey, ConversationPage, ConversationQuery, ConversationStore,
    ConversationTally, EventStore, EventSweep, HistoryStore, HookClaim, HookEnd, HookQuery,
    HookView, Housekeeping, Imported, JobClaim, JobQuery, JobQueue, JobRetried, JobRetry, JobView,
    ListClaim, ListProgress, ListRun, LookupKept, LookupResult, MessageKey, MessagePage,
    MessageQuery, MessageStore, NewInbound, NewOutbound, NewStatusEvent, OutboundStore, Overdue,
    Reconciliation, Recorded, Redelivered, Redelivery, StatusRecorded, StoreError,
    SubscriptionChange, Survey, Surveyor, Swept, ThreadPage, ThreadQuery,
};
use domain::subscription::{Subscription, SubscriptionId};
use domain::tenant::TenantId;
use domain::timestamp::Timestamp;

use crate::store::SqliteStore;
use crate::{
    backfill, checks, conversations, feed, hooks, housekeeping, idempotency, imports, inbound,
    jobs, listing, outbound, outgoing, reading, status, subscriptions, survey, tenants,
};

#[async_trait]
impl MessageStore for SqliteStore {
    #[tracing::instrument(name = "sqlite.record_inbound", skip_all)]
    async fn record_inbound(&self, inbound: &NewInbound) -> Result<Recorded, StoreError> {
        let inbound = inbound.clone();
        self.write(move |conn| inbound::record(conn, &inbound)).await
    }

    #[tracing::instrument(name = "sqlite.record_status", skip_all)]
    async fn record_status(&self, event: &NewStatusEvent) -> Result<StatusRecorded, StoreError> {
        let event = event.clone();
        self.write(move |conn| status::record(conn, &event)).await
    }

    #[tracing::instrument(name = "sqlite.find_conversation", skip_all)]
    async fn find_conversation(
        &self,
        key: &ConversationKey,
    ) -> Result<Option<Conversation>, StoreError> {
        let key = key.clone();
        self.read(move |conn| reading::conversation(conn, &key)).await
    }

    #[tracing::instrument(name = "sqlite.read_thread", skip_all)]
    async fn read_thread(
        &self,
        conversation: ConversationId,
        query: &ThreadQuery,
    ) -> Result<ThreadPage, StoreError> {
        let query = *query;
        self.read(move |conn| listing::thread(conn, conversation, &query)).await
    }

    #[tracing::instrument(name = "sqlite.find_message", skip_all)]
    async fn find_message(&self, key: &MessageKey) -> Result<Option<MessageDetail>, StoreError> {
        let key = key.clone();
        self.read(move |conn| reading::detail(conn, &key)).await
    }

    /// Asks the writer and a reader: a webhook needs the one, the API the other.
    #[tracing::instrument(name = "sqlite.check", skip_all)]
    async fn check(&self) -> Result<(), StoreError> {
        self.write(reading::check_writing).await?;
        self.read(reading::check).await
    }
}

#[async_trait]
impl OutboundStore for SqliteStore {
    #[tracing::instrument(name = "sqlite.accept_outbound", skip_all)]
    async fn accept_outbound(&self, new: &NewOutbound) -> Result<Acceptance, StoreError> {
        let new = new.clone();
        self.write(move |conn| outbound::accept(conn, &new)).await
    }

    #[tracing::instrument(name = "sqlite.mark_answered", skip_all)]
    async fn mark_answered(&self, message: MessageId, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |conn| idempotency::answered(conn, message, at)).await
    }

    #[tracing::instrument(name = "sqlite.find_outgoing", skip_all)]
    async fn find_outgoing(&self, message: MessageId) -> Result<Option<Outgoing>, StoreError> {
        self.read(move |conn| outgoing::find(conn, &MessageKey::Id(message))).await
    }

    #[tracing::instrument(name = "sqlite.begin_attempt", skip_all)]
    async fn begin_attempt(&self, new: &NewAttempt) -> Result<Begun, StoreError> {
        let new = new.clone();
        self.write(move |conn| outbound::begin(conn, &new)).await
    }

    #[tracing::instrument(name = "sqlite.record_attempt", skip_all)]
    async fn record_attempt(
        &self,
        end: &AttemptEnd,
    ) -> Result<Option<AttemptRecorded>, StoreError> {
        let end = end.clone();
        self.write(move |conn| outbound::record(conn, &end)).await
    }

    #[tracing::instrument(name = "sqlite.adopt_found", skip_all)]
    async fn adopt_found(&self, event: &NewStatusEvent) -> Result<Adopted, StoreError> {
        let event = event.clone();
        self.write(move |conn| outbound::adopt(conn, &event)).await
    }

    #[tracing::instrument(name = "sqlite.conclude_not_sent", skip_all)]
    async fn conclude_not_sent(
        &self,
        message: MessageId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(move |conn| outbound::conclude(conn, message, at)).await
    }

    #[tracing::instrument(name = "sqlite.cancel_outbound", skip_all)]
    async fn cancel_outbound(
        &self,
        key: &MessageKey,
        at: Timestamp,
    ) -> Result<Canceled, StoreError> {
        let key = key.clone();
        self.write(move |conn| outbound::cancel(conn, &key, at)).await
    }

    #[tracing::instrument(name = "sqlite.list_messages", skip_all)]
    async fn list_messages(&self, query: &MessageQuery) -> Result<MessagePage, StoreError> {
        let query = *query;
        self.read(move |conn| listing::latest(conn, &query)).await
    }

    #[tracing::instrument(name = "sqlite.claim_status_checks", skip_all)]
    async fn claim_status_checks(
        &self,
        at: Timestamp,
        again_at: Timestamp,
        limit: u32,
    ) -> Result<Vec<(MessageId, TwilioSid)>, StoreError> {
        self.write(move |conn| checks::claim(conn, at, again_at, limit)).await
    }

    #[tracing::instrument(name = "sqlite.finish_status_check", skip_all)]
    async fn finish_status_check(
        &self,
        message: MessageId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |conn| checks::finish(conn, message, at)).await
    }
}

#[async_trait]
impl ConversationStore for SqliteStore {
    #[tracing::instrument(name = "sqlite.list_conversations", skip_all)]
    async fn list_conversations(
        &self,
        query: &ConversationQuery,
    ) -> Result<ConversationPage, StoreError> {
        let query = query.clone();
        self.read(move |conn| conversations::list(conn, &query)).await
    }

    #[tracing::instrument(name = "sqlite.imported_conversation", skip_all)]
    async fn imported_conversation(
        &self,
        old_id: i64,
    ) -> Result<Option<ConversationId>, StoreError> {
        self.read(move |conn| imports::leads_to(conn, old_id)).await
    }

    #[tracing::instrument(name = "sqlite.annotate_conversation", skip_all)]
    async fn annotate_conversation(&self, change: &Annotation) -> Result<Annotated, StoreError> {
        let change = change.clone();
        self.write(move |conn| conversations::annotate(conn, &change)).await
    }

    #[tracing::instrument(name = "sqlite.record_lookup", skip_all)]
    async fn record_lookup(&self, found: &LookupResult) -> Result<Option<LookupKept>, StoreError> {
        let found = found.clone();
        self.write(move |conn| tenants::record_lookup(conn, &found)).await
    }

    #[tracing::instrument(name = "sqlite.reconcile_lookups", skip_all)]
    async fn reconcile_lookups(&self, due: &Reconciliation) -> Result<u64, StoreError> {
        let due = due.clone();
        self.write(move |conn| tenants::reconcile(conn, &due)).await
    }

    #[tracing::instrument(name = "sqlite.carry_language", skip_all)]
    async fn carry_language(
        &self,
        conversation: ConversationId,
        at: Timestamp,
    ) -> Result<Option<Carried>, StoreError> {
        self.write(move |conn| tenants::carry_language(conn, conversation, at)).await
    }

    #[tracing::instrument(name = "sqlite.mark_language_told", skip_all)]
    async fn mark_language_told(
        &self,
        conversation: ConversationId,
        tenant: &TenantId,
        language: Language,
    ) -> Result<Option<Conversation>, StoreError> {
        let tenant = tenant.clone();
        self.write(move |conn| tenants::mark_told(conn, conversation, &tenant, language)).await
    }
}

#[async_trait]
impl JobQueue for SqliteStore {
    #[tracing::instrument(name = "sqlite.claim_jobs", skip_all)]
    async fn claim_jobs(&self, claim: &JobClaim) -> Result<Vec<ClaimedJob>, StoreError> {
        let claim = claim.clone();
        self.write(move |conn| jobs::claim(conn, &claim)).await
    }

    #[tracing::instrument(name = "sqlite.finish_job", skip_all)]
    async fn finish_job(
        &self,
        ticket: Ticket,
        ending: &JobEnding,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let ending = ending.clone();
        self.write(move |conn| jobs::finish(conn, ticket, &ending, at)).await
    }

    #[tracing::instrument(name = "sqlite.list_jobs", skip_all)]
    async fn list_jobs(&self, query: &JobQuery) -> Result<Vec<JobView>, StoreError> {
        let query = *query;
        self.read(move |conn| jobs::list(conn, &query)).await
    }

    #[tracing::instrument(name = "sqlite.retry_job", skip_all)]
    async fn retry_job(&self, retry: &JobRetry) -> Result<JobRetried, StoreError> {
        let retry = *retry;
        self.write(move |conn| jobs::retry(conn, &retry)).await
    }

    #[tracing::instrument(name = "sqlite.housekeep", skip_all)]
    async fn housekeep(&self, what: &Housekeeping) -> Result<Swept, StoreError> {
        let what = *what;
        self.write(move |conn| housekeeping::sweep(conn, &what)).await
    }
}

#[async_trait]
impl BackfillStore for SqliteStore {
    #[tracing::instrument(name = "sqlite.claim_list", skip_all)]
    async fn claim_list(&self, claim: &ListClaim) -> Result<Option<ListRun>, StoreError> {
        let claim = claim.clone();
        self.write(move |conn| backfill::claim(conn, &claim)).await
    }

    #[tracing::instrument(name = "sqlite.save_list", skip_all)]
    async fn save_list(&self, run: &ListRun, progress: &ListProgress) -> Result<bool, StoreError> {
        let (run, progress) = (run.clone(), progress.clone());
        self.write(move |conn| backfill::save(conn, &run, &progress)).await
    }

    #[tracing::instrument(name = "sqlite.hasten_lists", skip_all)]
    async fn hasten_lists(&self, due_at: Timestamp) -> Result<(), StoreError> {
        self.write(move |conn| backfill::hasten(conn, due_at)).await
    }

    #[tracing::instrument(name = "sqlite.messages_with", skip_all)]
    async fn messages_with(&self, sids: &[TwilioSid]) -> Result<Vec<Message>, StoreError> {
        let sids = sids.to_vec();
        self.read(move |conn| backfill::messages_with(conn, &sids)).await
    }
}

#[async_trait]
impl HistoryStore for SqliteStore {
    #[tracing::instrument(name = "sqlite.import_conversation", skip_all)]
    async fn import_conversation(
        &self,
        conversation: &HistoricConversation,
    ) -> Result<Imported, StoreError> {
        let conversation = conversation.clone();
        self.write(move |conn| imports::conversation(conn, &conversation)).await
    }

    #[tracing::instrument(name = "sqlite.import_message", skip_all)]
    async fn import_message(&self, message: &HistoricMessage) -> Result<Imported, StoreError> {
        let message = message.clone();
        self.write(move |conn| imports::message(conn, &message)).await
    }
}

#[async_trait]
impl EventStore for SqliteStore {
    #[tracing::instrument(name = "sqlite.events_end", skip_all)]
    async fn events_end(&self) -> Result<EventCursor, StoreError> {
        self.read(feed::end).await
    }

    #[tracing::instrument(name = "sqlite.read_events", skip_all)]
    async fn read_events(&self, behind: EventCursor, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.read(move |conn| feed::read(conn, behind, limit)).await
    }

    #[tracing::instrument(name = "sqlite.create_subscription", skip_all)]
    async fn create_subscription(&self, new: &Subscription) -> Result<bool, StoreError> {
        let new = new.clone();
        self.write(move |conn| subscriptions::create(conn, &new)).await
    }

    #[tracing::instrument(name = "sqlite.list_subscriptions", skip_all)]
    async fn list_subscriptions(&self) -> Result<Vec<Subscription>, StoreError> {
        self.read(subscriptions::list).await
    }

    #[tracing::instrument(name = "sqlite.change_subscription", skip_all)]
    async fn change_subscription(
        &self,
        id: SubscriptionId,
        change: &SubscriptionChange,
    ) -> Result<Changed, StoreError> {
        let change = change.clone();
        self.write(move |conn| subscriptions::change(conn, id, &change)).await
    }

    #[tracing::instrument(name = "sqlite.delete_subscription", skip_all)]
    async fn delete_subscription(&self, id: SubscriptionId) -> Result<bool, StoreError> {
        if !self.write(move |conn| subscriptions::silence(conn, id)).await? {
            return Ok(false);
        }
        while self.write(move |conn| subscriptions::forget_some(conn, id)).await? {}
        self.write(move |conn| subscriptions::delete(conn, id)).await
    }

    #[tracing::instrument(name = "sqlite.claim_hooks", skip_all)]
    async fn claim_hooks(&self, claim: &HookClaim) -> Result<Vec<ClaimedHook>, StoreError> {
        let claim = claim.clone();
        self.write(move |conn| hooks::claim(conn, &claim)).await
    }

    #[tracing::instrument(name = "sqlite.finish_hook", skip_all)]
    async fn finish_hook(&self, end: &HookEnd) -> Result<bool, StoreError> {
        let end = end.clone();
        self.write(move |conn| hooks::finish(conn, &end)).await
    }

    #[tracing::instrument(name = "sqlite.list_hooks", skip_all)]
    async fn list_hooks(&self, query: &HookQuery) -> Result<Vec<HookView>, StoreError> {
        let query = *query;
        self.read(move |conn| hooks::list(conn, &query)).await
    }

    #[tracing::instrument(name = "sqlite.redeliver", skip_all)]
    async fn redeliver(&self, wish: &Redelivery) -> Result<Redelivered, StoreError> {
        let wish = *wish;
        self.write(move |conn| hooks::redeliver(conn, &wish)).await
    }

    #[tracing::instrument(name = "sqlite.park_overdue", skip_all)]
    async fn park_overdue(&self, what: &Overdue) -> Result<u64, StoreError> {
        let what = *what;
        self.write(move |conn| hooks::park_overdue(conn, &what)).await
    }

    #[tracing::instrument(name = "sqlite.sweep_events", skip_all)]
    async fn sweep_events(&self, what: &EventSweep) -> Result<u64, StoreError> {
        let what = *what;
        self.write(move |conn| hooks::sweep(conn, &what)).await
    }
}

#[async_trait]
impl Surveyor for SqliteStore {
    #[tracing::instrument(name = "sqlite.survey", skip_all)]
    async fn survey(&self) -> Result<Survey, StoreError> {
        self.read(survey::survey).await
    }

    #[tracing::instrument(name = "sqlite.census", skip_all)]
    async fn census(&self) -> Result<Vec<ConversationTally>, StoreError> {
        self.read(survey::census).await
    }
}
