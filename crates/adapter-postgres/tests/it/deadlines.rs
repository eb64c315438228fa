//! Calls that take too long, and callers that do not wait.

use std::time::{Duration, Instant};

use adapter_postgres::{PgSettings, PgStore};
use domain::ports::{MessageStore, NewInbound, Recorded, StoreError};
use domain::testing::Inspect;
use domain::testing::fixture::inbound;
use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_postgres::Client;

use crate::database::{Schema, fresh_store, sessions, store, until_sessions};

const TENANT: &str = "+18605550199";
const WAITS_FOR_A_LOCK: &str = "wait_event_type = 'Lock'";
const IN_TRANSACTION: &str = "xact_start is not null";

/// A store with little time, in which the first message has opened the conversation.
async fn hurried_store(schema: &Schema) -> PgStore {
    let mut settings = schema.settings();
    settings.pool_size = 2;
    store(&settings).await.record_inbound(&inbound(1, TENANT)).await.unwrap();
    settings.deadline = Duration::from_millis(1500);
    PgStore::new(&settings, Handle::current()).unwrap()
}

/// Holds the conversation as a transaction that never ends would.
async fn hold_conversation(outsider: &Client) {
    let hold = "begin; select 1 from sms_conversations for update";
    outsider.batch_execute(hold).await.unwrap();
}

fn second() -> NewInbound {
    inbound(2, TENANT)
}

#[tokio::test]
async fn a_locked_conversation_makes_a_call_fail_in_time() {
    let schema = Schema::unused();
    let store = hurried_store(&schema).await;
    let outsider = schema.outsider().await;
    hold_conversation(&outsider).await;

    // More callers than connections: waiting for one is within the deadline too.
    let start = Instant::now();
    let texts: Vec<_> = (2..=7).map(|number| inbound(number, TENANT)).collect();
    for refused in join_all(texts.iter().map(|text| store.record_inbound(text))).await {
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());

    outsider.batch_execute("rollback").await.unwrap();
    let recorded = store.record_inbound(&second()).await.unwrap();
    assert!(matches!(recorded, Recorded::New { .. }));
    assert_eq!(store.everything().await.messages.len(), 2);
}

#[tokio::test]
async fn an_abandoned_call_leaves_no_transaction_open() {
    let schema = Schema::unused();
    let store = hurried_store(&schema).await;
    let outsider = schema.outsider().await;
    let observer = schema.outsider().await;
    hold_conversation(&outsider).await;

    let text = second();
    tokio::select! {
        recorded = store.record_inbound(&text) => panic!("{recorded:?} behind a lock"),
        () = until_sessions(&observer, &schema, WAITS_FOR_A_LOCK, 1) => {}
    }
    outsider.batch_execute("rollback").await.unwrap();
    until_sessions(&observer, &schema, IN_TRANSACTION, 0).await;

    assert_eq!(store.everything().await.messages.len(), 1);
    let recorded = store.record_inbound(&text).await.unwrap();
    assert!(matches!(recorded, Recorded::New { .. }));
    assert_eq!(sessions(&observer, &schema, IN_TRANSACTION).await, 0);
}

#[tokio::test]
async fn the_server_itself_ends_what_a_vanished_caller_left_behind_a_lock() {
    let schema = Schema::unused();
    let store = hurried_store(&schema).await;
    let (outsider, observer) = (schema.outsider().await, schema.outsider().await);
    hold_conversation(&outsider).await;

    let text = second();
    tokio::select! {
        recorded = store.record_inbound(&text) => panic!("{recorded:?} behind a lock"),
        () = until_sessions(&observer, &schema, WAITS_FOR_A_LOCK, 1) => {}
    }
    // The lock is still held, so only a limit on the server can end it.
    until_sessions(&observer, &schema, WAITS_FOR_A_LOCK, 0).await;
    until_sessions(&observer, &schema, IN_TRANSACTION, 0).await;
}

#[tokio::test]
async fn a_call_that_the_database_rejects_keeps_its_connection() {
    let schema = Schema::unused();
    let store = hurried_store(&schema).await;
    let outsider = schema.outsider().await;
    store.check().await.unwrap();
    let backends = "select string_agg(pid::text, ',' order by pid) from pg_stat_activity
                    where application_name = $1";
    let before: String = outsider.query_one(backends, &[&schema.name]).await.unwrap().get(0);

    let bar = "alter table sms_messages
               add constraint silence check (message_content is null) not valid";
    outsider.batch_execute(bar).await.unwrap();
    let rejected = store.record_inbound(&second()).await.unwrap_err();
    let StoreError::Rejected(cause) = &rejected else {
        panic!("{rejected:?}");
    };
    let shown = format!("{rejected:?} {cause} {cause:?}");
    for personal in ["8605550199", "sink"] {
        assert!(!shown.contains(personal), "{shown}");
    }

    store.check().await.unwrap();
    let after: String = outsider.query_one(backends, &[&schema.name]).await.unwrap().get(0);
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_server_that_is_gone_is_unavailable_at_once() {
    let store = nowhere("postgres://sms@127.0.0.1:1/sms");
    let start = Instant::now();
    for _ in 0..5 {
        let Err(StoreError::Unavailable(cause)) = store.check().await else {
            panic!("nobody listens there");
        };
        assert!(cause.to_string().contains("refused"), "{cause}");
    }
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_unavailable_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let store = nowhere(&format!("postgres://sms@127.0.0.1:{port}/sms"));
    let start = Instant::now();
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

fn nowhere(url: &str) -> PgStore {
    PgStore::new(&PgSettings::new(url), Handle::current()).unwrap()
}

#[tokio::test]
async fn a_database_without_our_tables_is_not_well() {
    let (store, schema) = fresh_store().await;
    let outsider = schema.outsider().await;
    store.check().await.unwrap();
    outsider.batch_execute("alter table sms_messages rename to elsewhere").await.unwrap();
    store.check().await.unwrap_err();
    outsider.batch_execute("alter table elsewhere rename to sms_messages").await.unwrap();
    store.check().await.unwrap();
}
