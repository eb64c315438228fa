//! Conversations of another program, found by the ids that they had there.

use std::sync::Arc;

use domain::conversation::ConversationId;
use domain::error::Error;
use domain::history::HistoricConversation;
use domain::language::LanguagePreference;
use domain::phone::{Address, Region};
use domain::ports::{Annotated, HistoryStore, MessageStore, Order, Start, ThreadQuery};
use domain::testing::fixture::{at, inbound, uuid};
use domain::testing::{InMemoryStore, SteppingClock};
use domain::text::Text;
use domain::threads::Threads;

const PAGE: ThreadQuery =
    ThreadQuery { order: Order::NewestFirst, start: Start::Offset(0), limit: 20 };

async fn with_old(old_id: i64, number: &str) -> (Arc<InMemoryStore>, Threads, ConversationId) {
    let store = Arc::new(InMemoryStore::default());
    let original = Text::new(number);
    let old = HistoricConversation {
        id: ConversationId(uuid(1)),
        old_id,
        address: Address::read(&original, Region::default()),
        original,
        tenant: None,
        language: LanguagePreference::UNKNOWN,
        last_message_at: None,
        created_at: at(0),
        updated_at: at(0),
    };
    store.import_conversation(&old).await.unwrap();
    let threads = Threads::new(&store, Arc::new(SteppingClock::default()), Region::default());
    (store, threads, old.id)
}

#[futures_test::test]
async fn an_old_id_keeps_leading_to_its_conversation() {
    let (_, threads, id) = with_old(4711, "+18605550199").await;
    let (found, _) = threads.conversation("4711", &PAGE).await.unwrap();
    assert_eq!(found.id, id);
    assert_eq!(threads.imported_conversation("4711").await.unwrap(), Some(id));
    let changed = threads.annotate("4711", Some(Some("rent".into())), None, None).await.unwrap();
    let Annotated::Done(changed) = changed else { panic!("{changed:?}") };
    assert_eq!((changed.id, changed.workflow_type.as_deref()), (id, Some("rent")));
    for unknown in ["4712", "47110", "x4711"] {
        let found = threads.conversation(unknown, &PAGE).await;
        assert!(matches!(found, Err(Error::NotFound(_))), "{unknown}");
    }
}

#[futures_test::test]
async fn an_address_comes_before_an_old_id_that_is_spelled_alike() {
    let (store, threads, id) = with_old(47_110, "+18605550199").await;
    assert_eq!(threads.conversation("47110", &PAGE).await.unwrap().0.id, id);
    let short_code = inbound(1, "47110");
    store.record_inbound(&short_code).await.unwrap();
    let found = threads.conversation("47110", &PAGE).await.unwrap().0;
    assert_eq!(found.id, short_code.conversation);
    // What names no address, such as `conversation_id` of a request, is the old id.
    assert_eq!(threads.imported_conversation("47110").await.unwrap(), Some(id));
}
