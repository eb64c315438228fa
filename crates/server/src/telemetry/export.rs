//! OTLP over HTTP to a collector. Nothing here makes a request wait: spans and numbers are sent by
//! threads of their own, and what a collector that is away does not take is dropped.

use std::collections::HashMap;

use anyhow::Context;
use opentelemetry::KeyValue;
use opentelemetry_otlp::{
    MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::PeriodicReader;
use opentelemetry_sdk::trace::SdkTracerProvider;
use secrecy::ExposeSecret;

use crate::config::{ExportSettings, Settings};

/// Who speaks.
pub(super) fn resource(settings: &Settings) -> Resource {
    Resource::builder()
        .with_service_name(settings.export.service_name.clone())
        .with_attributes([
            KeyValue::new("service.version", settings.version.clone()),
            KeyValue::new("deployment.environment.name", settings.environment.to_string()),
        ])
        .build()
}

/// Where spans go; `None` where nobody asked for them.
pub(super) fn traces(
    settings: &ExportSettings,
    resource: Resource,
) -> anyhow::Result<Option<SdkTracerProvider>> {
    let Some(endpoint) = &settings.traces else {
        return Ok(None);
    };
    have_tls();
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .with_headers(headers(settings))
        .build()
        .context("spans cannot be sent")?;
    let provider = SdkTracerProvider::builder().with_resource(resource);
    Ok(Some(provider.with_batch_exporter(exporter).build()))
}

/// Where numbers go; `None` where nobody asked for them.
pub(super) fn metrics(
    settings: &ExportSettings,
) -> anyhow::Result<Option<PeriodicReader<MetricExporter>>> {
    let Some(endpoint) = &settings.metrics else {
        return Ok(None);
    };
    have_tls();
    let exporter = MetricExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .with_headers(headers(settings))
        .build()
        .context("metrics cannot be sent")?;
    Ok(Some(PeriodicReader::builder(exporter).build()))
}

/// The client panics without a provider. Whoever installed one before us is as good.
fn have_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn headers(settings: &ExportSettings) -> HashMap<String, String> {
    let text = settings.headers.as_ref().map_or("", |headers| headers.expose_secret());
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}
