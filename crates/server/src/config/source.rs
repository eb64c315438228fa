//! Where settings come from: the documented defaults, a file, the environment; what comes later
//! counts. figment's own environment provider reads `+18605550100` as a number and `1.10` as 1.1, so
//! the environment is read here, as raw text, by a fixed list of names.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format, Toml};
use figment::value::Value;

use super::near;

/// The documented defaults.
const DEFAULTS: &str = include_str!("../../config/defaults.toml");

/// Names the file, where `--config` does not.
pub(super) const FILE: &str = "SMS_FOUNDATION_CONFIG";

/// Every name that is read.
pub(super) const NAMES: &[&str] = &[
    "APP_ENV",
    "APP_VERSION",
    "HOST",
    "PORT",
    "PUBLIC_BASE_URL",
    "TWILIO_AUTH_TOKEN",
    "TWILIO_AUTH_TOKEN_SECONDARY",
    "TWILIO_ACCOUNT_SID",
    "TWILIO_PHONE_NUMBER",
    "TWILIO_API_BASE_URL",
    "TWILIO_CONNECT_TIMEOUT",
    "TWILIO_TIMEOUT",
    "TWILIO_SEND_MAX_RETRIES",
    "TWILIO_SEND_BASE_BACKOFF_MS",
    "TWILIO_SEND_BACKOFF_CAP_MS",
    "MONITOR_API_URL",
    "MONITOR_API_KEY",
    "MONITOR_LOOKUP_PATH",
    "TENANT_PROFILE_API_URL",
    "TENANT_PROFILE_API_KEY",
    "TENANT_BELIEVED_FOR",
    "TENANT_UNKNOWN_FOR",
    "SEND_WAIT",
    "SEND_EXPIRY",
    "SEND_QUIET_PERIOD",
    "SEND_PACING",
    "BACKFILL_INTERVAL",
    "BACKFILL_OVERLAP",
    "BACKFILL_GRACE",
    "JOB_LEASE",
    "JOB_POLL_INTERVAL",
    "JOB_CONCURRENCY",
    "KEEP_IDEMPOTENCY_KEYS",
    "KEEP_DONE_JOBS",
    "KEEP_PARKED_JOBS",
    "KEEP_PARKED_EVENTS",
    "KEEP_RAW_PAYLOADS",
    "KEEP_EVENTS",
    "KEEP_DELIVERIES",
    "SUBSCRIPTIONS_FILE",
    "HOOK_PRIVATE_NETWORKS",
    "HOOK_TIMEOUT",
    "HOOK_ORCHESTRATOR_TIMEOUT",
    "HOOK_RETRY_FOR",
    "HOOK_BACKOFF_BASE",
    "HOOK_BACKOFF_CAP",
    "HOOK_CONCURRENCY",
    "DATABASE_URL",
    "DATABASE_SCHEMA",
    "DATABASE_MIGRATION_URL",
    "DATABASE_POOL_SIZE",
    "DATABASE_ROOT_CERTIFICATE",
    "DATABASE_CONNECT_TIMEOUT",
    "DATABASE_TCP_USER_TIMEOUT",
    "DATABASE_STATEMENT_TIMEOUT",
    "DATABASE_LOCK_TIMEOUT",
    "MIGRATE_ON_START",
    "DEFAULT_REGION",
    "API_KEYS",
    "API_AUTH",
    "RATE_LIMIT",
    "RATE_LIMIT_BURST",
    "TRUSTED_PROXY_HOPS",
    "CORS_ORIGINS",
    "SHUTDOWN_GRACE",
    "SHUTDOWN_DELAY",
    "LOG_FORMAT",
    "RUST_LOG",
    "METRICS_SURVEY_INTERVAL",
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
];

/// Settings as text, by name.
pub(super) struct Source {
    given: BTreeMap<String, Given>,
    /// What is wrong with where they come from.
    pub(super) problems: Vec<String>,
    /// What looks like a mistake and may be none.
    pub(super) warnings: Vec<String>,
}

/// A setting that is not empty. Has no `Debug`: it may be a secret.
pub(super) struct Given {
    pub(super) text: String,
    pub(super) place: Place,
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// `config/defaults.toml`.
    Default,
    /// It follows from `APP_ENV`.
    Environment,
    /// The file.
    File,
    /// The process's environment.
    Variable,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Environment => "default of this APP_ENV",
            Self::File => "file",
            Self::Variable => "environment",
        })
    }
}

impl Source {
    /// The defaults, the file (that one, or the one that the environment names) and this process's
    /// environment.
    pub(super) fn of_process(file: Option<&Path>) -> Self {
        let mut source = Self::of_defaults();
        let file = file.map(Path::to_owned).or_else(|| variable(FILE).ok()?.map(PathBuf::from));
        if let Some(file) = file {
            source.add_file(&file);
        }
        for name in NAMES {
            match variable(name) {
                Ok(text) => source.add(name, text.unwrap_or_default(), Place::Variable),
                Err(problem) => source.problems.push(problem),
            }
        }
        source.warnings.extend(near::warnings(variable_names()));
        source
    }

    #[cfg(test)]
    pub(super) fn of(given: &[(&str, &str)]) -> Self {
        let mut source = Self::of_defaults();
        for (name, text) in given {
            source.add(name, (*text).to_owned(), Place::Variable);
        }
        source
    }

