//! Use case: reading what was said.

use std::sync::Arc;

use crate::conversation::{Conversation, ConversationId};
use crate::delivery::DeliveryStatus;
use crate::error::{Error, Invalid, Thing};
use crate::message::{MessageDetail, MessageId, TwilioSid};
use crate::phone::{Address, Region};
use crate::ports::{
    Annotated, Annotation, Clock, ConversationKey, ConversationPage, ConversationQuery,
    ConversationStore, MessageKey, MessagePage, MessageQuery, MessageStore, OutboundStore,
    ThreadPage, ThreadQuery,
};
use crate::text::Text;
use crate::workflow;

/// Reads conversations and messages.
#[derive(Clone)]
pub struct Threads {
    store: Arc<dyn MessageStore>,
    outbound: Arc<dyn OutboundStore>,
    conversations: Arc<dyn ConversationStore>,
    clock: Arc<dyn Clock>,
    region: Region,
}

impl Threads {
    /// Threads of this store; numbers without `+` are in the national form of `region`.
    #[must_use]
    pub fn new<S>(store: &Arc<S>, clock: Arc<dyn Clock>, region: Region) -> Self
    where
        S: MessageStore + OutboundStore + ConversationStore + 'static,
    {
        Self::on(store.clone(), store.clone(), store.clone(), clock, region)
    }

    /// The same, where the ports are known by themselves.
    #[must_use]
    pub fn on(
        store: Arc<dyn MessageStore>,
        outbound: Arc<dyn OutboundStore>,
        conversations: Arc<dyn ConversationStore>,
        clock: Arc<dyn Clock>,
        region: Region,
    ) -> Self {
        Self { store, outbound, conversations, clock, region }
    }

    /// A page of conversations, the one with the latest activity first.
    ///
    /// # Errors
    /// [`Error::External`] where the store does not answer.
    pub async fn list(&self, query: &ConversationQuery) -> Result<ConversationPage, Error> {
        Ok(self.conversations.list_conversations(query).await?)
    }

    /// A page of all messages, the latest first.
    ///
    /// # Errors
    /// [`Error::External`] where the store does not answer.
    pub async fn messages(&self, query: &MessageQuery) -> Result<MessagePage, Error> {
        // Nothing goes both ways: the store would read everything to find that out.
        let ways = query.direction.zip(query.status.and_then(DeliveryStatus::direction));
        if ways.is_some_and(|(asked, only)| asked != only) {
            return Ok(MessagePage { messages: Vec::new(), next: None });
        }
        Ok(self.outbound.list_messages(query).await?)
    }

    /// Changes what the callers run in a conversation; `key` as for
    /// [`conversation`](Self::conversation). An outer `None` leaves a field as it is, an inner one
    /// empties it; `if_versions`: only if [`Conversation::workflow_version`] is one of these.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Validation`] where a text is too long, and
    /// [`Error::External`] where the store does not answer.
    pub async fn annotate(
        &self,
        key: &str,
        workflow_type: Option<Option<String>>,
        workflow_id: Option<Option<String>>,
        if_versions: Option<Vec<u32>>,
    ) -> Result<Annotated, Error> {
        let change = Annotation {
            key: self.resolved(key).await?,
            workflow_type: changed("workflow_type", workflow_type)?,
            workflow_id: changed("workflow_id", workflow_id)?,
            if_versions,
            at: self.clock.now(),
        };
        match self.conversations.annotate_conversation(&change).await? {
            Annotated::NotFound => Err(Error::NotFound(Thing::Conversation)),
            annotated => Ok(annotated),
        }
    }

    /// The one spelling of an address, however it is written.
    #[must_use]
    pub fn canonical(&self, address: &str) -> Text {
        Text::new(self.address(address).canonical())
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
        let conversation = self.find(key).await?;
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

    /// The id that a conversation has now which had that id in the program that it was imported
    /// from; `None` where the text is no such id.
    ///
    /// # Errors
    /// [`Error::External`] where the store does not answer.
    pub async fn imported_conversation(&self, text: &str) -> Result<Option<ConversationId>, Error> {
        match old_id(text) {
            Some(old_id) => Ok(self.conversations.imported_conversation(old_id).await?),
            None => Ok(None),
        }
    }

    /// A number, a short code and an old id can be spelled alike: the address comes first, because
    /// that is what the path names, and the old id where nobody has written from there.
    async fn find(&self, text: &str) -> Result<Option<Conversation>, Error> {
        let found = self.store.find_conversation(&self.conversation_key(text)).await?;
        if found.is_some() {
            return Ok(found);
        }
        match self.imported_conversation(text).await? {
            Some(id) => Ok(self.store.find_conversation(&ConversationKey::Id(id)).await?),
            None => Ok(None),
        }
    }

    /// The key of what [`find`](Self::find) finds. Only what may be an old id is looked for.
    async fn resolved(&self, text: &str) -> Result<ConversationKey, Error> {
        let key = self.conversation_key(text);
        if old_id(text).is_none() {
            return Ok(key);
        }
        Ok(self.find(text).await?.map_or(key, |found| ConversationKey::Id(found.id)))
    }

    fn conversation_key(&self, text: &str) -> ConversationKey {
        if let Some(id) = ConversationId::parse(text) {
            return ConversationKey::Id(id);
        }
        ConversationKey::Address(self.address(text))
    }

    fn address(&self, text: &str) -> Address {
        let lost_plus =
            text.strip_prefix(' ').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let text = match lost_plus {
            Some(rest) => Text::new(format!("+{rest}")),
            None => Text::new(text),
        };
        Address::read(&text, self.region)
    }
}

/// An id as databases number their rows: digits only.
fn old_id(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[expect(clippy::option_option, reason = "to leave a field is not to empty it")]
fn changed(
    field: &'static str,
    text: Option<Option<String>>,
) -> Result<Option<Option<String>>, Invalid> {
    let name = |text: Option<String>| text.map_or(Ok(None), |text| workflow::name(field, &text));
    text.map(name).transpose()
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
    use crate::testing::{InMemoryStore, SteppingClock};

    fn threads() -> Threads {
        let clock = Arc::new(SteppingClock::default());
        Threads::new(&Arc::new(InMemoryStore::default()), clock, Region::default())
    }

    #[test]
    fn every_spelling_of_a_number_asks_for_the_same_conversation() {
        let threads = threads();
        let expected = threads.conversation_key("+18605550100");
        for text in ["(860) 555-0100", " 18605550100", "18605550100", " +18605550100"] {
            assert_eq!(threads.conversation_key(text), expected, "{text}");
        }
    }

    #[test]
    fn an_old_id_is_digits_only() {
        for (text, id) in [("17", Some(17)), ("012", Some(12)), ("", None), ("+17", None)] {
            assert_eq!(old_id(text), id, "{text}");
        }
        for text in ["99999999999999999999", "1 7", "-1", "\u{661}"] {
            assert_eq!(old_id(text), None, "{text}");
        }
    }

    #[test]
    fn a_conversation_is_found_by_its_id() {
        let threads = threads();
        let id = "0195f2a0-7c1e-7000-8000-000000000001";
        let expected = ConversationKey::Id(ConversationId::parse(id).unwrap());
        assert_eq!(threads.conversation_key(id), expected);
    }
}
