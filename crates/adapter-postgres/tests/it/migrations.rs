//! Making the tables, and undoing that.

use adapter_postgres::{MigrateError, migrate, pending_migrations, revert_all};
use futures_util::future::join_all;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::database::{Schema, all_migrations, fresh_store};

#[tokio::test]
async fn four_processes_that_start_at_once_make_the_tables_once() {
    let schema = Schema::unused();
    let settings = schema.settings();
    let runs = join_all((0..4).map(|_| migrate(&settings))).await;
    let mut counts: Vec<usize> = runs.into_iter().map(|run| run.unwrap().len()).collect();
    counts.sort_unstable();
    assert_eq!(counts, [0, 0, 0, all_migrations()]);
    assert_eq!(migrate(&settings).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn every_migration_can_be_undone_and_done_again() {
    let schema = Schema::unused();
    let settings = schema.settings();
    let outsider = schema.outsider().await;

    let mut done = migrate(&settings).await.unwrap();
    let made = objects(&outsider, &schema).await;
    let undone = revert_all(&settings).await.unwrap();
    done.reverse();
    assert_eq!(undone, done);
    let left = objects(&outsider, &schema).await;
    assert_eq!(left, ["__diesel_schema_migrations", "__diesel_schema_migrations_pkey"]);

    done.reverse();
    assert_eq!(migrate(&settings).await.unwrap(), done);
    assert_eq!(objects(&outsider, &schema).await, made);
}

#[tokio::test]
async fn what_is_due_is_told_and_not_done() {
    let schema = Schema::unused();
    let settings = schema.settings();
    let outsider = schema.outsider().await;
    assert_eq!(pending_migrations(&settings).await.unwrap().len(), all_migrations());
    assert_eq!(objects(&outsider, &schema).await, [""; 0]);
    migrate(&settings).await.unwrap();
    assert_eq!(pending_migrations(&settings).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn tables_that_are_not_ours_are_left_alone() {
    let schema = Schema::unused();
    let outsider = schema.outsider().await;
    let theirs = format!("create schema {}; create table jobs (id int)", schema.name);
    outsider.batch_execute(&theirs).await.unwrap();
    let before = objects(&outsider, &schema).await;

    let refusal = migrate(&schema.settings()).await.unwrap_err();
    let text = refusal.to_string();
    assert!(matches!(refusal, MigrateError::ForeignTables { tables, .. } if tables == ["jobs"]));
    for word in [schema.name.as_str(), "jobs", "DATABASE_SCHEMA"] {
        assert!(text.contains(word), "{text}");
    }
    assert_eq!(objects(&outsider, &schema).await, before);
}

#[tokio::test]
async fn a_diesel_program_in_the_same_schema_is_no_proof_that_tables_are_ours() {
    let schema = Schema::unused();
    let outsider = schema.outsider().await;
    let theirs = format!(
        "create schema {}; create table sms_messages (id int);
         create table __diesel_schema_migrations (version varchar(50) primary key,
             run_on timestamp not null default current_timestamp);
         insert into __diesel_schema_migrations (version) values ('20200101000000')",
        schema.name
    );
    outsider.batch_execute(&theirs).await.unwrap();
    let refusal = migrate(&schema.settings()).await.unwrap_err();
    assert!(matches!(refusal, MigrateError::ForeignTables { .. }));
}

#[tokio::test]
async fn a_database_that_is_away_is_said_to_be_away() {
    let mut settings = adapter_postgres::PgSettings::new("postgres://sms@127.0.0.1:1/sms");
    settings.schema = Some("sms".to_owned());
    let refusal = migrate(&settings).await.unwrap_err();
    assert!(matches!(refusal, MigrateError::Unreachable(_)));
}

#[tokio::test]
async fn words_that_are_not_in_the_data_model_are_refused() {
    let (_store, schema) = fresh_store().await;
    let outsider = schema.outsider().await;
    let id = "'0195f2a0-7c1e-7000-8000-000000000001'";
    let conversation = |language: &str, confidence: &str| {
        format!(
            "insert into sms_conversations (id, phone_number_canonical, language_detected,
                 language_confidence, language_evidence, created_at, updated_at)
             values ({id}, '', '{language}', {confidence}, '{{}}', now(), now())"
        )
    };
    let message = |direction: &str, status: &str, source: &str| {
        format!(
            "insert into sms_messages (id, conversation_id, direction, from_number, to_number,
                 delivery_status, source, created_at, updated_at)
             values ({id}, {id}, '{direction}', '', '', '{status}', '{source}', now(), now())"
        )
    };
    let event = |status: &str| {
        format!(
            "insert into sms_message_status_events (id, twilio_sid, provider_status, event_status,
                 created_at)
             values ({id}, 'SM1', '', '{status}', now())"
        )
    };
    let sent = |send_state: &str| {
        format!("update sms_messages set send_state = '{send_state}' where id = {id}")
    };
    let told = |word: &str| {
        format!("update sms_conversations set told_language = '{word}' where id = {id}")
    };
    let attempt = |outcome: &str| {
        format!(
            "insert into sms_send_attempts (id, message_id, number, started_at, deadline, outcome)
             values ({id}, {id}, 1, now(), now(), '{outcome}')"
        )
    };
    let job = |state: &str| {
        format!(
            "insert into jobs (id, kind, unique_key, payload, state, run_at, created_at, updated_at)
             values ({id}, 'k', 'u', '{{}}', '{state}', now(), now(), now())"
        )
    };
    for wrong in [
        conversation("fr", "0"),
        conversation("en", "1.5"),
        conversation("en", "-0.5"),
        message("sideways", "sent", "api"),
        message("inbound", "read", "api"),
        message("inbound", "received", "rumour"),
        event("accepted"),
        attempt("lost"),
        job("lost"),
    ] {
        let error = outsider.batch_execute(&wrong).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::CHECK_VIOLATION), "{wrong}");
    }
    for right in [
        conversation("pt", "1"),
        told("pt"),
        message("outbound", "unknown", "database"),
        sent("in_flight"),
        attempt("ambiguous"),
        event("undelivered"),
        job("parked"),
    ] {
        outsider.batch_execute(&right).await.unwrap();
    }
    for wrong in [sent("lost"), told("unknown")] {
        let error = outsider.batch_execute(&wrong).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::CHECK_VIOLATION), "{wrong}");
    }
}

/// The names of everything in the schema: tables, indexes, types, functions.
async fn objects(outsider: &Client, schema: &Schema) -> Vec<String> {
    let names = "select relname::text from pg_class where relnamespace::regnamespace::text = $1
         union all select proname::text from pg_proc where pronamespace::regnamespace::text = $1
         union all select typname::text from pg_type where typnamespace::regnamespace::text = $1
             and typrelid = 0 and typcategory <> 'A'
         order by 1";
    let rows = outsider.query(names, &[&schema.name]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}
