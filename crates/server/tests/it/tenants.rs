//! Whose number it is: the program, a stub of the Collections Monitor, both stores.

use std::time::{Duration, Instant};

use adapter_monitor::testing::{MonitorStub, Reply};
use domain::testing::JobRecord;
use serde_json::{Value, json};

use crate::database::Database;
use crate::service::{Service, Settings, client};
use crate::twilio::{Webhook, sid};

const TENANT: &str = "+18605550199";
const SPANISH: &str = "Hola, necesito ayuda con la calefacción de mi apartamento, por favor";

fn settings(database: &Database, monitor: &MonitorStub) -> Settings {
    database
        .settings()
        .with("MONITOR_API_URL", &monitor.base_url())
        .with("TENANT_PROFILE_API_URL", &monitor.base_url())
        .with("JOB_POLL_INTERVAL", "100ms")
}

async fn text(service: &Service, number: usize, body: &str) {
    let text = Webhook::text(&sid(number), TENANT, body);
    assert_eq!(text.post(&client(), &service.url).await, Some(200));
}

/// The conversation once `done` says so.
async fn conversation(service: &Service, what: &str, done: impl Fn(&Value) -> bool) -> Value {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let (_, body) = service.get("/conversations/%2B18605550199").await;
        if done(&body) {
            return body;
        }
        assert!(Instant::now() < patience, "waited in vain for {what}: {body}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn job(database: &Database, kind: &str) -> JobRecord {
    let jobs = database.everything().await.jobs;
    jobs.into_iter().find(|row| row.kind == kind).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_found_under_the_first_spelling_that_is_known_and_told_the_language() {
    for database in [Database::sqlite(), Database::postgres()] {
        let monitor = MonitorStub::start().await.unwrap();
        monitor.set_lookup(Reply::status(404));
        monitor.set_lookup_for("8605550199", Reply::json(r#"{"tenant_id": 9007199254740993}"#));
        monitor.set_profile(Reply::status(204));
        let service = Service::start(&settings(&database, &monitor));
        text(&service, 1, SPANISH).await;
        let known = conversation(&service, "the tenant", |body| !body["tenant_id"].is_null()).await;
        assert_eq!(known["tenant_id"], "9007199254740993");
        monitor.was_asked(4).await;
        let asked = monitor.asked();
        let subjects: Vec<_> = monitor.subjects();
        let spellings = ["+18605550199", "18605550199", "8605550199", "9007199254740993"];
        assert_eq!(subjects, spellings, "each spelling once, then the profile");
        assert_eq!(asked[3].method, "PUT");
        let told: Value = serde_json::from_str(&asked[3].body).unwrap();
        assert_eq!(told, json!({ "language": "es" }));
        text(&service, 2, SPANISH).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(monitor.asked().len(), 4, "a known tenant is not looked up again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_of_several_tenants_gets_none() {
    let database = Database::sqlite();
    let monitor = MonitorStub::start().await.unwrap();
    monitor.set_lookup(Reply::json(r#"[{"tenant_id": "T_1"}, {"tenant_id": "T_2"}]"#));
    let mut service = Service::start(&settings(&database, &monitor));
    text(&service, 1, "Hello").await;
    monitor.was_asked(1).await;
    let counted =
        |line: &str| line.starts_with("sms_tenant_lookups_total") && line.contains("\"ambiguous\"");
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        let metrics = service.get("/metrics").await.1;
        if metrics.as_str().unwrap().lines().any(counted) {
            break;
        }
        assert!(Instant::now() < patience, "the lookup is not counted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (_, body) = service.get("/conversations/%2B18605550199").await;
    assert_eq!(body["tenant_id"], Value::Null);
    assert_eq!(service.stop(), Some(0));
    assert_eq!(job(&database, "tenant_lookup").await.state, "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_answered_before_and_without_a_monitor_that_hangs() {
    let database = Database::postgres();
    let monitor = MonitorStub::start().await.unwrap();
    monitor.set_outage(Some(Reply::hang()));
    let service = Service::start(&settings(&database, &monitor));
    let http = client();
    let text = async |number: usize| {
        let from = format!("+1860555{:04}", 2000 + number);
        let text = Webhook::text(&sid(number), &from, SPANISH);
        assert_eq!(text.post(&http, &service.url).await, Some(200));
        from
    };
    // Lookups have eight hands of their own: from here on they all hang.
    for number in 0..8 {
        text(number).await;
    }
    monitor.was_asked(8).await;
    let mut others = Vec::new();
    for number in 8..40 {
        others.push(text(number).await);
    }
    let asked = monitor.subjects();
    let early: Vec<_> = others.iter().filter(|from| asked.contains(from)).collect();
    assert!(early.is_empty(), "answered, and only then asked about: {} were not", early.len());
    let all = database.everything().await;
    assert_eq!((all.messages.len(), all.jobs.len()), (40, 40));
    monitor.set_outage(None);
    monitor.set_lookup(Reply::tenant("T_1"));
    let text = Webhook::text(&sid(99), TENANT, "Hello");
    assert_eq!(text.post(&http, &service.url).await, Some(200));
    conversation(&service, "the tenant", |body| body["tenant_id"] == "T_1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_that_is_away_is_asked_again_later() {
    let database = Database::sqlite();
    let monitor = MonitorStub::start().await.unwrap();
    monitor.set_outage(Some(Reply::status(503)));
    let mut service = Service::start(&settings(&database, &monitor));
    text(&service, 1, "Hello").await;
    // The client asks a few times within seconds; then the job waits for minutes.
    monitor.was_asked(3).await;
    let given_up = |line: &String| line.contains("tenant looked up") && line.contains("later");
    service.wait_for("the lookup to be put off", || service.log().iter().any(given_up));
    assert_eq!(service.stop(), Some(0));
    let job = job(&database, "tenant_lookup").await;
    assert_eq!((job.state.as_str(), job.failures), ("queued", 1));
    let error = job.last_error.unwrap();
    assert!(!error.contains("8605550199") && !error.contains("127.0.0.1"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_shows_whether_what_is_configured_works() {
    let database = Database::sqlite();
    let service = Service::start(&database.settings());
    let (status, health) = service.get("/health").await;
    assert_eq!((status, &health["checks"]["twilio"]), (200, &json!("disabled")));
    assert_eq!(health["checks"]["monitor"], "disabled");
    drop(service);
    let monitor = MonitorStub::start().await.unwrap();
    monitor.set_outage(Some(Reply::status(503)));
    let stage = crate::sending::Stage::set(&database).await;
    let settings = stage.settings.clone().with("MONITOR_API_URL", &monitor.base_url());
    let service = Service::start(&settings);
    let (status, health) = service.get("/health").await;
    assert_eq!((status, &health["checks"]["twilio"]), (200, &json!("ok")), "{health}");
    assert_eq!(health["checks"]["monitor"], "degraded");
}
