//! What is counted of what the ports do: wrappers that a use case does not see. Names and meanings are
//! in `docs/metrics.md`.

mod database;
mod process;
mod provider;
mod store;
mod survey;
mod tenants;

use opentelemetry::metrics::{Histogram, Meter};

pub(crate) use database::measure as measure_database;
pub(crate) use process::measure as measure_process;
pub(crate) use provider::MeteredProvider;
pub(crate) use store::MeteredStore;
pub(crate) use survey::Watch;
pub(crate) use tenants::{MeteredDirectory, MeteredProfiles};

/// Where the buckets of our requests to others end, in seconds.
const REQUEST: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];

/// Where all instruments are.
pub(crate) fn meter() -> Meter {
    opentelemetry::global::meter("sms-foundation")
}

/// A histogram of durations.
pub(crate) fn seconds(name: &'static str, about: &'static str, bounds: &[f64]) -> Histogram<f64> {
    let meter = meter();
    let histogram = meter.f64_histogram(name).with_description(about).with_unit("s");
    histogram.with_boundaries(bounds.to_vec()).build()
}
