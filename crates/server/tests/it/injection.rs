//! Texts that would be SQL, a header or a line of the log, wherever somebody can write one: they stay
//! the texts that they are.

use reqwest::Method;
use serde_json::{Value, json};

use crate::database::Database;
use crate::sending::Stage;
use crate::service::{Service, client};
use crate::twilio::{Webhook, sid};

const PERSON: &str = "+18605550199";
/// What a forged line or header would carry.
const MARK: &str = "x-forged";

/// Would be: the end of a statement, a condition, a comment, a header, a line of either format.
const TEXTS: [&str; 9] = [
    "'; drop table sms_messages; --",
    "\" or \"1\"=\"1",
    "x' union select id, null from sms_conversations --",
    "$1 $2 %s %n {0} ${jndi:ldap://127.0.0.1/x-forged}",
    "\\'; delete from jobs; /*",
    "hello\r\nX-Forged: yes\r\n\r\n<html>",
    "hello\n{\"level\":\"ERROR\",\"msg\":\"x-forged\",\"service\":\"sms-foundation\"}",
    "hello\"},{\"msg\":\"x-forged",
    "\u{1b}[31mx-forged\u{1b}[0m\u{2028}x-forged\u{85}.",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_stays_a_text_on_sqlite() {
    check(&Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_stays_a_text_on_postgres() {
    check(&Database::postgres()).await;
}

async fn check(database: &Database) {
    let mut stage = Stage::set(database).await;
    stage.settings = stage.settings.clone().with("RUST_LOG", "debug");
    let mut service = stage.start();
    for (number, text) in TEXTS.iter().enumerate() {
        let id = text_us(&stage, &service, number, text).await;
        let (_, kept) = service.get(&format!("/messages/{id}")).await;
        assert_eq!(kept["content"], **text, "{kept}");
        assert_eq!(kept["raw_webhook_data"]["FromCity"], **text, "{kept}");
        send(&service, text).await;
        ask_everywhere(&service, text).await;
    }
    assert_eq!(service.stop(), Some(0));
    for line in service.log() {
        let line: Value = serde_json::from_str(&line).unwrap();
        assert!(line["timestamp"].is_string() && line["msg"] != MARK, "{line}");
    }
    let kept = database.everything().await;
    // Each text to us, from itself and from a person, and each that was sent.
    assert_eq!(kept.messages.len(), TEXTS.len() * 3);
    assert_eq!(stage.twilio.messages().len(), TEXTS.len());
}

/// Somebody writes it in every field of a text to us, and in the text of a person. That text's SID.
async fn text_us(stage: &Stage, service: &Service, number: usize, text: &str) -> String {
    let sids = [sid(number), sid(1000 + number)];
    for (sid, from) in sids.iter().zip([text, PERSON]) {
        let fields = [
            ("MessageSid", sid.as_str()),
            ("From", from),
            ("To", text),
            ("Body", text),
            ("FromCity", text),
            ("MediaUrl0", text),
            ("SmsStatus", text),
            (text, text),
        ];
        let webhook = Webhook::signed_at(&stage.relay.url, "/webhook/twilio/sms", &fields);
        assert_eq!(webhook.post(&client(), &service.url).await, Some(200), "{text:?}");
    }
    let fields = [
        ("MessageSid", text),
        ("MessageStatus", text),
        ("ErrorCode", text),
        ("ErrorMessage", text),
    ];
    let report = Webhook::signed_at(&stage.relay.url, "/webhook/twilio/status", &fields);
    let reported = report.post(&client(), &service.url).await;
    assert!(matches!(reported, Some(204 | 400)), "{text:?}: {reported:?}");
    sids[1].clone()
}

async fn send(service: &Service, text: &str) {
    let wish = json!({ "to": PERSON, "body": text, "workflow_id": text });
    let (status, sent) = crate::sending::send(service, &wish).await;
    assert_eq!(status, 202, "{text:?}: {sent}");
    let (_, kept) = service.get(&format!("/messages/{}", sent["id"].as_str().unwrap())).await;
    assert_eq!(kept["content"], *text, "{kept}");
}

/// Somebody writes it in paths, queries, headers and fields of the API: no answer is a 5xx, and none
/// has a header more than it should. One is found: the conversation with that very sender.
async fn ask_everywhere(service: &Service, text: &str) {
    let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let encoded = encoded.replace('+', "%20");
    let header: String = text.chars().filter(|c| (' '..='~').contains(c)).collect();
    let requests = [
        (Method::GET, format!("/messages/{encoded}"), None),
        (Method::GET, format!("/conversations/{encoded}"), None),
        (Method::GET, format!("/messages?status={encoded}"), None),
        (Method::GET, format!("/conversations?cursor={encoded}&tenant_id={encoded}"), None),
        (Method::GET, format!("/jobs?state={encoded}"), None),
        (Method::GET, format!("/events?types={encoded}"), None),
        (Method::GET, format!("/{encoded}"), None),
        (Method::POST, format!("/messages/{encoded}/cancel"), None),
        (Method::POST, "/sms/send".to_owned(), Some(json!({ "to": text, "body": "Hello" }))),
        (Method::POST, "/sms/send".to_owned(), Some(json!({ "to": PERSON, text: "Hello" }))),
        (
            Method::POST,
            "/subscriptions".to_owned(),
            Some(json!({ "name": text, "url": text, "events": [text] })),
        ),
    ];
    for (method, path, body) in requests {
        let mut request = client().request(method, format!("{}{path}", service.url));
        for name in
            ["x-request-id", "idempotency-key", "last-event-id", "user-agent", "traceparent"]
        {
            request = request.header(name, &header);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let is_sender = path == format!("/conversations/{encoded}");
        let expected = answer.status().is_client_error() || (is_sender && answer.status() == 200);
        assert!(expected, "{path}: {}", answer.status());
        assert!(answer.headers().get(MARK).is_none(), "{path}");
    }
}
