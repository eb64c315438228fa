//! Cleaning up, on the store in memory.

use std::sync::Arc;
use std::time::Duration;

use domain::backlog::{Backlog, Keep};
use domain::ports::MessageStore;
use domain::testing::fixture::{at, inbound, status};
use domain::testing::{InMemoryStore, Inspect, SteppingClock};

#[futures_test::test]
async fn everything_old_is_swept_however_much_it_is() {
    let store = Arc::new(InMemoryStore::default());
    for number in 0..2500 {
        store.record_status(&status(number, 10_000 + number, "sent", None)).await.unwrap();
    }
    store.record_inbound(&inbound(1, "+18605550199")).await.unwrap();
    let hour = Duration::from_hours(1);
    let keep = Keep {
        done_jobs: hour,
        parked_jobs: hour,
        idempotency_keys: hour,
        parked_events: hour,
        raw_payloads: None,
        send_expiry: hour,
    };
    let clock = Arc::new(SteppingClock::standing(at(2500)));
    let backlog = Backlog::new(store.clone(), clock.clone(), keep);
    assert_eq!(backlog.sweep().await.unwrap().parked_events, 0, "nothing is that old");
    clock.advance(hour);
    let swept = backlog.sweep().await.unwrap();
    assert_eq!((swept.parked_events, swept.jobs), (2500, 0));
    let kept = store.everything().await;
    assert_eq!((kept.parked_events.len(), kept.jobs.len(), kept.messages.len()), (0, 1, 1));
}
