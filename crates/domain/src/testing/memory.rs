//! The store that forgets: for tests, examples and other services' tests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::inspect::{Everything, Inspect, JobRecord};
use super::memory_backfill::ListRow;
use super::memory_events::{EventRow, HookRow};
use super::memory_outbound::{JobRow, KeyRow};
use crate::conversation::{Conversation, ConversationId};
use crate::event::NewEvent;
use crate::job::{JobId, JobState, NewJob};
use crate::message::{
    Direction, EventId, Message, MessageDetail, MessageId, RawPayload, StatusEvent, TwilioSid,
};
use crate::outbound::{AttemptId, Moved, SendAttempt};
use crate::ports::{
    ConversationKey, Cursor, MessageKey, MessageStore, NewInbound, NewStatusEvent, Order, Recorded,
    Start, StatusRecorded, StoreError, ThreadPage, ThreadQuery,
};
use crate::subscription::{Subscription, SubscriptionId};
use crate::tenant::TenantId;

/// A [`MessageStore`] in memory: one lock, so that each method is one transaction.
#[derive(Debug, Default)]
pub struct InMemoryStore {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) conversations: BTreeMap<ConversationId, Conversation>,
    pub(super) messages: BTreeMap<MessageId, (Message, RawPayload)>,
    pub(super) events: BTreeMap<EventId, StatusEvent>,
    pub(super) jobs: BTreeMap<JobId, JobRow>,
    pub(super) attempts: BTreeMap<AttemptId, SendAttempt>,
    pub(super) keys: BTreeMap<(String, String), KeyRow>,
    pub(super) lists: Vec<ListRow>,
    pub(super) imported: BTreeMap<i64, ConversationId>,
    pub(super) feed: BTreeMap<i64, EventRow>,
    pub(super) subscriptions: BTreeMap<SubscriptionId, Subscription>,
    pub(super) hooks: BTreeMap<(SubscriptionId, i64), HookRow>,
}

