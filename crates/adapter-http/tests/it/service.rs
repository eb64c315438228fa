//! A service to ask.

use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use actix_http::Request;
use actix_web::body::to_bytes;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{App, Error, HttpResponse, middleware, test};
use adapter_http::{
    Access, ApiKeys, Cors, EventTail, Health, LimitSettings, Limits, Services, Traffic, configure,
    envelope,
};
use domain::backlog::{Backlog, Keep};
use domain::inbox::Inbox;
use domain::job::Backoff;
use domain::language::Language;
use domain::notify::{Feed, Subscriptions};
use domain::outbox::{Outbox, OutboxPorts, SendRules};
use domain::phone::Region;
use domain::ports::{
    Clock, HookOutcome, IdSource, JobQueue, MessageStore, OutboundStore, Provider, Sender,
    StatusDelivery,
};
use domain::receipts::Receipts;
use domain::senders::Senders;
use domain::testing::{
    CountingIds, FakeGate, FixedChance, FixedDetector, FixedHooks, InMemoryStore, NoTimer,
    SteppingClock, fixture,
};
use domain::threads::Threads;
use serde_json::Value;

use crate::worker::TestWorker;

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

/// Services on `store` that cannot send.
pub(crate) fn services(store: Arc<dyn MessageStore>, gate: FakeGate) -> Services {
    let (clock, ids) = (Arc::new(SteppingClock::default()), Arc::new(CountingIds::default()));
    let detector = FixedDetector(fixture::detection(Language::English, 900));
    let health = Health::new("1.10".into(), store.clone(), clock.clone());
    health.set_ready(true);
    let rest = Arc::new(InMemoryStore::default());
    Services {
        gate: Arc::new(gate),
        webhook_prefixes: vec!["/sms".into()],
        inbox: Inbox::new(
            store.clone(),
            Arc::new(detector),
            clock.clone(),
            ids.clone(),
            Some(fixture::lookup_ages()),
        ),
        receipts: Receipts::new(store.clone(), clock.clone(), ids.clone()),
        backfill: None,
        threads: Threads::on(store, rest.clone(), rest.clone(), clock.clone(), Region::default()),
        subscriptions: subscriptions(rest.clone(), clock.clone()),
        events: EventTail::new(Feed::new(rest.clone()), Duration::from_millis(20)),
        outbox: None,
        backlog: backlog(rest, clock.clone()),
        dispatcher: Arc::new(TestWorker::idle()),
        send_wait: Duration::from_secs(5),
        access: Access::Loopback,
        limits: limits(1000, 0),
        cors: Cors::Off,
        health,
        traffic: Traffic::default(),
        clock,
        ids,
    }
}

/// So many requests at once, behind so many proxies.
pub(crate) fn limits(burst: u32, trusted_hops: usize) -> Limits {
    let number = |number| NonZeroU32::new(number).unwrap();
    Limits::new(LimitSettings { per_second: number(1), burst: number(burst), trusted_hops })
}

/// Services that read and annotate what is in `store`.
pub(crate) fn reading(store: &Arc<InMemoryStore>) -> Services {
    let mut services = services(store.clone(), gate());
    services.threads = Threads::new(store, services.clock.clone(), Region::default());
    services.subscriptions = subscriptions(store.clone(), services.clock.clone());
    services.events = EventTail::new(Feed::new(store.clone()), Duration::from_millis(20));
    services
}

fn subscriptions(store: Arc<InMemoryStore>, clock: Arc<dyn Clock>) -> Subscriptions {
    let sender = Arc::new(FixedHooks(HookOutcome::Accepted { status: 204 }));
    Subscriptions::new(store, sender, clock, Arc::new(CountingIds::default()))
}

/// Services on `store` that send by `provider`. Their clock stands.
pub(crate) fn sending(store: &Arc<InMemoryStore>, provider: Arc<dyn Provider>) -> Services {
    let mut services = reading(store);
    let clock: Arc<dyn Clock> = Arc::new(SteppingClock::standing(fixture::at(0)));
    let outbox = outbox(store.clone(), store.clone(), provider, clock.clone());
    services.dispatcher = Arc::new(TestWorker::new(outbox.clone(), store.clone(), clock.clone()));
    services.outbox = Some(outbox);
    services.backlog = backlog(store.clone(), clock.clone());
    services.clock = clock;
    services
}

