//! Listing, following and cancelling messages.

use std::sync::Arc;
use std::time::Duration;

use domain::outbound::{SendError, SendState};
use domain::ports::MessageStore;
use domain::testing::{InMemoryStore, Inspect, fixture};
use serde_json::json;

use crate::provider::{FakeProvider, accept, be_busy, hang_up, refuse};
use crate::service::{Answer, ask, ask_of, get, key, post, send, sending, with_key};

const TENANT: &str = "+18605550199";

/// Two messages to us, and three from us: sent, refused, ambiguous.
async fn store() -> Arc<InMemoryStore> {
    let store = Arc::new(InMemoryStore::default());
    let first = fixture::inbound(1, TENANT);
    store.record_inbound(&first).await.unwrap();
    store.record_inbound(&fixture::inbound(2, TENANT)).await.unwrap();
    let planted = |number, state, error: Option<&str>| {
        let mut message = fixture::outbound(number, first.conversation);
        let sending = message.sending.as_mut().unwrap();
        sending.state = state;
        sending.error = error.map(|code| SendError { code: code.into(), message: None });
        message
    };
    for message in [
        planted(3, SendState::Accepted, None),
        planted(4, SendState::Refused, Some("21610")),
        planted(5, SendState::Ambiguous, None),
    ] {
        store.plant_message(&message).await;
    }
    store
}

async fn list(parameters: &str) -> Answer {
    let services = sending(&store().await, Arc::new(FakeProvider::answering(accept)));
    ask_of(&services, get(&format!("/messages{parameters}"))).await
}

async fn sids(parameters: &str) -> Vec<String> {
    let answer = list(parameters).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let messages = answer.json()["messages"].as_array().unwrap().clone();
    messages.iter().map(|message| message["twilio_sid"].as_str().unwrap().to_owned()).collect()
}

fn expected(numbers: &[u32]) -> Vec<String> {
    numbers.iter().map(|number| fixture::sid(*number).to_string()).collect()
}

#[actix_web::test]
async fn messages_are_listed_the_latest_first() {
    assert_eq!(sids("").await, expected(&[5, 4, 3, 2, 1]));
    let answer = list("?limit=2").await;
    insta::assert_json_snapshot!("messages", answer.json());
    let cursor = answer.json()["next_cursor"].as_str().unwrap().to_owned();
    let rest = format!("?limit=3&cursor={cursor}");
    assert_eq!(sids(&rest).await, expected(&[3, 2, 1]));
}

#[actix_web::test]
async fn messages_are_found_by_status_direction_and_time() {
    assert_eq!(sids("?status=failed").await, expected(&[4]));
    assert_eq!(sids("?status=unknown").await, expected(&[5]));
    assert_eq!(sids("?status=queued").await, expected(&[3]));
    assert_eq!(sids("?status=delivered").await, expected(&[]));
    assert_eq!(sids("?direction=inbound").await, expected(&[2, 1]));
    assert_eq!(sids("?since=2026-11-22T09:33:24Z").await, expected(&[5, 4]));
    assert_eq!(sids("?since=2026-11-22T10:33:24%2B01:00").await, expected(&[5, 4]));
    assert_eq!(
        sids("?direction=outbound&since=2026-11-22T09:33:22Z&limit=1").await,
        expected(&[5])
    );
}

#[actix_web::test]
async fn a_wrong_parameter_is_named() {
    for (parameter, field) in [
        ("status=lost", "status"),
        ("direction=up", "direction"),
        ("since=yesterday", "since"),
        ("since=9999-12-31T23:59:59-23:59", "since"),
        ("limit=0", "limit"),
        ("cursor=1", "cursor"),
    ] {
        let answer = list(&format!("?{parameter}")).await;
        assert_eq!(answer.status, 400, "{parameter}");
        assert_eq!(answer.json()["error"]["details"]["field"], field);
    }
}

#[actix_web::test]
async fn a_message_from_us_shows_its_attempts_and_what_went_wrong() {
    let services = sending(&Arc::default(), Arc::new(FakeProvider::answering(refuse)));
    let answer = ask_of(&services, send(&json!({ "to": TENANT, "body": "Hello" }))).await;
    let id = answer.json()["error"]["details"]["message_id"].as_str().unwrap().to_owned();
    let detail = ask_of(&services, get(&format!("/messages/{id}"))).await;
    insta::assert_json_snapshot!("message_refused", detail.json());
}

