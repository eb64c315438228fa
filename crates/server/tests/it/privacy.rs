//! No number, text, key or token leaves the service by its log, its errors or its jobs.

use adapter_monitor::testing::{MonitorStub, Reply};
use serde_json::json;
use twilio_sim::Failure;

use crate::database::Database;
use crate::hooks::quick;
use crate::sending::Stage;
use crate::service::{TOKEN, client};
use crate::subscriber::{Call, Subscriber};
use crate::twilio::{Webhook, sid};

const PERSON: &str = "+18605550199";
const SECRET: &str = "my landlord must never read this";
const KEY: &str = "secret";
/// `printf secret | sha256sum`
const KEY_ENTRY: &str = "tests:*:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_run_at_trace_level_shows_nobodys_number_or_words_on_sqlite() {
    live(&Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_run_at_trace_level_shows_nobodys_number_or_words_on_postgres() {
    live(&Database::postgres()).await;
}

/// `printf hunter2-is-what-calls-are-signed-with | base64`
const HOOK_SECRET: &str = "whsec_aHVudGVyMi1pcy13aGF0LWNhbGxzLWFyZS1zaWduZWQtd2l0aA==";

/// A subscriber that fails at first, one that nobody reaches, and one that may not be called.
async fn subscribe(url: &str) -> (Subscriber, Vec<String>) {
    let answering = |before, _: &Call| Some(if before == 0 { 500 } else { 204 });
    let subscriber = Subscriber::start(Box::new(answering)).await;
    let mut refused = Vec::new();
    for (name, address) in [
        ("dashboard", subscriber.url.as_str()),
        ("nobody", "http://127.0.0.1:1"),
        ("forbidden", "http://192.168.0.1"),
    ] {
        let address = format!("{address}/hunter2?token=hunter2");
        let wish = json!({ "name": name, "url": address, "secret": HOOK_SECRET });
        let post = client().post(format!("{url}/subscriptions")).bearer_auth(KEY).json(&wish);
        let answer = post.send().await.unwrap();
        if !answer.status().is_success() {
            refused.push(answer.text().await.unwrap());
        }
    }
    assert_eq!(refused.len(), 1, "{refused:?}");
    (subscriber, refused)
}

async fn live(database: &Database) {
    let stage = Stage::set(database).await;
    let monitor = MonitorStub::start().await.unwrap();
    monitor.set_lookup(Reply::tenant("T_1"));
    monitor.reply_next(Reply::status(503));
    let settings = stage
        .settings
        .clone()
        .with("RUST_LOG", "trace")
        .with_keys(KEY_ENTRY)
        .with("MONITOR_API_URL", &monitor.base_url())
        .with("MONITOR_API_KEY", "monitor-hunter2");
    let mut service = crate::service::Service::start(&quick(settings));
    stage.relay.lead_to([service.url.as_str()]);
    let http = client();
    let (subscriber, mut answers) = subscribe(&service.url).await;

    let inbound = Webhook::signed_at(
        &stage.relay.url,
        "/webhook/twilio/sms",
        &[("MessageSid", &sid(1)), ("From", PERSON), ("To", "+18605550100"), ("Body", SECRET)],
    );
    assert_eq!(inbound.post(&http, &service.url).await, Some(200));
    let forged = Webhook { signature: "AAAAAAAAAAAAAAAAAAAAAAAAAAA=".into(), ..inbound };
    assert_eq!(forged.post(&http, &service.url).await, Some(403));
    monitor.was_asked(2).await;
    subscriber.until_told(1).await;

    for failure in [
        Failure::Answer,
        Failure::Error(21610),
        Failure::DropAfterAccepting,
        Failure::TooMany { retry_after: None },
        Failure::Error500 { created: false },
        Failure::Error(20003),
    ] {
        stage.twilio.fail_next(failure);
        let request = json!({ "to": PERSON, "body": format!("{SECRET}: {failure}") });
        let post = http.post(format!("{}/sms/send", service.url)).bearer_auth(KEY).json(&request);
        let answer = post.send().await.unwrap();
        if !answer.status().is_success() {
            answers.push(answer.text().await.unwrap());
        }
    }
    for path in [
        "/conversations/%2B18605550199",
        "/conversations/(860)%20555-0199?limit=1",
        "/messages?status=failed",
        "/jobs",
        "/conversations/%2B18605550123",
        "/nothing/%2B18605550199",
        "/messages/not-an-id",
        "/metrics",
    ] {
        let answer = http.get(format!("{}{path}", service.url)).bearer_auth(KEY).send().await;
        let answer = answer.unwrap();
        if !answer.status().is_success() || path == "/jobs" || path == "/metrics" {
            answers.push(answer.text().await.unwrap());
        }
    }
    let wrong = json!({ "to": "+1860555019", "body": SECRET, "colour": PERSON });
    for body in [
        wrong.to_string(),
        format!("{{\"to\": \"{PERSON}\", \"body\": \"{SECRET}"),
        PERSON.to_owned(),
    ] {
        let post = http.post(format!("{}/sms/send", service.url)).bearer_auth(KEY);
        let answer =
            post.header("content-type", "application/json").body(body).send().await.unwrap();
        assert_eq!(answer.status(), 400);
        answers.push(answer.text().await.unwrap());
    }
    let unknown = http.get(format!("{}/jobs", service.url)).bearer_auth("hunter2").send().await;
    answers.push(unknown.unwrap().text().await.unwrap());
    assert_eq!(service.stop(), Some(0));

    let log = service.log();
    assert!(log.len() > 200, "the log is verbose: {} lines", log.len());
    for line in log.iter().chain(&answers) {
        check(line);
    }
    let everything = database.everything().await;
    for job in everything.jobs {
        check(&format!("{} {} {:?}", job.unique_key, job.payload, job.last_error));
    }
}

fn check(text: &str) {
    let secrets = ["8605550199", "5550199", "860555019", "landlord", TOKEN, "hunter2", KEY_ENTRY];
    for secret in secrets.into_iter().chain([HOOK_SECRET, "aHVudGVyMi1pcy"]) {
        assert!(!text.contains(secret), "{secret} in: {text}");
    }
    // As a list of bytes, which is how `Debug` shows them.
    for secret in ["5550199", "landlord", TOKEN, KEY, "hunter2"] {
        let bytes = format!("{:?}", secret.as_bytes());
        let bytes = bytes.trim_matches(['[', ']']);
        assert!(!text.contains(bytes), "{secret} as bytes in: {text}");
    }
    let with_key = text.contains("Bearer secret") || text.contains("\"secret\"");
    assert!(!with_key, "the key in: {text}");
}
