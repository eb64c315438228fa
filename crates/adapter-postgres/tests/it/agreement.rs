//! The promises, and the store in memory as the measure of everything else.

use adapter_postgres::PgStore;
use domain::testing::{history, sending_history};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestRunner};

use crate::database::fresh_store;

domain::message_store_contract!(fresh_store, crate::wait);
domain::outbound_store_contract!(fresh_store, crate::wait);
domain::conversation_store_contract!(fresh_store, crate::wait);
domain::backfill_store_contract!(fresh_store, crate::wait);
domain::event_store_contract!(fresh_store, crate::wait);

/// Forgets everything.
pub(crate) const EMPTY: &str =
    "truncate sms_conversations, sms_messages, sms_message_status_events, sms_send_attempts,
    idempotency_keys, jobs, sms_events, sms_subscriptions, sms_event_deliveries, backfill_lists,
    imported_conversations";

#[test]
fn every_history_ends_as_it_does_in_memory() {
    agree(&history::histories(40), &async |store, history| {
        history::agrees_with_memory(store, &history).await;
    });
}

#[test]
fn every_history_of_sending_and_of_tenants_ends_as_it_does_in_memory() {
    agree(&sending_history::histories(100), &async |store, history| {
        sending_history::agrees_with_memory(store, &history).await;
    });
}

/// Lives through random histories, each with an empty store.
fn agree<H: Strategy>(histories: &H, live: &impl AsyncFn(&PgStore, H::Value)) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (store, schema) = runtime.block_on(fresh_store());
    let outsider = runtime.block_on(schema.outsider());
    live_through(histories, |history| {
        runtime.block_on(async {
            outsider.batch_execute(EMPTY).await.unwrap();
            live(&store, history).await;
        });
    });
}

/// Does that with some random histories.
pub(crate) fn live_through<H: Strategy>(histories: &H, live: impl Fn(H::Value)) {
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(histories, |history| {
            live(history);
            Ok(())
        })
        .unwrap();
}
