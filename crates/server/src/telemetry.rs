//! Logs and metrics.

mod quiet;

use std::io::IsTerminal;

use anyhow::Context;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::LogSettings;

/// Starts logging to stdout.
pub(crate) fn start_logging(settings: &LogSettings) {
    let filter = EnvFilter::new(&settings.filter);
    let builder = fmt().with_env_filter(filter).with_target(true);
    let started = if settings.json {
        let builder = builder.json().flatten_event(true).with_current_span(true);
        builder.with_span_list(false).finish().with(quiet::quiet()).try_init()
    } else {
        let builder = builder.compact().with_ansi(std::io::stdout().is_terminal());
        builder.finish().with(quiet::quiet()).try_init()
    };
    if started.is_err() {
        tracing::warn!("logging was started before");
    }
}

/// Says in the log where something panicked. What it said may hold a number or a text, so that is
/// left out; the place is enough to find it.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(tracing::field::display);
        tracing::error!(location, "panicked");
    }));
}

/// What has been counted, for Prometheus.
#[derive(Clone)]
pub(crate) struct Metrics(Registry);

impl Metrics {
    /// Starts counting: instruments made from now on are kept here.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_target_info()
            .build()
            .context("the metrics cannot be exported")?;
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        opentelemetry::global::set_meter_provider(provider);
        Ok(Self(registry))
    }

    /// The page that Prometheus reads.
    pub(crate) fn page(&self) -> anyhow::Result<String> {
        let page = TextEncoder::new().encode_to_string(&self.0.gather());
        page.context("the metrics cannot be written down")
    }
}