impl InMemoryStore {
    /// Forgets everything.
    pub fn clear(&self) {
        *self.tables() = Tables::default();
    }

    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl MessageStore for InMemoryStore {
    async fn record_inbound(&self, inbound: &NewInbound) -> Result<Recorded, StoreError> {
        Ok(self.tables().record_inbound(inbound))
    }

    async fn record_status(&self, event: &NewStatusEvent) -> Result<StatusRecorded, StoreError> {
        Ok(self.tables().record_status(event))
    }

    async fn find_conversation(
        &self,
        key: &ConversationKey,
    ) -> Result<Option<Conversation>, StoreError> {
        let tables = self.tables();
        Ok(match key {
            ConversationKey::Id(id) => tables.conversations.get(id).cloned(),
            ConversationKey::Address(address) => tables.conversation_of(&address.canonical()),
        })
    }

    async fn read_thread(
        &self,
        conversation: ConversationId,
        query: &ThreadQuery,
    ) -> Result<ThreadPage, StoreError> {
        Ok(self.tables().read_thread(conversation, query))
    }

    async fn find_message(&self, key: &MessageKey) -> Result<Option<MessageDetail>, StoreError> {
        let tables = self.tables();
        let id = match key {
            MessageKey::Id(id) => Some(*id),
            MessageKey::Sid(sid) => tables.message_of(sid),
        };
        Ok(id.and_then(|id| tables.detail(id)))
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Tables {
    fn record_inbound(&mut self, inbound: &NewInbound) -> Recorded {
        let message = &inbound.message;
        if let Some(id) = self.message_of(&message.twilio_sid) {
            if let Some((stored, raw)) = self.messages.get_mut(&id) {
                let before = stored.clone();
                stored.delivery = before.delivery.advance_inbound(message.status);
                let completion = inbound.completes(&before, raw);
                if *stored != before || completion.is_some() {
                    stored.updated_at = stored.updated_at.max(inbound.received_at);
                }
                if let Some(completion) = completion {
                    (stored.media, *raw) = (completion.media, completion.raw);
                }
                let events = NewEvent::of_change(&before, stored, false, inbound.received_at);
                self.note(events);
            }
            return Recorded::Duplicate { message: id };
        }
        let before = self
            .conversation_of(&message.from.canonical())
            .unwrap_or_else(|| Conversation::opened_by(inbound));
        let after = before.with(inbound);
        let jobs = after.follow_ups(&inbound.follow_ups());
        for job in &jobs {
            self.enqueue(job);
        }
        let stored = inbound.stored_in(before.id);
        self.messages.insert(inbound.id, (stored, message.raw.clone()));
        self.conversations.insert(after.id, after.clone());
        self.attach(&message.twilio_sid, inbound.id);
        self.note(NewEvent::of_inbound(inbound, &before, &after));
        Recorded::New {
            message: inbound.id,
            conversation: after.id,
            before: before.language,
            after: after.language,
            has_jobs: !jobs.is_empty(),
        }
    }

    pub(super) fn record_status(&mut self, event: &NewStatusEvent) -> StatusRecorded {
        let report = &event.report;
        let named = self.message_of(&report.twilio_sid).or_else(|| self.nameless(report.message));
        let known = self.events.values().any(|kept| {
            kept.twilio_sid == report.twilio_sid
                && kept.provider_status == report.provider_status
                && kept.error_code == report.error_code
        });
        if !known {
            self.events.insert(event.id, event.stored_for(named));
        }
        let Some((stored, _)) = named.and_then(|id| self.messages.get(&id)).cloned() else {
            return StatusRecorded::Parked;
        };
        if stored.direction == Direction::Inbound {
            let (message, delivery) = (stored.id, stored.delivery);
            return StatusRecorded::Applied { message, delivery, overturned: false, moved: None };
        }
        let parked = self.attach(&report.twilio_sid, stored.id);
        let step = self.outgoing(&stored).report(report, event.received_at, &parked);
        let (delivery, overturned) = (step.after.message.delivery.clone(), step.overturned);
        let moved = Moved::between(&stored, &step.after.message);
        self.write(step, None, event.received_at);
        StatusRecorded::Applied { message: stored.id, delivery, overturned, moved }
    }

    /// The message from us with that id, if it has no SID yet.
    pub(super) fn nameless(&self, id: Option<MessageId>) -> Option<MessageId> {
        let (message, _) = self.messages.get(&id?)?;
        let nameless = message.direction == Direction::Outbound && message.twilio_sid.is_none();
        nameless.then_some(message.id)
    }

    fn read_thread(&self, conversation: ConversationId, query: &ThreadQuery) -> ThreadPage {
        let of_thread =
            |(message, _): &&(Message, RawPayload)| message.conversation == conversation;
        let mut thread: Vec<&Message> =
            self.messages.values().filter(of_thread).map(|(message, _)| message).collect();
        thread.sort_by_key(|message| (message.created_at, message.id));
        if query.order == Order::NewestFirst {
            thread.reverse();
        }
        let behind = |message: &&Message, cursor: &Cursor| {
            let (here, there) = ((message.created_at, message.id), (cursor.created_at, cursor.id));
            if query.order == Order::NewestFirst { here < there } else { here > there }
        };
        let total = thread.len();
        let mut rest: Vec<&Message> = match query.start {
            Start::Offset(offset) => {
                thread.into_iter().skip(usize::try_from(offset).unwrap_or(usize::MAX)).collect()
            }
            Start::Behind(cursor) => {
                thread.into_iter().filter(|message| behind(message, &cursor)).collect()
            }
        };
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let more = rest.len() > limit;
        rest.truncate(limit);
        let last = rest.last().map(|last| Cursor { created_at: last.created_at, id: last.id });
        ThreadPage {
            messages: rest.into_iter().cloned().collect(),
            total: u64::try_from(total).unwrap_or(u64::MAX),
            next: last.filter(|_| more),
        }
    }

    pub(super) fn enqueue(&mut self, new: &NewJob) {
        let row = JobRow {
            record: JobRecord {
                id: new.id,
                kind: new.job.kind().to_owned(),
                unique_key: new.job.unique_key(),
                payload: new.job.payload(),
                state: JobState::Queued.as_str().to_owned(),
                run_at: new.run_at,
                attempts: 0,
                failures: 0,
                last_error: None,
                lease_expires_at: None,
                origin: new.origin.clone(),
            },
            lane: new.job.lane(),
            place: self.jobs.values().map(|row| row.place).max().unwrap_or(0) + 1,
            created_at: new.run_at,
            updated_at: new.run_at,
            finished_at: None,
        };
        let same = |known: &JobRow| {
            known.record.unique_key == row.record.unique_key && !known.is(JobState::Done)
        };
        if !self.jobs.values().any(same) {
            self.jobs.insert(new.id, row);
        }
    }

    pub(super) fn conversation_of(&self, canonical: &str) -> Option<Conversation> {
        let of_address = |known: &&Conversation| known.phone_number_canonical.as_str() == canonical;
        self.conversations.values().find(of_address).cloned()
    }

    pub(super) fn message_of(&self, sid: &TwilioSid) -> Option<MessageId> {
        let of_sid =
            |(message, _): &&(Message, RawPayload)| message.twilio_sid.as_ref() == Some(sid);
        self.messages.values().find(of_sid).map(|(message, _)| message.id)
    }

    pub(super) fn detail(&self, id: MessageId) -> Option<MessageDetail> {
        let (message, raw) = self.messages.get(&id)?.clone();
        let of_message = |event: &&StatusEvent| event.message == Some(id);
        let mut events: Vec<_> = self.events.values().filter(of_message).cloned().collect();
        events.sort_by_key(|event| (event.created_at, event.id));
        let attempts = self.attempts_of(id);
        Some(MessageDetail { message, raw, events, attempts })
    }
}

#[async_trait]
impl Inspect for InMemoryStore {
    async fn everything(&self) -> Everything {
        let tables = self.tables();
        Everything {
            conversations: tables.conversations.values().cloned().collect(),
            messages: tables.messages.keys().filter_map(|id| tables.detail(*id)).collect(),
            parked_events: {
                let parked = |event: &&StatusEvent| event.message.is_none();
                tables.events.values().filter(parked).cloned().collect()
            },
            jobs: tables.jobs.values().map(|row| row.record.clone()).collect(),
        }
    }

    async fn plant_message(&self, message: &Message) {
        let row = (message.clone(), RawPayload::default());
        self.tables().messages.insert(message.id, row);
    }

    async fn plant_tenant(&self, conversation: ConversationId, tenant: &TenantId) {
        if let Some(known) = self.tables().conversations.get_mut(&conversation) {
            known.tenant_id = Some(tenant.clone());
        }
    }

    async fn finish_jobs(&self) {
        for job in self.tables().jobs.values_mut() {
            JobState::Done.as_str().clone_into(&mut job.record.state);
        }
    }
}

#[cfg(test)]
mod tests {
    fn empty() -> std::future::Ready<(super::InMemoryStore, ())> {
        std::future::ready((super::InMemoryStore::default(), ()))
    }

    crate::message_store_contract!(empty, futures_executor::block_on);
    crate::outbound_store_contract!(empty, futures_executor::block_on);
    crate::conversation_store_contract!(empty, futures_executor::block_on);
    crate::backfill_store_contract!(empty, futures_executor::block_on);
    crate::event_store_contract!(empty, futures_executor::block_on);
}
