//! What is counted here.

use std::time::Instant;

use actix_web::dev::ServiceRequest;
use actix_web::http::StatusCode;
use actix_web::web;
use domain::ports::SignatureMistake;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};

/// Where the buckets of durations end, in seconds: from what an idle store needs to what a caller
/// waits.
const SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The instruments, from the global meter provider; without one they cost nothing.
pub(crate) struct Meters {
    webhooks: Counter<u64>,
    signature_failures: Counter<u64>,
    verdicts_overturned: Counter<u64>,
    requests: Histogram<f64>,
}

impl Meters {
    pub(crate) fn new() -> Self {
        let meter = opentelemetry::global::meter("sms-foundation");
        Self {
            webhooks: meter
                .u64_counter("sms_webhooks")
                .with_description("Webhooks by route and outcome")
                .build(),
            signature_failures: meter
                .u64_counter("sms_signature_failures")
                .with_description("Refused webhooks by the likely mistake")
                .build(),
            verdicts_overturned: meter
                .u64_counter("sms_verdicts_overturned")
                .with_description("Messages that we had given up and that were sent after all")
                .build(),
            requests: meter
                .f64_histogram("http.server.request.duration")
                .with_description("Requests, from their head to our answer")
                .with_unit("s")
                .with_boundaries(SECONDS.to_vec())
                .build(),
        }
    }

    /// A webhook was answered.
    pub(crate) fn webhook(&self, route: &'static str, outcome: &'static str) {
        let labels = [KeyValue::new("route", route), KeyValue::new("outcome", outcome)];
        self.webhooks.add(1, &labels);
    }

    /// A webhook was refused for its signature.
    pub(crate) fn signature_failure(&self, mistake: SignatureMistake) {
        self.signature_failures.add(1, &[KeyValue::new("cause", mistake.as_str())]);
    }

    /// Twilio reported on a message that we had given up.
    pub(crate) fn verdict_overturned(&self) {
        self.verdicts_overturned.add(1, &[]);
    }
}

/// A request that is being measured.
pub(crate) struct Metered {
    meters: Option<web::Data<Meters>>,
    method: &'static str,
    route: String,
    begun: Instant,
}

impl Metered {
    pub(crate) fn begin(request: &ServiceRequest) -> Self {
        Self {
            meters: request.app_data::<web::Data<Meters>>().cloned(),
            method: method_of(request),
            // The template: a path can hold a number.
            route: request.match_pattern().unwrap_or_else(|| "none".to_owned()),
            begun: Instant::now(),
        }
    }

    /// The template of the path; `none` where nothing is there.
    pub(crate) fn route(&self) -> &str {
        &self.route
    }

    /// It was answered.
    pub(crate) fn end(self, status: StatusCode) {
        let Some(meters) = self.meters else { return };
        let labels = [
            KeyValue::new("http.request.method", self.method),
            KeyValue::new("http.route", self.route),
            KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
        ];
        meters.requests.record(self.begun.elapsed().as_secs_f64(), &labels);
    }
}

/// The method; `_OTHER` for what a caller made up.
pub(crate) fn method_of(request: &ServiceRequest) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    let method = request.method().as_str();
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("_OTHER")
}
