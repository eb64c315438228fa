//! One file, one store: opening, locking, settings, and opening again.

use std::fs;
use std::time::Duration;

use adapter_sqlite::{OpenError, Pragmas, SqliteStore};
use domain::ports::{MessageStore, StoreError};
use domain::testing::Inspect;
use domain::testing::fixture::{inbound, status};

use crate::{file_in, fresh_store};

#[tokio::test]
async fn every_connection_has_the_settings_that_make_a_commit_durable() {
    let (store, _folder) = fresh_store().await;
    let expected = Pragmas {
        journal_mode: "wal".to_owned(),
        synchronous: 2,
        foreign_keys: true,
        busy_timeout: Duration::from_secs(1),
    };
    assert_eq!(store.pragmas().await.unwrap(), [expected.clone(), expected]);
}

#[tokio::test]
async fn a_second_store_on_the_same_file_is_refused() {
    let (_store, folder) = fresh_store().await;
    let name = folder.path().file_name().unwrap();
    let spelled_otherwise = folder.path().join("..").join(name).join("sms.db");
    for path in [file_in(&folder), spelled_otherwise] {
        let refused = SqliteStore::open(&path).err().unwrap();
        assert!(matches!(refused, OpenError::InUse(_)));
        let text = refused.to_string();
        assert!(text.contains("in use by another process"), "{text}");
        assert!(text.contains("PostgreSQL"), "{text}");
    }
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let (store, folder) = fresh_store().await;
    store.record_inbound(&inbound(1, "+18605550199")).await.unwrap();
    store.record_status(&status(1, 1, "failed", Some("30008"))).await.unwrap();
    store.record_status(&status(2, 9, "sent", None)).await.unwrap();
    let before = store.everything().await;
    drop(store);
    let store = SqliteStore::open(&file_in(&folder)).unwrap();
    assert_eq!(store.migrate().await.unwrap(), [""; 0]);
    assert_eq!(store.everything().await, before);
}

#[tokio::test]
async fn the_folder_is_made_where_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("of/several/levels/sms.db");
    let store = SqliteStore::open(&file).unwrap();
    store.migrate().await.unwrap();
    store.check().await.unwrap();
    assert!(file.is_file());
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let notes = "my notes, which are no database at all".repeat(100);
    fs::write(file_in(&folder), &notes).unwrap();
    let refused = SqliteStore::open(&file_in(&folder)).err().unwrap();
    assert!(matches!(refused, OpenError::Unusable { .. }));
    assert_eq!(fs::read_to_string(file_in(&folder)).unwrap(), notes);
}

#[test]
fn a_path_that_cannot_be_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let refused = SqliteStore::open(&folder.path().join("file/sms.db")).err().unwrap();
    assert!(matches!(refused, OpenError::Place { .. }));
}

#[tokio::test]
async fn a_store_without_tables_does_not_claim_to_work() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&file_in(&folder)).unwrap();
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
    store.migrate().await.unwrap();
    store.check().await.unwrap();
}
