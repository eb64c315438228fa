//! `POST /sms/send`.

use std::sync::Arc;
use std::time::Duration;

use actix_web::test::TestRequest;
use adapter_http::Services;
use domain::conversation::Conversation;
use domain::outbound::{EXPIRED, SendError, SendState};
use domain::ports::{
    Acceptance, MessageStore, MockJobQueue, MockOutboundStore, OutboundStore, StoreError,
};
use domain::testing::{InMemoryStore, Inspect, SteppingClock, fixture};
use domain::text::Text;
use serde_json::{Value, json};

use crate::provider::{FakeProvider, accept, be_busy, hang_up, refuse};
use crate::service::{
    Answer, ask, ask_of, gate, key, outbox, post, send, sending, services, with_key,
};
use crate::worker::TestWorker;

const TENANT: &str = "+18605550199";

/// A service, what it stores, and whom it sends by.
struct Setup {
    services: Services,
    store: Arc<InMemoryStore>,
    provider: Arc<FakeProvider>,
}

fn setup(provider: FakeProvider) -> Setup {
    let (store, provider) = (Arc::new(InMemoryStore::default()), Arc::new(provider));
    Setup { services: sending(&store, provider.clone()), store, provider }
}

impl Setup {
    async fn ask(&self, request: TestRequest) -> Answer {
        ask_of(&self.services, request).await
    }

    async fn send(&self, body: Value) -> Answer {
        self.ask(send(&body)).await
    }

    async fn messages(&self) -> usize {
        self.store.everything().await.messages.len()
    }

    /// Comes back once the condition is met.
    async fn until(&self, condition: impl AsyncFn(&Self) -> bool) {
        while !condition(self).await {
            tokio::task::yield_now().await;
        }
    }
}

fn hello() -> Value {
    json!({ "to": TENANT, "body": "We will come by at four" })
}

fn code(answer: &Answer) -> (u16, String) {
    let code = answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), code)
}

#[actix_web::test]
async fn a_text_that_twilio_takes_is_answered_with_its_sid() {
    let setup = setup(FakeProvider::answering(accept));
    let answer = setup.send(hello()).await;
    assert_eq!(answer.status, 202);
    insta::assert_json_snapshot!("sent", answer.json());
    let kept = &setup.store.everything().await.messages[0].message;
    assert_eq!(answer.json()["id"], kept.id.to_string());
    assert_eq!(kept.from_number.as_str(), "+18605550100");
}

#[actix_web::test]
async fn the_other_names_of_the_fields_are_as_good() {
    let setup = setup(FakeProvider::answering(accept));
    let answer = setup.send(json!({ "phone_number": TENANT, "message": "Hello" })).await;
    assert_eq!(answer.status, 202);
    let kept = setup.store.everything().await.messages[0].message.clone();
    assert_eq!((kept.to_number.as_str(), kept.content), (TENANT, Some(Text::new("Hello"))));
}

#[actix_web::test]
async fn an_empty_recipient_is_none_where_the_conversation_is_known() {
    let setup = setup(FakeProvider::answering(accept));
    let inbound = fixture::inbound(1, TENANT);
    setup.store.record_inbound(&inbound).await.unwrap();
    let conversation = inbound.conversation.to_string();
    let body = json!({ "to": "", "conversation_id": conversation, "body": "Hello" });
    let answer = setup.send(body).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json()["conversation_id"], conversation);
    let body = json!({ "to": "+18605550111", "conversation_id": conversation, "body": "Hello" });
    assert_eq!(setup.send(body).await.json()["error"]["details"]["field"], "to");
}

