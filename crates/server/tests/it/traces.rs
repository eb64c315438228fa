//! Traces: the program, a real collector, the context in and out, and what happens without one.

use std::time::{Duration, Instant};

use adapter_monitor::testing::{MonitorStub, Reply};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};

use crate::collector::Collector;
use crate::database::Database;
use crate::hooks::{quick, subscribe};
use crate::sending::{Stage, send};
use crate::service::{Service, client};
use crate::subscriber::Subscriber;
use crate::twilio::{Webhook, sid};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const TENANT: &str = "+18605550199";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"))
}

async fn post_text(service: &Service, number: usize) {
    let text = Webhook::text(&sid(number), TENANT, "My sink is leaking again");
    let request = client()
        .post(format!("{}{}", service.url, text.target))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("x-twilio-signature", &text.signature)
        .header("x-request-id", "call-4711")
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .body(text.body.clone());
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-request-id"], "call-4711");
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name} in {names:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_its_store_its_job_and_the_call_to_the_monitor_are_one_trace() {
    for (database, store) in [(Database::sqlite(), "sqlite"), (Database::postgres(), "pg")] {
        let (collector, monitor) = (Collector::start(), MonitorStub::start().await.unwrap());
        monitor.set_lookup(Reply::tenant("T_1"));
        let settings = database
            .settings()
            .with("MONITOR_API_URL", &monitor.base_url())
            .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)
            .with("OTEL_RESOURCE_ATTRIBUTES", "team=housing");
        let mut service = Service::start(&settings);
        post_text(&service, 1).await;
        monitor.was_asked(1).await;
        assert_eq!(service.stop(), Some(0));

        let spans = collector.spans();
        let trace: Vec<Span> =
            spans.into_iter().filter(|span| hex(&span.trace_id) == TRACE).collect();
        let request = named(&trace, "POST /webhook/twilio/sms");
        let inbound = named(&trace, "http.inbound");
        let stored = named(&trace, &format!("{store}.record_inbound"));
        let job = named(&trace, "job tenant_lookup");
        let lookup = named(&trace, "monitor.look_up");
        assert_eq!(hex(&request.parent_span_id), CALLER);
        assert_eq!(inbound.parent_span_id, request.span_id);
        assert_eq!(stored.parent_span_id, inbound.span_id);
        assert_eq!(job.parent_span_id, inbound.span_id);
        assert_eq!(job.links[0].span_id, inbound.span_id);
        assert_eq!(lookup.parent_span_id, job.span_id);
        let kinds = [request.kind, job.kind, lookup.kind];
        assert_eq!(kinds, [2, 5, 3], "server, consumer, client");
        let sent = monitor.asked()[0].header("traceparent").unwrap().to_owned();
        assert_eq!(sent, format!("00-{TRACE}-{}-01", hex(&lookup.span_id)));
        assert!(collector.services().iter().all(|name| name.contains("sms-foundation")));
        let metrics = collector.metrics();
        assert!(metrics.iter().any(|name| name == "sms_webhooks"), "{metrics:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_of_an_event_can_go_on_with_the_trace_of_being_told() {
    let (collector, database) = (Collector::start(), Database::sqlite());
    let settings = quick(database.settings());
    let settings = settings.with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url);
    let mut service = Service::start(&settings);
    let subscriber = Subscriber::answering(200).await;
    let wish = json!({ "events": ["message.received"] });
    subscribe(&service, "well", &subscriber.url, wish).await;
    post_text(&service, 1).await;
    subscriber.until_told(1).await;
    assert_eq!(service.stop(), Some(0));

    let spans = collector.spans();
    let (delivery, call) = (named(&spans, "delivery"), named(&spans, "hook.send"));
    assert_eq!((&call.trace_id, &call.parent_span_id), (&delivery.trace_id, &delivery.span_id));
    let sent = &subscriber.calls()[0].headers["traceparent"];
    assert_eq!(*sent, format!("00-{}-{}-01", hex(&call.trace_id), hex(&call.span_id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_and_what_follows_from_them_say_which_request_they_come_from() {
    let database = Database::sqlite();
    let monitor = MonitorStub::start().await.unwrap();
    monitor.set_lookup(Reply::tenant("T_1"));
    let settings = database.settings().with("MONITOR_API_URL", &monitor.base_url());
    let mut service = Service::start(&settings);
    post_text(&service, 1).await;
    monitor.was_asked(1).await;
    assert_eq!(service.stop(), Some(0));

    let log: Vec<Value> =
        service.log().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = |msg: &str| log.iter().find(|line| line["msg"] == msg).unwrap();
    for (msg, fields) in [
        ("language decided", vec!["timestamp", "level", "conversation_id", "twilio_sid", "phone"]),
        ("tenant looked up", vec!["conversation_id", "tenant_id", "job", "phone"]),
    ] {
        let line = line(msg);
        assert_eq!(line["service"], "sms-foundation");
        assert_eq!(line["request_id"], "call-4711", "{line}");
        assert_eq!(line["trace_id"], TRACE, "{line}");
        for field in fields {
            assert!(line[field].is_string(), "{field} in {line}");
        }
        assert_eq!(line["phone"], "+1******0199");
        assert!(line.as_object().unwrap().values().all(|value| !value.is_object()), "{line}");
    }
    assert_eq!(line("language decided")["route"], "/webhook/twilio/sms");
    assert_eq!(line("tenant looked up")["tenant_id"], "T_1");
    // Nothing is exported here, and the caller's trace does not end all the same.
    let sent = monitor.asked()[0].header("traceparent").unwrap().to_owned();
    assert_eq!(sent, format!("00-{TRACE}-{CALLER}-01"));
    let job = database.everything().await.jobs.remove(0);
    assert_eq!(job.origin.request_id.as_deref(), Some("call-4711"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_or_hangs_slows_nothing_and_stops_nothing() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hangs = format!("http://{}", silent.local_addr().unwrap());
    for collector in ["http://127.0.0.1:9", hangs.as_str()] {
        let database = Database::sqlite();
        let stage = Stage::set(&database).await;
        let settings = stage.settings.clone().with("OTEL_EXPORTER_OTLP_ENDPOINT", collector);
        let mut service = Service::start(&settings);
        let begun = Instant::now();
        for number in 0..20 {
            let request = json!({ "to": TENANT, "body": format!("number {number}") });
            assert_eq!(send(&service, &request).await.0, 202);
        }
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(10), "{collector}: {took:?}");
        let begun = Instant::now();
        assert_eq!(service.stop(), Some(0));
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(8), "{collector}: stopped after {took:?}");
    }
}
