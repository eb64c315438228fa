//! How the service is (wire contracts, section 3).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::{HttpResponse, web};
use domain::error::causes;
use domain::ports::{Clock, MessageStore};
use domain::timestamp::Timestamp;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::openapi::words;
use crate::outside::{Outside, Probe};
use crate::{Access, Services};

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
    twilio: Outside,
    monitor: Outside,
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
    /// The health of a service that is not ready yet, and has nobody behind it but its store.
    #[must_use]
    pub fn new(version: String, store: Arc<dyn MessageStore>, clock: Arc<dyn Clock>) -> Self {
        Self::with_outside(version, store, clock, None, None)
    }

    /// The same of one that has; what is `None` is not configured.
    #[must_use]
    pub fn with_outside(
        version: String,
        store: Arc<dyn MessageStore>,
        clock: Arc<dyn Clock>,
        twilio: Option<Probe>,
        monitor: Option<Probe>,
    ) -> Self {
        Self(Arc::new(Inner {
            version,
            store,
            clock,
            ready: AtomicBool::new(false),
            last: Mutex::new(None),
            twilio: Outside::new(twilio),
            monitor: Outside::new(monitor),
        }))
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
                tracing::warn!(error = causes(&error), "the store does not answer");
                Check::Down
            }
        };
        *last = Some((self.0.clock.now(), check));
        check
    }

    async fn twilio(&self) -> Check {
        self.0.twilio.check(self.0.clock.as_ref()).await
    }

    async fn monitor(&self) -> Check {
        self.0.monitor.check(self.0.clock.as_ref()).await
    }

    fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::Acquire)
    }
}

/// How the service is.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
pub(crate) struct HealthBody {
    /// Whether it works.
    ok: bool,
    /// Its version.
    version: String,
    /// How what it needs is.
    checks: Checks,
}

/// How what the service needs is.
#[derive(Serialize, ToSchema)]
#[schema(as = HealthChecks)]
pub(crate) struct Checks {
    /// The settings; `degraded` while everybody is let in (`API_AUTH=off`).
    #[schema(schema_with = words::check)]
    config: Check,
    /// Where texts are kept.
    #[schema(schema_with = words::check)]
    db: Check,
    /// Who carries them.
    #[schema(schema_with = words::check)]
    twilio: Check,
    /// Who knows the tenants.
    #[schema(schema_with = words::check)]
    monitor: Check,
}

/// Whether the service lives, or is ready.
#[derive(Serialize, ToSchema)]
#[schema(as = Alive)]
pub(crate) struct AliveBody {
    /// Whether it is.
    ok: bool,
}

/// `GET /health`: 200 = healthy, anything else = down.
pub(crate) async fn full(services: web::Data<Services>) -> HttpResponse {
    let health = &services.health;
    let (db, twilio, monitor) = tokio::join!(health.database(), health.twilio(), health.monitor());
    let ok = db == Check::Ok;
    // Whoever reads health shall see that everybody is let in.
    let config = if matches!(services.access, Access::Open) { Check::Degraded } else { Check::Ok };
    let body = HealthBody {
        ok,
        version: services.health.0.version.clone(),
        checks: Checks { config, db, twilio, monitor },
    };
    answer(ok).json(body)
}

/// `GET /health/live`: the process answers; a restart would not help.
pub(crate) async fn live() -> HttpResponse {
    answer(true).json(AliveBody { ok: true })
}

/// `GET /health/ready`: migrated, and the store answers: requests may come.
pub(crate) async fn ready(services: web::Data<Services>) -> HttpResponse {
    let ok = services.health.is_ready() && services.health.database().await == Check::Ok;
    answer(ok).json(AliveBody { ok })
}

fn answer(ok: bool) -> actix_web::HttpResponseBuilder {
    if ok { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() }
}
