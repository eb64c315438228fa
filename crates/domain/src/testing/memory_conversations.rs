//! The part of the store that forgets which lists and annotates conversations.

use async_trait::async_trait;

use super::memory::{InMemoryStore, Tables};
use crate::conversation::{Conversation, ConversationId};
use crate::event::NewEvent;
use crate::job::{Job, NewJob};
use crate::language::Language;
use crate::origin::Origin;
use crate::ports::{
    Annotated, Annotation, Carried, ConversationCursor, ConversationKey, ConversationPage,
    ConversationQuery, ConversationStore, LanguageTaken, LookupKept, LookupResult, Reconciliation,
    StoreError,
};
use crate::tenant::TenantId;
use crate::timestamp::Timestamp;

#[async_trait]
impl ConversationStore for InMemoryStore {
    async fn list_conversations(
        &self,
        query: &ConversationQuery,
    ) -> Result<ConversationPage, StoreError> {
        Ok(self.tables().list_conversations(query))
    }

    async fn imported_conversation(
        &self,
        old_id: i64,
    ) -> Result<Option<ConversationId>, StoreError> {
        Ok(self.tables().imported.get(&old_id).copied())
    }

    async fn annotate_conversation(&self, change: &Annotation) -> Result<Annotated, StoreError> {
        Ok(self.tables().annotate(change))
    }

    async fn record_lookup(&self, found: &LookupResult) -> Result<Option<LookupKept>, StoreError> {
        Ok(self.tables().record_lookup(found))
    }

    async fn reconcile_lookups(&self, due: &Reconciliation) -> Result<u64, StoreError> {
        Ok(self.tables().reconcile(due))
    }

    async fn carry_language(
        &self,
        conversation: ConversationId,
        at: Timestamp,
    ) -> Result<Option<Carried>, StoreError> {
        Ok(self.tables().carry_language(conversation, at))
    }

    async fn mark_language_told(
        &self,
        conversation: ConversationId,
        tenant: &TenantId,
        language: Language,
    ) -> Result<Option<Conversation>, StoreError> {
        Ok(self.tables().mark_told(conversation, tenant, language))
    }
}

impl Tables {
    fn list_conversations(&self, query: &ConversationQuery) -> ConversationPage {
        fn is(wanted: Option<&String>, is: Option<&String>) -> bool {
            wanted.is_none() || wanted == is
        }
        let fits = |known: &&Conversation| {
            let place = (known.last_activity_at(), known.id);
            (query.tenant.is_none() || query.tenant == known.tenant_id)
                && is(query.workflow_type.as_ref(), known.workflow_type.as_ref())
                && is(query.workflow_id.as_ref(), known.workflow_id.as_ref())
                && query.language.is_none_or(|language| known.language.language == language)
                && query.since.is_none_or(|since| known.last_activity_at() >= since)
                && query.behind.is_none_or(|cursor| place < (cursor.last_activity_at, cursor.id))
        };
        let mut found: Vec<_> = self.conversations.values().filter(fits).cloned().collect();
        found.sort_by_key(|known| std::cmp::Reverse((known.last_activity_at(), known.id)));
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        let cursor = |last: &Conversation| ConversationCursor {
            last_activity_at: last.last_activity_at(),
            id: last.id,
        };
        let next = found.last().map(cursor).filter(|_| more);
        ConversationPage { conversations: found, next }
    }

    fn annotate(&mut self, change: &Annotation) -> Annotated {
        let known = match &change.key {
            ConversationKey::Id(id) => self.conversations.get(id).cloned(),
            ConversationKey::Address(address) => self.conversation_of(&address.canonical()),
        };
        let Some(known) = known else {
            return Annotated::NotFound;
        };
        let Some(changed) = known.annotated(change) else {
            return Annotated::Outdated(Box::new(known));
        };
        self.conversations.insert(changed.id, changed.clone());
        Annotated::Done(Box::new(changed))
    }

    fn record_lookup(&mut self, found: &LookupResult) -> Option<LookupKept> {
        let before = self.conversations.get(&found.conversation)?.clone();
        let mut after = before.looked_up(found);
        let is_known = |other: &Conversation| other.language.language != Language::Unknown;
        if after.tenant_id != before.tenant_id
            && let Some(other) = self.others_of_tenant(&after).into_iter().find(is_known)
        {
            after = after.joined(&other, found.at);
        }
        if let Some(news) = after.language_news(found.language_job, found.at, &found.origin) {
            self.enqueue(&news);
        }
        let events = NewEvent::of_conversation(&before, &after, found.at);
        let taken = LanguageTaken::between(&before, &after);
        let kept = LookupKept { before: before.tenant_id, after: after.tenant_id.clone(), taken };
        self.conversations.insert(after.id, after);
        self.note(events);
        self.release_waiting(found.conversation, found.at);
        Some(kept)
    }

    /// The other conversations of its tenant, the latest active first.
    fn others_of_tenant(&self, of: &Conversation) -> Vec<Conversation> {
        let is_other = |known: &&Conversation| {
            known.id != of.id && known.tenant_id.is_some() && known.tenant_id == of.tenant_id
        };
        let mut others: Vec<_> = self.conversations.values().filter(is_other).cloned().collect();
        others.sort_by_key(|known| std::cmp::Reverse((known.last_activity_at(), known.id)));
        others
    }

    fn reconcile(&mut self, due: &Reconciliation) -> u64 {
        let checked = |known: &Conversation| known.tenant_checked_at.unwrap_or(known.created_at);
        let mut unknown: Vec<_> = self
            .conversations
            .values()
            .filter(|known| known.tenant_id.is_none() && checked(known) < due.looked_up_before)
            .map(|known| (checked(known), known.id))
            .collect();
        unknown.sort_unstable();
        let mut jobs = due.jobs.iter();
        let mut written = 0;
        for (_, conversation) in unknown {
            let job = Job::TenantLookup { conversation };
            if self.is_unfinished(&job.unique_key()) {
                continue;
            }
            let Some(id) = jobs.next() else { break };
            self.enqueue(&NewJob { id: *id, job, run_at: due.at, origin: Origin::default() });
            written += 1;
        }
        written
    }

    fn carry_language(&mut self, id: ConversationId, at: Timestamp) -> Option<Carried> {
        let conversation = self.conversations.get(&id)?.clone();
        let mut taken = Vec::new();
        for other in self.others_of_tenant(&conversation) {
            let after = other.beside(&conversation, at);
            taken.extend(LanguageTaken::between(&other, &after));
            let events = NewEvent::of_conversation(&other, &after, at);
            self.conversations.insert(other.id, after);
            self.note(events);
        }
        Some(Carried { conversation, taken })
    }

    fn mark_told(
        &mut self,
        id: ConversationId,
        tenant: &TenantId,
        language: Language,
    ) -> Option<Conversation> {
        let is_theirs = |known: &&mut Conversation| known.tenant_id.as_ref() == Some(tenant);
        self.conversations.get_mut(&id).filter(is_theirs)?;
        for known in self.conversations.values_mut().filter(is_theirs) {
            known.told_language = Some(language);
        }
        self.conversations.get(&id).cloned()
    }
}
