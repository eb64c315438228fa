//! The HTTP side: Twilio's webhooks, reading, health. Knows neither Twilio's signature nor any
//! database: it is given a [`WebhookGate`] and use cases.
//!
//! To add an endpoint: a module with the handler and its bodies, a line in [`configure`], a
//! snapshot of what it answers. A handler returns `Result<_, ApiError>`; the envelope around
//! errors, the request id and the log line are made in [`envelope`](fn@envelope).
//!
//! Absent: sending, and the list of conversations (later issues).

mod access;
mod conversations;
mod cursor;
mod envelope;
mod error;
mod health;
mod messages;
mod metrics;
mod request_id;
mod views;
mod webhooks;

use std::sync::Arc;

use actix_web::{Resource, Route, web};
use domain::inbox::Inbox;
use domain::ports::{Clock, IdSource, WebhookGate};
use domain::receipts::Receipts;
use domain::threads::Threads;

pub use access::{Access, ApiKeys, InvalidApiKeys, Scope};
pub use envelope::envelope;
pub use error::ApiError;
pub use health::{Check, Health};
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
    /// Reads what was said.
    pub threads: Threads,
    /// Who may read.
    pub access: Access,
    /// How the service is.
    pub health: Health,
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
        .service(get("/conversations/{key}", web::get().to(conversations::read)))
        .service(get("/messages/{key}", web::get().to(messages::read)))
        .service(get("/health", web::get().to(health::full)))
        .service(get("/health/live", web::get().to(health::live)))
        .service(get("/health/ready", web::get().to(health::ready)));
}

fn get(path: &str, route: Route) -> Resource {
    only("GET", path, route)
}

fn post(path: &str, route: Route) -> Resource {
    only("POST", path, route)
}

/// A path with one method; any other is answered 405.
fn only(allowed: &'static str, path: &str, route: Route) -> Resource {
    let refuse = move || async move { Err::<String, _>(ApiError::MethodNotAllowed { allowed }) };
    web::resource(path).route(route).default_service(web::to(refuse))
}