#[actix_web::test]
async fn a_wrong_field_is_named_with_what_to_change() {
    let setup = setup(FakeProvider::answering(accept));
    for (change, field) in [
        (json!({ "to": 18_605_550_199_u64 }), "to"),
        (json!({ "to": "nobody" }), "to"),
        (json!({ "to": null }), "to"),
        (json!({ "phone_number": "+18605550111" }), "to"),
        (json!({ "body": [] }), "body"),
        (json!({ "message": "another text" }), "body"),
        (json!({ "body": "x".repeat(1601) }), "body"),
        (json!({ "conversation_id": 7 }), "conversation_id"),
        (json!({ "conversation_id": fixture::uuid(1) }), "conversation_id"),
        (json!({ "workflow_type": true }), "workflow_type"),
        (json!({ "workflow_id": 7 }), "workflow_id"),
        (json!({ "media_urls": "https://e.com/1" }), "media_urls"),
        (json!({ "media_urls": ["http://e.com/1"] }), "media_urls"),
        (json!({ "media_urls": [1] }), "media_urls"),
        (json!({ "from": "+18605550177" }), "from"),
    ] {
        let mut body = hello();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = setup.send(body).await;
        assert_eq!(code(&answer), (400, "sms.validation_error".into()), "{change}");
        assert_eq!(answer.json()["error"]["details"]["field"], field, "{change}");
    }
    assert_eq!(setup.messages().await, 0);
}

#[actix_web::test]
async fn an_unknown_field_is_refused_with_the_known_ones() {
    let mut body = hello();
    body["To"] = "x".into();
    let answer = setup(FakeProvider::answering(accept)).send(body).await;
    assert_eq!(answer.status, 400);
    insta::assert_json_snapshot!("unknown_field", answer.json());
}

#[actix_web::test]
async fn a_body_that_is_no_json_of_that_size_is_refused() {
    let setup = setup(FakeProvider::answering(accept));
    let raw = |kind: &'static str, body: String| {
        post("/sms/send").insert_header(("content-type", kind)).set_payload(body)
    };
    let hello = hello().to_string();
    for (request, status) in [
        (raw("application/json; charset=utf-8", hello.clone()), 202),
        (raw("APPLICATION/JSON", hello.clone()), 202),
        (raw("text/plain", hello.clone()), 415),
        (raw("application/x-www-form-urlencoded", "to=1".into()), 415),
        (post("/sms/send").set_payload(hello.clone()), 415),
        (raw("application/json", hello.clone()).insert_header(("content-encoding", "gzip")), 415),
        (raw("application/json", hello[1..].to_owned()), 400),
        (raw("application/json", String::new()), 400),
        (raw("application/json", "[]".into()), 400),
        (raw("application/json", " ".repeat(64 * 1024 + 1)), 413),
    ] {
        let answer = setup.ask(request).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        if status != 202 {
            assert_eq!(answer.json()["error"]["code"], "sms.validation_error");
        }
    }
}

#[actix_web::test]
async fn a_text_that_twilio_refuses_is_422_with_its_code_in_plain_words() {
    let setup = setup(FakeProvider::answering(refuse));
    let answer = setup.ask(send(&hello()).insert_header(("x-request-id", "abc-1"))).await;
    assert_eq!(answer.status, 422);
    insta::assert_json_snapshot!("refused", answer.json());
}

#[actix_web::test]
async fn a_text_of_which_nobody_knows_is_202_unknown() {
    let setup = setup(FakeProvider::answering(hang_up));
    let answer = setup.send(hello()).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (202, &"unknown".into()));
    assert_eq!(answer.json()["twilio_sid"], Value::Null);
}

#[actix_web::test]
async fn a_text_that_is_tried_again_later_is_202_queued() {
    let setup = setup(FakeProvider::answering(be_busy));
    let answer = setup.send(hello()).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (202, &"queued".into()));
}

#[actix_web::test]
async fn when_the_wait_is_over_the_text_is_202_queued_and_still_sent() {
    let mut setup = setup(FakeProvider::silent(accept));
    setup.services.send_wait = Duration::ZERO;
    let answer = setup.send(hello()).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (202, &"queued".into()));
    setup.provider.let_answer(1);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let has_sid = async |setup: &Setup| {
        let message = &setup.store.everything().await.messages[0].message;
        message.id.to_string() == id && message.twilio_sid.is_some()
    };
    setup.until(has_sid).await;
    assert_eq!(setup.provider.orders(), 1);
}

