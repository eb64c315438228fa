//! Starting, migrating, stopping.

use domain::testing::fixture;

use crate::database::Database;
use crate::service::{Service, Settings, client};
use crate::twilio::{Webhook, sid};

#[tokio::test]
async fn a_text_is_read_back_through_the_api_and_survives_a_restart() {
    for database in [Database::sqlite(), Database::postgres()] {
        let mut service = Service::start(&database.settings());
        let text = Webhook::text(&sid(1), "+18605550199", "My sink is leaking again, please help");
        assert_eq!(text.post(&client(), &service.url).await, Some(200));
        assert_eq!(text.post(&client(), &service.url).await, Some(200));
        let (status, before) = service.get("/conversations/%2B18605550199").await;
        assert_eq!(status, 200);
        assert_eq!(before["total"], 1);
        assert_eq!(before["language_detected"], "en");
        let (_, message) = service.get(&format!("/messages/{}", sid(1))).await;
        assert_eq!(message["raw_webhook_data"]["ApiVersion"], "2010-04-01");
        assert_eq!(message["source"], "webhook");
        assert_eq!(service.stop(), Some(0));

        let service = Service::start(&database.settings());
        let (_, after) = service.get("/conversations/%2B18605550199").await;
        assert_eq!(after, before);
    }
}

#[tokio::test]
async fn odd_texts_are_kept_whole() {
    for database in [Database::sqlite(), Database::postgres()] {
        let service = Service::start(&database.settings());
        let emoji = "\u{1F600}".repeat(1600);
        for (number, body) in [(1, "nul\0nul"), (2, emoji.as_str()), (3, "")] {
            let text = Webhook::text(&sid(number), "+18605550199", body);
            assert_eq!(text.post(&client(), &service.url).await, Some(200));
        }
        let mut fields = vec![("MessageSid".to_owned(), sid(4)), ("Twice".into(), "a".into())];
        fields.extend((0..10).map(|nth| (format!("MediaUrl{nth}"), format!("https://m/{nth}"))));
        fields.push(("Twice".into(), "b".into()));
        let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        let bare = Webhook::signed("/webhook/twilio/sms", &fields);
        assert_eq!(bare.post(&client(), &service.url).await, Some(200));

        let (_, nul) = service.get(&format!("/messages/{}", sid(1))).await;
        assert_eq!(nul["content"], "nulnul");
        assert!(nul["raw_webhook_data"].to_string().contains("nul%00nul"));
        let (_, long) = service.get(&format!("/messages/{}", sid(2))).await;
        assert_eq!(long["content"], emoji);
        let (_, bare) = service.get(&format!("/messages/{}", sid(4))).await;
        assert_eq!(bare["content"], serde_json::Value::Null);
        assert_eq!(bare["media"].as_array().unwrap().len(), 10);
        assert_eq!(bare["media"][9]["url"], "https://m/9");
        assert_eq!(bare["raw_webhook_data"]["Twice"], serde_json::json!(["a", "b"]));
    }
}

#[tokio::test]
async fn a_refused_signature_is_logged_with_the_likely_mistake_and_counted() {
    let database = Database::sqlite();
    let service =
        Service::start(&database.settings().with("PUBLIC_BASE_URL", "http://sms.example.com"));
    let text = Webhook::text(&sid(1), "+18605550199", "a secret text");
    assert_eq!(text.post(&client(), &service.url).await, Some(403));
    let explained = |log: &[String]| log.iter().any(|line| line.contains("likely_cause"));
    service.wait_for("a line about the signature", || explained(&service.log()));
    let log = service.log().join("\n");
    assert!(log.contains("\"likely_cause\":\"scheme\""), "{log}");
    assert!(log.contains("mend PUBLIC_BASE_URL"));
    assert!(!log.contains("secret text") && !log.contains("8605550199"));
    let (_, metrics) = service.get("/metrics").await;
    let counted = |line: &str| {
        line.starts_with("sms_signature_failures_total{cause=\"scheme\"") && line.ends_with(" 1")
    };
    assert!(metrics.as_str().unwrap().lines().any(counted), "{metrics}");
}

#[tokio::test]
async fn several_processes_share_one_postgres_and_start_together() {
    let database = Database::postgres();
    // Nobody answers there: the lookup waits.
    let settings = database.settings().with("MONITOR_API_URL", "http://127.0.0.1:9");
    let starting = |_| {
        let settings = settings.clone();
        tokio::task::spawn_blocking(move || Service::start(&settings))
    };
    let mut services = Vec::new();
    for service in (0..3).map(starting).collect::<Vec<_>>() {
        services.push(service.await.unwrap());
    }
    let client = client();
    for number in 0..30 {
        let text = Webhook::text(&sid(number / 3), "+18605550199", "the same text to all of them");
        let service = &services[number % 3];
        assert_eq!(text.post(&client, &service.url).await, Some(200));
    }
    let all = database.everything().await;
    assert_eq!((all.conversations.len(), all.messages.len(), all.jobs.len()), (1, 10, 1));
    assert_eq!(all.conversations[0].language.evidence.votes, 10);
}

#[test]
fn a_second_process_on_one_sqlite_file_says_what_to_do() {
    let database = Database::sqlite();
    let _first = Service::start(&database.settings());
    let second = database.settings().run(&["serve"]);
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.to_lowercase().contains("postgres"), "{said}");
}

#[test]
fn settings_that_do_not_fit_are_all_told_at_once() {
    let wrong = Settings::local("mysql://hunter2").with("APP_ENV", "prod").with("PORT", "http");
    let wrong = wrong.with("API_AUTH", "on");
    let ended = wrong.run(&[]);
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(78));
    for name in ["DATABASE_URL", "PORT", "API_KEYS"] {
        assert!(said.contains(name), "{name} in {said}");
    }
    assert!(!said.contains("hunter2"));
}

#[tokio::test]
async fn migrate_prepares_the_tables_and_stops() {
    for database in [Database::sqlite(), Database::postgres()] {
        let done = database.settings().run(&["migrate"]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let service = Service::start(&database.settings().with("MIGRATE_ON_START", "off"));
        let text = Webhook::text(&sid(1), "+18605550199", "hello");
        assert_eq!(text.post(&client(), &service.url).await, Some(200));
    }
}

#[tokio::test]
async fn a_report_about_an_unknown_message_is_parked_and_another_accounts_is_not() {
    let database = Database::postgres();
    let account = "AC5d41402abc4b2a76b9719d911017c592";
    let service = Service::start(&database.settings().with("TWILIO_ACCOUNT_SID", account));
    for (number, account) in [(1, account), (2, "AC00000000000000000000000000000000")] {
        let sid = sid(number);
        let fields =
            [("MessageSid", sid.as_str()), ("MessageStatus", "delivered"), ("AccountSid", account)];
        let report = Webhook::signed("/webhook/twilio/status", &fields);
        assert_eq!(report.post(&client(), &service.url).await, Some(204));
    }
    let parked = database.everything().await.parked_events;
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].twilio_sid, fixture::sid(1));
}
