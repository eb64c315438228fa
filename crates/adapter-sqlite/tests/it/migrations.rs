//! The tables: made, taken back, made again; what they refuse.

use std::fs;

use adapter_sqlite::{MigrateError, SqliteStore};
use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::Text;
use diesel::{RunQueryDsl, SqliteConnection};
use domain::ports::{MessageKey, MessageStore, StoreError};
use domain::testing::fixture::{inbound, status};
use tempfile::TempDir;

use crate::{file_in, fresh_store, strangers_connection};

/// The folders' names, which are in the order of their dates.
fn all_migrations() -> Vec<String> {
    let folders = fs::read_dir("../../migrations/sqlite").unwrap();
    let mut names: Vec<_> =
        folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn migrations_go_up_down_and_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&file_in(&folder)).unwrap();
    assert_eq!(store.migrate().await.unwrap(), all_migrations());
    store.record_inbound(&inbound(1, "+18605550199")).await.unwrap();
    store.revert_all().await.unwrap();
    let mut conn = strangers_connection(&file_in(&folder));
    assert_eq!(schema(&mut conn), ["__diesel_schema_migrations"]);
    assert_eq!(store.migrate().await.unwrap(), all_migrations());
    assert_eq!(store.migrate().await.unwrap(), [""; 0]);
    store.record_inbound(&inbound(1, "+18605550199")).await.unwrap();
}

#[tokio::test]
async fn tables_of_another_program_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut conn = strangers_connection(&file_in(&folder));
    conn.batch_execute("create table Jobs (it text)").unwrap();
    refused(&folder).await;
    conn.batch_execute(
        "create table __diesel_schema_migrations (version text primary key, run_on text);
         insert into __diesel_schema_migrations values ('20200101000000', '2020-01-01');",
    )
    .unwrap();
    refused(&folder).await;
    assert_eq!(schema(&mut conn), ["Jobs", "__diesel_schema_migrations"]);
}

async fn refused(folder: &TempDir) {
    let store = SqliteStore::open(&file_in(folder)).unwrap();
    let Err(MigrateError::Strangers(tables)) = store.migrate().await else {
        panic!("tables of another program were not noticed")
    };
    assert_eq!(tables, ["jobs"]);
}

#[tokio::test]
async fn the_tables_refuse_words_that_are_not_in_the_data_model() {
    let (store, folder) = fresh_store().await;
    store.record_inbound(&inbound(1, "+18605550199")).await.unwrap();
    store.record_status(&status(1, 1, "sent", None)).await.unwrap();
    let mut conn = strangers_connection(&file_in(&folder));
    for (table, change) in [
        ("sms_conversations", "language_detected = 'fr'"),
        ("sms_conversations", "told_language = 'unknown'"),
        ("sms_conversations", "language_confidence = 1.001"),
        ("sms_conversations", "language_confidence = -0.001"),
        ("sms_messages", "direction = 'sideways'"),
        ("sms_messages", "delivery_status = 'read'"),
        ("sms_messages", "source = 'rumour'"),
        ("sms_messages", "send_state = 'lost'"),
        ("sms_message_status_events", "event_status = 'accepted'"),
        ("jobs", "state = 'forgotten'"),
    ] {
        let refused = conn.batch_execute(&format!("update {table} set {change}"));
        let Err(Error::DatabaseError(kind, _)) = refused else {
            panic!("{change} was not refused")
        };
        assert!(matches!(kind, DatabaseErrorKind::CheckViolation), "{change}: {kind:?}");
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_rejected_without_its_text() {
    let (store, folder) = fresh_store().await;
    let message = inbound(1, "+18605550199");
    store.record_inbound(&message).await.unwrap();
    let mut conn = strangers_connection(&file_in(&folder));
    let key = MessageKey::Id(message.id);
    for (column, wrong) in [
        ("media", "[{\"url\": [\"my secret\"]}]"),
        ("raw_webhook_data", "my secret"),
        ("created_at", "my secret"),
    ] {
        let original: String = sql::<Text>(&format!("select {column} from sms_messages"))
            .get_result(&mut conn)
            .unwrap();
        let set = |to: &str| format!("update sms_messages set {column} = '{to}'");
        conn.batch_execute(&set(wrong)).unwrap();
        let Err(StoreError::Rejected(cause)) = store.find_message(&key).await else {
            panic!("{column} was read")
        };
        assert!(!format!("{cause} {cause:?}").contains("secret"), "{column}");
        conn.batch_execute(&set(&original)).unwrap();
        assert!(store.find_message(&key).await.unwrap().is_some());
    }
}

/// The names of everything in the file but what SQLite makes by itself.
fn schema(conn: &mut SqliteConnection) -> Vec<String> {
    sql::<Text>("select name from sqlite_master where name not like 'sqlite_%' order by name")
        .load(conn)
        .unwrap()
}