/// A service on which a text that was taken in earlier has ended in `state` with `error`, and is
/// asked for again with the same key.
async fn repeated(state: SendState, error: &str) -> Answer {
    let mut setup = setup(FakeProvider::silent(accept));
    setup.services.send_wait = Duration::ZERO;
    let keyed = || send(&hello()).insert_header(("idempotency-key", "k1"));
    assert_eq!(setup.ask(keyed()).await.status, 202);
    let mut message = setup.store.everything().await.messages[0].message.clone();
    let sending = message.sending.as_mut().unwrap();
    sending.state = state;
    sending.error = Some(SendError { code: error.to_owned(), message: None });
    setup.store.plant_message(&message).await;
    setup.ask(keyed()).await
}

#[actix_web::test]
async fn a_text_that_was_given_up_is_502_with_what_can_be_done() {
    for (error, category) in [
        (EXPIRED, "exhausted"),
        ("retries_exhausted", "exhausted"),
        ("not_sent", "unknown"),
        ("20429", "transient"),
    ] {
        let answer = repeated(SendState::NotSent, error).await;
        assert_eq!(code(&answer), (502, "sms.external_failed".into()), "{error}");
        assert_eq!(answer.json()["error"]["details"]["category"], category, "{error}");
    }
    let answer = repeated(SendState::NotSent, EXPIRED).await;
    insta::assert_json_snapshot!("given_up", answer.json());
}

#[actix_web::test]
async fn a_text_that_was_cancelled_is_409() {
    let answer = repeated(SendState::NotSent, "canceled").await;
    assert_eq!(code(&answer), (409, "sms.validation_error".into()));
}

#[actix_web::test]
async fn one_key_is_one_text() {
    let setup = setup(FakeProvider::answering(accept));
    let keyed = |body: Value| send(&body).insert_header(("idempotency-key", "k1"));
    let first = setup.ask(keyed(hello())).await;
    let again = setup.ask(keyed(hello())).await;
    assert_eq!((first.status, first.json()), (again.status, again.json()));
    let other = setup.ask(keyed(json!({ "to": TENANT, "body": "Another" }))).await;
    assert_eq!(code(&other), (409, "sms.idempotent_duplicate".into()));
    assert_eq!(other.json()["error"]["details"]["existing_message_id"], first.json()["id"]);
    assert_eq!((setup.messages().await, setup.provider.orders()), (1, 1));
}

#[actix_web::test]
async fn a_key_that_cannot_be_one_is_named() {
    let setup = setup(FakeProvider::answering(accept));
    for key in ["", "a b", "\u{e9}", &"x".repeat(256)] {
        let answer = setup.ask(send(&hello()).insert_header(("idempotency-key", key))).await;
        assert_eq!(code(&answer), (400, "sms.validation_error".into()), "{key:?}");
        assert_eq!(answer.json()["error"]["details"]["field"], "Idempotency-Key");
    }
    let twice = send(&hello())
        .append_header(("idempotency-key", "a"))
        .append_header(("idempotency-key", "a"));
    let answer = setup.ask(twice).await;
    assert_eq!(answer.json()["error"]["details"]["reason"], "must be given once");
}

#[actix_web::test]
async fn two_honest_texts_that_say_the_same_both_go_out() {
    let setup = setup(FakeProvider::answering(accept));
    let (first, second) = (setup.send(hello()).await, setup.send(hello()).await);
    assert_ne!(first.json()["id"], second.json()["id"]);
    assert_eq!(setup.provider.orders(), 2);
}

#[actix_web::test]
async fn a_caller_who_was_told_queued_has_been_told() {
    let mut setup = setup(FakeProvider::silent(accept));
    setup.services.send_wait = Duration::ZERO;
    let first = setup.send(hello()).await;
    setup.provider.let_answer(2);
    let settled = async |setup: &Setup| {
        setup.store.everything().await.messages[0].message.twilio_sid.is_some()
    };
    setup.until(settled).await;
    assert_ne!(setup.send(hello()).await.json()["id"], first.json()["id"]);
}

