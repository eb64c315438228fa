//! The part of the store that forgets which keeps events and tells subscribers of them.

use async_trait::async_trait;

use super::memory::{InMemoryStore, Tables};
use crate::conversation::ConversationId;
use crate::event::{Event, EventCursor, NewEvent};
use crate::hook::{ClaimedHook, HookEnding, HookState, HookTicket, Pulse};
use crate::language::Language;
use crate::ports::{
    Changed, EventStore, EventSweep, HookClaim, HookEnd, HookQuery, HookView, Overdue, Redelivered,
    Redelivery, StoreError, SubscriptionChange,
};
use crate::subscription::{Health, Subscription, SubscriptionId};
use crate::tenant::TenantId;
use crate::text::Text;
use crate::timestamp::Timestamp;

/// A row of `events`.
#[derive(Debug, Clone)]
pub(super) struct EventRow {
    new: NewEvent,
    phone_number_canonical: Text,
    tenant_id: Option<TenantId>,
    workflow_type: Option<String>,
    workflow_id: Option<String>,
    language: Language,
}

/// A row of `event_deliveries`.
#[derive(Debug, Clone)]
pub(super) struct HookRow {
    state: HookState,
    attempts: u32,
    failures: u32,
    since: Timestamp,
    run_at: Timestamp,
    lease_expires_at: Option<Timestamp>,
    status_code: Option<u16>,
    last_error: Option<String>,
    finished_at: Option<Timestamp>,
}

impl HookRow {
    fn queued(at: Timestamp) -> Self {
        Self {
            state: HookState::Queued,
            attempts: 0,
            failures: 0,
            since: at,
            run_at: at,
            lease_expires_at: None,
            status_code: None,
            last_error: None,
            finished_at: None,
        }
    }

    fn is_unfinished(&self) -> bool {
        matches!(self.state, HookState::Queued | HookState::Running)
    }

    fn is_due(&self, at: Timestamp) -> bool {
        match self.state {
            HookState::Queued => self.run_at <= at,
            HookState::Running => self.lease_expires_at.is_some_and(|until| until <= at),
            _ => false,
        }
    }

    fn park(&mut self, error: &str, at: Timestamp) {
        self.state = HookState::Parked;
        self.finished_at = Some(at);
        self.last_error.get_or_insert_with(|| error.to_owned());
    }

    fn end(&mut self, end: &HookEnd) {
        self.state = end.ending.state();
        self.lease_expires_at = None;
        self.status_code = end.status_code.or(self.status_code);
        if let Some(error) = end.ending.error() {
            self.last_error = Some(error.to_owned());
        }
        match &end.ending {
            HookEnding::Retry { run_at, .. } => {
                self.failures += 1;
                self.run_at = *run_at;
            }
            HookEnding::Release | HookEnding::Wait { .. } => {}
            HookEnding::Delivered | HookEnding::Park { .. } | HookEnding::Skip { .. } => {
                self.finished_at = Some(end.at);
            }
        }
    }
}

#[async_trait]
impl EventStore for InMemoryStore {
    async fn events_end(&self) -> Result<EventCursor, StoreError> {
        let place = self.tables().feed.last_key_value().map_or(0, |(place, _)| *place);
        Ok(EventCursor { transaction: 0, place })
    }

    async fn read_events(&self, behind: EventCursor, limit: u32) -> Result<Vec<Event>, StoreError> {
        let tables = self.tables();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let behind = tables.feed.range(behind.place + 1..).take(limit);
        Ok(behind.map(|(place, row)| tables.event(*place, row)).collect())
    }

