//! How the service is (wire contracts, section 3).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::{HttpResponse, web};
use domain::ports::{Clock, MessageStore};
use domain::timestamp::Timestamp;
use serde::Serialize;
use tokio::sync::Mutex;

use crate::Services;

/// For so long an answer of the store's is believed, so that health checks never load what they check.
const BELIEVED: Duration = Duration::from_secs(1);

/// Knows how the service is.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    version: String,
    store: Arc<dyn MessageStore>,
    clock: Arc<dyn Clock>,
    ready: AtomicBool,
    last: Mutex<Option<(Timestamp, Check)>>,
}

/// How one thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// It works.
    Ok,
    /// It works in part, or others of its kind do.
    Degraded,
    /// It does not answer.
    Down,
    /// It is not configured.
    Disabled,
}

impl Health {
    /// The health of a service that is not ready yet.
    #[must_use]
    pub fn new(version: String, store: Arc<dyn MessageStore>, clock: Arc<dyn Clock>) -> Self {
        let (ready, last) = (AtomicBool::new(false), Mutex::new(None));
        Self(Arc::new(Inner { version, store, clock, ready, last }))
    }

    /// Says whether requests may come: after the migrations, and until shutdown begins.
    pub fn set_ready(&self, ready: bool) {
        self.0.ready.store(ready, Ordering::Release);
    }

    /// Asks the store, one question at a time and at most one a second.
    async fn database(&self) -> Check {
        let mut last = self.0.last.lock().await;
        let now = self.0.clock.now();
        if let Some((at, check)) = *last
            && now >= at
            && now < at.after(BELIEVED)
        {
            return check;
        }
        let check = match self.0.store.check().await {
            Ok(()) => Check::Ok,
            Err(error) => {
                tracing::warn!(error = source_of(&error), "the store does not answer");
                Check::Down
            }
        };
        *last = Some((self.0.clock.now(), check));
        check
    }

    fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::Acquire)
    }
}

fn source_of(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

#[derive(Serialize)]
struct HealthBody<'a> {
    ok: bool,
    version: &'a str,
    checks: Checks,
}

#[derive(Serialize)]
struct Checks {
    config: Check,
    db: Check,
    twilio: Check,
    monitor: Check,
}

/// `GET /health`: 200 = healthy, anything else = down.
pub(crate) async fn full(services: web::Data<Services>) -> HttpResponse {
    let db = services.health.database().await;
    let ok = db == Check::Ok;
    let body = HealthBody {
        ok,
        version: &services.health.0.version,
        checks: Checks { config: Check::Ok, db, twilio: Check::Disabled, monitor: Check::Disabled },
    };
    answer(ok).json(body)
}

/// `GET /health/live`: the process answers; a restart would not help.
pub(crate) async fn live() -> HttpResponse {
    answer(true).json(serde_json::json!({ "ok": true }))
}

/// `GET /health/ready`: migrated, and the store answers: requests may come.
pub(crate) async fn ready(services: web::Data<Services>) -> HttpResponse {
    let ok = services.health.is_ready() && services.health.database().await == Check::Ok;
    answer(ok).json(serde_json::json!({ "ok": ok }))
}

fn answer(ok: bool) -> actix_web::HttpResponseBuilder {
    if ok { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() }
}
