//! Changing what the callers run in a conversation.

use std::sync::Arc;

use actix_web::test::TestRequest;
use adapter_http::Services;
use domain::ports::MessageStore;
use domain::testing::{InMemoryStore, fixture};
use serde_json::{Value, json};

use crate::service::{Answer, ask_of, get, reading};

const PATH: &str = "/conversations/+18605550199";

async fn one_conversation() -> Services {
    let store = Arc::new(InMemoryStore::default());
    store.record_inbound(&fixture::inbound(1, "+18605550199")).await.unwrap();
    reading(&store)
}

fn patch(body: &Value) -> TestRequest {
    TestRequest::patch().uri(PATH).set_json(body)
}

fn etag(answer: &Answer) -> String {
    answer.headers.get("etag").unwrap().to_str().unwrap().to_owned()
}

#[actix_web::test]
async fn a_field_is_set_kept_and_emptied_and_each_change_has_its_own_etag() {
    let services = one_conversation().await;
    let before = ask_of(&services, get(PATH)).await;
    let set = ask_of(&services, patch(&json!({ "workflow_type": "a", "workflow_id": "1" }))).await;
    assert_eq!(set.status, 200, "{}", set.body);
    assert_ne!(etag(&set), etag(&before));
    let emptied = ask_of(&services, patch(&json!({ "workflow_type": null }))).await;
    let body = emptied.json();
    assert_eq!((&body["workflow_type"], &body["workflow_id"]), (&Value::Null, &json!("1")));
    let read = ask_of(&services, get(PATH)).await;
    assert_eq!(etag(&read), etag(&emptied));
    assert_eq!(read.json()["workflow_id"], "1");
    insta::assert_json_snapshot!("annotated", body);
}

#[actix_web::test]
async fn only_what_the_caller_has_seen_is_changed() {
    let services = one_conversation().await;
    let seen = etag(&ask_of(&services, get(PATH)).await);
    let change =
        |tag: &str, id: &str| patch(&json!({ "workflow_id": id })).insert_header(("if-match", tag));
    assert_eq!(ask_of(&services, change(&seen, "1")).await.status, 200);
    for outdated in [seen.as_str(), "\"x\"", "W/\"1\""] {
        let answer = ask_of(&services, change(outdated, "2")).await;
        assert_eq!(answer.status, 412, "{outdated}");
        assert_eq!(answer.json()["error"]["code"], "sms.validation_error");
    }
    assert_eq!(ask_of(&services, change("*", "3")).await.status, 200);
    let now = etag(&ask_of(&services, get(PATH)).await);
    let several = format!("\"never, given\", W/\"x\" , ,{now}");
    assert_eq!(ask_of(&services, change(&several, "4")).await.status, 200);
    for outdated in [several.as_str(), &format!("{seen}, \"x\""), &format!("W/{now}, {seen}")] {
        assert_eq!(ask_of(&services, change(outdated, "5")).await.status, 412, "{outdated}");
    }
    let lines = change(&seen, "3").append_header(("if-match", "\"2\""));
    let lines = lines.append_header(("if-match", etag(&ask_of(&services, get(PATH)).await)));
    assert_eq!(ask_of(&services, lines).await.status, 200);
    for wrong in ["1", "", ",", "\"1", "\"1\" \"2\"", "\"1\", 2", "*, \"1\"", "w/\"1\""] {
        let answer = ask_of(&services, change(wrong, "4")).await;
        assert_eq!(answer.status, 400, "{wrong}");
        assert_eq!(answer.json()["error"]["details"]["field"], "If-Match");
    }
    assert_eq!(ask_of(&services, get(PATH)).await.json()["workflow_id"], "3");
}

#[actix_web::test]
async fn what_cannot_be_changed_is_refused_by_name() {
    let services = one_conversation().await;
    for (body, status) in [
        (json!({ "tenant_id": "T_13" }), 400),
        (json!({ "workflow_type": 1 }), 400),
        (json!({ "workflow_type": "x".repeat(201) }), 400),
        (json!([]), 400),
        (json!({}), 200),
    ] {
        let answer = ask_of(&services, patch(&body)).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {}", answer.body);
    }
    let form = TestRequest::patch().uri(PATH).set_payload("workflow_id=1");
    assert_eq!(ask_of(&services, form).await.status, 415);
    let nobody = TestRequest::patch().uri("/conversations/+18605550111").set_json(json!({}));
    assert_eq!(ask_of(&services, nobody).await.status, 404);
}
