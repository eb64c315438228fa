//! Several processes, several runtimes, one database.

use std::sync::Arc;

use adapter_postgres::PgStore;
use domain::message::MessageId;
use domain::ports::{MessageKey, MessageStore, Recorded};
use domain::testing::Inspect;
use domain::testing::fixture::{inbound, sid, status, uuid};
use futures_util::future::join_all;
use tokio::runtime::Handle;

use crate::database::{fresh_store, until_sessions};

const TENANT: &str = "+18605550199";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_that_get_the_same_messages_keep_each_once() {
    let (one, schema) = fresh_store().await;
    let other = PgStore::new(&schema.settings(), Handle::current()).unwrap();
    let of_one: Vec<_> = (1..=20).map(|number| inbound(number, TENANT)).collect();
    let of_other: Vec<_> = (1..=20)
        .map(|number| {
            let mut same = inbound(100 + number, TENANT);
            same.message.twilio_sid = sid(number);
            same
        })
        .collect();
    let (of_one, of_other) = tokio::join!(
        join_all(of_one.iter().map(|new| one.record_inbound(new))),
        join_all(of_other.iter().map(|new| other.record_inbound(new))),
    );
    for (mine, theirs) in of_one.into_iter().zip(of_other) {
        let (mine, theirs) = (mine.unwrap(), theirs.unwrap());
        let new = |recorded: &Recorded| matches!(recorded, Recorded::New { .. });
        assert!(new(&mine) ^ new(&theirs), "{mine:?} and {theirs:?}");
        assert_eq!(mine.message(), theirs.message());
    }
    let all = one.everything().await;
    assert_eq!((all.conversations.len(), all.messages.len(), all.jobs.len()), (1, 20, 1));
    assert_eq!(all, other.everything().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_report_stays_parked_beside_the_message_that_came_with_it() {
    let (store, _schema) = fresh_store().await;
    for number in 1..=60 {
        let (message, report) = (inbound(number, TENANT), status(number, number, "received", None));
        let (recorded, reported) =
            tokio::join!(store.record_inbound(&message), store.record_status(&report));
        recorded.unwrap();
        reported.unwrap();
    }
    assert_eq!(store.everything().await.parked_events, []);
}

#[test]
fn a_connection_outlives_the_worker_that_first_used_it() {
    let service =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (store, schema) = service.block_on(fresh_store());
    let outsider = service.block_on(schema.outsider());
    let store = Arc::new(store);
    for number in 1..=3 {
        let store = Arc::clone(&store);
        // As a web server's worker: a thread with a runtime of its own, which then ends.
        let worker = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let message = inbound(number, TENANT);
            runtime.block_on(store.record_inbound(&message)).unwrap();
        });
        worker.join().unwrap();
    }
    service.block_on(until_sessions(&outsider, &schema, "state = 'idle'", 1));
    let found = service.block_on(store.find_message(&MessageKey::Id(MessageId(uuid(10_000_003)))));
    assert!(found.unwrap().is_some());
}
