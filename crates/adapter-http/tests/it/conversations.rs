//! Lists of conversations, and threads read both ways.

use std::sync::Arc;

use adapter_http::Services;
use domain::ports::MessageStore;
use domain::tenant::TenantId;
use domain::testing::{InMemoryStore, Inspect, fixture};
use serde_json::Value;

use crate::service::{ask_of, get, reading};

/// Three conversations of one message each; the first has a tenant.
async fn three() -> Services {
    let store = Arc::new(InMemoryStore::default());
    for number in 1..=3 {
        let inbound = fixture::inbound(number, &format!("+1860555010{number}"));
        store.record_inbound(&inbound).await.unwrap();
        if number == 1 {
            store.plant_tenant(inbound.conversation, &TenantId::parse("T_12").unwrap()).await;
        }
    }
    reading(&store)
}

/// One conversation of seven messages.
async fn seven() -> (Arc<InMemoryStore>, Services) {
    let store = Arc::new(InMemoryStore::default());
    for number in 1..=7 {
        store.record_inbound(&fixture::inbound(number, "+18605550199")).await.unwrap();
    }
    let services = reading(&store);
    (store, services)
}

async fn read(services: &Services, path: &str) -> Value {
    let answer = ask_of(services, get(path)).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

fn each(body: &Value, list: &str, field: &str) -> Vec<String> {
    let items = body[list].as_array().unwrap().iter();
    items.map(|item| item[field].as_str().unwrap().to_owned()).collect()
}

fn numbers(body: &Value) -> Vec<String> {
    each(body, "conversations", "phone_number_canonical")
}

#[actix_web::test]
async fn conversations_are_listed_by_their_last_activity() {
    let services = three().await;
    let all = read(&services, "/conversations").await;
    assert_eq!(numbers(&all), ["+18605550103", "+18605550102", "+18605550101"]);
    insta::assert_json_snapshot!("conversations", all);
}

#[actix_web::test]
async fn pages_of_conversations_follow_each_other() {
    let services = three().await;
    let mut path = "/conversations?limit=2".to_owned();
    let first = read(&services, &path).await;
    path = format!("{path}&cursor={}", first["next_cursor"].as_str().unwrap());
    let second = read(&services, &path).await;
    assert_eq!(numbers(&first).len(), 2);
    assert_eq!(numbers(&second), ["+18605550101"]);
    assert_eq!(second["next_cursor"], Value::Null);
}

#[actix_web::test]
async fn conversations_are_found_by_what_is_known_of_them() {
    let services = three().await;
    for (filter, found) in [
        ("tenant_id=T_12", 1),
        ("tenant_id=T_13", 0),
        ("language=en", 3),
        ("language=es", 0),
        ("workflow_type=a&workflow_id=", 0),
        ("since=2020-01-01T00:00:00Z", 3),
        ("since=2100-01-01T00:00:00Z", 0),
    ] {
        let page = read(&services, &format!("/conversations?{filter}")).await;
        assert_eq!(numbers(&page).len(), found, "{filter}");
    }
}

#[actix_web::test]
async fn a_wrong_filter_is_named() {
    let services = three().await;
    for (filter, field) in [
        ("tenant_id=a%20b", "tenant_id"),
        ("language=de", "language"),
        ("since=yesterday", "since"),
        ("limit=0", "limit"),
        ("cursor=p1_2", "cursor"),
        ("workflow_type=%00", "workflow_type"),
        ("workflow_id=a%00b", "workflow_id"),
        ("cursor=-370000000000000000_0195f2a07c1e70008000000000000001", "cursor"),
        ("cursor=%2B5_0195f2a07c1e70008000000000000001", "cursor"),
    ] {
        let answer = ask_of(&services, get(&format!("/conversations?{filter}"))).await;
        assert_eq!(answer.status, 400, "{filter}");
        assert_eq!(answer.json()["error"]["details"]["field"], field);
    }
}

#[actix_web::test]
async fn a_thread_is_read_to_its_end_and_back_in_either_order() {
    let (_, services) = seven().await;
    for order in ["asc", "desc"] {
        let path = format!("/conversations/+18605550199/messages?order={order}&limit=3");
        let page = async |cursor: Option<&str>| match cursor {
            None => read(&services, &path).await,
            Some(cursor) => read(&services, &format!("{path}&cursor={cursor}")).await,
        };
        let mut pages = vec![page(None).await];
        while let Some(cursor) = pages.last().unwrap()["next_cursor"].as_str() {
            pages.push(page(Some(cursor)).await);
        }
        let ids: Vec<_> = pages.iter().map(|page| each(page, "messages", "id")).collect();
        assert_eq!(ids.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
        let mut sorted = ids.concat();
        sorted.sort();
        if order == "desc" {
            sorted.reverse();
        }
        assert_eq!(ids.concat(), sorted);

        let back = page(pages[2]["previous_cursor"].as_str()).await;
        assert_eq!(each(&back, "messages", "id"), ids[1]);
        let first = page(back["previous_cursor"].as_str()).await;
        assert_eq!(each(&first, "messages", "id"), ids[0]);
        let forth = page(first["next_cursor"].as_str()).await;
        assert_eq!(each(&forth, "messages", "id"), ids[1]);
    }
}

#[actix_web::test]
async fn whoever_has_read_everything_asks_for_what_came_since() {
    let (store, services) = seven().await;
    let path = "/conversations/+18605550199/messages?order=desc&limit=3";
    let latest = read(&services, path).await;
    let cursor = latest["previous_cursor"].as_str().unwrap();
    let nothing = read(&services, &format!("{path}&cursor={cursor}")).await;
    assert_eq!(each(&nothing, "messages", "id"), Vec::<String>::new());
    assert_eq!(nothing["previous_cursor"], cursor, "it stays where it is");
    let inbound = fixture::inbound(8, "+18605550199");
    store.record_inbound(&inbound).await.unwrap();
    let new = read(&services, &format!("{path}&cursor={cursor}")).await;
    assert_eq!(each(&new, "messages", "id"), [inbound.id.to_string()]);
}

#[actix_web::test]
async fn from_an_empty_page_before_the_first_message_the_way_forth_begins_with_it() {
    let (_, services) = seven().await;
    for order in ["asc", "desc"] {
        let path = format!("/conversations/+18605550199/messages?order={order}&limit=3");
        let first = read(&services, &path).await;
        let back = first["previous_cursor"].as_str().unwrap();
        let nothing = read(&services, &format!("{path}&cursor={back}")).await;
        assert_eq!(each(&nothing, "messages", "id"), Vec::<String>::new());
        let forth = nothing["next_cursor"].as_str().unwrap();
        let again = read(&services, &format!("{path}&cursor={forth}")).await;
        assert_eq!(each(&again, "messages", "id"), each(&first, "messages", "id"), "{order}");
    }
}

#[actix_web::test]
async fn a_parameter_that_means_nothing_is_refused_with_those_that_do() {
    let services = three().await;
    for (path, name, known) in [
        ("/conversations?tenant=T_1", "tenant", "tenant_id"),
        ("/conversations/+18605550199?sort=asc", "sort", "order"),
        ("/conversations/+18605550199/messages?page=2", "page", "cursor"),
        ("/messages?state=failed", "state", "status"),
        ("/jobs?status=parked", "status", "state"),
        ("/events?type=message.sent", "type", "types"),
        ("/subscriptions/7/deliveries?status=parked", "status", "state"),
    ] {
        let answer = ask_of(&services, get(path)).await;
        assert_eq!(answer.status, 400, "{path}");
        let error = &answer.json()["error"];
        assert_eq!(error["details"]["field"], name);
        let named = error["details"]["known_parameters"].as_array().unwrap();
        assert!(named.contains(&known.into()), "{path}: {named:?}");
        assert!(error["message"].as_str().unwrap().contains(known));
    }
}

#[actix_web::test]
async fn a_page_of_a_thread_has_one_shape() {
    let (_, services) = seven().await;
    let page = read(&services, "/conversations/+18605550199/messages?limit=1").await;
    insta::assert_json_snapshot!("thread_page", page);
    let nobody = ask_of(&services, get("/conversations/+18605550111/messages")).await;
    assert_eq!(nobody.status, 404);
}
