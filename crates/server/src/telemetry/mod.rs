//! Logs, traces and metrics: where they go. What is said and counted is where it happens.

mod export;
mod lines;
mod quiet;

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{Registry, TextEncoder};
use tracing::Metadata;
use tracing_subscriber::filter::{LevelFilter, dynamic_filter_fn, filter_fn};
use tracing_subscriber::layer::{Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::config::{LogSettings, Settings};

use lines::JsonLines;

/// The name under which a service that watches many knows this one.
const SERVICE: &str = "sms-foundation";

/// What has been started, to be read from and to be ended.
#[derive(Clone)]
pub(crate) struct Telemetry {
    registry: Registry,
    meters: SdkMeterProvider,
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts logging to stdout, counting, and what `OTEL_*` asks for. An exporter that cannot be
    /// made is told in the log and done without.
    pub(crate) fn start(settings: &Settings) -> anyhow::Result<Self> {
        let resource = export::resource(settings);
        let traces = export::traces(&settings.export, resource.clone());
        let metrics = export::metrics(&settings.export);
        let (traces, no_traces) = split(traces);
        let (metrics, no_metrics) = split(metrics);
        start_logging(&settings.log, traces.as_ref());
        for error in [no_traces, no_metrics].into_iter().flatten() {
            tracing::error!(error = format!("{error:#}"), "telemetry is not exported");
        }
        let registry = Registry::new();
        let page = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_target_info()
            .scope_info_enabled(false)
            .build()
            .context("the metrics cannot be exported")?;
        let mut meters = SdkMeterProvider::builder().with_resource(resource).with_reader(page);
        if let Some(pushed) = metrics {
            meters = meters.with_reader(pushed);
        }
        let meters = meters.build();
        opentelemetry::global::set_meter_provider(meters.clone());
        tell_build(settings);
        Ok(Self { registry, meters, traces })
    }

    /// The page that Prometheus reads.
    pub(crate) fn page(&self) -> anyhow::Result<String> {
        let page = TextEncoder::new().encode_to_string(&self.registry.gather());
        page.context("the metrics cannot be written down")
    }

    /// Sends what is still to be sent, for as long as that and no longer.
    pub(crate) async fn flush(self, patience: Duration) {
        let (done, flushed) = tokio::sync::oneshot::channel();
        // A thread of its own: the process does not wait for it when the collector is away.
        std::thread::spawn(move || {
            let traces = self.traces.as_ref().map(SdkTracerProvider::shutdown);
            let metrics = self.meters.shutdown();
            // Whoever asked may have gone.
            drop(done.send((traces, metrics)));
        });
        if tokio::time::timeout(patience, flushed).await.is_err() {
            tracing::warn!("the collector did not take the last of the telemetry in time");
        }
    }
}

fn split<T>(made: anyhow::Result<Option<T>>) -> (Option<T>, Option<anyhow::Error>) {
    made.map_or_else(|error| (None, Some(error)), |made| (made, None))
}

/// Starts logging to stdout; spans go to `traces` too.
fn start_logging(settings: &LogSettings, traces: Option<&SdkTracerProvider>) {
    let spans = traces.map(|traces| {
        tracing_opentelemetry::layer()
            .with_tracer(traces.tracer(SERVICE))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(trace_filter())
    });
    // The exporter's layer is the innermost: the ids that it makes are in the log.
    let started = tracing_subscriber::registry().with(spans).with(lines(settings)).try_init();
    if started.is_err() {
        tracing::warn!("logging was started before");
    }
}

/// Lines for programs, or for people.
fn lines<S>(settings: &LogSettings) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let filter = log_filter(&settings.filter);
    if settings.json {
        return JsonLines::new(SERVICE).with_filter(filter).boxed();
    }
    let ansi = std::io::stdout().is_terminal();
    fmt::layer().compact().with_ansi(ansi).with_filter(filter).boxed()
}

/// What `RUST_LOG` says of events. Our own spans are always there: a warning without the id of its
/// request is worth little. Those without fields would add nothing to a line.
///
/// Each part has a level that it lets through at most: without one of them every `trace!` of every library
/// would be asked about, thirty of them for each request.
fn log_filter<S>(directives: &str) -> impl Filter<S> + use<S>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
{
    use tracing_subscriber::filter::FilterExt;
    let spans = filter_fn(|metadata: &Metadata<'_>| {
        metadata.is_span() && *metadata.level() <= LevelFilter::INFO && is_ours(metadata.target())
    });
    let spans = spans.with_max_level_hint(LevelFilter::INFO);
    let tells = filter_fn(|metadata: &Metadata<'_>| {
        quiet::is_harmless(metadata) && (metadata.is_event() || !metadata.fields().is_empty())
    });
    let wanted = FilterExt::<S>::or(EnvFilter::new(directives), spans);
    FilterExt::<S>::and(wanted, tells.with_max_level_hint(LevelFilter::TRACE))
}

/// What goes into traces: requests, jobs, deliveries, and what happens in them. A store that is asked now and
/// then whether there is work begins none.
fn trace_filter<S>() -> impl Filter<S>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
{
    dynamic_filter_fn(
        |metadata: &Metadata<'_>, context: &tracing_subscriber::layer::Context<'_, S>| {
            let begins = metadata.is_span()
                && ["http.request", "job", "delivery"].contains(&metadata.name());
            *metadata.level() <= LevelFilter::INFO
                && is_ours(metadata.target())
                && (begins || context.lookup_current().is_some())
        },
    )
    .with_max_level_hint(LevelFilter::INFO)
}

fn is_ours(target: &str) -> bool {
    let ours = ["sms_foundation", "domain", "adapter_", "audit", "httpclient"];
    ours.iter().any(|prefix| target.starts_with(prefix))
}

/// Says in the log where something panicked. What it said may hold a number or a text, so that is
/// left out; the place is enough to find it.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(tracing::field::display);
        tracing::error!(location, "panicked");
    }));
}

fn tell_build(settings: &Settings) {
    let labels = [
        KeyValue::new("version", settings.version.clone()),
        KeyValue::new("environment", settings.environment.to_string()),
    ];
    let meter = opentelemetry::global::meter(SERVICE);
    let gauge = meter.u64_gauge("sms_build_info");
    gauge.with_description("What runs").build().record(1, &labels);
}

#[cfg(test)]
mod tests {
    use tracing::Subscriber;

    use super::*;

    #[test]
    fn what_is_not_wanted_costs_nothing() {
        for (directives, level) in [
            ("info", LevelFilter::INFO),
            ("info,domain=debug", LevelFilter::DEBUG),
            ("trace", LevelFilter::TRACE),
        ] {
            for json in [true, false] {
                let settings = LogSettings { filter: directives.to_owned(), json };
                let log = tracing_subscriber::registry().with(lines(&settings));
                assert_eq!(log.max_level_hint(), Some(level), "{directives}");
            }
        }
    }
}
