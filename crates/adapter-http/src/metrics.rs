//! What is counted here.

use domain::ports::SignatureMistake;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;

/// The instruments, from the global meter provider; without one they cost nothing.
pub(crate) struct Meters {
    webhooks: Counter<u64>,
    signature_failures: Counter<u64>,
    verdicts_overturned: Counter<u64>,
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
