//! `sms-foundation config`: every setting as it counts, and where it comes from.

use std::fmt::{self, Write as _};

use url::Url;

use super::source::{NAMES, Source};

/// What nobody may read off a screen.
pub(super) const SECRETS: &[&str] = &[
    "TWILIO_AUTH_TOKEN",
    "TWILIO_AUTH_TOKEN_SECONDARY",
    "MONITOR_API_KEY",
    "TENANT_PROFILE_API_KEY",
    "DATABASE_URL",
    "DATABASE_MIGRATION_URL",
    "API_KEYS",
    "OTEL_EXPORTER_OTLP_HEADERS",
];

/// All settings, a line each, in the order of `config/defaults.toml`'s subjects.
pub(super) fn shown(source: &Source) -> String {
    let widest = NAMES.iter().map(|name| name.len()).max().unwrap_or_default();
    NAMES.iter().fold(String::new(), |mut lines, name| {
        // Writing to a string does not fail.
        let _ = match source.given(name) {
            Some(given) => {
                writeln!(lines, "{name:widest$}  {}  ({})", Shown(name, &given.text), given.place)
            }
            None => writeln!(lines, "{name:widest$}  -"),
        };
        lines
    })
}

/// A value as it may be seen.
struct Shown<'a>(&'a str, &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name, text) = self;
        let url = Url::parse(text).ok().filter(Url::has_host);
        match url {
            // A password can stand in any URL, and in its query.
            Some(url) if SECRETS.contains(name) || url.password().is_some() => {
                let user = if url.username().is_empty() { "" } else { "***@" };
                let (host, port) = (url.host_str().unwrap_or_default(), url.port());
                let port = port.map(|port| format!(":{port}")).unwrap_or_default();
                write!(f, "{}://{user}{host}{port}{}", url.scheme(), url.path())
            }
            _ if SECRETS.contains(name) && !text.starts_with("sqlite:") => f.write_str("(hidden)"),
            _ => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_the_rest_is_shown() {
        let show = |name, text| Shown(name, text).to_string();
        assert_eq!(show("TWILIO_AUTH_TOKEN", "hunter2"), "(hidden)");
        assert_eq!(show("TWILIO_AUTH_TOKEN", "a:hunter2"), "(hidden)");
        assert_eq!(show("API_KEYS", "a:*:00"), "(hidden)");
        assert_eq!(show("PORT", "8080"), "8080");
        assert_eq!(show("DATABASE_URL", "sqlite://data/sms.db"), "sqlite://data/sms.db");
        assert_eq!(
            show("DATABASE_URL", "postgres://sms:hunter2@db:5432/sms?password=hunter2"),
            "postgres://***@db:5432/sms"
        );
        assert_eq!(
            show("OTEL_EXPORTER_OTLP_ENDPOINT", "http://sms:hunter2@collector:4318/"),
            "http://***@collector:4318/"
        );
        assert_eq!(show("PUBLIC_BASE_URL", "https://sms.example.com"), "https://sms.example.com");
    }

    #[test]
    fn every_name_that_sounds_like_a_secret_is_one() {
        for name in NAMES {
            let sounds = ["TOKEN", "_KEY", "SECRET", "PASSWORD", "HEADERS"];
            let sounds = sounds.iter().any(|word| name.contains(word)) && !name.starts_with("KEEP");
            assert!(!sounds || SECRETS.contains(name), "{name} is shown");
        }
        assert!(SECRETS.iter().all(|name| NAMES.contains(name)));
    }
}
