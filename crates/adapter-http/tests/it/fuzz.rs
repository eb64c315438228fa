//! Requests as anybody may write them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix_web::http::{Method, Uri};
use actix_web::rt::System;
use actix_web::test::TestRequest;
use domain::testing::InMemoryStore;
use serde_json::{Map, Value};

use crate::provider::{FakeProvider, accept};
use crate::service::{Answer, app, ask_app, limits, sending};

/// So many requests of an input are asked.
const REQUESTS: usize = 8;

/// The input is some requests, with an empty line between: each a line with method and path, and
/// JSON below; `$id` is the `id` of the answer before. Each is carried out or refused with a code;
/// none is our fault.
#[test]
fn api() {
    let system = AssertUnwindSafe(System::new());
    let store = Arc::new(InMemoryStore::default());
    let provider = AssertUnwindSafe(Arc::new(FakeProvider::answering(accept)));
    let mut services = sending(&store, provider.0.clone());
    services.limits = limits(u32::MAX, 0);
    let service = AssertUnwindSafe(system.block_on(app(&services)));
    bolero::check!(name = "api").with_iterations(1000).for_each(|input: &[u8]| {
        let input = String::from_utf8_lossy(input);
        let requests = input.split("\n\n").take(REQUESTS);
        system.block_on(async {
            let mut last = Map::new();
            for written in requests {
                if let Some(request) = request(written, &last) {
                    last = checked(&ask_app(&*service, request).await);
                }
            }
        });
        store.clear();
        provider.let_answer(REQUESTS);
    });
}

/// A request that can be made at all. `GET /events` is left out: its answer does not end.
fn request(written: &str, last: &Map<String, Value>) -> Option<TestRequest> {
    let texts = last.iter().filter_map(|(name, value)| Some((name, value.as_str()?)));
    let fill =
        |written: String, (name, text): (&String, &str)| written.replace(&format!("${name}"), text);
    let written = texts.fold(written.to_owned(), fill);
    let (line, body) = written.split_once('\n').unwrap_or((&written, ""));
    let (method, path) = line.split_once(' ')?;
    let method = Method::from_bytes(method.as_bytes()).ok()?;
    if path.parse::<Uri>().ok()?.path() == "/events" {
        return None;
    }
    let request = TestRequest::default().method(method).uri(path);
    let request = request.insert_header(("content-type", "application/json"));
    Some(request.set_payload(body.to_owned()))
}

/// The members of an answer that is as it must be.
fn checked(answer: &Answer) -> Map<String, Value> {
    let json: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    assert!(!answer.status.is_server_error(), "{}: {}", answer.status, answer.body);
    if answer.status.is_client_error() {
        assert!(json["error"]["code"].is_string(), "{}: {}", answer.status, answer.body);
    }
    match json {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