/// An outbox that sends from +18605550100.
pub(crate) fn outbox(
    store: Arc<dyn OutboundStore>,
    queue: Arc<dyn JobQueue>,
    provider: Arc<dyn Provider>,
    clock: Arc<dyn Clock>,
) -> Outbox {
    let ids: Arc<dyn IdSource> = Arc::new(CountingIds::default());
    let (timer, chance) = (Arc::new(NoTimer), Arc::new(FixedChance::default()));
    let ports = OutboxPorts { store, queue, provider, clock, timer, ids, chance };
    let rules = SendRules {
        region: Region::default(),
        expiry: Duration::from_hours(4),
        quiet_period: Duration::from_mins(15),
        backoff: Backoff { base: Duration::from_secs(1), cap: Duration::from_mins(1) },
        max_retries: None,
        lease: Duration::from_mins(1),
        keep_keys: Duration::from_hours(24),
        pacing: None,
        lookup_ages: Some(fixture::lookup_ages()),
    };
    let ours = vec![Sender::read("+18605550100")];
    Outbox::new(ports, rules, Senders::new(ours, Region::default()))
}

fn backlog(queue: Arc<InMemoryStore>, clock: Arc<dyn Clock>) -> Backlog {
    let day = Duration::from_hours(24);
    let keep = Keep {
        done_jobs: day,
        parked_jobs: day,
        idempotency_keys: day,
        parked_events: day,
        raw_payloads: None,
        send_expiry: Duration::from_hours(4),
    };
    Backlog::new(queue, clock, keep)
}

/// Asks a service on a store in memory.
pub(crate) async fn ask(request: test::TestRequest) -> Answer {
    let store = Arc::new(InMemoryStore::default());
    ask_of(&services(store, gate()), request).await
}

/// Asks that service.
pub(crate) async fn ask_of(services: &Services, request: test::TestRequest) -> Answer {
    ask_app(&app(services).await, request).await
}

/// Asks a service that is there.
pub(crate) async fn ask_app<S>(app: &S, request: test::TestRequest) -> Answer
where
    S: Service<Request, Response = ServiceResponse, Error = Error>,
{
    answer(app, from_here(request.to_request())).await
}

/// That service, to be asked more than once.
pub(crate) async fn app(
    services: &Services,
) -> impl Service<Request, Response = ServiceResponse, Error = Error> + use<> {
    let app = App::new()
        .wrap(middleware::from_fn(envelope))
        .configure(|config| configure(config, services));
    test::init_service(app).await
}

/// As a program on this machine asks, unless the request says otherwise.
pub(crate) fn from_here(mut request: Request) -> Request {
    let head = request.head_mut();
    head.peer_addr.get_or_insert((Ipv4Addr::LOCALHOST, 4711).into());
    if !head.headers.contains_key(header::HOST) {
        head.headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8080"));
    }
    request
}

async fn answer<S>(app: &S, request: Request) -> Answer
where
    S: Service<Request, Response = ServiceResponse, Error = Error>,
{
    // The server makes answers of errors too.
    let response = app.call(request).await.map(HttpResponse::from);
    let response = response.unwrap_or_else(|error| error.error_response());
    let (status, headers) = (response.status(), response.headers().clone());
    let body = to_bytes(response.into_body()).await.unwrap();
    Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() }
}

/// A webhook that the gate lets in.
pub(crate) fn genuine(path: &str) -> test::TestRequest {
    test::TestRequest::post().uri(path).set_payload("genuine")
}

/// Access for the one key `secret`, of that name and those scopes.
pub(crate) fn key(name: &str, scopes: &str) -> Access {
    // `printf secret | sha256sum`
    let sha256 = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    Access::Keys(ApiKeys::parse(&format!("{name}:{scopes}:{sha256}")).unwrap())
}

/// The request with that key.
pub(crate) fn with_key(request: test::TestRequest) -> test::TestRequest {
    request.insert_header(("authorization", "Bearer secret"))
}

/// A request to send.
pub(crate) fn send(body: &Value) -> test::TestRequest {
    test::TestRequest::post().uri("/sms/send").set_json(body)
}

/// A POST without a body.
pub(crate) fn post(path: &str) -> test::TestRequest {
    test::TestRequest::post().uri(path)
}

/// A request without a body.
pub(crate) fn get(path: &str) -> test::TestRequest {
    test::TestRequest::default().method(Method::GET).uri(path)
}
