//! Reading conversations and messages.

use std::sync::Arc;

use adapter_http::{Access, ApiKeys};
use domain::ports::{MessageStore, MockMessageStore, StoreError};
use domain::tenant::TenantId;
use domain::testing::{InMemoryStore, Inspect, fixture};

use crate::service::{Answer, ask, ask_of, gate, get, reading, services};

const TENANT: &str = "+18605550199";

/// A conversation of two messages to us and one from us with two reports.
async fn thread() -> Arc<InMemoryStore> {
    let store = Arc::new(InMemoryStore::default());
    let first = fixture::inbound(1, TENANT);
    store.record_inbound(&first).await.unwrap();
    store.record_inbound(&fixture::inbound(2, TENANT)).await.unwrap();
    store.plant_message(&fixture::outbound(3, first.conversation)).await;
    store.plant_tenant(first.conversation, &TenantId::parse("T_12").unwrap()).await;
    for (number, word, error) in [(4, "sent", None), (5, "undelivered", Some("30003"))] {
        store.record_status(&fixture::status(number, 3, word, error)).await.unwrap();
    }
    store
}

async fn read(path: &str) -> Answer {
    ask_of(&reading(&thread().await), get(path)).await
}

#[actix_web::test]
async fn a_conversation_has_the_shape_of_the_wire_contracts() {
    let answer = read("/conversations/%2B18605550199").await;
    assert_eq!(answer.status, 200);
    insta::assert_json_snapshot!("conversation", answer.json());
}

#[actix_web::test]
async fn every_spelling_of_the_path_is_the_same_conversation() {
    let id = fixture::inbound(1, TENANT).conversation.to_string();
    let expected = read("/conversations/%2B18605550199").await.json();
    for spelling in
        ["+18605550199", "(860)%20555-0199", "%201860%20555%200199", "%2018605550199", id.as_str()]
    {
        let answer = read(&format!("/conversations/{spelling}")).await;
        assert_eq!(answer.status, 200, "{spelling}");
        assert_eq!(answer.json(), expected, "{spelling}");
    }
}

#[actix_web::test]
async fn pages_follow_each_other_by_cursor_and_by_number() {
    let ids = |answer: &Answer| -> Vec<String> {
        let messages = answer.json()["messages"].as_array().unwrap().clone();
        messages.iter().map(|message| message["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = ids(&read("/conversations/+18605550199").await);
    let first = read("/conversations/+18605550199?limit=2").await;
    assert_eq!(ids(&first), all[..2]);
    let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
    let by_cursor = read(&format!("/conversations/+18605550199?limit=2&cursor={cursor}")).await;
    let by_page = read("/conversations/+18605550199?limit=2&page=2").await;
    let by_offset = read("/conversations/+18605550199?limit=2&offset=2").await;
    for second in [by_cursor, by_page, by_offset] {
        assert_eq!(ids(&second), all[2..]);
        assert_eq!(second.json()["next_cursor"], serde_json::Value::Null);
        assert_eq!(second.json()["total"], 3);
    }
    let mut oldest_first = ids(&read("/conversations/+18605550199?order=asc").await);
    oldest_first.reverse();
    assert_eq!(oldest_first, all);
}

#[actix_web::test]
async fn a_wrong_parameter_is_named() {
    for (parameter, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("page=0", "page"),
        ("page=-1", "page"),
        ("offset=-1", "offset"),
        ("offset=10001", "offset"),
        ("page=502", "page"),
        ("order=up", "order"),
        ("cursor=1", "cursor"),
    ] {
        let answer = read(&format!("/conversations/+18605550199?{parameter}")).await;
        assert_eq!(answer.status, 400, "{parameter}");
        assert_eq!(answer.json()["error"]["code"], "sms.validation_error");
        assert_eq!(answer.json()["error"]["details"]["field"], field);
    }
}

#[actix_web::test]
async fn a_conversation_that_is_not_there_is_404() {
    for path in ["/conversations/+18605550111", "/conversations/x", "/conversations/%00%FF"] {
        let answer = read(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json()["error"]["code"], "sms.not_found");
    }
}

#[actix_web::test]
async fn a_message_has_the_shape_of_the_wire_contracts() {
    let received = read(&format!("/messages/{}", fixture::sid(1))).await;
    insta::assert_json_snapshot!("message_to_us", received.json());
    let id = fixture::outbound(3, fixture::inbound(1, TENANT).conversation).id;
    let sent = read(&format!("/messages/{id}")).await;
    insta::assert_json_snapshot!("message_from_us", sent.json());
}

#[actix_web::test]
async fn a_message_that_is_not_there_is_404_and_an_impossible_id_is_400() {
    assert_eq!(read("/messages/SM404").await.status, 404);
    assert_eq!(read("/messages/%20").await.status, 400);
}

#[actix_web::test]
async fn errors_have_one_envelope_and_the_callers_request_id() {
    let request = get("/nothing/here").insert_header(("x-request-id", "abc-1"));
    let answer = ask(request).await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.headers.get("x-request-id").unwrap(), "abc-1");
    insta::assert_json_snapshot!("error", answer.json());
}

#[actix_web::test]
async fn a_request_id_unfit_for_a_log_line_is_replaced() {
    let answer = ask(get("/health/live").insert_header(("x-request-id", "+1 860"))).await;
    assert_eq!(answer.headers.get("x-request-id").unwrap().len(), 36);
}

#[actix_web::test]
async fn without_a_key_nothing_is_read() {
    let entry = format!("dashboard:send:{}", "0".repeat(64));
    let mut services = services(thread().await, gate());
    services.access = Access::Keys(ApiKeys::parse(&entry).unwrap());
    for path in ["/conversations/+18605550199", "/messages/SM1"] {
        let answer = ask_of(&services, get(path)).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.headers.get("www-authenticate").unwrap(), "Bearer");
        assert_eq!(answer.json()["error"]["code"], "sms.unauthorized");
    }
}

#[actix_web::test]
async fn a_store_that_rejects_is_our_fault_and_says_nothing() {
    let mut store = MockMessageStore::new();
    store
        .expect_find_conversation()
        .returning(|_| Err(StoreError::Rejected("column \"x\" does not exist".into())));
    let services = services(Arc::new(store), gate());
    let answer = ask_of(&services, get("/conversations/+18605550199")).await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["error"]["code"], "sms.internal");
    assert!(!answer.body.contains("column"));
}
