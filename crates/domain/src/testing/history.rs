//! Random histories: every store that lives through the same one must end in the same state.

use futures_util::future::join_all;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;

use super::event_contract::event_promises;
use super::fixture::{at, detection, inbound, message, outbound, sid, status};
use super::inspect::Inspect;
use super::memory::InMemoryStore;
use crate::conversation::ConversationId;
use crate::delivery::DeliveryStatus;
use crate::language::Language;
use crate::ports::{MessageStore, NewInbound, NewStatusEvent, Recorded};
use crate::tenant::TenantId;

/// Something that happens to a store.
#[derive(Debug, Clone)]
pub enum Step {
    /// A message to us; few senders and SIDs, so that many repeat.
    Inbound(Box<NewInbound>),
    /// A report about one of few SIDs.
    Status(Box<NewStatusEvent>),
    /// A message from us in the conversation with that place in the order of ids.
    Outbound(u32, usize),
    /// The tenant of such a conversation becomes known.
    Tenant(usize),
    /// The worker has done everything.
    JobsDone,
}

/// Histories of up to `length` steps.
pub fn histories(length: usize) -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..=length).prop_map(|steps| (1..).zip(steps).map(numbered).collect())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => inbounds().prop_map(|inbound| Step::Inbound(Box::new(inbound))),
        5 => statuses().prop_map(|event| Step::Status(Box::new(event))),
        2 => (0..12_u32, any::<usize>()).prop_map(|(sid, place)| Step::Outbound(sid, place)),
        1 => any::<usize>().prop_map(Step::Tenant),
        1 => Just(Step::JobsDone),
    ]
}

fn inbounds() -> impl Strategy<Value = NewInbound> {
    let senders =
        select(vec!["+18605550101", "+18605550102", "whatsapp:+18605550101", "12345", ""]);
    let languages =
        select(vec![Language::English, Language::Spanish, Language::Portuguese, Language::Unknown]);
    let statuses = select(vec![DeliveryStatus::Received, DeliveryStatus::Receiving]);
    let parts = (0..12_u32, senders, any::<String>(), languages, 0..=1000_u16, statuses, 0..60_u32);
    parts.prop_map(|(of, sender, text, language, confidence, status, second)| {
        let mut new = inbound(0, sender);
        new.message = message(sid(of), sender, &text);
        new.message.status = status;
        new.detection = detection(language, confidence);
        new.received_at = at(second);
        new
    })
}

fn statuses() -> impl Strategy<Value = NewStatusEvent> {
    let words = select(vec![
        "queued",
        "accepted",
        "sending",
        "sent",
        "delivered",
        "read",
        "undelivered",
        "failed",
        "canceled",
        "receiving",
        "received",
        "brand_new",
        "",
    ]);
    let errors = option::of(select(vec!["30003", "30008", "0"]));
    let parts = (0..12_u32, words, errors, 0..60_u32);
    parts.prop_map(|(of, word, error, second)| {
        let mut event = status(0, of, word, error);
        event.received_at = at(second);
        event
    })
}

/// Gives each step ids of its own.
fn numbered((number, step): (u32, Step)) -> Step {
    match step {
        Step::Inbound(new) => {
            let ids = inbound(number, "");
            let (id, conversation) = (ids.id, ids.conversation);
            let (lookup_job, language_job) = (ids.lookup_job, ids.language_job);
            let ids = NewInbound { id, conversation, lookup_job, language_job, ..*new };
            Step::Inbound(Box::new(ids))
        }
        Step::Status(event) => {
            let id = status(number, 0, "", None).id;
            Step::Status(Box::new(NewStatusEvent { id, ..*event }))
        }
        other => other,
    }
}

/// Lives through `history` with `store` and with a store in memory, which must answer the same
/// and end in the same state.
///
/// # Panics
/// Where they differ.
pub async fn agrees_with_memory(store: &impl Inspect, history: &[Step]) {
    let memory = InMemoryStore::default();
    for (nth, step) in history.iter().enumerate() {
        take(store, &memory, nth, step).await;
    }
    assert_eq!(store.everything().await, memory.everything().await);
}

/// One step of both.
#[expect(clippy::unwrap_used, reason = "this is the body of a test: to panic is to fail")]
async fn take(store: &impl Inspect, memory: &InMemoryStore, nth: usize, step: &Step) {
    match step {
        Step::Inbound(new) => {
            let (ours, theirs) =
                (store.record_inbound(new).await, memory.record_inbound(new).await);
            let (ours, theirs): (Recorded, Recorded) = (ours.unwrap(), theirs.unwrap());
            assert_eq!(ours, theirs, "step {nth}");
        }
        Step::Status(event) => {
            let (ours, theirs) =
                (store.record_status(event).await, memory.record_status(event).await);
            assert_eq!(ours.unwrap(), theirs.unwrap(), "step {nth}");
        }
        Step::Outbound(of, place) => plant_outbound(store, memory, *of, *place).await,
        Step::Tenant(place) => {
            let Some(conversation) = pick(memory, *place).await else {
                return;
            };
            let Ok(tenant) = TenantId::parse("T_12") else {
                return;
            };
            store.plant_tenant(conversation, &tenant).await;
            memory.plant_tenant(conversation, &tenant).await;
        }
        Step::JobsDone => {
            store.finish_jobs().await;
            memory.finish_jobs().await;
        }
    }
}

/// The same where calls come at once: of every `width` steps first all messages, then all reports,
/// each kind together. The store MUST take calls that it is handed in order in that order.
///
/// # Panics
/// Where they differ.
#[expect(clippy::unwrap_used, reason = "this is the body of a test: to panic is to fail")]
pub async fn agrees_with_memory_at_once(store: &impl Inspect, history: &[Step], width: usize) {
    let memory = InMemoryStore::default();
    for steps in history.chunks(width) {
        let (mut messages, mut reports, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Inbound(new) => messages.push(new),
                Step::Status(event) => reports.push(event),
                other => others.push(other.clone()),
            }
        }
        let ours = join_all(messages.iter().map(|new| store.record_inbound(new))).await;
        for (ours, new) in ours.into_iter().zip(messages) {
            assert_eq!(ours.unwrap(), memory.record_inbound(new).await.unwrap());
        }
        let ours = join_all(reports.iter().map(|event| store.record_status(event))).await;
        for (ours, event) in ours.into_iter().zip(reports) {
            assert_eq!(ours.unwrap(), memory.record_status(event).await.unwrap());
        }
        for (nth, other) in others.iter().enumerate() {
            take(store, &memory, nth, other).await;
        }
    }
    assert_eq!(store.everything().await, memory.everything().await);
    event_promises::the_same_was_told_at_once(store, &memory).await;
}

async fn plant_outbound(store: &impl Inspect, memory: &InMemoryStore, of: u32, place: usize) {
    let Some(conversation) = pick(memory, place).await else {
        return;
    };
    let sent = outbound(of, conversation);
    let known = memory.everything().await;
    let taken = |sid| known.messages.iter().any(|kept| kept.message.twilio_sid == sid);
    let parked =
        known.parked_events.iter().any(|event| Some(&event.twilio_sid) == sent.twilio_sid.as_ref());
    // What a store does with events that wait for a message from us is not promised yet.
    if !taken(sent.twilio_sid.clone()) && !parked {
        store.plant_message(&sent).await;
        memory.plant_message(&sent).await;
    }
}

async fn pick(memory: &InMemoryStore, place: usize) -> Option<ConversationId> {
    let conversations = memory.everything().await.conversations;
    let place = place.checked_rem(conversations.len())?;
    conversations.get(place).map(|conversation| conversation.id)
}
