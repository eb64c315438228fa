//! What must not be in a log whatever `RUST_LOG` says: libraries that write down what they carry.

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterFn, filter_fn};

/// Libraries that write personal data at DEBUG or below, by the beginning of their targets.
/// `tokio_postgres::query` writes every parameter of every statement: numbers, texts, payloads.
const TALKATIVE: &[&str] = &["tokio_postgres"];

/// Keeps the talkative libraries at INFO. A layer of its own and not a directive: no directive of
/// `RUST_LOG` is more specific than it.
pub(super) fn quiet() -> FilterFn<fn(&Metadata<'_>) -> bool> {
    filter_fn(is_harmless)
}

fn is_harmless(metadata: &Metadata<'_>) -> bool {
    let talks = TALKATIVE.iter().any(|library| metadata.target().starts_with(library));
    !talks || *metadata.level() <= Level::INFO
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::{EnvFilter, fmt};

    use super::*;

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
    fn no_directive_makes_the_database_client_write_parameters() {
        for directives in ["trace", "tokio_postgres=trace", "tokio_postgres::query=debug,info"] {
            let page = Page::default();
            let writer = page.clone();
            let log = fmt()
                .with_env_filter(EnvFilter::new(directives))
                .with_writer(move || writer.clone())
                .finish()
                .with(quiet());
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
