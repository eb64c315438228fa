//! Who is told of what happens, and the stream.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::test::{self, TestRequest};
use actix_web::{App, middleware};
use adapter_http::{Services, configure, envelope, spell_event};
use domain::event::{EventCursor, EventKind};
use domain::ports::{Acceptance, ConversationStore, EventStore, MessageStore, OutboundStore};
use domain::testing::{InMemoryStore, fixture};
use futures_util::future::poll_fn;
use serde_json::{Value, json};

use crate::service::{Answer, ask_of, from_here, get, key, post, reading, with_key};

fn store() -> (Arc<InMemoryStore>, Services) {
    let store = Arc::new(InMemoryStore::default());
    let services = reading(&store);
    (store, services)
}

fn subscribe(body: &Value) -> TestRequest {
    post("/subscriptions").set_json(body)
}

fn dashboard() -> Value {
    json!({ "name": "dashboard", "url": "https://dashboard.example.com/hooks" })
}

async fn made(services: &Services) -> String {
    let answer = ask_of(services, subscribe(&dashboard())).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn refused_field(answer: &Answer) -> String {
    assert_eq!(answer.status, 400, "{}", answer.body);
    answer.json()["error"]["details"]["field"].as_str().unwrap_or_default().to_owned()
}

#[actix_web::test]
async fn a_secret_is_shown_when_it_is_made_and_never_again() {
    let (_, services) = store();
    let answer = ask_of(&services, subscribe(&dashboard())).await;
    assert_eq!(answer.status, 201);
    let made = answer.json();
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    insta::assert_json_snapshot!("subscription", made);
    let path = format!("/subscriptions/{}", made["id"].as_str().unwrap());
    for read in [get("/subscriptions"), get(&path)] {
        let answer = ask_of(&services, read).await;
        assert_eq!(answer.status, 200);
        assert!(!answer.body.contains("whsec_"), "{}", answer.body);
    }
    let given = json!({ "name": "two", "url": "https://a.example", "secret": "whsec_given" });
    assert_eq!(ask_of(&services, subscribe(&given)).await.json()["secret"], "whsec_given");
}

#[actix_web::test]
async fn a_subscription_is_changed_field_by_field() {
    let (_, services) = store();
    let path = format!("/subscriptions/{}", made(&services).await);
    let change = async |body: Value| {
        ask_of(&services, TestRequest::patch().uri(&path).set_json(&body)).await
    };
    let changed = change(json!({
        "events": ["message.received"], "tenant": "known", "workflow_type": "repair",
    }))
    .await
    .json();
    assert_eq!(changed["events"], json!(["message.received"]));
    assert_eq!(
        (&changed["tenant"], &changed["workflow_type"]),
        (&json!("known"), &json!("repair"))
    );
    assert_eq!(changed["secret"], Value::Null);
    let emptied = change(json!({ "tenant": null, "workflow_type": null, "enabled": false })).await;
    let emptied = emptied.json();
    assert_eq!((&emptied["tenant"], &emptied["status"]), (&Value::Null, &json!("disabled")));
    assert_eq!(emptied["events"], json!(["message.received"]), "what is left out stays");
    assert!(change(json!({ "renew_secret": true })).await.json()["secret"].is_string());
    assert_eq!(change(json!({ "format": "orchestrator" })).await.status, 200);
    assert_eq!(refused_field(&change(json!({ "events": ["message.sent"] })).await), "events");
    assert_eq!(ask_of(&services, TestRequest::delete().uri(&path)).await.status, 204);
    assert_eq!(ask_of(&services, TestRequest::delete().uri(&path)).await.status, 404);
    assert_eq!(change(json!({})).await.status, 404);
}

#[actix_web::test]
async fn what_cannot_be_used_is_refused_with_its_field() {
    let (_, services) = store();
    for (field, value) in [
        ("name", json!("")),
        ("name", json!(null)),
        ("url", json!("http://dashboard.example.com")),
        ("url", json!(7)),
        ("events", json!(["message.lost"])),
        ("events", json!("message.received")),
        ("tenant", json!("maybe")),
        ("direction", json!("sideways")),
        ("format", json!("xml")),
        ("secret", json!("hunter2")),
        ("all_statuses", json!("yes")),
        ("workflow_type", json!("w".repeat(201))),
    ] {
        let mut body = dashboard();
        body[field] = value;
        let answer = ask_of(&services, subscribe(&body)).await;
        assert_eq!(refused_field(&answer), field, "{}", answer.body);
        assert!(!answer.body.contains("hunter2"));
    }
    made(&services).await;
    assert_eq!(ask_of(&services, subscribe(&dashboard())).await.status, 409);
    assert_eq!(ask_of(&services, get("/subscriptions/7")).await.status, 400);
}

#[actix_web::test]
async fn what_a_subscriber_is_to_be_told_is_listed_and_told_again() {
    let (store, services) = store();
    store.record_inbound(&fixture::inbound(1, "+18605550199")).await.unwrap();
    let id = made(&services).await;
    for number in 2..=4 {
        store.record_inbound(&fixture::inbound(number, "+18605550199")).await.unwrap();
    }
    let page = ask_of(&services, get(&format!("/subscriptions/{id}/deliveries?limit=2"))).await;
    assert_eq!(page.status, 200);
    insta::assert_json_snapshot!("deliveries", page.json());
    let cursor = page.json()["next_cursor"].as_str().unwrap().to_owned();
    let next = format!("/subscriptions/{id}/deliveries?limit=2&cursor={cursor}");
    let next = ask_of(&services, get(&next)).await.json();
    assert_eq!(
        (next["deliveries"].as_array().unwrap().len(), &next["next_cursor"]),
        (1, &Value::Null)
    );
    let parked =
        ask_of(&services, get(&format!("/subscriptions/{id}/deliveries?state=parked"))).await;
    assert_eq!(parked.json()["deliveries"], json!([]));
    let again = format!("/subscriptions/{id}/redeliver?since=2026-01-01T00:00:00Z");
    let again = ask_of(&services, post(&again)).await;
    // The first text and the language that it brought; the others wait already.
    assert_eq!((again.status.as_u16(), again.json()["queued"].clone()), (202, json!(2)));
    let answer = ask_of(&services, post(&format!("/subscriptions/{id}/redeliver"))).await;
    assert_eq!(refused_field(&answer), "since");
}

#[actix_web::test]
async fn subscriptions_are_for_operators_and_the_stream_for_readers() {
    let (_, mut services) = store();
    services.access = key("a", "send+write");
    assert_eq!(ask_of(&services, with_key(get("/events"))).await.status, 403);
    services.access = key("a", "send+read+write");
    for request in
        [get("/subscriptions"), subscribe(&dashboard()), get("/subscriptions/7/deliveries")]
    {
        assert_eq!(ask_of(&services, with_key(request)).await.status, 403);
    }
    assert_eq!(ask_of(&services, get("/events")).await.status, 401);
}

#[actix_web::test]
async fn every_kind_of_event_has_its_shape() {
    let (store, _) = store();
    insta::assert_json_snapshot!("events", events_of_every_kind(&store).await);
    let events = store.read_events(EventCursor::default(), 9).await.unwrap();
    assert!(!spell_event(&events[0]).contains('\n'), "one line");
}

/// A text from us that is sent and delivered, and one to us that begins and names a conversation.
async fn events_of_every_kind(store: &InMemoryStore) -> Vec<Value> {
    store.record_inbound(&fixture::inbound(1, "+18605550199")).await.unwrap();
    let found = domain::ports::LookupResult {
        is_ambiguous: false,
        origin: domain::origin::Origin::default(),
        conversation: fixture::inbound(1, "").conversation,
        tenant: domain::tenant::TenantId::parse("T_12").ok(),
        at: fixture::at(9),
        language_job: domain::job::JobId(fixture::uuid(7)),
    };
    store.record_lookup(&found).await.unwrap();
    let accepted = store.accept_outbound(&fixture::new_outbound(2, "+18605550111")).await.unwrap();
    let Acceptance::New { job: Some(job), .. } = accepted else {
        unreachable!("it waits for nobody")
    };
    store.begin_attempt(&fixture::attempt(2, &job)).await.unwrap();
    let sent = fixture::attempt_end(2, &job, fixture::accepted(2));
    store.record_attempt(&sent).await.unwrap();
    store.record_status(&fixture::status(6, 2, "delivered", None)).await.unwrap();
    let events = store.read_events(EventCursor::default(), 9).await.unwrap();
    events.iter().map(|event| serde_json::from_str(&spell_event(event)).unwrap()).collect()
}

/// Whether both have the same fields, and in them the same kind of thing or `null`.
fn has_shape_of(example: &Value, told: &Value) -> bool {
    match (example, told) {
        (Value::Object(example), Value::Object(told)) => {
            example.keys().eq(told.keys())
                && example.iter().all(|(name, value)| has_shape_of(value, &told[name]))
        }
        (Value::Array(example), Value::Array(told)) => {
            let first = example.first();
            told.iter().all(|each| first.is_none_or(|first| has_shape_of(first, each)))
        }
        (Value::Null, other) | (other, Value::Null) => !other.is_object() && !other.is_array(),
        (example, told) => {
            (example.is_string(), example.is_number(), example.is_boolean())
                == (told.is_string(), told.is_number(), told.is_boolean())
        }
    }
}

#[actix_web::test]
async fn the_document_has_an_example_of_every_event_that_is_shaped_as_what_is_told() {
    let (store, services) = store();
    let told = events_of_every_kind(&store).await;
    let document = ask_of(&services, get("/openapi.json")).await.json();
    for kind in EventKind::ALL.map(EventKind::as_str) {
        let example = &document["webhooks"][kind]["post"]["requestBody"]["content"]["application/json"]
            ["example"];
        assert_eq!(example["type"], kind, "the document has {kind}");
        let told: Vec<_> = told.iter().filter(|told| told["type"] == kind).collect();
        assert!(!told.is_empty(), "{kind} was told");
        for told in told {
            assert!(has_shape_of(example, told), "{example:#} {told:#}");
            let way = |event: &Value| event["data"]["message"]["direction"].clone();
            assert_eq!(way(example), way(told), "{kind}");
        }
    }
}

#[test]
fn another_shape_is_seen() {
    let example = json!({ "a": "x", "b": null, "c": [{ "d": 1 }] });
    assert!(has_shape_of(&example, &json!({ "a": null, "b": "y", "c": [] })));
    for other in [
        json!({ "a": "x", "b": null }),
        json!({ "a": 1, "b": null, "c": [] }),
        json!({ "a": "x", "b": {}, "c": [] }),
        json!({ "a": "x", "b": null, "c": [{ "d": "1" }] }),
        json!({ "a": "x", "b": null, "c": [], "more": 1 }),
    ] {
        assert!(!has_shape_of(&example, &other), "{other}");
    }
}

#[actix_web::test]
async fn who_wants_none_of_what_happens_sees_that_the_stream_lives() {
    let (store, services) = store();
    let mut stream = Stream::of(&services, get("/events?types=message.status")).await;
    assert!(stream.piece().await.starts_with("retry:"));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(16)).await;
    store.record_inbound(&fixture::inbound(1, "+18605550199")).await.unwrap();
    let last = store.read_events(EventCursor::default(), 9).await.unwrap().pop().unwrap();
    let asked = tokio::time::Instant::now();
    assert_eq!(stream.piece().await, format!(": still here\nid: {}\n\n", last.cursor));
    assert!(asked.elapsed() < Duration::from_secs(1), "it was overdue");
}

