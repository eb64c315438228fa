//! Where the database is and how it is used.

use std::fmt;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

/// Where the database is and how it is used. Nothing is read from the environment.
#[derive(Clone)]
pub struct PgSettings {
    url: String,
    /// The schema that holds the tables; `None` for the first of the role's own `search_path`. A
    /// lower-case letter or `_`, then at most 62 of these and digits.
    pub schema: Option<String>,
    /// How many connections there are at most. At least 1.
    pub pool_size: usize,
    /// How long a call of the store may take, waiting for a connection included. More than zero.
    pub deadline: Duration,
}

/// These settings cannot be used. The address is a secret, so that no text repeats it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// The address is none.
    #[error(
        "DATABASE_URL cannot be read: it must be like postgres://user:password@host:5432/database, \
         with special characters percent-encoded"
    )]
    Url,
    /// The address asks for an encrypted connection.
    #[error(
        "DATABASE_URL asks for TLS, which this version cannot speak: it would connect in the clear"
    )]
    TlsWanted,
    /// The schema's name does not fit.
    #[error(
        "DATABASE_SCHEMA must be a lower-case letter or _, then at most 62 of these and digits"
    )]
    Schema,
    /// A pool without connections.
    #[error("the pool must have at least one connection")]
    NoConnections,
    /// No time for anything.
    #[error("the deadline of a call must be more than zero")]
    NoTime,
}

impl PgSettings {
    /// The database at that address (`postgres://user:password@host:5432/database`), with up to 10
    /// connections and 1.5 seconds for each call.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), schema: None, pool_size: 10, deadline: Duration::from_millis(1500) }
    }

    /// Checks everything that can be checked without the database, and says how to connect.
    pub(crate) fn checked(&self) -> Result<Config, InvalidSettings> {
        if self.schema.as_deref().is_some_and(|name| !is_plain_name(name)) {
            return Err(InvalidSettings::Schema);
        }
        if self.pool_size == 0 {
            return Err(InvalidSettings::NoConnections);
        }
        if self.deadline.is_zero() {
            return Err(InvalidSettings::NoTime);
        }
        self.config()
    }

    fn config(&self) -> Result<Config, InvalidSettings> {
        // tokio-postgres does not know these two words and would call the whole address wrong.
        if self.url.contains("sslmode=verify-") {
            return Err(InvalidSettings::TlsWanted);
        }
        let mut config: Config = self.url.parse().map_err(|_| InvalidSettings::Url)?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(InvalidSettings::TlsWanted);
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(InvalidSettings::Url);
        }
        if config.get_application_name().is_none() {
            config.application_name("sms-foundation");
        }
        config
            .connect_timeout(self.deadline)
            .keepalives_idle(Duration::from_secs(30))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3);
        Ok(config)
    }

    /// What a connection is told first, so that what a call leaves behind ends by itself: a call
    /// that nobody waits for any more must not hold locks for longer than the next one can wait.
    pub(crate) fn session(&self) -> String {
        let wait = self.deadline.as_millis().max(1);
        let limit = wait + 500;
        format!(
            "{} set default_transaction_isolation = 'read committed'; set lock_timeout = {wait}; \
             set statement_timeout = {limit}; set idle_in_transaction_session_timeout = {limit};",
            self.search_path(),
        )
    }

    /// What a connection for migrations is told first: these wait for each other as long as needed.
    pub(crate) fn unhurried_session(&self) -> String {
        format!("{} set lock_timeout = 0; set statement_timeout = 0;", self.search_path())
    }

    fn search_path(&self) -> String {
        self.schema
            .as_ref()
            .map_or_else(String::new, |name| format!("set search_path to \"{name}\";"))
    }
}

impl fmt::Debug for PgSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgSettings")
            .field("schema", &self.schema)
            .field("pool_size", &self.pool_size)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

fn is_plain_name(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let goes_on = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    begins && name.len() <= 63 && name.chars().all(goes_on)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "postgres://sms:s3cret@db.example/sms";

    fn refused(settings: &PgSettings) -> InvalidSettings {
        settings.checked().unwrap_err()
    }

    #[test]
    fn a_plain_address_is_enough() {
        let config = PgSettings::new(URL).checked().unwrap();
        assert_eq!(config.get_application_name(), Some("sms-foundation"));
        assert_eq!(config.get_connect_timeout(), Some(&Duration::from_millis(1500)));
    }

    #[test]
    fn an_instance_may_have_a_name_of_its_own() {
        let named = PgSettings::new(format!("{URL}?application_name=blue"));
        let config = named.checked().unwrap();
        assert_eq!(config.get_application_name(), Some("blue"));
    }

    #[test]
    fn it_does_not_connect_in_the_clear_where_tls_is_wanted() {
        for mode in ["require", "verify-ca", "verify-full"] {
            let url = PgSettings::new(format!("{URL}?sslmode={mode}"));
            assert_eq!(refused(&url), InvalidSettings::TlsWanted, "{mode}");
            let words = PgSettings::new(format!("host=db.example user=sms sslmode={mode}"));
            assert_eq!(refused(&words), InvalidSettings::TlsWanted, "{mode}");
        }
        for mode in ["disable", "prefer"] {
            let url = PgSettings::new(format!("{URL}?sslmode={mode}"));
            assert!(url.checked().is_ok(), "{mode}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        for url in ["", "db.example", "mysql://db.example/sms", "postgres://sms@/sms"] {
            assert_eq!(refused(&PgSettings::new(url)), InvalidSettings::Url, "{url:?}");
        }
    }

    #[test]
    fn a_schema_is_a_plain_name() {
        let mut settings = PgSettings::new(URL);
        for name in ["sms", "_", "a1_", &"a".repeat(63)] {
            settings.schema = Some(name.to_owned());
            assert!(settings.checked().is_ok(), "{name:?}");
        }
        for name in ["", "1a", "Sms", "a-b", "a\"; drop schema public", &"a".repeat(64)] {
            settings.schema = Some(name.to_owned());
            assert_eq!(refused(&settings), InvalidSettings::Schema, "{name:?}");
        }
    }

    #[test]
    fn a_store_needs_connections_and_time() {
        let mut settings = PgSettings::new(URL);
        settings.pool_size = 0;
        assert_eq!(refused(&settings), InvalidSettings::NoConnections);
        settings.pool_size = 1;
        settings.deadline = Duration::ZERO;
        assert_eq!(refused(&settings), InvalidSettings::NoTime);
    }

    #[test]
    fn nothing_shows_the_password() {
        let settings = PgSettings::new(format!("{URL}?s3cret=1"));
        let shown = format!("{settings:?} {:?} {}", refused(&settings), refused(&settings));
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
