//! The HTTP side: Twilio's webhooks, sending, reading, health. Knows neither Twilio's signature nor any
//! database: it is given a [`WebhookGate`] and use cases.
//!
//! To add an endpoint: a module with the handler and its bodies, a line in [`configure`], a
//! snapshot of what it answers. A handler returns `Result<_, ApiError>`; the envelope around
//! errors, the request id and the log line are made in [`envelope`](fn@envelope).
//!
//! A JSON body is read with `fields::Fields`, which refuses unknown fields. What is mounted here is
//! described in `openapi::operations`, and checked against it by `.ci/conformance/schemathesis`.

mod access;
mod body;
mod codes;
mod connection;
mod conversations;
mod cors;
mod cursor;
mod docs;
mod envelope;
mod error;
mod events;
mod fields;
mod health;
mod jobs;
mod limits;
mod messages;
mod metrics;
mod openapi;
mod origin;
mod outside;
mod parameters;
mod request_id;
mod sending;
mod subscriptions;
mod tail;
mod traffic;
mod views;
mod waiting;
mod webhooks;

// `make fuzz` links the fuzzer into every test program of this crate; this names it where no target is.
#[cfg(all(test, fuzzing))]
use bolero as _;

use std::sync::Arc;
use std::time::Duration;

use actix_web::{Resource, Route, guard, web};
use domain::backfill::Backfill;
use domain::backlog::Backlog;
use domain::inbox::Inbox;
use domain::notify::Subscriptions;
use domain::outbox::Outbox;
use domain::ports::{Clock, Dispatcher, IdSource, WebhookGate};
use domain::receipts::Receipts;
use domain::threads::Threads;

pub use access::{Access, ApiKeys, Caller, InvalidApiKeys, NewKey, Scope};
pub use connection::{descriptors_for_each_connection, on_connect};
pub use cors::Cors;
pub use envelope::envelope;
pub use error::{ApiError, Category, SendFailure};
pub use events::spell_event;
pub use health::{Check, Health};
pub use limits::{LimitSettings, Limits};
pub use outside::Probe;
pub use tail::EventTail;
pub use traffic::Traffic;
pub use webhooks::MAX_BODY_BYTES;

/// Everything that the endpoints need.
#[derive(Clone)]
pub struct Services {
    /// The only way in for webhooks.
    pub gate: Arc<dyn WebhookGate>,
    /// Path prefixes under which the webhooks answer too, besides none: `/sms`.
    pub webhook_prefixes: Vec<String>,
    /// Takes messages in.
    pub inbox: Inbox,
    /// Takes delivery reports in.
    pub receipts: Receipts,
    /// Finds what webhooks did not bring, where an account is configured.
    pub backfill: Option<Backfill>,
    /// Reads what was said.
    pub threads: Threads,
    /// Sends, where an account to send from is configured.
    pub outbox: Option<Outbox>,
    /// The jobs, for operators.
    pub backlog: Backlog,
    /// Who is told of what happens.
    pub subscriptions: Subscriptions,
    /// What happens, as it happens.
    pub events: EventTail,
    /// Runs what must be done at once, and is told of what can wait.
    pub dispatcher: Arc<dyn Dispatcher>,
    /// How long a caller waits for the first outcome of a text, at most.
    pub send_wait: Duration,
    /// Who may do what.
    pub access: Access,
    /// How often.
    pub limits: Limits,
    /// Which sites' pages may call.
    pub cors: Cors,
    /// How the service is.
    pub health: Health,
    /// The requests that run.
    pub traffic: Traffic,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes request ids.
    pub ids: Arc<dyn IdSource>,
}

/// Mounts every endpoint. The application must be wrapped in [`envelope`](fn@envelope).
pub fn configure(config: &mut web::ServiceConfig, services: &Services) {
    config
        .app_data(web::Data::new(services.clone()))
        .app_data(web::Data::new(metrics::Meters::new()))
        .default_service(web::to(|| async { Err::<String, _>(ApiError::NoSuchPath) }));
    for prefix in std::iter::once("").chain(services.webhook_prefixes.iter().map(String::as_str)) {
        // Twilio signs the URL that it was given, so a trailing slash is as good as none.
        for slash in ["", "/"] {
            let path = |name: &str| format!("{prefix}/webhook/twilio/{name}{slash}");
            config
                .service(post(&path("sms"), web::post().to(webhooks::inbound)))
                .service(post(&path("status"), web::post().to(webhooks::status)));
        }
    }
    config
        .service(post("/sms/send", web::post().to(sending::send)))
        .service(get("/conversations", web::get().to(conversations::list)))
        .service(
            only("GET, PATCH", "/conversations/{key}")
                .route(web::get().to(conversations::read))
                .route(web::patch().to(conversations::annotate)),
        )
        .service(get("/conversations/{key}/messages", web::get().to(conversations::messages)))
        .service(get("/messages", web::get().to(messages::list)))
        .service(get("/messages/{key}", web::get().to(messages::read)))
        .service(post("/messages/{key}/cancel", web::post().to(messages::cancel)))
        .service(get("/jobs", web::get().to(jobs::list)))
        .service(post("/jobs/{id}/retry", web::post().to(jobs::retry)))
        .service(get("/events", web::get().to(events::read)))
        .service(
            only("GET, POST", "/subscriptions")
                .route(web::get().to(subscriptions::list))
                .route(web::post().to(subscriptions::create)),
        )
        .service(
            only("DELETE, GET, PATCH", "/subscriptions/{id}")
                .route(web::delete().to(subscriptions::delete))
                .route(web::get().to(subscriptions::read))
                .route(web::patch().to(subscriptions::change)),
        )
        .service(get("/subscriptions/{id}/deliveries", web::get().to(subscriptions::deliveries)))
        .service(post("/subscriptions/{id}/redeliver", web::post().to(subscriptions::redeliver)))
        .service(get("/openapi.json", web::get().to(openapi::read)))
        .service(get("/docs", web::get().to(docs::page)))
        .service(get("/docs/", web::get().to(docs::page)))
        .service(get("/docs/{file}", web::get().to(docs::file)))
        .service(probe("/health").route(web::route().guard(probes()).to(health::full)))
        .service(probe("/health/live").route(web::route().guard(probes()).to(health::live)))
        .service(probe("/health/ready").route(web::route().guard(probes()).to(health::ready)));
}

/// Probes ask with GET or HEAD; the server leaves the body of an answer to HEAD out.
fn probes() -> impl guard::Guard {
    guard::Any(guard::Get()).or(guard::Head())
}

fn probe(path: &str) -> Resource {
    only("GET, HEAD", path)
}

/// A path that answers GET only.
#[must_use]
pub fn get(path: &str, route: Route) -> Resource {
    only("GET", path).route(route)
}

fn post(path: &str, route: Route) -> Resource {
    only("POST", path).route(route)
}

/// A path with these methods; any other is answered 405.
fn only(allowed: &'static str, path: &str) -> Resource {
    let refuse = move || async move { Err::<String, _>(ApiError::MethodNotAllowed { allowed }) };
    web::resource(path).default_service(web::to(refuse))
}