    async fn create_subscription(&self, new: &Subscription) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        if tables.subscriptions.values().any(|known| known.name == new.name) {
            return Ok(false);
        }
        tables.subscriptions.insert(new.id, new.clone());
        Ok(true)
    }

    async fn list_subscriptions(&self) -> Result<Vec<Subscription>, StoreError> {
        let mut all: Vec<_> = self.tables().subscriptions.values().cloned().collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    async fn change_subscription(
        &self,
        id: SubscriptionId,
        change: &SubscriptionChange,
    ) -> Result<Changed, StoreError> {
        let mut tables = self.tables();
        let Some(known) = tables.subscriptions.get(&id) else {
            return Ok(Changed::NotFound);
        };
        if let Some(refusal) = change.refusal(known) {
            return Ok(refusal);
        }
        let after = change.applied(known);
        let has_name = |other: &Subscription| other.id != id && other.name == after.name;
        if tables.subscriptions.values().any(has_name) {
            return Ok(Changed::NameTaken);
        }
        tables.subscriptions.insert(id, after.clone());
        Ok(Changed::Done(Box::new(after)))
    }

    async fn delete_subscription(&self, id: SubscriptionId) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        tables.hooks.retain(|(subscription, _), _| *subscription != id);
        Ok(tables.subscriptions.remove(&id).is_some())
    }

    async fn claim_hooks(&self, claim: &HookClaim) -> Result<Vec<ClaimedHook>, StoreError> {
        Ok(self.tables().claim_hooks(claim))
    }

    async fn finish_hook(&self, end: &HookEnd) -> Result<bool, StoreError> {
        Ok(self.tables().finish_hook(end))
    }

    async fn list_hooks(&self, query: &HookQuery) -> Result<Vec<HookView>, StoreError> {
        let tables = self.tables();
        let fits = |place: i64, row: &HookRow| {
            query.state.is_none_or(|state| row.state == state)
                && query.before.is_none_or(|before| place < before)
        };
        let of = tables.hooks.iter().filter(|((id, _), _)| *id == query.subscription).rev();
        let of = of.filter(|((_, place), row)| fits(*place, row));
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        Ok(of.filter_map(|((_, place), row)| tables.hook_view(*place, row)).take(limit).collect())
    }

    async fn redeliver(&self, wish: &Redelivery) -> Result<Redelivered, StoreError> {
        Ok(self.tables().redeliver(wish))
    }

    async fn park_overdue(&self, what: &Overdue) -> Result<u64, StoreError> {
        Ok(self.tables().park_overdue(what))
    }

    async fn sweep_events(&self, what: &EventSweep) -> Result<u64, StoreError> {
        Ok(self.tables().sweep_events(what))
    }
}

impl Tables {
    /// Writes events, and what subscribers are to be told of them.
    pub(super) fn note(&mut self, events: Vec<NewEvent>) {
        for new in events {
            let Some(conversation) = self.conversations.get(&new.conversation) else {
                continue;
            };
            let (tenant_id, language) = new.now.clone().unwrap_or_else(|| {
                (conversation.tenant_id.clone(), conversation.language.language)
            });
            let row = EventRow {
                phone_number_canonical: conversation.phone_number_canonical.clone(),
                tenant_id,
                workflow_type: conversation.workflow_type.clone(),
                workflow_id: conversation.workflow_id.clone(),
                language,
                new,
            };
            let place = self.feed.last_key_value().map_or(0, |(place, _)| *place) + 1;
            for subscription in self.subscriptions.values().filter(|known| wants(known, &row)) {
                self.hooks.insert((subscription.id, place), HookRow::queued(row.new.at));
            }
            self.feed.insert(place, row);
        }
    }

    /// What waits for the tenant of a conversation that was looked up waits no longer.
    pub(super) fn release_waiting(&mut self, conversation: ConversationId, at: Timestamp) {
        let feed = &self.feed;
        for ((_, place), row) in &mut self.hooks {
            let is_of = feed.get(place).is_some_and(|event| event.new.conversation == conversation);
            if is_of && row.state == HookState::Waiting {
                row.state = HookState::Queued;
                (row.run_at, row.since) = (at, at);
            }
        }
    }

    fn event(&self, place: i64, row: &EventRow) -> Event {
        let message = row.new.message.clone();
        let content = message.as_ref().and_then(|message| self.messages.get(&message.id));
        Event {
            cursor: EventCursor { transaction: 0, place },
            id: row.new.id,
            kind: row.new.kind,
            at: row.new.at,
            conversation: row.new.conversation,
            phone_number_canonical: row.phone_number_canonical.clone(),
            tenant_id: row.tenant_id.clone(),
            workflow_type: row.workflow_type.clone(),
            workflow_id: row.workflow_id.clone(),
            language: row.language,
            content: content.map(|(message, _)| message.clone()),
            message,
            previous: row.new.previous.clone(),
        }
    }

