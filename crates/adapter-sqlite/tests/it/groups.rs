//! Calls that wait share a transaction and nothing else.

use std::error::Error;
use std::time::Duration;

use adapter_sqlite::Limits;
use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use domain::ports::{MessageStore, NewInbound, Recorded, StoreError};
use domain::testing::Inspect;
use domain::testing::fixture::inbound;
use futures_util::FutureExt;
use futures_util::future::{join, join_all};
use tempfile::TempDir;

use crate::{file_in, fresh_store, store_with, strangers_connection};

/// Until it is rolled back, the writer waits in front of its first transaction.
fn write_lock(folder: &TempDir) -> SqliteConnection {
    let mut conn = strangers_connection(&file_in(folder));
    conn.batch_execute("begin immediate").unwrap();
    conn
}

/// All of them at once: none is begun before the last one waits.
async fn record_together(
    store: &impl MessageStore,
    folder: &TempDir,
    texts: &[NewInbound],
) -> Vec<Result<Recorded, StoreError>> {
    let mut lock = write_lock(folder);
    let calls = join_all(texts.iter().map(|text| store.record_inbound(text)));
    let release = async { lock.batch_execute("rollback").unwrap() };
    join(calls, release).await.0
}

fn reason(error: &StoreError) -> String {
    error.source().unwrap().to_string()
}

#[tokio::test]
async fn calls_that_wait_share_a_transaction_and_get_their_own_answers() {
    let (store, folder) = fresh_store().await;
    let texts: Vec<_> =
        (1..=64).map(|number| inbound(number, &format!("+186055501{number:02}"))).collect();
    let before = store.groups();
    let recorded = record_together(&store, &folder, &texts).await;
    for (text, recorded) in texts.iter().zip(recorded) {
        let Recorded::New { message, conversation, .. } = recorded.unwrap() else {
            panic!("a message of its own is no duplicate")
        };
        assert_eq!((message, conversation), (text.id, text.conversation));
    }
    let after = store.groups();
    assert_eq!(after.calls - before.calls, 64);
    // The writer may have seen the first before the others came.
    assert!(after.committed - before.committed <= 2, "{after:?}");
    assert!(after.largest >= 32, "{after:?}");
    assert_eq!(store.everything().await.messages.len(), 64);
}

#[tokio::test]
async fn a_lone_call_waits_for_nobody() {
    let (store, _folder) = fresh_store().await;
    for number in 1..=3 {
        store.record_inbound(&inbound(number, "+18605550199")).await.unwrap();
    }
    let groups = store.groups();
    assert_eq!((groups.committed, groups.calls, groups.largest), (3, 3, 1));
}

#[tokio::test]
async fn a_call_that_fails_does_not_fail_its_neighbours() {
    let (store, folder) = fresh_store().await;
    let mut texts: Vec<_> =
        (1..=16).map(|number| inbound(number, &format!("+186055501{number:02}"))).collect();
    texts[8].id = texts[3].id;
    let recorded = record_together(&store, &folder, &texts).await;
    for (nth, recorded) in recorded.iter().enumerate() {
        match recorded {
            Ok(Recorded::New { .. }) => assert_ne!(nth, 8),
            Err(StoreError::Rejected(_)) => assert_eq!(nth, 8),
            other => panic!("{other:?}"),
        }
    }
    let all = store.everything().await;
    let rows = (all.conversations.len(), all.messages.len(), all.jobs.len());
    assert_eq!(rows, (15, 15, 15), "nothing of the failed call is left");
    texts[8].id = inbound(100, "").id;
    let again = store.record_inbound(&texts[8]).await.unwrap();
    assert!(matches!(again, Recorded::New { .. }));
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let limits = Limits { queue: 2, group: 1, ..Limits::default() };
    let (store, folder) = store_with(limits).await;
    let texts: Vec<_> = (1..=8).map(|number| inbound(number, "+18605550199")).collect();
    let recorded = record_together(&store, &folder, &texts).await;
    let refused: Vec<_> = recorded.iter().filter_map(|each| each.as_ref().err()).collect();
    // Two wait, and one may be with the writer already.
    assert!((5..=6).contains(&refused.len()), "{recorded:?}");
    for error in refused {
        assert!(matches!(error, StoreError::Unavailable(_)));
        assert_eq!(reason(error), "too many calls are waiting");
    }
    store.check().await.unwrap();
}

#[tokio::test]
async fn a_call_does_not_outlive_its_deadline() {
    let limits = Limits { deadline: Duration::from_millis(20), ..Limits::default() };
    let (store, folder) = store_with(limits).await;
    let _lock = write_lock(&folder);
    let error = store.record_inbound(&inbound(1, "+18605550199")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)));
    assert_eq!(reason(&error), "no answer before the deadline");
}

#[tokio::test]
async fn a_call_whose_caller_has_gone_is_not_run() {
    let (store, folder) = fresh_store().await;
    let mut lock = write_lock(&folder);
    let (gone, here) = (inbound(1, "+18605550101"), inbound(2, "+18605550102"));
    assert!(store.record_inbound(&gone).now_or_never().is_none());
    lock.batch_execute("rollback").unwrap();
    store.record_inbound(&here).await.unwrap();
    let messages = store.everything().await.messages;
    let ids: Vec<_> = messages.iter().map(|kept| kept.message.id).collect();
    assert_eq!(ids, [here.id]);
}

#[tokio::test]
async fn a_lock_that_another_program_holds_is_no_reason_to_give_up_for_good() {
    let limits = Limits { deadline: Duration::from_secs(30), ..Limits::default() };
    let (store, folder) = store_with(limits).await;
    let mut lock = write_lock(&folder);
    let error = store.record_inbound(&inbound(1, "+18605550199")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)));
    assert_eq!(reason(&error), "the group of the call was not committed");
    lock.batch_execute("rollback").unwrap();
    store.record_inbound(&inbound(1, "+18605550199")).await.unwrap();
}
