//! Where settings come from. figment's own environment provider reads `+18605550100` as a number
//! and `1.10` as 1.1, so ours keeps the raw text of a fixed list of names.

use std::collections::BTreeMap;

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};

/// The documented defaults.
const DEFAULTS: &str = include_str!("../../config/defaults.toml");

/// Every name that is read.
const NAMES: [&str; 59] = [
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
    "MIGRATE_ON_START",
    "DEFAULT_REGION",
    "API_KEYS",
    "API_AUTH",
    "RATE_LIMIT",
    "RATE_LIMIT_BURST",
    "TRUSTED_PROXY_HOPS",
    "CORS_ORIGINS",
    "SHUTDOWN_GRACE",
    "LOG_FORMAT",
    "RUST_LOG",
];

/// Settings as text, by name.
pub(super) struct Source(BTreeMap<String, String>);

impl Source {
    /// The defaults and this process's environment.
    pub(super) fn of_process() -> Result<Self, String> {
        Self::merge(&Environment::of_process()?)
    }

    #[cfg(test)]
    pub(super) fn of(given: &[(&str, &str)]) -> Result<Self, String> {
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self::merge(&Environment(given.iter().map(text).collect()))
    }

    fn merge(environment: &Environment) -> Result<Self, String> {
        let merged = Figment::from(Toml::string(DEFAULTS)).merge(environment);
        // figment's errors print values, secrets included.
        merged.extract().map(Self).map_err(|_| "the defaults cannot be read".to_owned())
    }

    /// A setting that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// The variables of [`NAMES`] that are set and not blank.
struct Environment(BTreeMap<String, String>);

impl Environment {
    fn of_process() -> Result<Self, String> {
        let mut given = BTreeMap::new();
        for name in NAMES {
            #[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
            let value = std::env::var(name);
            match value {
                Ok(value) => _ = given.insert(name.to_owned(), value),
                Err(std::env::VarError::NotPresent) => {}
                Err(std::env::VarError::NotUnicode(_)) => {
                    return Err(format!("{name} is not UTF-8"));
                }
            }
        }
        Ok(Self(given))
    }
}

impl Provider for &Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named("environment")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let given = self.0.iter().filter(|(_, value)| !value.trim().is_empty());
        let values = given.map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        Ok(Map::from([(Profile::Default, values)]))
    }
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
        let mut names = NAMES;
        names.sort_unstable();
        assert_eq!(documented, names);
    }
}