/// The first `count` pieces of a stream.
async fn pieces(services: &Services, request: TestRequest, count: usize) -> String {
    let mut stream = Stream::of(services, request).await;
    let mut text = String::new();
    for _ in 0..count {
        text.push_str(&stream.piece().await);
    }
    text
}

/// An answer that does not end.
struct Stream(Pin<Box<dyn MessageBody<Error = Box<dyn std::error::Error>>>>);

impl Stream {
    async fn of(services: &Services, request: TestRequest) -> Self {
        let app = App::new()
            .wrap(middleware::from_fn(envelope))
            .configure(|config| configure(config, services));
        let app = test::init_service(app).await;
        let answer = test::call_service(&app, from_here(request.to_request())).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers().get("content-type").unwrap(), "text/event-stream");
        Self(Box::pin(answer.into_body().boxed()))
    }

    async fn piece(&mut self) -> String {
        let piece = poll_fn(|cx| self.0.as_mut().poll_next(cx));
        let piece = tokio::time::timeout(Duration::from_secs(20), piece).await.unwrap();
        String::from_utf8(piece.unwrap().unwrap().to_vec()).unwrap()
    }
}

#[actix_web::test]
async fn a_stream_begins_now_and_goes_on_behind_what_was_seen() {
    let (store, services) = store();
    store.record_inbound(&fixture::inbound(1, "+18605550199")).await.unwrap();
    let tail = services.events.clone();
    actix_web::rt::spawn(async move { tail.run().await });
    let now = pieces(&services, get("/events"), 1).await;
    assert_eq!(now, "retry: 2000\nid: 0-2\n\n");
    let since = get("/events").insert_header(("last-event-id", "0-1"));
    let text = pieces(&services, since, 2).await;
    assert!(text.contains("id: 0-2\nevent: conversation.language_changed\ndata: {"), "{text}");
    let all = pieces(&services, get("/events?last_event_id=0-0"), 2).await;
    assert_eq!(all.matches("\nevent: ").count(), 2, "{all}");
    let live = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        store.record_inbound(&fixture::inbound(2, "+18605550199")).await.unwrap();
        services.events.wake();
    };
    let (text, ()) = tokio::join!(pieces(&services, get("/events"), 2), live);
    assert!(text.contains("id: 0-3\nevent: message.received\n"), "{text}");
}

