//! The settings of OpenTelemetry: the standard's own names. Others of it (`OTEL_TRACES_SAMPLER`,
//! `OTEL_BSP_*`, `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_RESOURCE_ATTRIBUTES`) are read by its SDK.

use secrecy::SecretString;
use url::Url;

use super::Reader;

/// Where telemetry goes besides stdout and `/metrics`.
#[derive(Debug)]
pub(crate) struct ExportSettings {
    /// The whole URL for spans; none: spans go nowhere.
    pub(crate) traces: Option<String>,
    /// The whole URL for metrics.
    pub(crate) metrics: Option<String>,
    /// `name=value` pairs separated by commas.
    pub(crate) headers: Option<SecretString>,
    pub(crate) service_name: String,
}

impl ExportSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let on = !reader.optional("OTEL_SDK_DISABLED", boolean).unwrap_or_default();
        reader.optional("OTEL_EXPORTER_OTLP_PROTOCOL", |text| match text {
            "http/protobuf" => Ok(()),
            _ => Err("must be http/protobuf, the only one that is spoken here"),
        });
        let base = reader.optional("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
        let mut signal = |exporter: &str, own: &str, path: &str| {
            let sent = reader.optional(exporter, |text| match text {
                "otlp" => Ok(true),
                "none" => Ok(false),
                _ => Err("must be otlp or none"),
            });
            let own = reader.optional(own, endpoint).map(String::from);
            let common = base.as_ref().map(|base| at(base, path));
            own.or(common).filter(|_| on && sent.unwrap_or(true))
        };
        Self {
            traces: signal(
                "OTEL_TRACES_EXPORTER",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                "v1/traces",
            ),
            metrics: signal(
                "OTEL_METRICS_EXPORTER",
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
                "v1/metrics",
            ),
            headers: reader.secret("OTEL_EXPORTER_OTLP_HEADERS"),
            service_name: reader.text("OTEL_SERVICE_NAME").unwrap_or_default(),
        }
    }
}

fn boolean(text: &str) -> Result<bool, &'static str> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be true or false"),
    }
}

fn endpoint(text: &str) -> Result<Url, &'static str> {
    let reason = "must be a URL such as http://collector:4318";
    let url = Url::parse(text).map_err(|_| reason)?;
    let fits = ["http", "https"].contains(&url.scheme()) && url.host_str().is_some();
    fits.then_some(url).ok_or(reason)
}

fn at(base: &Url, path: &str) -> String {
    format!("{}/{path}", base.as_str().trim_end_matches('/'))
}