#[actix_web::test]
async fn a_repetition_of_what_is_in_progress_waits_for_the_same_outcome() {
    let setup = setup(FakeProvider::silent(accept));
    let (first, again, ()) = tokio::join!(setup.send(hello()), setup.send(hello()), async {
        setup.until(async |setup: &Setup| setup.provider.orders() == 1).await;
        setup.provider.let_answer(1);
    });
    assert_eq!((first.status, first.json()), (again.status, again.json()));
    assert!(first.json()["twilio_sid"].is_string());
    assert_eq!(setup.provider.orders(), 1);
}

#[actix_web::test]
async fn a_text_behind_others_waits_for_its_turn_and_its_outcome() {
    let setup = setup(FakeProvider::silent(accept));
    let second = json!({ "to": TENANT, "body": "And bring the tools" });
    let (first, second, ()) = tokio::join!(setup.send(hello()), setup.send(second), async {
        setup.until(async |setup: &Setup| setup.messages().await == 2).await;
        setup.provider.let_answer(2);
    });
    assert_eq!(first.json()["twilio_sid"], fixture::sid(901).to_string());
    assert_eq!(second.json()["twilio_sid"], fixture::sid(902).to_string());
}

#[actix_web::test]
async fn keys_of_different_callers_never_meet() {
    let mut setup = setup(FakeProvider::answering(accept));
    for name in ["a", "b"] {
        setup.services.access = key(name, "send");
        let request = with_key(send(&hello())).insert_header(("idempotency-key", "k"));
        assert_eq!(setup.ask(request).await.status, 202);
    }
    assert_eq!(setup.messages().await, 2);
}

#[actix_web::test]
async fn only_a_key_with_the_scope_sends() {
    let mut setup = setup(FakeProvider::answering(accept));
    setup.services.access = key("reader", "read");
    assert_eq!(setup.send(hello()).await.status, 401);
    assert_eq!(setup.ask(with_key(send(&hello()))).await.status, 403);
    assert_eq!(setup.messages().await, 0);
}

#[actix_web::test]
async fn without_an_account_sending_says_what_to_set() {
    let answer = ask(send(&hello())).await;
    assert_eq!(code(&answer), (503, "sms.unavailable".into()));
    for name in ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_PHONE_NUMBER"] {
        assert!(answer.body.contains(name), "{name}");
    }
}

/// Services whose outbound store is `store`; jobs are kept nowhere.
fn on_store(store: impl OutboundStore + 'static) -> Services {
    let memory = Arc::new(InMemoryStore::default());
    let mut services = services(memory, gate());
    let provider = Arc::new(FakeProvider::answering(accept));
    let clock = Arc::new(SteppingClock::standing(fixture::at(0)));
    let queue = Arc::new(MockJobQueue::new());
    services.outbox = Some(outbox(Arc::new(store), queue, provider, clock));
    services.send_wait = Duration::ZERO;
    services
}

#[actix_web::test]
async fn a_store_that_is_away_is_503_and_nothing_is_promised() {
    let mut store = MockOutboundStore::new();
    let away = || StoreError::Unavailable("connection refused".into());
    store.expect_accept_outbound().returning(move |_| Err(away()));
    let answer = ask_of(&on_store(store), send(&hello())).await;
    assert_eq!(code(&answer), (503, "sms.unavailable".into()));
    assert!(answer.headers.contains_key("retry-after"));
}

#[actix_web::test]
async fn a_text_that_was_taken_in_is_202_even_if_the_store_goes_away_then() {
    let mut store = MockOutboundStore::new();
    let away = || StoreError::Unavailable("connection refused".into());
    store.expect_accept_outbound().returning(|new| {
        let (address, original) = new.recipient.address.clone().unwrap();
        let conversation = Conversation::new(new.conversation, &address, original, new.accepted_at);
        let message = Box::new(new.stored_in(&conversation));
        Ok(Acceptance::New { message, job: None })
    });
    store.expect_find_outgoing().returning(move |_| Err(away()));
    store.expect_mark_answered().times(1).returning(move |_, _| Err(away()));
    let worker = Arc::new(TestWorker::idle());
    let services = Services { dispatcher: worker.clone(), ..on_store(store) };
    let answer = ask_of(&services, send(&hello())).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (202, &"queued".into()));
    assert_eq!(worker.woken(), 1, "it waits in the queue");
}
