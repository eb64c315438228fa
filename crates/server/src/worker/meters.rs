//! What the worker counts.

use std::time::Duration;

use domain::identify::Identified;
use domain::outbox::{Outbox, Performed, Resolved};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, ObservableGauge};

use crate::metered::{meter, seconds};

/// From a local note to a lookup that waits for four answers.
const RUN: [f64; 8] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];

/// The instruments, from the global meter provider.
pub(super) struct Meters {
    jobs: Counter<u64>,
    took: Histogram<f64>,
    attempts: Counter<u64>,
    resolved: Counter<u64>,
    overturned: Counter<u64>,
    lookups: Counter<u64>,
    _paused: ObservableGauge<u64>,
}

impl Meters {
    pub(super) fn new(outbox: Option<Outbox>) -> Self {
        let meter = meter();
        let counter = |name: &'static str, about: &'static str| {
            meter.u64_counter(name).with_description(about).build()
        };
        Self {
            jobs: counter("sms_job_runs", "Runs of jobs, by kind and result"),
            took: seconds("sms_job_duration", "How long a run of a job took", &RUN),
            attempts: counter("sms_send_attempts", "Requests to send a message, by outcome"),
            resolved: counter("sms_searches", "Searches for unanswered messages, by result"),
            overturned: counter("sms_verdicts_overturned", "Messages given up that were sent"),
            lookups: counter("sms_tenant_lookups", "Tenant lookups, by result"),
            _paused: meter
                .u64_observable_gauge("sms_sending_paused")
                .with_description("1 while Twilio refuses our account")
                .with_callback(move |gauge| {
                    let paused = outbox.as_ref().is_some_and(Outbox::is_paused);
                    gauge.observe(u64::from(paused), &[]);
                })
                .build(),
        }
    }

    pub(super) fn job(&self, kind: &'static str, took: Duration, done: bool) {
        let result = if done { "done" } else { "failed" };
        self.took.record(took.as_secs_f64(), &[KeyValue::new("kind", kind)]);
        self.jobs.add(1, &[KeyValue::new("kind", kind), KeyValue::new("result", result)]);
    }

    pub(super) fn performed(&self, performed: &Performed) {
        let outcome = match performed {
            Performed::Attempted { outcome, overturned, .. } => {
                self.overturned.add(u64::from(*overturned), &[]);
                outcome
            }
            Performed::Unrecorded => "unrecorded",
            Performed::Settled(_) | Performed::Postponed | Performed::Lost => return,
        };
        self.attempts.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    pub(super) fn identified(&self, identified: Identified) {
        self.lookups.add(1, &[KeyValue::new("result", identified.as_str())]);
    }

    pub(super) fn resolved(&self, resolved: Resolved) {
        let result = match resolved {
            Resolved::Settled => "settled",
            Resolved::Found { overturned } => {
                self.overturned.add(u64::from(overturned), &[]);
                "found"
            }
            Resolved::GivenUp => "given_up",
            Resolved::Open => "open",
        };
        self.resolved.add(1, &[KeyValue::new("result", result)]);
    }
}
