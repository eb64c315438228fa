//! A service to ask.

use std::sync::Arc;

use actix_http::Request;
use actix_web::body::to_bytes;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use actix_web::{App, Error, middleware, test};
use adapter_http::{Access, Health, Services, configure, envelope};
use domain::inbox::Inbox;
use domain::language::Language;
use domain::phone::Region;
use domain::ports::{MessageStore, StatusDelivery};
use domain::receipts::Receipts;
use domain::testing::{
    CountingIds, FakeGate, FixedDetector, InMemoryStore, SteppingClock, fixture,
};
use domain::threads::Threads;
use serde_json::Value;

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A gate that lets `genuine` bodies in as message 1 and a report that it is delivered.
pub(crate) fn gate() -> FakeGate {
    FakeGate {
        inbound: Ok(fixture::message(fixture::sid(1), "+18605550199", "My sink is leaking")),
        status: Ok(StatusDelivery::Ours(fixture::status(1, 1, "delivered", None).report)),
    }
}

/// Services on `store`.
pub(crate) fn services(store: Arc<dyn MessageStore>, gate: FakeGate) -> Services {
    let (clock, ids) = (Arc::new(SteppingClock::default()), Arc::new(CountingIds::default()));
    let detector = FixedDetector(fixture::detection(Language::English, 900));
    let health = Health::new("1.10".into(), store.clone(), clock.clone());
    health.set_ready(true);
    Services {
        gate: Arc::new(gate),
        webhook_prefixes: vec!["/sms".into()],
        inbox: Inbox::new(store.clone(), Arc::new(detector), clock.clone(), ids.clone()),
        receipts: Receipts::new(store.clone(), clock.clone(), ids.clone()),
        threads: Threads::new(store, Region::default()),
        access: Access::Open,
        health,
        clock,
        ids,
    }
}

/// Asks a service on a store in memory.
pub(crate) async fn ask(request: test::TestRequest) -> Answer {
    let store = Arc::new(InMemoryStore::default());
    ask_of(&services(store, gate()), request).await
}

/// Asks that service.
pub(crate) async fn ask_of(services: &Services, request: test::TestRequest) -> Answer {
    let app = App::new()
        .wrap(middleware::from_fn(envelope))
        .configure(|config| configure(config, services));
    answer(&test::init_service(app).await, request.to_request()).await
}

async fn answer<S>(app: &S, request: Request) -> Answer
where
    S: Service<Request, Response = ServiceResponse, Error = Error>,
{
    let response = app.call(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = to_bytes(response.into_body()).await.unwrap();
    Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

/// A webhook that the gate lets in.
pub(crate) fn genuine(path: &str) -> test::TestRequest {
    test::TestRequest::post().uri(path).set_payload("genuine")
}

/// A request without a body.
pub(crate) fn get(path: &str) -> test::TestRequest {
    test::TestRequest::default().method(Method::GET).uri(path)
}
