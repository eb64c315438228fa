//! Clients that behave oddly on the wire.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::database::Database;
use crate::service::Service;
use crate::twilio::{Webhook, sid};

/// Sends bytes as they are and reads until the service closes.
fn exchange(service: &Service, parts: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(service.url.strip_prefix("http://").unwrap()).unwrap();
    for part in parts {
        stream.write_all(part).unwrap();
        stream.flush().unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn head(text: &Webhook, headers: &str) -> String {
    format!(
        "POST {} HTTP/1.1\r\nHost: sms\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         X-Twilio-Signature: {}\r\n{headers}\r\n",
        text.target, text.signature
    )
}

fn text(number: usize) -> Webhook {
    Webhook::text(&sid(number), "+18605550199", "Hello, my sink is leaking again")
}

fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect()
}

#[test]
fn a_chunked_body_is_a_body() {
    let service = Service::start(&Database::sqlite().settings());
    let text = text(1);
    let head = head(&text, "Transfer-Encoding: chunked\r\nConnection: close\r\n");
    let mut parts = vec![head.into_bytes()];
    for chunk in text.body.chunks(7) {
        let mut part = format!("{:x}\r\n", chunk.len()).into_bytes();
        part.extend_from_slice(chunk);
        part.extend_from_slice(b"\r\n");
        parts.push(part);
    }
    parts.push(b"0\r\n\r\n".to_vec());
    let parts: Vec<_> = parts.iter().map(Vec::as_slice).collect();
    assert_eq!(statuses(&exchange(&service, &parts)), ["200"]);
}

#[test]
fn pipelined_requests_are_answered_one_by_one() {
    let service = Service::start(&Database::sqlite().settings());
    let mut both = Vec::new();
    for (number, connection) in [(1, "keep-alive"), (2, "close")] {
        let text = text(number);
        let length = text.body.len();
        let headers = format!("Content-Length: {length}\r\nConnection: {connection}\r\n");
        both.extend_from_slice(head(&text, &headers).as_bytes());
        both.extend_from_slice(&text.body);
    }
    assert_eq!(statuses(&exchange(&service, &[&both])), ["200", "200"]);
}

#[test]
fn many_headers_are_read_and_too_many_are_a_4xx() {
    let service = Service::start(&Database::sqlite().settings());
    for (count, allowed) in [(80, "200"), (100, "4"), (5000, "4")] {
        let text = text(count);
        let mut headers = format!("Content-Length: {}\r\nConnection: close\r\n", text.body.len());
        headers.extend((0..count).map(|nth| format!("X-Extra-{nth}: {nth}\r\n")));
        let request = [head(&text, &headers).into_bytes(), text.body].concat();
        let answer = exchange(&service, &[&request]);
        assert!(statuses(&answer)[0].starts_with(allowed), "{count}: {answer}");
    }
}

#[test]
fn a_compressed_body_is_refused() {
    let service = Service::start(&Database::sqlite().settings());
    let text = text(1);
    let length = text.body.len();
    let headers =
        format!("Content-Length: {length}\r\nContent-Encoding: gzip\r\nConnection: close\r\n");
    let request = [head(&text, &headers).into_bytes(), text.body].concat();
    assert_eq!(statuses(&exchange(&service, &[&request])), ["415"]);
}

#[test]
fn slow_clients_are_sent_away_and_hold_nobody_up() {
    let service = Service::start(&Database::sqlite().settings());
    let address = service.url.strip_prefix("http://").unwrap();
    let slow: Vec<_> = (0..200)
        .map(|nth| {
            let mut stream = TcpStream::connect(address).unwrap();
            let text = text(nth);
            let begun = if nth % 2 == 0 {
                "POST /webhook/twilio/sms HTTP/1.1\r\nHost: s".to_owned()
            } else {
                head(&text, "Content-Length: 500\r\n") + "Body=H"
            };
            stream.write_all(begun.as_bytes()).unwrap();
            stream
        })
        .collect();
    let text = text(1000);
    let headers = format!("Content-Length: {}\r\nConnection: close\r\n", text.body.len());
    let begun = Instant::now();
    let request = [head(&text, &headers).into_bytes(), text.body].concat();
    assert_eq!(statuses(&exchange(&service, &[&request])), ["200"]);
    assert!(begun.elapsed() < Duration::from_secs(2), "others wait: {:?}", begun.elapsed());
    for mut stream in slow {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(statuses(&answer), ["408"], "{answer}");
    }
}
