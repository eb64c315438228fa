#![doc = include_str!("../README.md")]

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Registry;
use tracing_subscriber::registry::LookupSpan;

/// The header that carries it.
pub const HEADER: &str = "traceparent";

/// Where a request, or what follows from it, belongs in a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceParent(SpanContext);

impl TraceParent {
    /// Reads the header; `None` where it is none, in which case a new trace begins.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let [version, trace, span, flags] = [(); 4].map(|()| parts.next().unwrap_or_default());
        // A later version may have more parts.
        let fits =
            is_hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
        if !fits || !is_hex(trace, 32) || !is_hex(span, 16) || !is_hex(flags, 2) {
            return None;
        }
        let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()? & 1);
        let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
        let context = SpanContext::new(trace, span, flags, true, TraceState::NONE);
        context.is_valid().then_some(Self(context))
    }

    /// What follows from `span` belongs there; `None` where nobody traces.
    #[must_use]
    pub fn of(span: &Span) -> Option<Self> {
        let context = span.context().span().span_context().clone();
        if context.is_valid() { Some(Self(context)) } else { passing_through(span) }
    }

    /// What follows from the current span.
    #[must_use]
    pub fn current() -> Option<Self> {
        Self::of(&Span::current())
    }

    /// Makes `span`, which is new, a part of the trace: a child of what sent this.
    pub fn adopt(&self, span: &Span) {
        let parent = Context::new().with_remote_span_context(self.0.clone());
        if span.set_parent(parent).is_err() {
            remember(span, self.clone());
        }
    }

    /// Says that `span` was caused by what sent this.
    pub fn link(&self, span: &Span) {
        span.add_link(self.0.clone());
    }

    /// The id of the trace: 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        self.0.trace_id().to_string()
    }
}

impl std::fmt::Display for TraceParent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let flags = u8::from(self.0.is_sampled());
        write!(f, "00-{}-{}-{flags:02x}", self.0.trace_id(), self.0.span_id())
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == length && text.bytes().all(digit)
}

/// Keeps the context with the span, where no exporter does.
fn remember(span: &Span, parent: TraceParent) {
    span.with_subscriber(|(id, subscriber)| {
        let registry = subscriber.downcast_ref::<Registry>();
        if let Some(span) = registry.and_then(|registry| registry.span(id)) {
            span.extensions_mut().replace(parent);
        }
    });
}

/// The context that the span, or one around it, was given.
fn passing_through(span: &Span) -> Option<TraceParent> {
    let found = span.with_subscriber(|(id, subscriber)| {
        let span = subscriber.downcast_ref::<Registry>()?.span(id)?;
        span.scope().find_map(|span| span.extensions().get::<TraceParent>().cloned())
    });
    found.flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_is_read_and_written_alike() {
        let parent = TraceParent::parse(SENT).unwrap();
        assert_eq!(parent.to_string(), SENT);
        assert_eq!(parent.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let later = SENT.replacen("00-", "01-", 1) + "-more";
        assert_eq!(TraceParent::parse(&later).unwrap(), parent);
    }

    #[test]
    fn what_is_none_begins_no_trace_of_another() {
        for odd in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-+18605550199b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn without_an_exporter_a_callers_context_goes_through() {
        let subscriber = tracing_subscriber::registry();
        tracing::subscriber::with_default(subscriber, || {
            let request = tracing::info_span!("request");
            assert_eq!(TraceParent::of(&request), None);
            TraceParent::parse(SENT).unwrap().adopt(&request);
            request.in_scope(|| {
                let inner = tracing::info_span!("inner").entered();
                assert_eq!(TraceParent::current().unwrap().to_string(), SENT);
                drop(inner);
            });
            assert_eq!(TraceParent::current(), None);
        });
    }
}
