//! What subscribers are to be told, where there is much of it or something went wrong with it.

use std::time::Duration;

use adapter_postgres::PgStore;
use domain::hook::ClaimedHook;
use domain::ports::{EventStore, Hands, HookClaim, MessageStore, Recorded};
use domain::subscription::Subscription;
use domain::testing::event_promises::subscription;
use domain::testing::fixture::{at, inbound};
use tokio_postgres::Client;

use crate::database::fresh_store;

const TENANT: &str = "+18605550199";

async fn count(outsider: &Client, of: &str) -> i64 {
    outsider.query_one(&format!("select count(*) from {of}"), &[]).await.unwrap().get(0)
}

async fn claim(store: &PgStore, of: &Subscription, second: u32) -> Vec<ClaimedHook> {
    let hands = Hands { subscription: of.id, free: 100, lease_until: at(second + 60) };
    store.claim_hooks(&HookClaim { hands: vec![hands], at: at(second) }).await.unwrap()
}

#[tokio::test]
async fn a_subscription_is_forgotten_in_steps_and_no_text_waits_for_it() {
    let (store, schema) = fresh_store().await;
    let (outsider, mut slow) = (schema.outsider().await, schema.outsider().await);
    let subscriber = subscription(1);
    store.create_subscription(&subscriber).await.unwrap();
    let fill = "insert into sms_event_deliveries
            (subscription_id, transaction, place, conversation_id, state, since, run_at)
        select (select id from sms_subscriptions), n, n, gen_random_uuid(), 'parked', 'epoch', 'epoch'
        from generate_series(1, 3500) n";
    outsider.batch_execute(fill).await.unwrap();
    // Somebody holds one of them.
    let held = slow.transaction().await.unwrap();
    held.execute("select from sms_event_deliveries where place = 7 for update", &[]).await.unwrap();
    let forget = store.delete_subscription(subscriber.id);
    let meanwhile = async {
        while count(&outsider, "sms_event_deliveries").await > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The step that is left waits.
        let recorded = store.record_inbound(&inbound(1, TENANT)).await.unwrap();
        assert!(matches!(recorded, Recorded::New { .. }), "{recorded:?}");
        held.commit().await.unwrap();
    };
    let (forgotten, ()) = tokio::join!(forget, meanwhile);
    assert!(forgotten.unwrap());
    assert_eq!(count(&outsider, "sms_event_deliveries").await, 0);
    assert!(!store.delete_subscription(subscriber.id).await.unwrap(), "it is gone");
}

#[tokio::test]
async fn a_delivery_without_its_event_holds_nothing_up() {
    let (store, schema) = fresh_store().await;
    let subscriber = subscription(1);
    store.create_subscription(&subscriber).await.unwrap();
    for number in [1, 2] {
        store.record_inbound(&inbound(number, TENANT)).await.unwrap();
    }
    let lose = "delete from sms_events where place = (select min(place) from sms_events)";
    let outsider = schema.outsider().await;
    outsider.batch_execute(lose).await.unwrap();
    assert_eq!(claim(&store, &subscriber, 1000).await, [], "the first has no event");
    let claimed = claim(&store, &subscriber, 1000).await;
    assert_eq!(claimed.len(), 1);
    let left = count(&outsider, "sms_event_deliveries where state = 'running'").await;
    assert_eq!(left, 1);
}
