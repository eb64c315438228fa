//! Other programs are told: real HTTP, both stores.

use std::time::{Duration, Instant};

use adapter_monitor::testing::{MonitorStub, Reply};
use serde_json::{Value, json};
use standardwebhooks::Webhook as Verifier;

use crate::database::Database;
use crate::sending::Stage;
use crate::service::{Service, Settings, client};
use crate::subscriber::Subscriber;
use crate::twilio::{Webhook, sid};

const TENANT: &str = "+18605550199";

/// Quick to try again, so that tests are.
pub(crate) fn quick(settings: Settings) -> Settings {
    settings
        .with("JOB_POLL_INTERVAL", "50ms")
        .with("HOOK_BACKOFF_BASE", "50ms")
        .with("HOOK_BACKOFF_CAP", "400ms")
        .with("HOOK_TIMEOUT", "1s")
}

/// Subscribes; the answer.
pub(crate) async fn subscribe(service: &Service, name: &str, url: &str, more: Value) -> Value {
    let mut body = json!({ "name": name, "url": url });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let post = client().post(format!("{}/subscriptions", service.url)).json(&body);
    let answer = post.send().await.unwrap();
    assert_eq!(answer.status(), 201);
    answer.json().await.unwrap()
}

pub(crate) async fn text(service: &Service, number: usize, from: &str) {
    let body = format!("My sink is leaking, for the {number}th time");
    let text = Webhook::text(&sid(number), from, &body);
    assert_eq!(text.post(&client(), &service.url).await, Some(200));
}

