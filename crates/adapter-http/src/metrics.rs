//! What is counted here.

use domain::ports::SignatureMistake;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;

/// The instruments, from the global meter provider; without one they cost nothing.
pub(crate) struct Meters {
    webhooks: Counter<u64>,
    signature_failures: Counter<u64>,
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
}