    fn of_defaults() -> Self {
        let mut source =
            Self { given: BTreeMap::new(), problems: Vec::new(), warnings: Vec::new() };
        match Figment::from(Toml::string(DEFAULTS)).extract::<BTreeMap<String, String>>() {
            Ok(defaults) => {
                for (name, text) in defaults {
                    source.add(&name, text, Place::Default);
                }
            }
            Err(_) => source.problems.push("the defaults cannot be read".to_owned()),
        }
        source
    }

    /// What is blank counts as not given.
    fn add(&mut self, name: &str, text: String, place: Place) {
        if !text.trim().is_empty() {
            self.given.insert(name.to_owned(), Given { text, place });
        }
    }

    fn add_file(&mut self, path: &Path) {
        let shown = path.display();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                self.problems.push(format!("the file {shown} cannot be read: {error}"));
                return;
            }
        };
        // figment's errors print values, secrets included: only the place is taken from them.
        let values = match Figment::from(Toml::string(&text)).extract::<BTreeMap<String, Value>>() {
            Ok(values) => values,
            Err(error) => {
                let place = place_in(&error.to_string());
                self.problems.push(format!("the file {shown} is not TOML{place}"));
                return;
            }
        };
        for (name, value) in values {
            self.add_value(path, &name, &value);
        }
    }

    fn add_value(&mut self, path: &Path, name: &str, value: &Value) {
        let shown = path.display();
        if !NAMES.contains(&name) {
            let meant = near::meant(name).map(|meant| format!(": is {meant} meant?"));
            let meant = meant.unwrap_or_default();
            self.problems.push(format!("{name} in {shown} is no setting{meant}"));
            return;
        }
        match as_text(value) {
            Some(text) => self.add(name, text, Place::File),
            None => self.problems.push(format!("{name} in {shown} must stand in quotes")),
        }
    }

    /// What holds where nobody says otherwise.
    pub(super) fn assume(&mut self, name: &str, text: impl Into<String>) {
        let place = Place::Environment;
        self.given.entry(name.to_owned()).or_insert_with(|| Given { text: text.into(), place });
    }

    /// A setting that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(|given| given.text.as_str())
    }

    /// The same, with where it comes from.
    pub(super) fn given(&self, name: &str) -> Option<&Given> {
        self.given.get(name)
    }

    /// Whether somebody says so: a file or a variable.
    pub(super) fn is_told(&self, name: &str) -> bool {
        let place = self.given(name).map(|given| &given.place);
        matches!(place, Some(Place::File | Place::Variable))
    }
}

/// A fraction is none: `1.10` would come out as 1.1.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(text.clone()),
        Value::Bool(_, on) => Some(on.to_string()),
        Value::Num(_, number) => number.to_i128().map(|number| number.to_string()),
        _ => None,
    }
}

/// ` (line 3, column 4)`, where the error says so.
fn place_in(error: &str) -> String {
    let number = |word: &str| -> Option<u32> {
        let (_, rest) = error.split_once(word)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    match (number("line "), number("column ")) {
        (Some(line), Some(column)) => format!(" (line {line}, column {column})"),
        _ => String::new(),
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
fn variable(name: &str) -> Result<Option<String>, String> {
    match std::env::var(name) {
        Ok(text) => Ok(Some(text)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("{name} is not UTF-8")),
    }
}

/// Values may be secrets of others: they are not looked at.
fn variable_names() -> impl Iterator<Item = String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_documented_and_no_other() {
        let documented = DEFAULTS.lines().filter_map(|line| {
            let (name, _) = line.trim_start_matches("# ").split_once(" = ")?;
            name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_').then_some(name)
        });
        let mut documented: Vec<_> = documented.collect();
        documented.sort_unstable();
        let mut names = NAMES.to_vec();
        names.sort_unstable();
        assert_eq!(documented, names);
    }

    fn of_file(text: &str) -> Source {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut source = Source::of_defaults();
        source.add_file(file.path());
        source
    }

    #[test]
    fn a_file_is_read_with_and_without_quotes() {
        let source = of_file("PORT = 9000\nMIGRATE_ON_START = false\nAPP_VERSION = \"1.10\"");
        assert!(source.problems.is_empty(), "{:?}", source.problems);
        let text = |name| source.get(name);
        assert_eq!(text("PORT"), Some("9000"));
        assert_eq!(text("MIGRATE_ON_START"), Some("false"));
        assert_eq!(text("APP_VERSION"), Some("1.10"));
        assert_eq!(source.given("PORT").unwrap().place, Place::File);
        assert_eq!(source.given("RATE_LIMIT").unwrap().place, Place::Default);
    }

    #[test]
    fn a_file_is_told_what_is_wrong_with_it() {
        for (text, told) in [
            ("TWILIO_AUTHTOKEN = \"hunter2\"", "is TWILIO_AUTH_TOKEN meant?"),
            ("COLOUR = \"hunter2\"", "COLOUR in"),
            ("APP_VERSION = 1.10", "must stand in quotes"),
            ("API_KEYS = [\"hunter2\"]", "must stand in quotes"),
            ("TWILIO_AUTH_TOKEN = hunter2", "is not TOML (line 1, column"),
        ] {
            let problems = of_file(text).problems.join("\n");
            assert!(problems.contains(told), "{text}: {problems}");
            assert!(!problems.contains("hunter2"), "{problems}");
        }
        let mut source = Source::of_defaults();
        source.add_file(Path::new("/nowhere/sms.toml"));
        assert!(source.problems[0].contains("/nowhere/sms.toml cannot be read"));
    }
}
