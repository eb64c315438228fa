//! The phone page, and its way to the service.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use twilio_sim::Simulator;

use crate::caller::{builder, simulator};
use crate::stub::{Stub, hear, json as json_answer};

async fn simulator_of(service: &str, api_key: Option<&str>) -> Simulator {
    builder().service(service, api_key.map(Into::into)).start().await.unwrap()
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap()
}

async fn get(simulator: &Simulator, path: &str) -> reqwest::Response {
    client().get(format!("{}{path}", simulator.base_url())).send().await.unwrap()
}

#[tokio::test]
async fn the_page_comes_from_the_simulator_alone() {
    let simulator = simulator().await;
    let page = get(&simulator, "/").await;
    assert_eq!(page.status(), 200);
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
    assert!(page.text().await.unwrap().contains("/page/main.js"));
    assert_eq!(get(&simulator, "/page/style.css").await.status(), 200);
    assert_eq!(get(&simulator, "/page/else.js").await.status(), 401, "it is Twilio's to answer");
}

#[tokio::test]
async fn pages_of_other_sites_reach_nothing() {
    let stub = Stub::start(|_| json_answer("200 OK", "{}")).await;
    let simulator = simulator_of(&stub.base_url, Some("smsf_key")).await;
    for path in ["/", "/sim", "/sim/failure", "/service/conversations", "/service/sms/send"] {
        for (name, value) in [("origin", "https://example.com"), ("host", "sim.example.com:4010")] {
            let request = client().post(format!("{}{path}", simulator.base_url()));
            let request = if path == "/" { client().get(simulator.base_url()) } else { request };
            let answer = request.header(name, value).body("{}").send().await.unwrap();
            assert_eq!(answer.status(), 403, "{path} {name}");
        }
    }
    assert!(stub.asked().is_empty());
}

#[tokio::test]
async fn the_service_is_asked_with_the_key_that_the_browser_does_not_have() {
    let stub = Stub::start(|_| json_answer("202 Accepted", "{\"status\":\"queued\"}")).await;
    let simulator = simulator_of(&stub.base_url, Some("smsf_key")).await;
    let send = client()
        .post(format!("{}/service/sms/send", simulator.base_url()))
        .header("idempotency-key", "k1")
        .header("origin", simulator.base_url())
        .json(&json!({ "to": "+18605550199", "body": "Hola" }));
    let answer = send.send().await.unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.json::<Value>().await.unwrap()["status"], "queued");
    let thread = get(&simulator, "/service/conversations/%2B18605550199?limit=1").await;
    assert_eq!(thread.status(), 202);

    let asked = stub.asked();
    assert_eq!(asked[0].line, "POST /sms/send HTTP/1.1");
    assert_eq!(asked[0].header("authorization"), Some("Bearer smsf_key"));
    assert_eq!(asked[0].header("idempotency-key"), Some("k1"));
    assert_eq!(asked[0].header("content-type"), Some("application/json"));
    assert_eq!(asked[0].header("origin"), None, "the service takes it for a program's");
    assert_eq!(asked[0].body, "{\"body\":\"Hola\",\"to\":\"+18605550199\"}");
    assert_eq!(asked[1].line, "GET /conversations/%2B18605550199?limit=1 HTTP/1.1");
}

#[tokio::test]
async fn only_what_the_page_needs_is_handed_on() {
    let stub = Stub::start(|_| json_answer("200 OK", "{}")).await;
    let simulator = simulator_of(&stub.base_url, None).await;
    for path in ["/service/jobs", "/service/metrics", "/service/", "/service/sms/send"] {
        assert_eq!(get(&simulator, path).await.status(), 404, "{path}");
    }
    let post = client().post(format!("{}/service/conversations", simulator.base_url()));
    assert_eq!(post.send().await.unwrap().status(), 404);
    assert!(stub.asked().is_empty());
}

#[tokio::test]
async fn a_service_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let simulator = simulator_of(&url, None).await;
    let answer = get(&simulator, "/service/conversations").await;
    assert_eq!(answer.status(), 502);
    let said = answer.json::<Value>().await.unwrap();
    assert_eq!(said["error"]["message"], format!("no answer from the service at {url}"));

    let simulator = crate::caller::simulator().await;
    assert_eq!(get(&simulator, "/service/conversations").await.status(), 503);
}

#[tokio::test]
async fn a_stream_is_handed_on_while_it_comes_and_ends_with_whoever_reads_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let simulator = simulator_of(&url, None).await;
    let request = client()
        .get(format!("{}/service/events?types=message.sent", simulator.base_url()))
        .header("last-event-id", "41");
    let reading = tokio::spawn(request.send());
    let (mut service, _) = listener.accept().await.unwrap();
    let asked = hear(&mut service).await;
    assert_eq!(asked.line, "GET /events?types=message.sent HTTP/1.1");
    assert_eq!(asked.header("last-event-id"), Some("41"));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    service.write_all(head.as_bytes()).await.unwrap();
    let mut reader = reading.await.unwrap().unwrap();
    assert_eq!(reader.headers()["content-type"], "text/event-stream");
    for frame in ["id: 42\ndata: {}\n\n", ": heartbeat\n\n"] {
        service.write_all(frame.as_bytes()).await.unwrap();
        assert_eq!(reader.chunk().await.unwrap().unwrap(), frame);
    }
    drop(reader);
    assert_eq!(service.read(&mut [0]).await.unwrap(), 0, "the service is left too");
}

#[tokio::test]
async fn changes_are_told_as_they_happen() {
    let simulator = simulator().await;
    let mut stream = get(&simulator, "/sim/events").await;
    let now = stream.chunk().await.unwrap().unwrap();
    assert_eq!(now, "event: change\ndata: 0\n\n");
    simulator.receive(&twilio_sim::InboundText::new("+18605550199", "+18605550100").body("Hola"));
    assert_eq!(stream.chunk().await.unwrap().unwrap(), "event: change\ndata: 1\n\n");
}