/// Asks until it is so.
async fn until(service: &Service, path: &str, so: impl Fn(&Value) -> bool) -> Value {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let (_, answer) = service.get(path).await;
        if so(&answer) {
            return answer;
        }
        assert!(Instant::now() < patience, "waited in vain: {answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_reaches_who_subscribed_signed_and_in_order() {
    for database in [Database::sqlite(), Database::postgres()] {
        let subscriber = Subscriber::answering(204).await;
        let service = Service::start(&quick(database.settings()));
        let wish = json!({ "events": ["message.received"] });
        let made = subscribe(&service, "dashboard", &subscriber.url, wish).await;
        for number in 1..=5 {
            text(&service, number, TENANT).await;
        }
        subscriber.until_told(5).await;
        let verifier = Verifier::new(made["secret"].as_str().unwrap()).unwrap();
        let calls = subscriber.calls();
        for (number, call) in (1..).zip(&calls) {
            assert_eq!(call.body["data"]["message"]["twilio_sid"], sid(number));
            assert_eq!(call.body["type"], "message.received");
            assert_eq!(call.id(), call.body["id"]);
            assert_eq!(call.data("phone_number_canonical"), TENANT);
            let mut headers = reqwest::header::HeaderMap::new();
            for (name, value) in &call.headers {
                let name: reqwest::header::HeaderName = name.parse().unwrap();
                headers.insert(name, value.parse().unwrap());
            }
            verifier.verify(call.text.as_bytes(), &headers).unwrap();
        }
        let (_, thread) = service.get("/conversations/%2B18605550199?order=asc").await;
        for (call, message) in calls.iter().zip(thread["messages"].as_array().unwrap()) {
            assert_eq!(&call.body["data"]["message"], message, "exactly as it is read");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_ours_is_followed_to_its_end() {
    let database = Database::postgres();
    let mut stage = Stage::set(&database).await;
    stage.settings = quick(stage.settings.clone());
    let subscriber = Subscriber::answering(200).await;
    let service = stage.start();
    subscribe(&service, "dashboard", &subscriber.url, json!({ "direction": "outbound" })).await;
    let request = json!({ "to": TENANT, "body": "We will come by at four" });
    crate::sending::send(&service, &request).await;
    subscriber.until_told(2).await;
    let told: Vec<_> = subscriber
        .calls()
        .iter()
        .map(|call| {
            let status = call.body["data"]["message"]["delivery_status"].as_str().unwrap();
            (call.body["type"].as_str().unwrap().to_owned(), status.to_owned())
        })
        .collect();
    assert_eq!(told[0].0, "message.sent");
    assert_eq!(told[1], ("message.status".to_owned(), "delivered".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fails_is_told_again_and_parked_in_the_end_and_holds_nobody_up() {
    let database = Database::sqlite();
    let failing = Subscriber::answering(500).await;
    let well = Subscriber::answering(200).await;
    let settings = quick(database.settings()).with("HOOK_RETRY_FOR", "2s");
    let service = Service::start(&settings);
    let wish = json!({ "events": ["message.received"] });
    let made = subscribe(&service, "failing", &failing.url, wish.clone()).await;
    subscribe(&service, "well", &well.url, wish).await;
    text(&service, 1, TENANT).await;
    text(&service, 2, TENANT).await;
    well.until_told(2).await;
    let id = made["id"].as_str().unwrap();
    let parked = until(&service, &format!("/subscriptions/{id}/deliveries?state=parked"), |page| {
        page["deliveries"].as_array().is_some_and(|parked| !parked.is_empty())
    })
    .await;
    // Of the last text, which waited for the first, less may have been tried.
    let parked = parked["deliveries"].as_array().unwrap().last().unwrap();
    assert_eq!((&parked["status_code"], &parked["last_error"]), (&json!(500), &json!("http_500")));
    assert!(parked["attempts"].as_u64().unwrap() > 2, "{parked}");
    let ids: Vec<_> = failing.calls().iter().map(|call| call.id().to_owned()).collect();
    assert!(ids.windows(2).any(|pair| pair[0] == pair[1]), "told again by the same id");
    let (_, subscription) = service.get(&format!("/subscriptions/{id}")).await;
    assert!(subscription["failures"].as_u64().unwrap() > 2, "{subscription}");
    assert_eq!(subscription["last_error"], "http_500");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_redirect_is_followed_and_no_private_network_is_called() {
    let database = Database::sqlite();
    let secret = Subscriber::answering(200).await;
    let target = secret.url.clone();
    let redirecting = raw_answer(format!(
        "HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ))
    .await;
    let service = Service::start(&quick(database.settings()));
    let wish = json!({ "events": ["message.received"] });
    let made = subscribe(&service, "redirecting", &redirecting, wish).await;
    text(&service, 1, TENANT).await;
    let path = format!("/subscriptions/{}/deliveries", made["id"].as_str().unwrap());
    until(&service, &path, |page| page["deliveries"][0]["last_error"] == "http_302").await;
    assert_eq!(secret.calls().len(), 0);
    for private in ["https://10.0.0.1/x", "https://169.254.169.254", "http://192.168.0.1"] {
        let body = json!({ "name": private, "url": private });
        let post = client().post(format!("{}/subscriptions", service.url)).json(&body);
        assert_eq!(post.send().await.unwrap().status(), 400, "{private}");
    }
}

/// An address that answers every connection with these bytes.
async fn raw_answer(answer: String) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

/// What the orchestrator refuses with 422 (wire contracts, section 5).
fn is_valid_for_the_orchestrator(body: &Value) -> bool {
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let content = text("content").chars().count();
    body.as_object().is_some_and(|fields| fields.len() == 6)
        && !text("tenant_id").is_empty()
        && text("phone_number").starts_with('+')
        && (1..=1600).contains(&content)
        && uuid::Uuid::try_parse(text("conversation_id")).is_ok()
        && text("timestamp").ends_with('Z')
        && text("direction") == "inbound"
}

#[tokio::test(flavor = "multi_thread")]
async fn the_orchestrator_is_told_of_known_tenants_in_its_form_and_once() {
    let database = Database::postgres();
    let monitor = MonitorStub::start().await.unwrap();
    monitor.set_lookup(Reply::status(404));
    monitor.set_lookup_for(TENANT, Reply::json(r#"{"tenant_id": "T_12"}"#));
    let orchestrator = Subscriber::start(Box::new(|nth, call| {
        // A 500 is not asked again: it may have begun.
        let answer = if is_valid_for_the_orchestrator(&call.body) { 202 } else { 422 };
        Some(if nth == 1 { 500 } else { answer })
    }))
    .await;
    let settings = quick(database.settings()).with("MONITOR_API_URL", &monitor.base_url());
    let service = Service::start(&settings);
    let wish = json!({ "format": "orchestrator" });
    let made = subscribe(&service, "orchestrator", &orchestrator.url, wish).await;
    text(&service, 1, TENANT).await;
    orchestrator.until_told(1).await;
    text(&service, 2, TENANT).await;
    text(&service, 3, TENANT).await;
    text(&service, 4, "+18605550111").await;
    let path = format!("/subscriptions/{}/deliveries", made["id"].as_str().unwrap());
    let page = until(&service, &path, |page| {
        let deliveries = page["deliveries"].as_array().unwrap();
        deliveries.len() == 4 && deliveries.iter().all(|told| told["finished_at"].is_string())
    })
    .await;
    let states: Vec<_> = page["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|told| (told["state"].as_str().unwrap(), told["last_error"].as_str().unwrap_or("")))
        .collect();
    assert_eq!(
        states,
        [("skipped", "no_tenant"), ("delivered", ""), ("parked", "http_500"), ("delivered", "")]
    );
    let calls = orchestrator.calls();
    assert_eq!(calls.len(), 3, "none was called again");
    assert!(calls.iter().all(|call| is_valid_for_the_orchestrator(&call.body)));
    assert_eq!(calls[0].headers["x-correlation-id"], calls[0].id());
    assert_eq!(calls[0].body["tenant_id"], "T_12");
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_in_a_file_are_made_changed_and_forgotten_with_it() {
    let database = Database::sqlite();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("subscriptions.toml");
    let subscriber = Subscriber::answering(200).await;
    let write = |name: &str| {
        let url = &subscriber.url;
        let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        let entry = format!(
            "[[subscription]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret = \"{secret}\"\n"
        );
        std::fs::write(&file, entry).unwrap();
    };
    let settings = quick(database.settings()).with("SUBSCRIPTIONS_FILE", file.to_str().unwrap());
    write("one");
    let mut service = Service::start(&settings);
    let all =
        until(&service, "/subscriptions", |all| all["subscriptions"][0]["name"] == "one").await;
    assert_eq!(all["subscriptions"][0]["configured"], true);
    let path = format!(
        "{}/subscriptions/{}",
        service.url,
        all["subscriptions"][0]["id"].as_str().unwrap()
    );
    assert_eq!(client().delete(&path).send().await.unwrap().status(), 409);
    text(&service, 1, TENANT).await;
    subscriber.until_told(1).await;
    assert_eq!(service.stop(), Some(0));
    write("two");
    let service = Service::start(&settings);
    until(&service, "/subscriptions", |all| {
        all["subscriptions"].as_array().is_some_and(|all| all.len() == 1 && all[0]["name"] == "two")
    })
    .await;
    drop(service);
    std::fs::write(&file, "secret = 'hunter2'").unwrap();
    let refused = settings.run(&[]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("SUBSCRIPTIONS_FILE") && !said.contains("hunter2"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_the_service_stops() {
    let database = Database::sqlite();
    let mut service = Service::start(&database.settings());
    let mut stream = client().get(format!("{}/events", service.url)).send().await.unwrap();
    assert!(stream.chunk().await.unwrap().unwrap().starts_with(b"retry:"));
    let begun = Instant::now();
    assert_eq!(service.stop(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
