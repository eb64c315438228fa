//! `sms-foundation import`: the tables of the Python original, on both stores.

use std::process::Output;

use serde_json::json;
use tokio_postgres::{Client, NoTls};

use crate::database::Database;
use crate::sending::{Stage, send};
use crate::service::{Service, Settings};

/// The original's tables, as its public migrations and models describe them.
const TABLES: &str = "
    create table sms_conversations (
        id serial primary key, phone_number_canonical varchar(32) not null unique,
        phone_number_original varchar(64), tenant_id varchar(64),
        language_detected varchar(16) not null default 'unknown',
        language_confidence float not null default 0, last_message_at timestamp,
        created_at timestamp not null default now(), updated_at timestamp not null default now()
    );
    create table sms_messages (
        id serial primary key, conversation_id integer references sms_conversations (id),
        twilio_sid varchar(64) unique, direction varchar(16) not null default 'inbound',
        from_number varchar(64), to_number varchar(64), message_content varchar(2000),
        raw_webhook_data json, delivery_status varchar(32),
        created_at timestamp not null default now(), updated_at timestamp not null default now()
    );
    create table sms_message_status_events (
        id serial primary key, message_id integer not null references sms_messages (id),
        event_status varchar(32) not null, error_code varchar(64), event_hash varchar(64) not null,
        raw_webhook_data json, created_at timestamp not null default now()
    );";

/// Two conversations, 1200 texts of the first, and a few odd rows.
const ROWS: &str = r#"
    insert into sms_conversations (id, phone_number_canonical, phone_number_original, tenant_id,
        language_detected, language_confidence, last_message_at, created_at)
    values
        (17, '+18605550199', '(860) 555-0199', 'T_1', 'es', 0.9, '2026-01-03', '2026-01-01'),
        (4711, '+12345', '12345', null, 'unknown', 0, null, '2026-01-01');
    insert into sms_messages (id, conversation_id, twilio_sid, from_number, to_number,
        message_content, raw_webhook_data, created_at)
    select n, 17, 'SM' || lpad(to_hex(n), 32, '0'), '+18605550199', '+18605550100', 'text ' || n,
        json_build_object('MessageSid', 'SM' || n), timestamp '2026-01-01' + n * interval '1 s'
    from generate_series(1, 1200) n;
    insert into sms_messages (id, conversation_id, twilio_sid, direction, from_number, to_number,
        message_content, raw_webhook_data, delivery_status, created_at)
    values
        (2001, 17, 'SM00000000000000000000000000002001', 'outbound', null, '+18605550199',
            'At four', null, 'queued', '2026-01-02'),
        (2002, 17, null, 'outbound', null, '+18605550199', 'Lost', null, 'pending', '2026-01-02'),
        (2003, 17, null, 'outbound', null, '+18605550199', 'Refused', null, 'failed', '2026-01-02'),
        (2004, 4711, 'SM00000000000000000000000000002004', 'inbound', null, null, 'code',
            '{"Body": "co\u0000de"}', null, '2026-01-02');
    insert into sms_message_status_events (message_id, event_status, error_code, event_hash,
        raw_webhook_data, created_at)
    values (2001, 'sent', null, 'a', '{"MessageStatus": "sent"}', '2026-01-02 00:00:01'),
        (2001, 'delivered', null, 'b', '{"MessageStatus": "delivered"}', '2026-01-02 00:00:02');"#;

struct Original {
    url: String,
    schema: String,
    client: Client,
}

async fn original() -> Original {
    let Database::Postgres { url, schema } = Database::postgres() else { panic!() };
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let make = format!("create schema {schema}; set search_path to {schema}; {TABLES} {ROWS}");
    client.batch_execute(&make).await.unwrap();
    Original { url, schema, client }
}

/// Runs it, and gives what it says.
async fn import(settings: &Settings, from: &Original, more: &[&str]) -> (String, bool) {
    let mut arguments = vec!["import", "--from", &from.url, "--schema", &from.schema];
    arguments.extend(more);
    let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    let output = command(settings, arguments).await;
    let said = String::from_utf8(output.stdout).unwrap();
    (format!("{said}{}", String::from_utf8_lossy(&output.stderr)), output.status.success())
}

async fn migrate(settings: &Settings) {
    assert!(command(settings, vec!["migrate".to_owned()]).await.status.success());
}

