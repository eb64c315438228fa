//! What webhooks did not bring is found at Twilio: real processes, real HTTP, both stores.

use std::time::{Duration, Instant};

use domain::delivery::DeliveryStatus;
use domain::message::{Direction, Source};
use futures_util::StreamExt;
use serde_json::{Value, json};
use twilio_sim::{Delays, InboundText, Message, Told};

use crate::database::Database;
use crate::sending::{ACCOUNT, NUMBER, Stage, send};
use crate::service::{Service, Settings, client};
use crate::twilio::Webhook;

/// A stage whose lists are read every second, with little grace.
async fn stage(database: &Database) -> Stage {
    let mut stage = Stage::set(database).await;
    stage.settings = hurried(stage.settings);
    stage
}

fn hurried(settings: Settings) -> Settings {
    settings.with("BACKFILL_INTERVAL", "1s").with("BACKFILL_GRACE", "1s")
}

/// What Twilio takes in and tells nobody.
fn receive(stage: &Stage, count: usize) -> Vec<String> {
    let text = |nth: usize| {
        let from = format!("+1860555{:04}", nth % 50);
        InboundText::new(from, NUMBER).body(format!("text {nth}")).account_sid(ACCOUNT)
    };
    let texts = (0..count).map(text).inspect(|text| stage.twilio.receive(text));
    texts.map(|text| text.message_sid().to_owned()).collect()
}

