//! What is counted is what happened: a full run, and then the database.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use adapter_monitor::testing::{MonitorStub, Reply};
use serde_json::json;
use twilio_sim::{Failure, InboundText};

use crate::database::Database;
use crate::hooks::subscribe;
use crate::sending::{ACCOUNT, NUMBER, Stage, send};
use crate::service::{Service, client};
use crate::subscriber::Subscriber;
use crate::twilio::{Webhook, sid};

/// The page, to be asked.
struct Page(String);

impl Page {
    async fn of(service: &Service) -> Self {
        let page = client().get(format!("{}/metrics", service.url)).send().await.unwrap();
        assert_eq!(page.status(), 200);
        Self(page.text().await.unwrap())
    }

    /// The sum over the series of that name with all of these labels.
    fn sum(&self, name: &str, labels: &[&str]) -> u64 {
        let series = self.0.lines().filter(|line| {
            let rest = line.strip_prefix(name).unwrap_or_default();
            rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label))
        });
        series.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// Every name, without what histograms append.
    fn names(&self) -> BTreeSet<String> {
        let types = self.0.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        types.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }
}

/// Texts, a repetition, a forgery, sends of every outcome: then the page, once it has settled.
async fn full_run(database: &Database) -> (Service, Page, Stage) {
    let stage = Stage::set(database).await;
    let monitor = MonitorStub::start().await.unwrap();
    monitor.set_lookup(Reply::status(404));
    monitor.set_lookup_for("+18605550300", Reply::tenant("T_1"));
    monitor.set_profile(Reply::status(204));
    let settings = stage
        .settings
        .clone()
        .with("METRICS_SURVEY_INTERVAL", "100ms")
        .with("MONITOR_API_URL", &monitor.base_url())
        .with("TENANT_PROFILE_API_URL", &monitor.base_url());
    let service = Service::start(&settings);
    stage.relay.lead_to([service.url.as_str()]);
    let subscriber = Subscriber::answering(204).await;
    let wish = json!({ "events": ["message.received"] });
    subscribe(&service, "dashboard", &subscriber.url, wish).await;
    let http = client();
    for number in 0..7 {
        let fields = [
            ("MessageSid", sid(number)),
            ("From", format!("+1860555{:04}", 300 + number)),
            ("To", "+18605550100".to_owned()),
            ("Body", "My sink is leaking again, please help".to_owned()),
        ];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        let text = Webhook::signed_at(&stage.relay.url, "/webhook/twilio/sms", &fields);
        for _ in 0..=(number % 2) {
            assert_eq!(text.post(&http, &service.url).await, Some(200));
        }
    }
    let forged = Webhook::text(&sid(99), "+18605550199", "Hello");
    assert_eq!(forged.post(&http, &service.url).await, Some(403));
    let report = [("MessageSid", sid(77)), ("MessageStatus", "sent".to_owned())];
    let report = report.each_ref().map(|(name, value)| (*name, value.as_str()));
    let parked = Webhook::signed_at(&stage.relay.url, "/webhook/twilio/status", &report);
    assert_eq!(parked.post(&http, &service.url).await, Some(204));
    for (number, failure) in
        [Failure::Answer, Failure::Answer, Failure::Error(21610), Failure::Error(21211)]
            .into_iter()
            .enumerate()
    {
        stage.twilio.fail_next(failure);
        let to = format!("+1860555{:04}", 200 + number);
        let (status, _) = send(&service, &json!({ "to": to, "body": "We come at four" })).await;
        assert!([202, 422].contains(&status), "{status}");
    }
    let page = settled(&service).await;
    (service, page, stage)
}

