//! One event, one line of JSON, flat: the fields of the spans around an event are its own.

use std::fmt;
use std::io::Write;

use domain::ports::Clock;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::ports::SystemClock;

/// The fields that many lines have, in the order in which they stand there.
const USUAL: [&str; 9] = [
    "request_id",
    "trace_id",
    "route",
    "twilio_sid",
    "phone",
    "conversation_id",
    "tenant_id",
    "message_id",
    "job",
];
/// The fields that every line has of its own.
const OWN: [&str; 5] = ["timestamp", "level", "msg", "service", "target"];

/// Writes events to stdout.
pub(super) struct JsonLines {
    service: &'static str,
}

impl JsonLines {
    pub(super) fn new(service: &'static str) -> Self {
        Self { service }
    }
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for JsonLines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().replace(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(around) = span.extensions().get::<Fields>() {
                fields.add(around);
            }
        }
        let mut line = line(event, fields, &SystemClock.now().to_string(), self.service);
        line.push('\n');
        // Where nobody reads there is nobody to tell.
        drop(std::io::stdout().lock().write_all(line.as_bytes()));
    }
}

fn line(event: &Event<'_>, mut fields: Fields, timestamp: &str, service: &str) -> String {
    let metadata = event.metadata();
    let target = fields.take("log.target");
    let msg = fields.take("message");
    let mut line = String::with_capacity(512);
    line.push('{');
    put(&mut line, "timestamp", &quoted(timestamp));
    put(&mut line, "level", &quoted(metadata.level().as_str()));
    put(&mut line, "msg", msg.as_deref().unwrap_or("\"\""));
    put(&mut line, "service", &quoted(service));
    for name in USUAL {
        if let Some(value) = fields.take(name) {
            put(&mut line, name, &value);
        }
    }
    for (name, value) in &fields.0 {
        // Other crates have fields of any name.
        if !OWN.contains(name) && !name.starts_with("otel.") && !name.starts_with("log.") {
            put(&mut line, name, value);
        }
    }
    put(&mut line, "target", &target.unwrap_or_else(|| quoted(metadata.target())));
    line.push('}');
    line
}

fn put(line: &mut String, name: &str, value: &str) {
    if !line.ends_with('{') {
        line.push(',');
    }
    push_quoted(line, name);
    line.push(':');
    line.push_str(value);
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    push_quoted(&mut quoted, text);
    quoted
}

/// Nearly all text needs no escapes.
fn push_quoted(line: &mut String, text: &str) {
    if text.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
        line.push_str(&serde_json::Value::from(text).to_string());
    } else {
        line.push('"');
        line.push_str(text);
        line.push('"');
    }
}

/// Fields and their values, written as JSON.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    /// Of two values the later counts.
    fn set(&mut self, field: &Field, value: String) {
        match self.0.iter_mut().find(|(name, _)| *name == field.name()) {
            Some((_, known)) => *known = value,
            None => self.0.push((field.name(), value)),
        }
    }

    /// Takes over what is not known further in.
    fn add(&mut self, around: &Self) {
        for (name, value) in &around.0 {
            if !self.0.iter().any(|(known, _)| known == name) {
                self.0.push((name, value.clone()));
            }
        }
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(place).1)
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, serde_json::Value::from(value).to_string());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.to_string());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.to_string());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.to_string());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, quoted(value));
    }

    /// With the whole chain of its causes.
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.set(field, quoted(&domain::error::causes(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, quoted(&format!("{value:?}")));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Keeps the lines instead of writing them.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
            let mut fields = Fields::default();
            event.record(&mut fields);
            for span in context.event_scope(event).into_iter().flatten() {
                if let Some(around) = span.extensions().get::<Fields>() {
                    fields.add(around);
                }
            }
            self.0.lock().unwrap().push(line(event, fields, "2026-11-25T12:00:00Z", SERVICE));
        }
    }

    const SERVICE: &str = "sms-foundation";

    fn logged(what: impl FnOnce()) -> Vec<String> {
        let kept = Kept::default();
        let subscriber =
            tracing_subscriber::registry().with(JsonLines::new(SERVICE)).with(kept.clone());
        tracing::subscriber::with_default(subscriber, what);
        std::mem::take(&mut *kept.0.lock().unwrap())
    }

    #[test]
    fn a_line_is_flat_and_has_the_fields_of_the_spans_around_it() {
        let lines = logged(|| {
            let request = tracing::info_span!(
                "http.request",
                otel.kind = "server",
                request_id = "r-1",
                route = "/sms/send",
                status = tracing::field::Empty,
                attempt = 1,
            );
            request.in_scope(|| {
                request.record("status", 202);
                let inner = tracing::info_span!("inner", attempt = 2);
                inner.in_scope(|| tracing::warn!(job = "j-1", level = "odd", "a \"quoted\" thing"));
            });
        });
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        let expected = json!({
            "timestamp": "2026-11-25T12:00:00Z",
            "level": "WARN",
            "msg": "a \"quoted\" thing",
            "service": "sms-foundation",
            "request_id": "r-1",
            "route": "/sms/send",
            "job": "j-1",
            "status": 202,
            "attempt": 2,
            "target": line["target"],
        });
        assert_eq!(line, expected);
        let beginning = r#"{"timestamp":"2026-11-25T12:00:00Z","level":"WARN","msg":"#;
        assert!(lines[0].starts_with(beginning), "{}", lines[0]);
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        let cause = std::io::Error::other("the disk is full");
        let error = domain::ports::StoreError::Unavailable(cause.into());
        let error: &(dyn std::error::Error + 'static) = &error;
        let lines = logged(|| tracing::error!(error, "not kept"));
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["error"], "the store is unavailable: the disk is full");
    }

    #[test]
    fn a_line_break_in_what_others_sent_begins_no_line() {
        let sent = "r-1\r\n{\"level\":\"ERROR\"}\u{2028}\u{0}";
        let lines = logged(|| {
            let request = tracing::info_span!("http.request", request_id = sent, phone = ?sent);
            request.in_scope(|| tracing::info!(field = sent, error = %sent, "{sent}"));
        });
        assert_eq!(lines.len(), 1);
        assert!(!lines[0].contains(['\n', '\r', '\0']), "{}", lines[0]);
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        for field in ["request_id", "field", "error", "msg"] {
            assert_eq!(line[field], sent, "{field}");
        }
        assert_eq!(line["level"], "INFO");
    }
}
