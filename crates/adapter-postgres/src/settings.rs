//! Where the database is and how it is used.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::Config;

use crate::groups::GroupSettings;
use crate::tls::{TlsWish, check_root};

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
    /// How long it may take to connect. More than zero.
    pub connect_timeout: Duration,
    /// How long the server works at a statement; `None`: half a second longer than a call waits.
    pub statement_timeout: Option<Duration>,
    /// How long the server waits for a lock; `None`: as long as a call.
    pub lock_timeout: Option<Duration>,
    /// How long sent data may stay unacknowledged before a connection counts as lost.
    pub tcp_user_timeout: Duration,
    /// The authorities that the server's certificate may come from: a file in PEM, or `system`.
    /// `sslrootcert` in the address wins.
    pub root_certificate: Option<PathBuf>,
    /// How calls that write share transactions.
    pub groups: GroupSettings,
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
    /// An `sslmode` that does not exist.
    #[error("sslmode in DATABASE_URL must be disable, prefer, require, verify-ca or verify-full")]
    TlsMode,
    /// The root certificate is none, or cannot be read.
    #[error(
        "the root certificate (DATABASE_ROOT_CERTIFICATE, or sslrootcert in DATABASE_URL) must be a \
         readable file with certificates in PEM, or the word system"
    )]
    RootCertificate,
    /// A root certificate in an address whose mode checks no certificate.
    #[error(
        "sslrootcert in DATABASE_URL is given, and its sslmode checks no certificate: use \
         sslmode=verify-full, or leave it out"
    )]
    IdleRootCertificate,
    /// The schema's name does not fit.
    #[error(
        "DATABASE_SCHEMA must be a lower-case letter or _, then at most 62 of these and digits"
    )]
    Schema,
    /// A pool without connections.
    #[error("the pool must have at least one connection")]
    NoConnections,
    /// No time for anything.
    #[error("the deadline of a call and the timeouts must be more than zero")]
    NoTime,
    /// No room for any call.
    #[error("groups must have room for at least one call, and so must their queue")]
    NoGroups,
}

impl PgSettings {
    /// The database at that address (`postgres://user:password@host:5432/database`), with up to 10
    /// connections and 1.5 seconds for each call.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            schema: None,
            pool_size: 10,
            deadline: Duration::from_millis(1500),
            connect_timeout: Duration::from_millis(1500),
            statement_timeout: None,
            lock_timeout: None,
            tcp_user_timeout: Duration::from_secs(10),
            root_certificate: None,
            groups: GroupSettings::default(),
        }
    }

    /// Checks everything that can be checked without the database; a file with root certificates is read.
    ///
    /// # Errors
    /// [`InvalidSettings`], which says what to change.
    pub fn check(&self) -> Result<(), InvalidSettings> {
        self.checked()?.1.check_root()
    }

    /// Whether the server has to prove who it is before anything is told to it.
    ///
    /// # Errors
    /// [`InvalidSettings`] where that cannot be known.
    pub fn verifies(&self) -> Result<bool, InvalidSettings> {
        self.checked().map(|(_, tls)| tls.verifies())
    }

    /// Checks whether `file` can be a [`root_certificate`](Self::root_certificate), for whatever way.
    ///
    /// # Errors
    /// [`InvalidSettings::RootCertificate`].
    pub fn check_root_certificate(file: &Path) -> Result<(), InvalidSettings> {
        check_root(file)
    }

    /// Checks what stands in the settings themselves, and says how to connect.
    pub(crate) fn checked(&self) -> Result<(Config, TlsWish), InvalidSettings> {
        if self.schema.as_deref().is_some_and(|name| !is_plain_name(name)) {
            return Err(InvalidSettings::Schema);
        }
        if self.pool_size == 0 {
            return Err(InvalidSettings::NoConnections);
        }
        let times = [
            self.deadline,
            self.connect_timeout,
            self.statement_timeout(),
            self.lock_timeout(),
            self.tcp_user_timeout,
        ];
        if times.iter().any(Duration::is_zero) {
            return Err(InvalidSettings::NoTime);
        }
        let GroupSettings { at_once, largest, queue, .. } = self.groups;
        if at_once == 0 || largest == 0 || queue == 0 {
            return Err(InvalidSettings::NoGroups);
        }
        self.config()
    }

    fn config(&self) -> Result<(Config, TlsWish), InvalidSettings> {
        let (tls, address) = TlsWish::of(&self.url, self.root_certificate.as_deref())?;
        let mut config: Config = address.parse().map_err(|_| InvalidSettings::Url)?;
        config.ssl_mode(tls.mode.negotiation());
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(InvalidSettings::Url);
        }
        if config.get_application_name().is_none() {
            config.application_name("sms-foundation");
        }
        config
            .connect_timeout(self.connect_timeout)
            .tcp_user_timeout(self.tcp_user_timeout)
            .keepalives_idle(Duration::from_secs(30))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3);
        Ok((config, tls))
    }

    /// What a connection is told first, so that what a call leaves behind ends by itself: a call
    /// that nobody waits for any more must not hold locks for longer than the next one can wait.
    pub(crate) fn session(&self) -> String {
        let wait = self.lock_timeout().as_millis().max(1);
        let limit = self.statement_timeout().as_millis().max(1);
        // Each statement was given an index. A plan that is made for an empty table, read from end
        // to end, would be kept while the table fills. What must be read from end to end all the
        // same then seems so dear that the server would compile it first, for a second and each time.
        format!(
            "{} set default_transaction_isolation = 'read committed'; set lock_timeout = {wait}; \
             set statement_timeout = {limit}; set idle_in_transaction_session_timeout = {limit}; \
             set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off; \
             set jit = off;",
            self.search_path(),
        )
    }

    fn statement_timeout(&self) -> Duration {
        self.statement_timeout.unwrap_or(self.deadline + Duration::from_millis(500))
    }

    fn lock_timeout(&self) -> Duration {
        self.lock_timeout.unwrap_or(self.deadline)
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
        let (config, _) = PgSettings::new(URL).checked().unwrap();
        assert_eq!(config.get_application_name(), Some("sms-foundation"));
        assert_eq!(config.get_connect_timeout(), Some(&Duration::from_millis(1500)));
    }

    #[test]
    fn an_instance_may_have_a_name_of_its_own() {
        let named = PgSettings::new(format!("{URL}?application_name=blue"));
        let (config, _) = named.checked().unwrap();
        assert_eq!(config.get_application_name(), Some("blue"));
    }

    #[test]
    fn it_does_not_connect_in_the_clear_where_tls_is_wanted() {
        use tokio_postgres::config::SslMode;
        for mode in ["require", "verify-ca", "verify-full"] {
            let url = PgSettings::new(format!("{URL}?sslmode={mode}"));
            assert_eq!(url.checked().unwrap().0.get_ssl_mode(), SslMode::Require, "{mode}");
            let words = PgSettings::new(format!("host=db.example user=sms sslmode={mode}"));
            assert_eq!(words.checked().unwrap().0.get_ssl_mode(), SslMode::Require, "{mode}");
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
