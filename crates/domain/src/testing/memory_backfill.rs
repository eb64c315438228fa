//! The store in memory: how far lists were read, and what other programs have stored.

use async_trait::async_trait;

use super::memory::{InMemoryStore, Tables};
use crate::conversation::ConversationId;
use crate::event::NewEvent;
use crate::history::{HistoricConversation, HistoricMessage};
use crate::message::{Message, MessageId, StatusEvent, TwilioSid};
use crate::ports::{
    BackfillStore, HistoryStore, Imported, ListClaim, ListMark, ListProgress, ListRun, MessageList,
    StoreError,
};
use crate::timestamp::Timestamp;

/// How far one list was read.
#[derive(Debug)]
pub(super) struct ListRow {
    run: ListRun,
    /// `None` while a run has it and nobody wishes to have it read again.
    due_at: Option<Timestamp>,
    lease_until: Option<Timestamp>,
    updated_at: Timestamp,
}

impl ListRow {
    fn hasten(&mut self, due_at: Timestamp) {
        self.due_at = Some(self.due_at.map_or(due_at, |known| known.min(due_at)));
    }
}

#[async_trait]
impl BackfillStore for InMemoryStore {
    async fn claim_list(&self, claim: &ListClaim) -> Result<Option<ListRun>, StoreError> {
        Ok(self.tables().claim_list(claim))
    }

    async fn save_list(&self, run: &ListRun, progress: &ListProgress) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let held = |row: &&mut ListRow| row.run.number == run.number && row.lease_until.is_some();
        let Some(row) = tables.list_row(&run.list).filter(held) else {
            return Ok(false);
        };
        row.run.mark = progress.mark.clone();
        if progress.lease_until.is_none() {
            row.hasten(progress.due_at);
        }
        row.lease_until = progress.lease_until;
        row.updated_at = progress.at;
        Ok(true)
    }

    async fn hasten_lists(&self, due_at: Timestamp) -> Result<(), StoreError> {
        for row in &mut self.tables().lists {
            row.hasten(due_at);
        }
        Ok(())
    }

    async fn messages_with(&self, sids: &[TwilioSid]) -> Result<Vec<Message>, StoreError> {
        let tables = self.tables();
        let ids = sids.iter().filter_map(|sid| tables.message_of(sid));
        Ok(ids.filter_map(|id| Some(tables.messages.get(&id)?.0.clone())).collect())
    }
}

#[async_trait]
impl HistoryStore for InMemoryStore {
    async fn import_conversation(
        &self,
        conversation: &HistoricConversation,
    ) -> Result<Imported, StoreError> {
        Ok(self.tables().import_conversation(conversation))
    }

    async fn import_message(&self, message: &HistoricMessage) -> Result<Imported, StoreError> {
        Ok(self.tables().import_message(message))
    }
}

impl Tables {
    fn list_row(&mut self, list: &MessageList) -> Option<&mut ListRow> {
        self.lists.iter_mut().find(|row| row.run.list == *list)
    }

    fn claim_list(&mut self, claim: &ListClaim) -> Option<ListRun> {
        if self.list_row(&claim.list).is_none() {
            let mark = ListMark { watermark: claim.at, unfinished: None };
            let (list, first_at) = (claim.list.clone(), claim.at);
            let run = ListRun { list, number: 0, first_at, mark };
            let (due_at, updated_at) = (Some(claim.at), claim.at);
            self.lists.push(ListRow { run, due_at, lease_until: None, updated_at });
        }
        let row = self.list_row(&claim.list)?;
        let has_come = |at: Option<Timestamp>| at.is_some_and(|at| at <= claim.at);
        let is_over = has_come(row.lease_until);
        let is_due = row.lease_until.is_none() && has_come(row.due_at);
        let is_ahead = row.updated_at > claim.lease_until;
        if !is_ahead && !is_over && !is_due {
            return None;
        }
        row.due_at = row.due_at.filter(|due_at| *due_at > claim.at);
        row.updated_at = claim.at;
        row.run.number += 1;
        row.lease_until = Some(claim.lease_until);
        Some(row.run.clone())
    }

    fn import_conversation(&mut self, old: &HistoricConversation) -> Imported {
        let known = self.conversation_of(&old.address.canonical());
        let after = known.as_ref().map_or_else(|| old.opened(), |known| known.with_history(old));
        let leads_to = *self.imported.entry(old.old_id).or_insert(after.id);
        if leads_to != after.id {
            return Imported::Taken;
        }
        let imported = if known.is_some() { Imported::Known } else { Imported::New };
        self.conversations.insert(after.id, after);
        imported
    }

    fn import_message(&mut self, old: &HistoricMessage) -> Imported {
        let of_its_sid = old.message.twilio_sid.as_ref().and_then(|sid| self.message_of(sid));
        let is_here = || self.messages.contains_key(&old.message.id).then_some(old.message.id);
        if let Some(stored) = of_its_sid.or_else(is_here) {
            return self.bring_forward(stored, old);
        }
        let known = self.conversation_of(&old.address.canonical());
        let after = known.unwrap_or_else(|| old.opened());
        let after = after.with_historic(old, self.newest_in(after.id));
        let stored = old.stored_in(after.id);
        self.messages.insert(stored.id, (stored, old.raw.clone()));
        self.conversations.insert(after.id, after);
        if let Some(sid) = &old.message.twilio_sid {
            let parked = self.attach(sid, old.message.id);
            if let Some((stored, _)) = self.messages.get_mut(&old.message.id) {
                stored.delivery = old.delivery_after(&parked);
            }
        }
        Imported::New
    }

    fn bring_forward(&mut self, stored: MessageId, old: &HistoricMessage) -> Imported {
        let sid = old.message.twilio_sid.as_ref();
        let waits =
            |event: &&StatusEvent| event.message.is_none() && Some(&event.twilio_sid) == sid;
        let parked: Vec<_> = self.events.values().filter(waits).cloned().collect();
        let Some((message, _)) = self.messages.get_mut(&stored) else { return Imported::Known };
        let Some(after) = old.brings_forward(message, &parked) else { return Imported::Known };
        let events = NewEvent::of_change(message, &after, false, after.updated_at);
        *message = after;
        if let Some(sid) = sid {
            self.attach(sid, stored);
        }
        self.note(events);
        Imported::Completed
    }

    /// When the latest message of the conversation was said.
    fn newest_in(&self, conversation: ConversationId) -> Option<Timestamp> {
        let messages = self.messages.values().map(|(message, _)| message);
        let of_it = messages.filter(|message| message.conversation == conversation);
        of_it.map(|message| message.created_at).max()
    }
}
