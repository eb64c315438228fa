//! What no log line and no error may hold.

use std::error::Error;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use adapter_monitor::testing::Reply;
use adapter_monitor::{MonitorClient, MonitorSettings};
use domain::language::Language;
use domain::ports::{DirectoryError, TenantDirectory, TenantProfiles};
use domain::tenant::TenantId;
use domain::text::Text;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::wire::{HASTY, client, nowhere, profiles, settings, stub};

const SPELLING: &str = "+1 (860) 555-0143";
const KEY: &str = "k3y-of-ours-alone";
/// Pieces of the number as it was written and as it was sent, of the path, and of the key.
const SECRETS: [&str; 5] = ["555-0143", "5550143", "%28860%29", "/tenants", KEY];

/// Every reply that ends in an error.
fn troubles() -> Vec<Reply> {
    let mut troubles: Vec<_> = [301, 400, 401, 429, 503].map(Reply::status).into();
    troubles.extend([Reply::cut(), Reply::hang(), Reply::answer(200, vec![b' '; 300 << 10])]);
    troubles.extend(
        [r#"{"tenant_id": "+1 (860) 555-0143"}"#, r#""+18605550143""#, "+1 (860) 555-0143"]
            .map(Reply::json),
    );
    troubles
}

/// `Display` and `Debug` of an error and of all its causes.
fn shown(error: &DirectoryError) -> String {
    let first: &(dyn Error + 'static) = error;
    let causes = std::iter::successors(Some(first), |error| (*error).source());
    causes.map(|error| format!("{error}\n{error:?}\n{error:#?}\n")).collect::<Vec<_>>().concat()
}

fn check(shown: &str) {
    for secret in SECRETS {
        assert!(!shown.contains(secret), "{secret} is in: {shown}");
    }
}

fn with_key(base_url: &str) -> MonitorClient {
    let api_key = Some(KEY.into());
    client(&MonitorSettings { api_key, patience: HASTY, ..settings(base_url) })
}

async fn ask(client: &MonitorClient) -> Result<(), DirectoryError> {
    client.look_up(&Text::new(SPELLING)).await.map(|_| ())
}

#[tokio::test]
async fn no_error_holds_the_number_the_url_or_the_key() {
    let stub = stub().await;
    let nowhere = nowhere().await;
    for trouble in troubles() {
        stub.set_outage(Some(trouble.clone()));
        let shown = shown(&ask(&with_key(&stub.base_url())).await.unwrap_err());
        check(&shown);
        assert!(!shown.contains(&stub.base_url()), "{shown}");
    }
    for away in [&nowhere, "http://monitor.invalid"] {
        let client = with_key(away);
        for error in [ask(&client).await.unwrap_err(), client.check().await.unwrap_err()] {
            check(&shown(&error));
            assert!(!shown(&error).contains(away), "{}", shown(&error));
        }
    }
}

#[test]
fn settings_do_not_show_the_key() {
    let settings = MonitorSettings { api_key: Some(KEY.into()), ..settings("http://127.0.0.1:1") };
    assert!(!format!("{settings:?}").contains(KEY));
}

/// What was logged in this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_line_at_any_level_holds_the_number_the_path_or_the_key() {
    let log = Log::default();
    let written = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_writer(move || written.clone())
        .init();
    let stub = stub().await;
    let (monitor, profiles) = (with_key(&stub.base_url()), profiles(&stub.base_url(), HASTY));
    let tenant = TenantId::parse("T1").unwrap();
    let replies = [Reply::tenant("T1"), Reply::status(404)].into_iter().chain(troubles());
    for reply in replies {
        stub.set_outage(Some(reply));
        let _ = (ask(&monitor).await, monitor.check().await);
        let _ = profiles.set_language(&tenant, Language::English).await;
    }
    let log = log.0.lock().unwrap();
    let log = String::from_utf8_lossy(&log);
    for seen in ["monitor.look_up", "asking again", "reqwest", "the answer has the status 503"] {
        assert!(log.contains(seen), "{seen} is not in the log");
    }
    check(&log);
}
