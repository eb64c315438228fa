//! Stopping: nothing that was begun is lost, and the time is kept.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::database::Database;
use crate::sending::Stage;
use crate::service::{Service, client};
use crate::twilio::{Webhook, sid};

/// One request on a connection that is kept; the whole answer.
fn ask(stream: &mut TcpStream, path: &str) -> String {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: sms\r\n\r\n").unwrap();
    let (mut answer, mut piece) = (String::new(), [0; 4096]);
    while !answer.ends_with('}') {
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "closed after {answer:?}");
        answer.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stops_says_so_first_and_serves_until_nobody_comes() {
    let database = Database::sqlite();
    let mut service = Service::start(&database.settings().with("SHUTDOWN_DELAY", "2s"));
    let address = service.url.strip_prefix("http://").unwrap().to_owned();
    let mut kept = TcpStream::connect(&address).unwrap();
    assert!(ask(&mut kept, "/health/ready").starts_with("HTTP/1.1 200"));
    let stopping = service.ask_to_stop();
    service.wait_for("the service to stop", || {
        service.log().iter().any(|line| line.contains("\"stopping\""))
    });
    let last = ask(&mut kept, "/health/ready");
    assert!(last.starts_with("HTTP/1.1 503"), "{last}");
    assert!(last.to_lowercase().contains("connection: close"), "{last}");
    assert_eq!(kept.read(&mut [0; 16]).unwrap(), 0, "it closes what it said it would");
    // New requests are still taken: whoever sends them may not know yet.
    let text = Webhook::text(&sid(1), "+18605550199", "Hello");
    assert_eq!(text.post(&client(), &service.url).await, Some(200));
    assert_eq!(service.code(), Some(0));
    let took = stopping.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(8), "{took:?}");
    assert_eq!(database.everything().await.messages.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_hold_nobody_up() {
    let database = Database::sqlite();
    let mut service = Service::start(&database.settings());
    let address = service.url.strip_prefix("http://").unwrap().to_owned();
    let mut idle: Vec<_> = (0..20).map(|_| TcpStream::connect(&address).unwrap()).collect();
    assert!(ask(&mut idle[0], "/health/live").starts_with("HTTP/1.1 200"));
    let begun = Instant::now();
    assert_eq!(service.stop(), Some(0));
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_is_on_its_way_is_answered_and_the_grace_is_kept() {
    let database = Database::sqlite();
    let stage = Stage::set(&database).await;
    let mut service = stage.start();
    stage.twilio.fail_next(twilio_sim::Failure::AnswerSlowly(Duration::from_millis(1200)));
    let url = format!("{}/sms/send", service.url);
    let request = json!({ "to": "+18605550199", "body": "We come at four" });
    let sending = tokio::spawn(async move {
        let answer = client().post(url).json(&request).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<serde_json::Value>().await.unwrap())
    });
    service.wait_for("the request to Twilio", || stage.twilio.creates().count() > 0);
    let stopping = service.ask_to_stop();
    let (status, answer) = sending.await.unwrap();
    assert_eq!(status, 202);
    assert!(answer["twilio_sid"].is_string(), "{answer}");
    assert_eq!(service.code(), Some(0));
    assert!(stopping.elapsed() < Duration::from_secs(8));
}
