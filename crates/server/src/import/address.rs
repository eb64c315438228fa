//! Where the original's tables are, in the original's own words or in ours.

/// The address of a PostgreSQL database.
///
/// The original is given the same with the name of a Python driver in it, and with that driver's
/// word for the way of encryption: `postgresql+asyncpg://host/database?ssl=require`.
///
/// # Errors
/// [`NotPostgres`] where it keeps its tables elsewhere.
pub(super) fn of_postgres(from: &str) -> Result<String, NotPostgres> {
    let Some((scheme, place)) = from.split_once("://") else {
        return Ok(from.to_owned());
    };
    let dialect = scheme.split_once('+').map_or(scheme, |(dialect, _driver)| dialect);
    if dialect == "sqlite" {
        return Err(NotPostgres);
    }
    let Some((place, options)) = place.split_once('?') else {
        return Ok(format!("{dialect}://{place}"));
    };
    let options: Vec<String> = options.split('&').map(in_our_words).collect();
    Ok(format!("{dialect}://{place}?{}", options.join("&")))
}

fn in_our_words(option: &str) -> String {
    option.strip_prefix("ssl=").map_or_else(|| option.to_owned(), |mode| format!("sslmode={mode}"))
}

/// The original's tables are in a file that is not read here. The address is a secret, so that the
/// text does not repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "--from (IMPORT_FROM) is an SQLite file, and only PostgreSQL is read: bring the file into \
     PostgreSQL first, for example with pgloader, and give that database's address \
     (docs/migrating.md, An original on SQLite)"
)]
pub(super) struct NotPostgres;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_the_original_was_given_will_do() {
        for (given, used) in [
            ("postgresql+asyncpg://a:b@h/db", "postgresql://a:b@h/db"),
            ("postgresql+psycopg2://h/db?sslmode=require", "postgresql://h/db?sslmode=require"),
            ("postgresql+asyncpg://h/db?a=1&ssl=require", "postgresql://h/db?a=1&sslmode=require"),
            ("postgres://a+b:c+d@h/db", "postgres://a+b:c+d@h/db"),
            ("host=h user=a+b", "host=h user=a+b"),
        ] {
            assert_eq!(of_postgres(given).as_deref(), Ok(used));
        }
    }

    #[test]
    fn a_file_of_sqlite_is_refused_with_what_to_do() {
        for given in ["sqlite+aiosqlite:///./sms.db", "sqlite:////data/s3cret.db"] {
            let why = of_postgres(given).unwrap_err().to_string();
            assert!(why.contains("pgloader") && !why.contains("s3cret"), "{why}");
        }
    }
}