/// The page once everything has been done, and nothing more happens.
async fn settled(service: &Service) -> Page {
    let (patience, mut runs) = (Instant::now() + Duration::from_secs(40), u64::MAX);
    loop {
        let page = Page::of(service).await;
        let delivered = page.sum("sms_messages_total", &["\"delivered\""]);
        let lookups = page.sum("sms_tenant_lookups_total", &[]);
        let (waiting, known) = (page.sum("sms_jobs", &[]), page.sum("sms_conversations", &[]));
        let told = page.sum("sms_event_deliveries_total", &["\"delivered\""]);
        let timed = page.sum("sms_event_delivery_duration_seconds_count", &[]);
        let all = (delivered, lookups, waiting, known, told, timed);
        let before = std::mem::replace(&mut runs, page.sum("sms_job_runs_total", &[]));
        if all == (2, 11, 0, 11, 7, 7) && before == runs {
            return page;
        }
        assert!(
            Instant::now() < patience,
            "delivered, lookups, jobs, conversations, told: {all:?}"
        );
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_is_what_the_database_has() {
    for database in [Database::sqlite(), Database::postgres()] {
        let (mut service, page, _stage) = full_run(&database).await;
        assert_eq!(service.stop(), Some(0));
        let all = database.everything().await;
        let count = |direction: &str, status: &str| {
            let of = all.messages.iter().filter(|kept| {
                kept.message.direction.as_str() == direction
                    && kept.message.shown().status.as_str() == status
            });
            u64::try_from(of.count()).unwrap()
        };
        let messages = |direction: &str, status: &str| {
            let label = |name: &str, value: &str| format!("{name}=\"{value}\"");
            let (direction, status) = (label("direction", direction), label("status", status));
            page.sum("sms_messages_total", &[&direction, &status])
        };
        for (direction, status) in
            [("inbound", "received"), ("outbound", "delivered"), ("outbound", "failed")]
        {
            let counted = messages(direction, status);
            assert_eq!(counted, count(direction, status), "{direction} {status}");
        }
        assert_eq!(messages("inbound", "received"), 7);
        // Every one of them was queued once.
        assert_eq!(messages("outbound", "queued"), 4);
        assert_eq!(page.sum("sms_message_duration_seconds_count", &["\"delivered\""]), 2);
        for (outcome, expected) in [("recorded", 7), ("duplicate", 3), ("forged", 1), ("parked", 1)]
        {
            let label = format!("outcome=\"{outcome}\"");
            assert_eq!(page.sum("sms_webhooks_total", &[&label]), expected, "{outcome}");
        }
        assert_eq!(page.sum("sms_signature_failures_total", &[]), 1);
        assert_eq!(page.sum("sms_parked_events", &[]), 1);
        assert_eq!(all.parked_events.len(), 1);
        let requests = |labels: &[&str]| page.sum("sms_twilio_requests_total", labels);
        assert_eq!(requests(&["operation=\"send\"", "outcome=\"ok\""]), 2);
        assert_eq!(requests(&["outcome=\"refused\"", "code=\"21610\""]), 1);
        assert_eq!(requests(&["outcome=\"refused\"", "code=\"21211\""]), 1);
        let found = page.sum("sms_tenant_lookups_total", &["result=\"found\""]);
        let known = all.conversations.iter().filter(|one| one.tenant_id.is_some()).count();
        assert_eq!((found, known), (1, 1));
        let detected = page.sum("sms_detected_languages_total", &["language=\"en\""]);
        assert_eq!(detected, 7);
        let runs = page.sum("sms_job_runs_total", &["result=\"done\""]);
        let claimed: u32 = all.jobs.iter().map(|job| job.attempts).sum();
        assert_eq!(runs, u64::from(claimed), "{:?}", all.jobs);
        let served = page.sum(
            "http_server_request_duration_seconds_count",
            &["http_route=\"/webhook/twilio/sms\"", "http_response_status_code=\"200\""],
        );
        assert_eq!(served, 10);
        assert_eq!(page.sum("sms_build_info", &["environment=\"local\""]), 1);
    }
}

/// The page once `is_there`.
async fn page_with(service: &Service, is_there: impl Fn(&Page) -> bool) -> Page {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let page = Page::of(service).await;
        if is_there(&page) {
            return page;
        }
        assert!(Instant::now() < patience, "waited in vain: {}", page.0);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_at_twilio_for_missing_texts_is_counted_with_the_reason_of_each_failure() {
    let requests = |page: &Page, labels: &[&str]| page.sum("sms_twilio_requests_total", labels);
    let database = Database::sqlite();
    let stage = Stage::set(&database).await;
    let hurried = |stage: &Stage| {
        stage.settings.clone().with("BACKFILL_INTERVAL", "1s").with("BACKFILL_GRACE", "1s")
    };
    let service = Service::start(&hurried(&stage));
    let text = InboundText::new("+18605550199", NUMBER).body("Look").media("https://h/a.png");
    stage.twilio.receive(&text.account_sid(ACCOUNT));
    let page = page_with(&service, |page| requests(page, &["operation=\"media\""]) > 0).await;
    for operation in ["list", "media"] {
        let operation = format!("operation=\"{operation}\"");
        let answered = [operation.as_str(), "outcome=\"ok\"", "code=\"none\""];
        assert!(requests(&page, &answered) > 0, "{operation}");
        let timed = page.sum("sms_twilio_request_duration_seconds_count", &[&operation]);
        assert_eq!(timed, requests(&page, &[&operation]));
    }
    for (name, value, outcome, code) in [
        ("TWILIO_AUTH_TOKEN", "another", "refused", "20003"),
        ("TWILIO_API_BASE_URL", "http://127.0.0.1:1", "unavailable", "connect"),
    ] {
        let database = Database::sqlite();
        let stage = Stage::set(&database).await;
        let service = Service::start(&hurried(&stage).with(name, value));
        let (outcome, code) = (format!("outcome=\"{outcome}\""), format!("code=\"{code}\""));
        let labels = ["operation=\"list\"", outcome.as_str(), code.as_str()];
        page_with(&service, |page| requests(page, &labels) > 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_documented_and_no_other() {
    let documents = include_str!("../../../../docs/metrics.md");
    let rows = documents.lines().filter(|line| line.starts_with("| `"));
    let names = rows.flat_map(|row| row.split('|').nth(1).unwrap().split(','));
    let documented: BTreeSet<_> =
        names.map(|name| name.trim().trim_matches('`').to_owned()).collect();
    let mut seen = BTreeSet::new();
    for database in [Database::sqlite(), Database::postgres()] {
        seen.extend(full_run(&database).await.1.names());
    }
    let unknown: Vec<_> = seen.difference(&documented).collect();
    assert!(unknown.is_empty(), "not in docs/metrics.md: {unknown:?}");
    // These need something that this run has not: an unanswered send, and its search.
    let rare = ["sms_searches_total", "sms_verdicts_overturned_total"];
    let missing: Vec<_> =
        documented.difference(&seen).filter(|name| !rare.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "only in docs/metrics.md: {missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_ask_for_the_scope_operate_outside_local() {
    let database = Database::sqlite();
    // `printf secret | sha256sum`
    let keys = "watch:operate:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    let service = Service::start(&database.settings().with("APP_ENV", "staging").with_keys(keys));
    let url = format!("{}/metrics", service.url);
    assert_eq!(client().get(&url).send().await.unwrap().status(), 401);
    assert_eq!(client().get(&url).bearer_auth("secret").send().await.unwrap().status(), 200);
    drop(service);
    let service = Service::start(&database.settings().with_keys(keys));
    let open = client().get(format!("{}/metrics", service.url)).send().await.unwrap();
    assert_eq!(open.status(), 200, "in local anybody may see them");
}
