//! What must not be in a log whatever `RUST_LOG` says: libraries that write down what they carry.

use tracing::{Level, Metadata};

/// Libraries that write personal data at DEBUG or below, by the beginning of their targets.
/// `tokio_postgres::query` writes every parameter of every statement: numbers, texts, payloads.
const TALKATIVE: &[&str] = &["tokio_postgres"];

/// What tells at ERROR what a client did to its own connection: anybody could ring an alarm with bytes
/// that are no HTTP.
const ALARMED: &[&str] = &["actix_http::h1::dispatcher", "actix_http::h1::decoder"];

/// Keeps the talkative libraries at INFO, and the alarmed ones below ERROR. Asked beside `RUST_LOG`, no directive of which is more specific.
pub(super) fn is_harmless(metadata: &Metadata<'_>) -> bool {
    let is_of = |libraries: &[&str]| libraries.iter().any(|of| metadata.target().starts_with(of));
    match *metadata.level() {
        Level::ERROR => !is_of(ALARMED),
        Level::DEBUG | Level::TRACE => !is_of(TALKATIVE),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::{Layer, fmt, registry};

    use crate::telemetry::log_filter;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn bytes_that_are_no_http_ring_no_alarm() {
        let page = Page::default();
        let writer = page.clone();
        let lines = fmt::layer().with_writer(move || writer.clone());
        let log = registry().with(lines.with_filter(log_filter("info")));
        tracing::subscriber::with_default(log, || {
            tracing::error!(target: "actix_http::h1::dispatcher", "stream error: garbage");
            tracing::error!(target: "actix_http::service", "not ready");
        });
        let written = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        assert!(!written.contains("garbage") && written.contains("not ready"), "{written}");
    }

    #[test]
    fn no_directive_makes_the_database_client_write_parameters() {
        for directives in ["trace", "tokio_postgres=trace", "tokio_postgres::query=debug,info"] {
            let page = Page::default();
            let writer = page.clone();
            let lines = fmt::layer().with_writer(move || writer.clone());
            let log = registry().with(lines.with_filter(log_filter(directives)));
            tracing::subscriber::with_default(log, || {
                tracing::debug!(target: "tokio_postgres::query", "parameters");
                tracing::trace!(target: "tokio_postgres", "row");
                tracing::info!(target: "tokio_postgres", "notice");
            });
            let written = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
            assert!(!written.contains("parameters") && !written.contains("row"), "{directives}");
            assert!(written.contains("notice"), "{directives}: {written}");
        }
    }
}
