//! Use case: reading what was said.

use std::sync::Arc;

use crate::conversation::{Conversation, ConversationId};
use crate::error::{Error, Invalid, Thing};
use crate::message::{MessageDetail, MessageId, TwilioSid};
use crate::phone::{Address, Region};
use crate::ports::{ConversationKey, MessageKey, MessageStore, ThreadPage, ThreadQuery};
use crate::text::Text;

/// Reads conversations and messages.
#[derive(Clone)]
pub struct Threads {
    store: Arc<dyn MessageStore>,
    region: Region,
}

impl Threads {
    /// Threads of this store; numbers without `+` are in the national form of `region`.
    #[must_use]
    pub fn new(store: Arc<dyn MessageStore>, region: Region) -> Self {
        Self { store, region }
    }

    /// A conversation and a page of its messages. `key` is an id, or an address however it is
    /// written: `+18605550100`, `(860) 555-0100`, ` 18605550100` (a `+` that became a blank).
    ///
    /// # Errors
    /// [`Error::NotFound`], and [`Error::External`] where the store does not answer.
    pub async fn conversation(
        &self,
        key: &str,
        query: &ThreadQuery,
    ) -> Result<(Conversation, ThreadPage), Error> {
        let key = self.conversation_key(key);
        let conversation = self.store.find_conversation(&key).await?;
        let conversation = conversation.ok_or(Error::NotFound(Thing::Conversation))?;
        let page = self.store.read_thread(conversation.id, query).await?;
        Ok((conversation, page))
    }

    /// A message by our id or Twilio's, with all that is known about it.
    ///
    /// # Errors
    /// [`Error::Validation`] where `key` is neither, [`Error::NotFound`], and
    /// [`Error::External`] where the store does not answer.
    pub async fn message(&self, key: &str) -> Result<MessageDetail, Error> {
        let key = message_key(key)?;
        let found = self.store.find_message(&key).await?;
        found.ok_or(Error::NotFound(Thing::Message))
    }

    fn conversation_key(&self, text: &str) -> ConversationKey {
        if let Some(id) = ConversationId::parse(text) {
            return ConversationKey::Id(id);
        }
        let lost_plus =
            text.strip_prefix(' ').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let text = match lost_plus {
            Some(rest) => Text::new(format!("+{rest}")),
            None => Text::new(text),
        };
        ConversationKey::Address(Address::read(&text, self.region))
    }
}

fn message_key(text: &str) -> Result<MessageKey, Invalid> {
    if let Some(id) = MessageId::parse(text) {
        return Ok(MessageKey::Id(id));
    }
    let invalid = |_| Invalid { field: "id", reason: "must be a message id (UUID) or SID".into() };
    TwilioSid::parse(text).map(MessageKey::Sid).map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::MockMessageStore;

    #[test]
    fn every_spelling_of_a_number_asks_for_the_same_conversation() {
        let threads = Threads::new(Arc::new(MockMessageStore::new()), Region::default());
        let expected = threads.conversation_key("+18605550100");
        for text in ["(860) 555-0100", " 18605550100", "18605550100", " +18605550100"] {
            assert_eq!(threads.conversation_key(text), expected, "{text}");
        }
    }

    #[test]
    fn a_conversation_is_found_by_its_id() {
        let threads = Threads::new(Arc::new(MockMessageStore::new()), Region::default());
        let id = "0195f2a0-7c1e-7000-8000-000000000001";
        let expected = ConversationKey::Id(ConversationId::parse(id).unwrap());
        assert_eq!(threads.conversation_key(id), expected);
    }
}
