//! What an operator reads about the callers at the default level.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use actix_web::test::TestRequest;
use adapter_http::Services;
use domain::testing::InMemoryStore;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;

use crate::service::{ask_of, gate, get, key, limits, services, with_key};

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

/// What was logged at INFO and above while `request` was answered.
async fn logged(services: &Services, request: TestRequest) -> String {
    let page = Page::default();
    let writer = page.clone();
    let log = fmt()
        .with_max_level(LevelFilter::INFO)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(log);
    ask_of(services, request).await;
    drop(guard);
    String::from_utf8(page.0.lock().unwrap().clone()).unwrap()
}

fn keyed(name: &str, scopes: &str) -> Services {
    let mut services = services(Arc::new(InMemoryStore::default()), gate());
    services.access = key(name, scopes);
    services
}

#[actix_web::test]
async fn every_request_leaves_one_line_with_the_name_of_the_key_and_what_became_of_it() {
    let dashboard = keyed("dashboard", "read");
    let mut limited = keyed("dashboard", "read");
    limited.limits = limits(1, 0);
    ask_of(&limited, with_key(get("/messages"))).await;
    let wrong = get("/messages").insert_header(("authorization", "Bearer hunter2"));
    let patch = TestRequest::patch().uri("/conversations/+18605550199");
    for (services, request, level, words) in [
        (&dashboard, with_key(get("/messages")), "INFO", &["dashboard", "read", "allowed"][..]),
        (&dashboard, with_key(get("/conversations/+18605550199")), "INFO", &["allowed"]),
        (&dashboard, with_key(patch), "WARN", &["dashboard", "write", "beyond its scope"]),
        (&dashboard, wrong, "WARN", &["read", "unknown key"]),
        (&dashboard, get("/messages"), "INFO", &["read", "no key"]),
        (&limited, with_key(get("/messages")), "WARN", &["dashboard", "too many requests"]),
    ] {
        let log = logged(services, request).await;
        assert_eq!(log.matches("API request").count(), 1, "{words:?}: {log}");
        let line = log.lines().find(|line| line.contains("API request")).unwrap();
        assert!(line.contains(level) && line.contains("request_id"), "{line}");
        for word in words {
            assert!(line.contains(word), "{word}: {line}");
        }
        for secret in ["secret", "hunter2", "8605550199"] {
            assert!(!log.contains(secret), "{log}");
        }
    }
}
