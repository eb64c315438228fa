//! What a group of messages leads to: the rules of the domain, applied to each as it came.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use diesel::result::{Error as QueryError, QueryResult};
use domain::conversation::{Conversation, ConversationId};
use domain::event::NewEvent;
use domain::job::NewJob;
use domain::message::{Message, MessageId, RawPayload, TwilioSid};
use domain::ports::{Completion, NewInbound, Recorded};

/// All that is to be written, and what each message is answered.
pub(super) struct Ledger<'a> {
    /// Messages to be written, with what came with them.
    pub(super) messages: Vec<(Message, Cow<'a, RawPayload>)>,
    /// Messages that are there and whose repeat brought something new.
    pub(super) advanced: Vec<Message>,
    /// Those of them that were found in Twilio's list, with what is kept now that their webhook came.
    pub(super) completed: Vec<(MessageId, Completion)>,
    /// Messages to be written that reports wait for.
    pub(super) awaited: Vec<(MessageId, TwilioSid)>,
    /// Conversations that have changed.
    pub(super) conversations: Vec<Conversation>,
    /// Jobs to be written.
    pub(super) jobs: Vec<NewJob>,
    /// What happened.
    pub(super) events: Vec<NewEvent>,
    /// In the order of the messages.
    pub(super) answers: Vec<Recorded>,
}

/// What a group finds, under its locks.
pub(super) struct Found {
    /// The messages that have one of the group's SIDs already, with what came with them.
    pub(super) messages: Vec<(Message, RawPayload)>,
    /// The SIDs that reports wait for.
    pub(super) parked: HashSet<TwilioSid>,
    /// The conversations of the group's addresses.
    pub(super) conversations: Vec<Conversation>,
}

impl<'a> Ledger<'a> {
    /// Takes in one message after the other. An error where a conversation was not found.
    pub(super) fn of(inbound: &'a [NewInbound], found: Found) -> QueryResult<Self> {
        let mut draft = Draft::of(found);
        let answers = inbound.iter().map(|new| draft.take_in(new)).collect::<QueryResult<_>>()?;
        Ok(draft.finished(answers))
    }
}

impl Ledger<'_> {
    /// Whether there are new messages, what they make of their conversations, and nothing else.
    pub(super) fn is_plain(&self) -> bool {
        self.advanced.is_empty()
            && self.completed.is_empty()
            && self.awaited.is_empty()
            && self.jobs.is_empty()
    }
}

struct Draft<'a> {
    messages: Vec<Entry<'a>>,
    by_sid: HashMap<TwilioSid, usize>,
    parked: HashSet<TwilioSid>,
    conversations: HashMap<String, (Conversation, bool)>,
    jobs: Vec<(ConversationId, NewJob)>,
    events: Vec<NewEvent>,
}

/// A message as it is to be.
struct Entry<'a> {
    message: Message,
    raw: Cow<'a, RawPayload>,
    is_new: bool,
    has_changed: bool,
    is_completed: bool,
}

impl<'a> Draft<'a> {
    fn of(found: Found) -> Self {
        let conversations = found
            .conversations
            .into_iter()
            .map(|known| (known.phone_number_canonical.as_str().to_owned(), (known, false)));
        let mut draft = Self {
            messages: Vec::new(),
            by_sid: HashMap::new(),
            parked: found.parked,
            conversations: conversations.collect(),
            jobs: Vec::new(),
            events: Vec::new(),
        };
        for (message, raw) in found.messages {
            draft.enter(Entry::of(message, Cow::Owned(raw), false));
        }
        draft
    }

    fn enter(&mut self, entry: Entry<'a>) {
        if let Some(sid) = &entry.message.twilio_sid {
            self.by_sid.insert(sid.clone(), self.messages.len());
        }
        self.messages.push(entry);
    }

    fn take_in(&mut self, new: &'a NewInbound) -> QueryResult<Recorded> {
        let known = self.by_sid.get(&new.message.twilio_sid);
        match known.and_then(|nth| self.messages.get_mut(*nth)) {
            Some(entry) => {
                let before = entry.message.clone();
                let answer = entry.repeat(new);
                let happened = NewEvent::of_change(&before, &entry.message, false, new.received_at);
                self.events.extend(happened);
                Ok(answer)
            }
            None => self.add(new),
        }
    }

    fn add(&mut self, new: &'a NewInbound) -> QueryResult<Recorded> {
        let key = new.message.from.canonical();
        let (conversation, has_changed) =
            self.conversations.get_mut(&key).ok_or(QueryError::NotFound)?;
        let was = conversation.clone();
        let before = was.language;
        *conversation = conversation.with(new);
        *has_changed = true;
        self.events.extend(NewEvent::of_inbound(new, &was, conversation));
        let (id, after) = (conversation.id, conversation.language);
        let follow_ups = conversation.follow_ups(&new.follow_ups());
        let has_jobs = !follow_ups.is_empty();
        self.jobs.extend(follow_ups.into_iter().map(|job| (id, job)));
        let message = new.stored_in(id);
        self.enter(Entry::of(message, Cow::Borrowed(&new.message.raw), true));
        Ok(Recorded::New { message: new.id, conversation: id, before, after, has_jobs })
    }

    fn finished(mut self, answers: Vec<Recorded>) -> Ledger<'a> {
        // Whoever writes jobs of several conversations does it in this order; those of one stay in
        // the order in which they came.
        self.jobs.sort_by_key(|(conversation, _)| *conversation);
        let changed = self.conversations.into_values().filter(|(_, has_changed)| *has_changed);
        let mut ledger = Ledger {
            messages: Vec::new(),
            advanced: Vec::new(),
            completed: Vec::new(),
            awaited: Vec::new(),
            conversations: changed.map(|(conversation, _)| conversation).collect(),
            jobs: self.jobs.into_iter().map(|(_, job)| job).collect(),
            events: self.events,
            answers,
        };
        for Entry { message, raw, is_new, has_changed, is_completed } in self.messages {
            if !is_new {
                if is_completed {
                    let (raw, media) = (raw.into_owned(), message.media.clone());
                    ledger.completed.push((message.id, Completion { raw, media }));
                }
                ledger.advanced.extend(has_changed.then_some(message));
                continue;
            }
            let awaited = message.twilio_sid.as_ref().filter(|sid| self.parked.contains(*sid));
            ledger.awaited.extend(awaited.map(|sid| (message.id, sid.clone())));
            ledger.messages.push((message, raw));
        }
        ledger
    }
}

impl<'a> Entry<'a> {
    fn of(message: Message, raw: Cow<'a, RawPayload>, is_new: bool) -> Self {
        Self { message, raw, is_new, has_changed: false, is_completed: false }
    }

    /// The same message came again: a status further on is taken over, and what a webhook adds to
    /// a message that was found in Twilio's list.
    fn repeat(&mut self, new: &NewInbound) -> Recorded {
        let further = self.message.delivery.advance_inbound(new.message.status);
        let completion = new.completes(&self.message, &self.raw);
        let message = &mut self.message;
        if further != message.delivery || completion.is_some() {
            message.delivery = further;
            message.updated_at = message.updated_at.max(new.received_at);
            self.has_changed = true;
        }
        if let Some(Completion { raw, media }) = completion {
            message.media = media;
            self.raw = Cow::Owned(raw);
            self.is_completed = true;
        }
        Recorded::Duplicate { message: message.id }
    }
}
