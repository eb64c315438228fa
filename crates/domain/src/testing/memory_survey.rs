//! Counting what is in the store in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::memory::{InMemoryStore, Tables};
use crate::job::JobState;
use crate::language::Language;
use crate::message::Source;
use crate::outbound::SendState;
use crate::ports::{ConversationTally, JobTally, StoreError, Survey, Surveyor, Tally};
use crate::timestamp::Timestamp;

#[async_trait]
impl Surveyor for InMemoryStore {
    async fn survey(&self) -> Result<Survey, StoreError> {
        let tables = self.tables();
        let parked = tables.events.values().filter(|event| event.message.is_none());
        Ok(Survey {
            jobs: jobs(&tables),
            ambiguous: tally(ambiguous(&tables)),
            parked_events: tally(parked.map(|event| event.created_at)),
        })
    }

    async fn census(&self) -> Result<Vec<ConversationTally>, StoreError> {
        let mut counts = BTreeMap::<(bool, &'static str), u64>::new();
        for conversation in self.tables().conversations.values() {
            let language = conversation.language.language.as_str();
            *counts.entry((conversation.tenant_id.is_some(), language)).or_default() += 1;
        }
        let tally = |((has_tenant, language), count): ((bool, &str), u64)| {
            let language = Language::from_word(language).unwrap_or(Language::Unknown);
            ConversationTally { has_tenant, language, count }
        };
        Ok(counts.into_iter().map(tally).collect())
    }
}

fn tally(since: impl Iterator<Item = Timestamp>) -> Tally {
    since.fold(Tally::default(), |tally, since| Tally {
        count: tally.count + 1,
        oldest: Some(tally.oldest.map_or(since, |oldest| oldest.min(since))),
    })
}

fn jobs(tables: &Tables) -> Vec<JobTally> {
    let mut since = BTreeMap::<(String, &'static str), Vec<Timestamp>>::new();
    for row in tables.jobs.values() {
        let Some(state) = JobState::from_word(&row.record.state) else { continue };
        let at = if state == JobState::Queued { row.record.run_at } else { row.updated_at };
        if state != JobState::Done {
            since.entry((row.record.kind.clone(), state.as_str())).or_default().push(at);
        }
    }
    let tallied = |((kind, state), since): ((String, &str), Vec<Timestamp>)| {
        let state = JobState::from_word(state)?;
        Some(JobTally { kind, state, tally: tally(since.into_iter()) })
    };
    since.into_iter().filter_map(tallied).collect()
}

/// Those that another program has stored are not searched for, so that nothing ends them: they are
/// history, and wait for nobody.
fn ambiguous(tables: &Tables) -> impl Iterator<Item = Timestamp> {
    let messages = tables.messages.values().map(|(message, _)| message);
    let messages = messages.filter(|message| message.source != Source::Database);
    messages.filter_map(|message| {
        let sending = message.sending.as_ref()?;
        (sending.state == SendState::Ambiguous).then_some(message.updated_at)
    })
}
