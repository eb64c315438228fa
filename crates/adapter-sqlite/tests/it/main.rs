//! The store against the contracts of its ports, and what is special about this one.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed")]

mod groups;
mod histories;
mod migrations;
mod opening;
mod queue;

use std::path::{Path, PathBuf};

use adapter_sqlite::{Limits, SqliteStore};
use diesel::{Connection, SqliteConnection};
use tempfile::TempDir;

domain::message_store_contract!(fresh_store, wait);
domain::outbound_store_contract!(fresh_store, wait);
domain::conversation_store_contract!(fresh_store, wait);
domain::backfill_store_contract!(fresh_store, wait);
domain::event_store_contract!(fresh_store, wait);

/// Runs a test to its end, on two threads.
fn wait<Test: Future<Output = ()>>(test: Test) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(test);
}

/// An empty store, and its folder, which is removed in the end.
async fn fresh_store() -> (SqliteStore, TempDir) {
    store_with(Limits::default()).await
}

async fn store_with(limits: Limits) -> (SqliteStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open_with(&file_in(&folder), limits).unwrap();
    store.migrate().await.unwrap();
    (store, folder)
}

fn file_in(folder: &TempDir) -> PathBuf {
    folder.path().join("sms.db")
}

/// A connection of another program to the same file.
fn strangers_connection(file: &Path) -> SqliteConnection {
    SqliteConnection::establish(file.to_str().unwrap()).unwrap()
}
