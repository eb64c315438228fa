//! Settings: wrong ones are told, all at once, and what counts can be seen.

use std::io::Write;

use crate::database::Database;
use crate::sending::ACCOUNT;
use crate::service::{Service, Settings};

/// A production service that would start.
fn production() -> Settings {
    Settings::none()
        .with("APP_ENV", "prod")
        .with("PORT", "0")
        .with("HOST", "127.0.0.1")
        .with("DATABASE_URL", "postgres://sms:hunter2@127.0.0.1:1/sms")
        .with("PUBLIC_BASE_URL", "https://sms.example.com")
        .with("TWILIO_AUTH_TOKEN", "hunter2-token")
        .with("API_KEYS", &format!("dashboard:read:{}", "0".repeat(64)))
}

/// What the program says when it refuses to start.
fn refused(settings: &Settings) -> String {
    let ended = settings.run(&[]);
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(78), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    said
}

#[test]
fn wrong_configurations_are_each_told_what_to_change() {
    let full = "postgres://sms:hunter2@127.0.0.1:1/sms?sslmode=verify-full";
    let prefer = "postgres://sms:hunter2@127.0.0.1:1/sms?sslmode=prefer&sslrootcert=system";
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, url: &str, secret: &str| {
        let entry = format!("[[subscription]]\nname = 'one'\nurl = '{url}'\nsecret = '{secret}'\n");
        let path = folder.path().join(name);
        std::fs::write(&path, entry).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let odd_url = file("url.toml", "http://hunter2.example.com", secret);
    let odd_secret = file("secret.toml", "https://h.example.com", "hunter2");
    let no_root = "DATABASE_ROOT_CERTIFICATE must be a readable file";
    for (wrong, told) in [
        (vec![("PUBLIC_BASE_URL", "")], "PUBLIC_BASE_URL must be given"),
        (vec![("PUBLIC_BASE_URL", "sms.example.com")], "PUBLIC_BASE_URL is wrong: entry 1"),
        (vec![("TWILIO_AUTH_TOKEN", "")], "TWILIO_AUTH_TOKEN must be given"),
        (vec![("DATABASE_URL", "")], "DATABASE_URL must be given outside APP_ENV=local"),
        (vec![("DATABASE_URL", "postgres://sms@/hunter2 2")], "DATABASE_URL cannot be read"),
        (
            vec![("DATABASE_URL", "sqlite://sms.db"), ("DATABASE_SCHEMA", "sms")],
            "DATABASE_SCHEMA is for PostgreSQL",
        ),
        (vec![("API_AUTH", "off")], "API_KEYS is given, and API_AUTH=off lets everybody in"),
        (vec![("MONITOR_API_URL", "monitor:8080")], "MONITOR_API_URL "),
        (vec![("TWILIO_ACCOUNT_SID", "hunter2")], "TWILIO_ACCOUNT_SID must be AC and 32"),
        (vec![("SHUTDOWN_DELAY", "9s")], "SHUTDOWN_DELAY must be shorter than SHUTDOWN_GRACE"),
        (
            vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")],
            "OTEL_EXPORTER_OTLP_ENDPOINT must be a URL such as http://collector:4318",
        ),
        (vec![("PORT", "eighty")], "PORT must be a port number from 0 to 65535"),
        (vec![("MONITOR_API_KEY", "hunter2")], "MONITOR_API_KEY is given without"),
        (vec![("TENANT_PROFILE_API_KEY", "hunter2 ")], "TENANT_PROFILE_API_KEY must be visible"),
        (
            vec![("TWILIO_ACCOUNT_SID", ACCOUNT), ("PUBLIC_BASE_URL", "https://a_b.example.com")],
            "PUBLIC_BASE_URL must have no underscore",
        ),
        (
            vec![("DATABASE_URL", full), ("DATABASE_ROOT_CERTIFICATE", "/no/such/hunter2.pem")],
            no_root,
        ),
        (vec![("DATABASE_URL", full), ("DATABASE_ROOT_CERTIFICATE", &odd_url)], no_root),
        (
            vec![("DATABASE_ROOT_CERTIFICATE", "system")],
            "DATABASE_ROOT_CERTIFICATE is given, and sslmode in DATABASE_URL checks no certificate",
        ),
        (vec![("DATABASE_URL", prefer)], "sslrootcert in DATABASE_URL is given, and its sslmode"),
        (
            vec![("DATABASE_URL", "sqlite://sms.db"), ("DATABASE_ROOT_CERTIFICATE", "system")],
            "DATABASE_ROOT_CERTIFICATE is for PostgreSQL",
        ),
        (
            vec![("SUBSCRIPTIONS_FILE", &odd_url)],
            "SUBSCRIPTIONS_FILE subscription 1: url: must begin with https://",
        ),
        (vec![("SUBSCRIPTIONS_FILE", &odd_secret)], "SUBSCRIPTIONS_FILE subscription 1: secret: "),
    ] {
        let settings = wrong.iter().fold(production(), |all, (name, value)| all.with(name, value));
        let said = refused(&settings);
        assert!(said.contains(told), "{told} in {said}");
        assert_eq!(said.trim_end().lines().count(), 2, "one mistake is one line: {said}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let settings = Settings::none()
        .with("APP_ENV", "prod")
        .with("PORT", "eighty")
        .with("SHUTDOWN_GRACE", "soon")
        .with("DEFAULT_REGION", "Atlantis")
        .with("TENANT_UNKNOWN_FOR", "never")
        .with("DATABASE_ROOT_CERTIFICATE", "/no/such/file.pem")
        .with("DATABASE_URL", "postgres://sms@127.0.0.1:1/sms?sslmode=verify-full")
        .with("SUBSCRIPTIONS_FILE", "/no/such/file.toml");
    let said = refused(&settings);
    for name in [
        "PUBLIC_BASE_URL",
        "TWILIO_AUTH_TOKEN",
        "DATABASE_ROOT_CERTIFICATE",
        "SUBSCRIPTIONS_FILE",
        "API_KEYS",
        "PORT",
        "SHUTDOWN_GRACE",
        "DEFAULT_REGION",
        "TENANT_UNKNOWN_FOR",
    ] {
        assert!(said.contains(name), "{name} in {said}");
    }
}

#[test]
fn what_counts_is_shown_with_where_it_comes_from_and_no_secret() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "RATE_LIMIT = 7\nSEND_EXPIRY = \"2h\"").unwrap();
    let path = file.path().to_str().unwrap();
    let settings = production().with("SEND_EXPIRY", "1h").with("TWILLIO_AUTH_TOKEN", "hunter2");
    let ended = settings.run(&["config", "--config", path]);
    let shown = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(!shown.contains("hunter2"), "{shown}");
    let line = |name: &str| {
        let line = shown.lines().find(|line| line.split(' ').next() == Some(name)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("RATE_LIMIT"), "RATE_LIMIT 7 (file)");
    assert_eq!(line("SEND_EXPIRY"), "SEND_EXPIRY 1h (environment)");
    assert_eq!(line("SHUTDOWN_GRACE"), "SHUTDOWN_GRACE 8s (default)");
    assert_eq!(line("LOG_FORMAT"), "LOG_FORMAT json (default of this APP_ENV)");
    assert_eq!(line("TWILIO_AUTH_TOKEN"), "TWILIO_AUTH_TOKEN (hidden) (environment)");
    assert_eq!(line("DATABASE_URL"), "DATABASE_URL postgres://***@127.0.0.1:1/sms (environment)");
    assert_eq!(line("MONITOR_API_URL"), "MONITOR_API_URL -");
    assert!(shown.contains("TWILLIO_AUTH_TOKEN is no setting: is TWILIO_AUTH_TOKEN meant?"));

    let wrong = settings.with("SMS_FOUNDATION_CONFIG", path).with("PORT", "eighty");
    let ended = wrong.run(&["config"]);
    assert_eq!(ended.status.code(), Some(78));
    let shown = String::from_utf8(ended.stdout).unwrap();
    assert!(shown.contains("(file)"), "shown all the same: {shown}");
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains("PORT must be a port number"), "{said}");
    assert!(!said.contains("TWILLIO"), "told once, above the settings: {said}");
}

#[test]
fn a_start_that_is_refused_says_what_is_misspelt() {
    let settings = production().with("TWILIO_AUTH_TOKEN", "").with("TWILLIO_AUTH_TOKEN", "hunter2");
    let said = refused(&settings);
    assert!(said.contains("  - TWILIO_AUTH_TOKEN must be given"), "{said}");
    let last = said.trim_end().lines().next_back();
    let meant = "TWILLIO_AUTH_TOKEN is no setting: is TWILIO_AUTH_TOKEN meant?";
    assert_eq!(last, Some(format!("warning: {meant}").as_str()));
}

#[test]
fn a_near_miss_is_warned_about_at_start_and_a_file_is_read() {
    let database = Database::sqlite();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "APP_VERSION = \"1.10\"").unwrap();
    let settings = database
        .settings()
        .with("SMS_FOUNDATION_CONFIG", file.path().to_str().unwrap())
        .with("TWILIO_AUTHTOKEN", "hunter2");
    let service = Service::start(&settings);
    let log = service.log().join("\n");
    assert!(log.contains("is TWILIO_AUTH_TOKEN meant?"), "{log}");
    assert!(log.contains("\"version\":\"1.10\"") && !log.contains("hunter2"), "{log}");
}

#[test]
fn the_program_asks_the_running_service_whether_it_lives() {
    let database = Database::sqlite();
    let service = Service::start(&database.settings());
    let port = service.url.rsplit(':').next().unwrap().to_owned();
    let asked = |port: &str| {
        Settings::none().with("PORT", port).with("HOST", "0.0.0.0").run(&["health"]).status.code()
    };
    assert_eq!(asked(&port), Some(0));
    drop(service);
    assert_eq!(asked(&port), Some(1));
}