async fn command(settings: &Settings, arguments: Vec<String>) -> Output {
    let settings = settings.clone().with("RUST_LOG", "error");
    let run = move || settings.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_of_the_original_is_taken_over_once_and_old_ids_keep_leading_there() {
    for database in [Database::sqlite(), Database::postgres()] {
        let (from, stage) = (original().await, Stage::set(&database).await);
        let settings = &stage.settings;
        let (said, done) = import(settings, &from, &["--dry-run"]).await;
        assert!(!done && said.contains("`sms-foundation migrate`"), "{said}");
        migrate(settings).await;
        let (said, done) = import(settings, &from, &["--dry-run"]).await;
        assert!(done && said.contains("conversations: 2 read (up to 4711), 2 new"), "{said}");
        assert!(said.contains("messages: 1204 read (up to 2004), 1204 new"), "{said}");
        assert!(said.contains("dry run: nothing was written"), "{said}");
        assert_eq!(database.everything().await.messages.len(), 0);

        let (said, done) = import(settings, &from, &[]).await;
        assert!(done && said.contains("1204 new") && said.contains("everything is here"), "{said}");
        let all = database.everything().await;
        assert_eq!((all.messages.len(), all.conversations.len()), (1204, 2));
        assert_eq!(all.jobs, []);
        let (said, done) = import(settings, &from, &[]).await;
        assert!(done && said.contains("0 new, 1204 here already"), "{said}");
        assert_eq!(database.everything().await, all, "a second run changes nothing");

        let service = stage.start();
        read_back(&service).await;
    }
}

/// What the original does while it goes on after a first import.
const GOES_ON: &str = "
    update sms_messages set twilio_sid = 'SM00000000000000000000000000002002',
        delivery_status = 'sent', updated_at = '2026-01-03' where id = 2002;
    update sms_messages set delivery_status = 'undelivered', updated_at = '2026-01-03'
        where id = 2005;
    update sms_messages set delivery_status = 'queued' where id = 2001;";

#[tokio::test(flavor = "multi_thread")]
async fn what_the_original_did_since_the_last_import_is_brought_by_the_next_one() {
    for database in [Database::sqlite(), Database::postgres()] {
        let from = original().await;
        let sent = "insert into sms_messages (id, conversation_id, twilio_sid, direction, to_number, \
            delivery_status, created_at) values (2005, 17, 'SM00000000000000000000000000002005', \
            'outbound', '+18605550199', 'sent', '2026-01-02')";
        from.client.batch_execute(sent).await.unwrap();
        let settings = database.settings();
        let (said, done) = import(&settings, &from, &[]).await;
        assert!(done && said.contains("1205 new, 0 here already, 0 completed"), "{said}");
        from.client.batch_execute(GOES_ON).await.unwrap();
        for more in [&["--dry-run"][..], &[]] {
            let (said, done) = import(&settings, &from, more).await;
            assert!(done && said.contains("0 new, 1203 here already, 2 completed"), "{said}");
        }
        let all = database.everything().await;
        let shown = |id: u128| {
            let mut messages = all.messages.iter().map(|kept| &kept.message);
            let message = messages.find(|message| message.id.0.as_u128() & 0xffff == id).unwrap();
            (message.twilio_sid.is_some(), message.shown().status.as_str())
        };
        assert_eq!(shown(2002), (true, "sent"));
        assert_eq!(shown(2005), (true, "undelivered"));
        assert_eq!(shown(2001), (true, "delivered"), "never back");
        let (said, done) = import(&settings, &from, &[]).await;
        assert!(done && said.contains("1205 here already, 0 completed"), "{said}");
        assert_eq!(database.everything().await, all, "a third run changes nothing");
    }
}

async fn read_back(service: &Service) {
    let (status, thread) = service.get("/conversations/17?limit=5").await;
    assert_eq!(status, 200, "{thread}");
    assert_eq!(thread["phone_number_canonical"], "+18605550199");
    assert_eq!((&thread["tenant_id"], &thread["language_detected"]), (&json!("T_1"), &json!("es")));
    assert_eq!(thread["total"], 1203);
    let (_, same) = service.get("/conversations/%2B18605550199?limit=5").await;
    assert_eq!(same["conversation_id"], thread["conversation_id"]);
    let (_, code) = service.get("/conversations/4711").await;
    assert_eq!(code["phone_number_canonical"], "12345", "no short code becomes a number: {code}");
    let (_, sent) = service.get("/messages/SM00000000000000000000000000002001").await;
    assert_eq!(
        (&sent["delivery_status"], &sent["source"]),
        (&json!("delivered"), &json!("database"))
    );
    assert_eq!(sent["status_events"].as_array().unwrap().len(), 2);
    let (_, lost) = service.get("/messages/6f726967-696e-8000-8000-0000000007d2").await;
    assert_eq!((&lost["content"], &lost["delivery_status"]), (&json!("Lost"), &json!("unknown")));
    // Callers that know a conversation by its old id, as text or as number.
    for old_id in [json!(17), json!("17")] {
        let wanted = json!({ "conversation_id": old_id, "body": format!("Hello {old_id}") });
        let (status, answer) = send(service, &wanted).await;
        assert_eq!(status, 202, "{answer}");
        assert_eq!(answer["conversation_id"], thread["conversation_id"]);
    }
    let unknown = json!({ "conversation_id": 18, "body": "Hello" });
    assert_eq!(send(service, &unknown).await.0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_is_taken_as_the_original_has_it() {
    let (database, mut from) = (Database::sqlite(), original().await);
    let place = from.url.split_once("://").unwrap().1;
    from.url = format!("postgresql+asyncpg://{place}");
    migrate(&database.settings()).await;
    let (said, done) = import(&database.settings(), &from, &["--dry-run"]).await;
    assert!(done && said.contains("1204 new"), "{said}");
    from.url = "sqlite+aiosqlite:///./sms.db".into();
    let (said, done) = import(&database.settings(), &from, &[]).await;
    assert!(!done && said.contains("bring the file into PostgreSQL first"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_imported_is_told_with_what_to_change() {
    let database = Database::sqlite();
    let from = original().await;
    let elsewhere = Original { schema: "nothing_here".into(), ..original().await };
    let (said, done) = import(&database.settings(), &elsewhere, &[]).await;
    assert!(!done && said.contains("in that schema?"), "{said}");
    let odd = "update sms_messages set created_at = 'infinity' where id = 5";
    from.client.batch_execute(odd).await.unwrap();
    let (said, done) = import(&database.settings(), &from, &[]).await;
    assert!(!done && said.contains("message 5 is left out: its created_at"), "{said}");
    assert!(said.contains("1 rows could not be read"), "{said}");
    assert_eq!(database.everything().await.messages.len(), 1203, "the rest is there");
}
