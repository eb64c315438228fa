//! JSON bodies that nobody would send.

use std::sync::Arc;

use actix_web::rt::System;
use domain::testing::InMemoryStore;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value};

use crate::provider::{FakeProvider, accept};
use crate::service::{ask_of, post, sending};

/// Field names, known and unknown.
const NAMES: [&str; 11] = [
    "to",
    "phone_number",
    "body",
    "message",
    "conversation_id",
    "workflow_type",
    "workflow_id",
    "media_urls",
    "from",
    "",
    "Body",
];

/// Texts that get far.
const TEXTS: [&str; 8] = [
    "+18605550199",
    "(860) 555-0199",
    "whatsapp:+18605550199",
    "Hello\u{0}",
    "\u{202e}\u{1f600}",
    "https://example.com/1.png",
    "0195f2a0-7c1e-7000-8000-000000000001",
    " ",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(TEXTS.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => text().prop_map(Value::String),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn request() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(NAMES.to_vec()).prop_map(str::to_owned);
    let field = prop_oneof![
        2 => (name, value()),
        1 => Just(("to".to_owned(), Value::from("+18605550199"))),
        1 => Just(("body".to_owned(), Value::from("Hello"))),
        1 => Just(("media_urls".to_owned(), Value::from(vec!["https://example.com/1"]))),
    ];
    prop::collection::vec(field, 0..6)
        .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>()))
}

/// A request that would be sent, but for what else may be in it.
fn nearly_good() -> impl Strategy<Value = Value> {
    request().prop_map(|mut request| {
        request["to"] = Value::from("+18605550199");
        request["body"] = Value::from("Hello");
        request
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let cut = |(value, at): (Value, prop::sample::Index)| {
        let mut bytes = value.to_string().into_bytes();
        bytes.truncate(at.index(bytes.len() + 1));
        bytes
    };
    prop_oneof![
        4 => request().prop_map(|value| value.to_string().into_bytes()),
        2 => nearly_good().prop_map(|value| value.to_string().into_bytes()),
        1 => value().prop_map(|value| value.to_string().into_bytes()),
        1 => (request(), any::<prop::sample::Index>()).prop_map(cut),
        1 => prop::collection::vec(any::<u8>(), 0..64),
    ]
}

#[test]
fn no_json_body_is_a_5xx() {
    let system = System::new();
    let (mut sent, mut refused) = (0, 0);
    let mut runner =
        TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(1000) });
    let counted = std::cell::RefCell::new((&mut sent, &mut refused));
    runner
        .run(&body(), |body| {
            let store = Arc::new(InMemoryStore::default());
            let services = sending(&store, Arc::new(FakeProvider::answering(accept)));
            let request = post("/sms/send")
                .insert_header(("content-type", "application/json"))
                .set_payload(body);
            let answer = system.block_on(ask_of(&services, request));
            let mut counted = counted.borrow_mut();
            if answer.status == 202 {
                *counted.0 += 1;
                prop_assert!(answer.json()["twilio_sid"].is_string());
            } else {
                *counted.1 += 1;
                prop_assert!(answer.status.is_client_error(), "{}", answer.status);
                prop_assert_eq!(&answer.json()["error"]["code"], "sms.validation_error");
            }
            Ok(())
        })
        .unwrap();
    assert!(sent > 50 && refused > 200, "{sent} sent, {refused} refused");
}