    fn claim_hooks(&mut self, claim: &HookClaim) -> Vec<ClaimedHook> {
        let mut claimed = Vec::new();
        for hands in &claim.hands {
            let conversation = |place: &i64| self.feed.get(place).map(|row| row.new.conversation);
            let of: Vec<_> =
                self.hooks.iter().filter(|((id, _), _)| *id == hands.subscription).collect();
            let is_first = |place: &i64| {
                !of.iter().any(|((_, other), row)| {
                    other < place
                        && row.is_unfinished()
                        && conversation(other) == conversation(place)
                })
            };
            let mut due: Vec<_> = of
                .iter()
                .filter(|((_, place), row)| row.is_due(claim.at) && is_first(place))
                .map(|((_, place), row)| (row.run_at, *place))
                .collect();
            due.sort_unstable();
            due.truncate(usize::try_from(hands.free).unwrap_or(usize::MAX));
            for (_, place) in due {
                claimed.extend(self.take_hook(hands.subscription, place, hands.lease_until));
            }
        }
        claimed
    }

    fn take_hook(
        &mut self,
        subscription: SubscriptionId,
        place: i64,
        lease_until: Timestamp,
    ) -> Option<ClaimedHook> {
        let event = self.event(place, self.feed.get(&place)?);
        let conversation = self.conversations.get(&event.conversation)?;
        let (tenant, was_looked_up) =
            (conversation.tenant_id.clone(), conversation.tenant_checked_at.is_some());
        let row = self.hooks.get_mut(&(subscription, place))?;
        let interrupted = row.state == HookState::Running;
        row.state = HookState::Running;
        row.attempts += 1;
        row.lease_expires_at = Some(lease_until);
        Some(ClaimedHook {
            ticket: HookTicket { subscription, event: event.cursor, attempt: row.attempts },
            event,
            tenant,
            was_looked_up,
            failures: row.failures,
            since: row.since,
            interrupted,
        })
    }

    fn finish_hook(&mut self, end: &HookEnd) -> bool {
        let HookTicket { subscription, event, attempt } = end.ticket;
        self.feel(subscription, end);
        let held = |row: &&mut HookRow| row.state == HookState::Running && row.attempts == attempt;
        let row = self.hooks.get_mut(&(subscription, event.place)).filter(held);
        let Some(row) = row else {
            return false;
        };
        let conversation = self.conversations.get(&end.conversation);
        let has_tenant = conversation.is_some_and(|known| known.tenant_id.is_some());
        let is_looked_up = conversation.is_some_and(|known| known.tenant_checked_at.is_some());
        let ending = end.ending.clone().unless_looked_up(has_tenant, is_looked_up);
        row.end(&HookEnd { ending, ..end.clone() });
        if let HookEnding::Retry { run_at, .. } = &end.ending {
            let feed = &self.feed;
            let later = self.hooks.range_mut((subscription, event.place + 1)..);
            let later = later.take_while(|((id, _), _)| *id == subscription);
            for ((_, place), row) in later {
                let is_of =
                    feed.get(place).is_some_and(|known| known.new.conversation == end.conversation);
                if is_of && row.state == HookState::Queued {
                    row.run_at = row.run_at.max(*run_at);
                }
            }
        }
        true
    }

    /// What a call said of the subscriber.
    fn feel(&mut self, subscription: SubscriptionId, end: &HookEnd) {
        let Some(known) = self.subscriptions.get_mut(&subscription) else {
            return;
        };
        match &end.pulse {
            Pulse::Alive => known.health = Health::default(),
            Pulse::Failed { error, begun, chance } => {
                known.health = known.health.failed(error, *begun, end.at, *chance);
            }
            Pulse::Gone => {
                known.enabled = false;
                known.health.last_error = Some("http_410".to_owned());
            }
            Pulse::Unknown => {}
        }
    }