/// Waits until the counter has that value.
async fn counted(service: &Service, counter: &str, value: usize) {
    let patience = Instant::now() + Duration::from_mins(1);
    loop {
        let now = count_of(service, counter).await;
        if now == value {
            return;
        }
        assert!(Instant::now() < patience, "waited in vain for {counter} {value}: {now}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What a counter without labels of its own shows; 0 where it is not there yet.
async fn count_of(service: &Service, counter: &str) -> usize {
    let (_, page) = service.get("/metrics").await;
    let value = |line: &str| {
        let rest = line.strip_prefix(counter)?;
        rest.starts_with(['{', ' ']).then(|| rest.rsplit(' ').next()?.parse().ok()).flatten()
    };
    page.as_str().unwrap_or_default().lines().find_map(value).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_twilio_did_while_the_service_was_off_is_there_after_start_without_a_hand_moved() {
    for database in [Database::sqlite(), Database::postgres()] {
        let stage = stage(&database).await;
        // Most is delivered while the service is off. What is before it is told to nobody either:
        // nothing leads to the service, and it does not look.
        stage.twilio.set_delays("10ms,10ms,10s".parse::<Delays>().unwrap());
        let mut service = Service::start(&stage.settings.clone().with("BACKFILL_INTERVAL", "1h"));
        let sends = (0..200).map(|nth| {
            let wanted = json!({ "to": format!("+1860555{:04}", 5000 + nth), "body": "At four" });
            let service = &service;
            async move { assert_eq!(send(service, &wanted).await.0, 202) }
        });
        futures_util::stream::iter(sends).buffer_unordered(16).collect::<()>().await;
        assert_eq!(service.stop(), Some(0));
        let sids = receive(&stage, 500);
        stage.twilio.settled().await;
        let sent = stage.twilio.messages();
        let untold = |one: &&Message| one.changes.last().is_some_and(|last| last.told == Told::No);
        assert_eq!((sent.len(), sent.iter().filter(untold).count()), (700, 200));

        let mut service = stage.start();
        counted(&service, "sms_backfilled_total", 500).await;
        counted(&service, "sms_backfilled_statuses_total", 200).await;
        assert_eq!(service.stop(), Some(0));
        let all = database.everything().await;
        assert_eq!(all.messages.len(), 700, "all are there, once");
        let inbound = all.messages.iter().filter(|one| one.message.direction == Direction::Inbound);
        assert!(inbound.clone().all(|one| one.message.source == Source::Backfill));
        let mut found: Vec<_> =
            inbound.map(|one| one.message.twilio_sid.clone().unwrap().to_string()).collect();
        let mut expected = sids;
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
        let sent = all.messages.iter().filter(|one| one.message.direction == Direction::Outbound);
        assert!(
            sent.clone().all(|one| one.message.delivery.status == DeliveryStatus::Delivered),
            "each receipt is there"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_processes_find_each_text_once() {
    let database = Database::postgres();
    let stage = stage(&database).await;
    let services = [stage.start(), stage.start(), stage.start()];
    let sids = receive(&stage, 60);
    let patience = Instant::now() + Duration::from_mins(1);
    while found_by(&services).await < sids.len() {
        assert!(Instant::now() < patience, "waited in vain: {}", found_by(&services).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(found_by(&services).await, sids.len());
    assert_eq!(database.everything().await.messages.len(), sids.len());
}

/// How many texts they have counted, all together.
async fn found_by(services: &[Service]) -> usize {
    let mut all = 0;
    for service in services {
        all += count_of(service, "sms_backfilled_total").await;
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_that_a_wrong_setting_refuses_are_found_soon() {
    let database = Database::sqlite();
    let stage = Stage::set(&database).await;
    let settings = stage.settings.clone().with("BACKFILL_INTERVAL", "1h");
    let settings = settings.with("BACKFILL_GRACE", "1s").with("RUST_LOG", "info,domain=debug");
    let service = Service::start(&settings);
    // At start, and once the grace of what came then is over. The next reading is in an hour.
    let was_read = |line: &&String| line.contains("a list was read");
    service.wait_for("both lists", || service.log().iter().filter(was_read).count() == 4);
    for nth in 0..3 {
        let text = InboundText::new("+18605550199", NUMBER).body("Help").account_sid(ACCOUNT);
        stage.twilio.receive(&text);
        let fields = text.fields();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        let webhook =
            Webhook::signed_at("https://other.example.com", "/webhook/twilio/sms", &fields);
        assert_eq!(webhook.post(&client(), &service.url).await, Some(403), "{nth}");
    }
    counted(&service, "sms_backfilled_total", 3).await;
    let log = service.log().join("\n");
    assert!(log.contains("sms-foundation doctor"), "{log}");
    assert!(!log.contains("8605550199") && !log.contains("Help"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_found_with_its_address_and_completed_by_a_late_webhook() {
    let database = Database::sqlite();
    let stage = stage(&database).await;
    let service = stage.start();
    let text = InboundText::new("+18605550199", NUMBER).body("Look").media("https://h/a.png");
    let text = text.account_sid(ACCOUNT);
    stage.twilio.receive(&text);
    counted(&service, "sms_backfilled_total", 1).await;
    let path = format!("/messages/{}", text.message_sid());
    let (_, found) = service.get(&path).await;
    assert_eq!(found["source"], "backfill", "{found}");
    assert_eq!(found["media"][0]["content_type"], "image/png", "{found}");
    assert_eq!(found["raw_webhook_data"]["ApiVersion"], Value::Null);
    let fields = text.fields();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    let webhook = Webhook::signed_at(&stage.relay.url, "/webhook/twilio/sms", &fields);
    assert_eq!(webhook.post(&client(), &service.url).await, Some(200));
    let (_, completed) = service.get(&path).await;
    assert_eq!(completed["raw_webhook_data"]["ApiVersion"], "2010-04-01", "{completed}");
    assert_eq!(completed["created_at"], found["created_at"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_by_hand_counts_first_and_takes_in_then() {
    let database = Database::sqlite();
    let mut stage = stage(&database).await;
    receive(&stage, 250);
    stage.settings = stage.settings.with("BACKFILL_GRACE", "0s").with("RUST_LOG", "error");
    let run = |arguments: &[&str]| {
        let output =
            stage.settings.run(&[&["backfill", "--since", "2020-01-01"], arguments].concat());
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    };
    let wanted = ["backfill", "--since", "2020-01-01", "--dry-run"];
    let refused = stage.settings.run(&wanted);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("`sms-foundation migrate`"));
    assert!(stage.settings.run(&["migrate"]).status.success());
    let counts = "250 listed, 250 missing texts, 0 newer statuses, 0 sent by others";
    let said = run(&["--dry-run"]);
    assert!(said.contains(&format!("dry run, nothing was written: {counts}")), "{said}");
    assert_eq!(database.everything().await.messages.len(), 0);
    let said = run(&[]);
    assert!(said.contains(&format!("to {NUMBER}: 100 listed, 100 missing texts")), "{said}");
    assert!(said.contains(&format!("done: {counts}")), "{said}");
    assert_eq!(database.everything().await.messages.len(), 250);
    assert!(run(&[]).contains("done: 250 listed, 0 missing"));
    let typo = ["backfill", "--since", "2020-01-01", "--number", "+18605550101"];
    let refused = stage.settings.run(&typo);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("number 1 of those asked for"));
    let without = database.settings().run(&["backfill", "--since", "2020-01-01"]);
    assert!(!without.status.success());
    assert!(String::from_utf8_lossy(&without.stderr).contains("TWILIO_ACCOUNT_SID"));
}
