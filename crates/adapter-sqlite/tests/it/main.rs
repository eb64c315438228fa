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

domain::message_store_contract!(fresh_store);
domain::outbound_store_contract!(fresh_store);
domain::conversation_store_contract!(fresh_store);
domain::backfill_store_contract!(fresh_store);
domain::event_store_contract!(fresh_store);

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
