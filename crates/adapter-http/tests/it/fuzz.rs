//! JSON as anybody may send it.

use std::path::Path;
use std::sync::Arc;

use actix_web::rt::System;
use domain::testing::InMemoryStore;

use crate::provider::{FakeProvider, accept};
use crate::service::{app, ask_app, post, sending};

/// So many requests are asked of one service: its store remembers all of them.
const OF_ONE_SERVICE: usize = 200;

/// It is sent or it is refused, and the answer is JSON.
#[test]
fn send() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/send");
    let system = System::new();
    let fresh = || {
        let store = Arc::new(InMemoryStore::default());
        system.block_on(app(&sending(&store, Arc::new(FakeProvider::answering(accept)))))
    };
    let (mut service, mut asked) = (fresh(), 0);
    fuzz::fuzz(&corpus, 1000, |input| {
        asked += 1;
        if asked % OF_ONE_SERVICE == 0 {
            service = fresh();
        }
        let request = post("/sms/send")
            .insert_header(("content-type", "application/json"))
            .set_payload(input.to_vec());
        let answer = system.block_on(ask_app(&service, request));
        let json = answer.json();
        match answer.status.as_u16() {
            202 => assert!(json["id"].is_string(), "{json}"),
            400..=499 => assert!(json["error"]["code"].is_string(), "{json}"),
            status => panic!("{status}: {json}"),
        }
    })
    .unwrap();
}