    fn hook_view(&self, place: i64, row: &HookRow) -> Option<HookView> {
        let event = self.feed.get(&place)?;
        Some(HookView {
            cursor: EventCursor { transaction: 0, place },
            event: event.new.id,
            kind: event.new.kind,
            conversation: event.new.conversation,
            message: event.new.message.as_ref().map(|message| message.id),
            state: row.state,
            attempts: row.attempts,
            status_code: row.status_code,
            last_error: row.last_error.clone(),
            run_at: row.run_at,
            created_at: event.new.at,
            finished_at: row.finished_at,
        })
    }

    fn redeliver(&mut self, wish: &Redelivery) -> Redelivered {
        let Some(subscription) = self.subscriptions.get(&wish.subscription) else {
            return Redelivered { queued: 0, next: None };
        };
        let limit = usize::try_from(wish.limit).unwrap_or(usize::MAX);
        let step: Vec<_> = self
            .feed
            .range(wish.behind.place + 1..)
            .filter(|(_, row)| row.new.at >= wish.since)
            .take(limit)
            .map(|(place, row)| (*place, wants(subscription, row)))
            .collect();
        let more = step.len() == limit;
        let last = step.last().map(|(place, _)| EventCursor { transaction: 0, place: *place });
        let mut queued = 0;
        for (place, _) in step.into_iter().filter(|(_, wanted)| *wanted) {
            let row = self.hooks.get(&(wish.subscription, place));
            let was_told = |row: &HookRow| row.state == HookState::Delivered;
            let is_over = !subscription.may_hear_again() && row.is_some_and(was_told);
            if is_over || row.is_some_and(HookRow::is_unfinished) {
                continue;
            }
            let attempts = row.map_or(0, |row| row.attempts);
            let again = HookRow { attempts, ..HookRow::queued(wish.at) };
            self.hooks.insert((wish.subscription, place), again);
            queued += 1;
        }
        Redelivered { queued, next: last.filter(|_| more) }
    }

    fn park_overdue(&mut self, what: &Overdue) -> u64 {
        let feed = &self.feed;
        let is_old = |place: &i64| feed.get(place).is_some_and(|row| row.new.at < what.waiting);
        let limit = usize::try_from(what.limit).unwrap_or(usize::MAX);
        let (mut queued, mut waiting) = (0, 0);
        for ((_, place), row) in &mut self.hooks {
            let (count, error) = match row.state {
                HookState::Queued if row.since < what.queued => (&mut queued, "overdue"),
                HookState::Waiting if is_old(place) => (&mut waiting, "no_tenant"),
                _ => continue,
            };
            if *count < limit {
                *count += 1;
                row.park(error, what.at);
            }
        }
        u64::try_from(queued + waiting).unwrap_or(u64::MAX)
    }

    fn sweep_events(&mut self, what: &EventSweep) -> u64 {
        let limit = usize::try_from(what.limit).unwrap_or(usize::MAX);
        let old = self.feed.iter().filter(|(_, row)| row.new.at < what.events);
        let old: Vec<_> = old.map(|(place, _)| *place).take(limit).collect();
        self.feed.retain(|place, _| !old.contains(place));
        let feed = &self.feed;
        let is_old = |place: &i64, row: &HookRow| {
            let told = matches!(row.state, HookState::Delivered | HookState::Skipped);
            !feed.contains_key(place)
                || (told && row.finished_at.is_some_and(|at| at < what.delivered))
        };
        let hooks = self.hooks.iter().filter(|((_, place), row)| is_old(place, row));
        let hooks: Vec<_> = hooks.map(|(key, _)| *key).take(limit).collect();
        self.hooks.retain(|key, _| !hooks.contains(key));
        u64::try_from(old.len().max(hooks.len())).unwrap_or(u64::MAX)
    }
}

fn wants(subscription: &Subscription, row: &EventRow) -> bool {
    subscription.wants(&row.new, row.tenant_id.is_some(), row.workflow_type.as_deref())
}