#[actix_web::test]
async fn everybody_is_told_the_same_status() {
    let services = sending(&Arc::default(), Arc::new(FakeProvider::answering(hang_up)));
    let answer = ask_of(&services, send(&json!({ "to": TENANT, "body": "Hello" }))).await;
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let detail = ask_of(&services, get(&format!("/messages/{id}"))).await;
    let thread = ask_of(&services, get("/conversations/+18605550199")).await;
    assert_eq!(answer.json()["status"], "unknown");
    assert_eq!(detail.json()["delivery_status"], "unknown");
    assert_eq!(detail.json()["send_state"], "ambiguous");
    assert_eq!(thread.json()["messages"][0]["delivery_status"], "unknown");
}

#[actix_web::test]
async fn what_twilio_sent_is_for_operators() {
    let mut services = sending(&store().await, Arc::new(FakeProvider::answering(accept)));
    let path = format!("/messages/{}", fixture::sid(1));
    let open = ask_of(&services, get(&path)).await;
    assert!(open.json()["raw_webhook_data"].is_object(), "an open API shows it");
    for (scopes, is_shown) in [("read", false), ("read+operate", true)] {
        services.access = key("a", scopes);
        let answer = ask_of(&services, with_key(get(&path))).await;
        assert_eq!(answer.json()["raw_webhook_data"].is_object(), is_shown, "{scopes}");
        assert_eq!(answer.json()["content"], "Hello, my sink is leaking again");
    }
}

#[actix_web::test]
async fn a_text_that_waits_can_be_cancelled_once_and_again() {
    let store = Arc::default();
    let services = sending(&store, Arc::new(FakeProvider::answering(be_busy)));
    let answer = ask_of(&services, send(&json!({ "to": TENANT, "body": "Hello" }))).await;
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        let canceled = ask_of(&services, post(&format!("/messages/{id}/cancel"))).await;
        assert_eq!(canceled.status, 200);
        insta::assert_json_snapshot!("canceled", canceled.json());
    }
    let jobs = store.everything().await.jobs;
    assert!(jobs.iter().all(|job| job.kind != "send" || job.state == "done"));
}

#[actix_web::test]
async fn it_is_too_late_to_cancel_what_twilio_may_have() {
    let store = store().await;
    let mut services = sending(&store, Arc::new(FakeProvider::silent(accept)));
    services.send_wait = Duration::ZERO;
    let in_flight = ask_of(&services, send(&json!({ "to": TENANT, "body": "Hello" }))).await;
    let conversation = fixture::inbound(1, TENANT).conversation;
    let id = |number| fixture::outbound(number, conversation).id.to_string();
    for (key, state) in [
        (in_flight.json()["id"].as_str().unwrap().to_owned(), "in_flight"),
        (id(3), "accepted"),
        (fixture::sid(3).to_string(), "accepted"),
        (id(4), "refused"),
        (id(5), "ambiguous"),
    ] {
        let answer = ask_of(&services, post(&format!("/messages/{key}/cancel"))).await;
        let error = answer.json()["error"].clone();
        assert_eq!((answer.status.as_u16(), &error["code"]), (409, &"sms.validation_error".into()));
        assert!(error["message"].as_str().unwrap().contains(state), "{key}: {error}");
    }
}

#[actix_web::test]
async fn only_a_message_from_us_can_be_cancelled() {
    let services = sending(&store().await, Arc::new(FakeProvider::answering(accept)));
    let to_us = fixture::inbound(1, TENANT).id.to_string();
    let cases =
        [(to_us.as_str(), 409), ("SM404", 404), ("0195f2a0-7c1e-7000-8000-000000000404", 404)];
    for (key, status) in cases {
        let answer = ask_of(&services, post(&format!("/messages/{key}/cancel"))).await;
        assert_eq!(answer.status, status, "{key}");
    }
    assert_eq!(ask_of(&services, post("/messages/%20/cancel")).await.status, 400);
    assert_eq!(ask(post("/messages/SM1/cancel")).await.status, 503, "sending is not configured");
}
