//! A handler that panics is our fault, and says nothing.

use std::sync::Arc;

use adapter_http::{Access, Cors};
use domain::ports::{MockJobQueue, MockMessageStore, MockOutboundStore};
use domain::testing::{SteppingClock, fixture};
use serde_json::json;

use crate::provider::{FakeProvider, accept};
use crate::service::{Answer, ask_of, gate, get, outbox, send, services};

fn is_the_envelope(answer: &Answer) {
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["error"]["code"], "sms.internal");
    assert_eq!(answer.json()["error"]["request_id"], "abc-1");
    assert_eq!(answer.headers.get("x-request-id").unwrap(), "abc-1");
    assert!(!answer.body.contains("Mock"), "{}", answer.body);
}

#[actix_web::test]
async fn a_panic_has_the_envelope_of_every_error() {
    // A mock without expectations panics when it is called.
    let mut services = services(Arc::new(MockMessageStore::new()), gate());
    let site = "https://dashboard.example.com";
    services.cors = Cors::Origins(vec![site.to_owned()]);
    services.access = Access::Open;
    let request = get("/messages/SM1").insert_header(("x-request-id", "abc-1"));
    let answer = ask_of(&services, request.insert_header(("origin", site))).await;
    is_the_envelope(&answer);
    // So that a page can show the id.
    assert_eq!(answer.headers.get("access-control-allow-origin").unwrap(), site);
    assert_eq!(answer.headers.get("vary").unwrap(), "Origin");
    assert!(answer.headers.contains_key("access-control-expose-headers"));
}

#[actix_web::test]
async fn a_panic_while_a_text_is_taken_in_has_it_too() {
    let mut services = services(Arc::new(MockMessageStore::new()), gate());
    let clock = Arc::new(SteppingClock::standing(fixture::at(0)));
    services.outbox = Some(outbox(
        Arc::new(MockOutboundStore::new()),
        Arc::new(MockJobQueue::new()),
        Arc::new(FakeProvider::answering(accept)),
        clock,
    ));
    let request = send(&json!({ "to": "+18605550199", "body": "Hello" }));
    let answer = ask_of(&services, request.insert_header(("x-request-id", "abc-1"))).await;
    is_the_envelope(&answer);
}
