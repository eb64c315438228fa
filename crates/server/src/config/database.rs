//! The settings of where texts are kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use adapter_postgres::PgSettings;
use secrecy::SecretString;

use super::{Reader, timeout};

/// Where texts are kept.
#[derive(Debug)]
pub(crate) enum DatabaseSettings {
    Sqlite {
        path: PathBuf,
    },
    Postgres {
        url: SecretString,
        migration_url: Option<SecretString>,
        schema: Option<String>,
        pool_size: usize,
        root_certificate: Option<PathBuf>,
        timeouts: DatabaseTimeouts,
    },
}

/// How long what may take on the way to a database server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DatabaseTimeouts {
    pub(crate) connect: Duration,
    pub(crate) tcp_user: Duration,
    pub(crate) statement: Duration,
    pub(crate) lock: Duration,
}

impl DatabaseSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let Some(url) = reader.text("DATABASE_URL") else {
            let reason = "must be given outside APP_ENV=local: nobody should lose texts on a disk that \
                          goes away";
            reader.problem("DATABASE_URL", reason);
            return Self::Sqlite { path: PathBuf::new() };
        };
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Self::server(reader, url);
        }
        let path =
            url.strip_prefix("sqlite://").filter(|path| !path.is_empty() && *path != ":memory:");
        if path.is_none() {
            reader
                .problem("DATABASE_URL", "must begin with postgres:// or be sqlite:// and a file");
        }
        Self::Sqlite { path: path.unwrap_or_default().into() }
    }

    fn server(reader: &mut Reader, url: String) -> Self {
        let pool_size = reader.required("DATABASE_POOL_SIZE", |text| match text.parse() {
            Ok(size @ 1..=1000) => Ok(size),
            _ => Err("must be a whole number from 1 to 1000"),
        });
        let timeouts = DatabaseTimeouts::read(reader);
        let schema = reader.text("DATABASE_SCHEMA");
        let migration_url = reader.text("DATABASE_MIGRATION_URL");
        check(reader, "DATABASE_URL", &url, schema.as_ref());
        if let Some(migration_url) = &migration_url {
            check(reader, "DATABASE_MIGRATION_URL", migration_url, None);
        }
        Self::Postgres {
            root_certificate: root_certificate(reader, &[Some(&url), migration_url.as_ref()]),
            url: url.into(),
            timeouts,
            migration_url: migration_url.map(SecretString::from),
            schema,
            pool_size: pool_size.unwrap_or(1),
        }
    }
}

impl DatabaseTimeouts {
    fn read(reader: &mut Reader) -> Self {
        let mut time = |name| reader.required(name, timeout).unwrap_or_default();
        Self {
            connect: time("DATABASE_CONNECT_TIMEOUT"),
            tcp_user: time("DATABASE_TCP_USER_TIMEOUT"),
            statement: time("DATABASE_STATEMENT_TIMEOUT"),
            lock: time("DATABASE_LOCK_TIMEOUT"),
        }
    }
}

/// Looks at an address by itself: what others share with it is checked once.
fn check(reader: &mut Reader, name: &str, url: &str, schema: Option<&String>) {
    let mut way = PgSettings::new(url);
    way.schema = schema.cloned();
    if let Err(reason) = way.check() {
        // It names the setting itself, and the usual one of the two.
        reader.problems.push(reason.to_string().replace("DATABASE_URL", name));
    }
}

/// The file for all ways to the database: one of them must check certificates, or it would be of no use
/// and nobody would know.
fn root_certificate(reader: &mut Reader, ways: &[Option<&String>]) -> Option<PathBuf> {
    let name = "DATABASE_ROOT_CERTIFICATE";
    let file = reader.text(name).map(PathBuf::from)?;
    if PgSettings::check_root_certificate(&file).is_err() {
        let reason = "must be a readable file with certificates in PEM, or the word system";
        reader.problem(name, reason);
    }
    if !ways.iter().flatten().any(|url| may_verify(url, &file)) {
        let reason = "is given, and sslmode in DATABASE_URL checks no certificate: use \
                      sslmode=verify-full, or leave it out";
        reader.problem(name, reason);
    }
    Some(file)
}

/// What is wrong with an address is told by itself.
fn may_verify(url: &str, root: &Path) -> bool {
    let mut way = PgSettings::new(url);
    way.root_certificate = Some(root.to_owned());
    way.verifies().unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::*;

    /// All that is wrong with these settings of a database.
    fn wrong(given: &[(&str, &str)]) -> String {
        let mut reader = Reader::new(Source::of(given));
        DatabaseSettings::read(&mut reader);
        reader.problems.join("\n")
    }

    #[test]
    fn a_root_certificate_is_there_and_something_is_checked_with_it() {
        const UNREADABLE: &str = "DATABASE_ROOT_CERTIFICATE must be a readable file";
        const IDLE: &str =
            "DATABASE_ROOT_CERTIFICATE is given, and sslmode in DATABASE_URL checks no";
        let full = "sslmode=verify-full";
        for (root, mode, migration_mode, told) in [
            ("system", full, None, vec![]),
            ("system", "sslmode=require", None, vec![]),
            ("system", "sslmode=disable", Some(full), vec![]),
            ("system", full, Some("sslmode=disable"), vec![]),
            ("system", "", None, vec![IDLE]),
            ("system", "sslmode=prefer", None, vec![IDLE]),
            ("system", "sslmode=disable", Some("sslmode=prefer"), vec![IDLE]),
            ("/no/such/file.pem", full, None, vec![UNREADABLE]),
            ("/no/such/file.pem", full, Some(full), vec![UNREADABLE]),
            ("/no/such/file.pem", "sslmode=disable", None, vec![UNREADABLE, IDLE]),
            ("system", "sslmode=nonsense", None, vec!["sslmode in DATABASE_URL must be"]),
            ("", "sslrootcert=system", None, vec!["sslrootcert in DATABASE_URL is given"]),
            (
                "",
                full,
                Some("sslrootcert=system&sslmode=disable"),
                vec!["sslrootcert in DATABASE_MIGRATION_URL is given"],
            ),
            (
                "",
                "sslmode=verify-ca&sslrootcert=/no/such/file.pem",
                None,
                vec!["sslrootcert in DATABASE_URL) must be a readable file"],
            ),
        ] {
            let url = format!("postgres://sms@db/sms?{mode}");
            let migration = migration_mode.map(|mode| format!("postgres://sms@db/sms?{mode}"));
            let wrong = wrong(&[
                ("DATABASE_URL", &url),
                ("DATABASE_MIGRATION_URL", migration.as_deref().unwrap_or_default()),
                ("DATABASE_ROOT_CERTIFICATE", root),
            ]);
            assert_eq!(wrong.lines().count(), told.len(), "{root} {mode}: {wrong}");
            for told in told {
                assert!(wrong.contains(told), "{told} in {wrong}");
            }
        }
    }
}