/// As after a database was restored from a backup.
#[actix_web::test]
async fn who_has_seen_what_is_ahead_of_the_stream_is_told_so_and_begins_now() {
    let (store, services) = store();
    store.record_inbound(&fixture::inbound(1, "+18605550199")).await.unwrap();
    for ahead in ["0-3", "7-0"] {
        let request = get("/events").insert_header(("last-event-id", ahead));
        let mut stream = Stream::of(&services, request).await;
        let greeting = stream.piece().await;
        assert!(greeting.starts_with(": the id that was given is ahead"), "{greeting}");
        assert!(greeting.ends_with("\nretry: 2000\nid: 0-2\n\n"), "{greeting}");
    }
    let ahead = get("/events").insert_header(("last-event-id", "7-0"));
    let mut stream = Stream::of(&services, ahead).await;
    stream.piece().await;
    store.record_inbound(&fixture::inbound(2, "+18605550199")).await.unwrap();
    assert!(stream.piece().await.starts_with("id: 0-3\nevent: message.received\n"));
    let latest = get("/events").insert_header(("last-event-id", "0-2"));
    assert_eq!(pieces(&services, latest, 1).await, "retry: 2000\nid: 0-2\n\n");
}

#[actix_web::test]
async fn a_stream_is_filtered() {
    let (store, services) = store();
    for (number, from) in [(1, "+18605550199"), (2, "+18605550111")] {
        store.record_inbound(&fixture::inbound(number, from)).await.unwrap();
    }
    let conversation = fixture::inbound(2, "").conversation;
    for (filter, events) in [
        ("types=message.received", 2),
        ("types=message.received,conversation.language_changed", 4),
        ("phone=(860)%20555-0111", 2),
        ("direction=inbound&types=message.received&phone=%2B18605550199", 1),
        (&format!("conversation_id={conversation}"), 2),
    ] {
        let request = get(&format!("/events?last_event_id=0-0&{filter}"));
        let text = pieces(&services, request, 2).await;
        assert_eq!(text.matches("\nevent: ").count(), events, "{filter}: {text}");
    }
    for wrong in
        ["types=lost", "conversation_id=7", "direction=up", "tenant_id=%20", "last_event_id=x"]
    {
        let answer = ask_of(&services, get(&format!("/events?{wrong}"))).await;
        assert_eq!(answer.status, 400, "{wrong}");
    }
}

#[actix_web::test]
async fn a_closed_tail_ends_every_stream_and_begins_none() {
    let (_, services) = store();
    let closing = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        services.events.close();
    };
    let (answer, ()) = tokio::join!(ask_of(&services, get("/events")), closing);
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "retry: 2000\nid: 0-0\n\n"));
    assert_eq!(ask_of(&services, get("/events")).await.status, 503);
}
