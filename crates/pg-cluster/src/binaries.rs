//! Where the server's programs are.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// There is no PostgreSQL server on this machine.
#[derive(Debug)]
pub struct NoBinaries;

impl std::fmt::Display for NoBinaries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "no PostgreSQL server was found: run `apt-get install postgresql`, or set PG_BIN to \
             the folder of initdb and postgres, or TEST_DATABASE_URL to a server that runs already",
        )
    }
}

impl std::error::Error for NoBinaries {}

/// The folder that holds `initdb` and `postgres`.
///
/// Looked for in `PG_BIN`, at `pg_config --bindir`, in `/usr/lib/postgresql/*/bin` (the newest
/// first) and in `PATH`, in this order.
pub(crate) fn find() -> Result<PathBuf, NoBinaries> {
    let named = variable("PG_BIN").map(PathBuf::from);
    let searched = variable("PATH").unwrap_or_default();
    named
        .into_iter()
        .chain(configured())
        .chain(packaged())
        .chain(env::split_paths(&searched))
        .find(|folder| holds_a_server(folder))
        .ok_or(NoBinaries)
}

fn holds_a_server(folder: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|program| folder.join(program).is_file())
}

fn configured() -> Option<PathBuf> {
    let answer = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = String::from_utf8(answer.stdout).ok()?;
    Some(PathBuf::from(folder.trim()))
}

/// Debian and its descendants keep each major version in a folder of its own, outside `PATH`.
fn packaged() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir("/usr/lib/postgresql") else {
        return Vec::new();
    };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let major = entry.file_name().to_str()?.parse().ok()?;
            Some((major, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    versions.into_iter().rev().map(|(_, bin)| bin).collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a tool for developers is told by their environment where things are"
)]
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_server_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!holds_a_server(folder.path()));
        for program in ["initdb", "postgres"] {
            fs::write(folder.path().join(program), "").unwrap();
        }
        assert!(holds_a_server(folder.path()));
    }

    #[test]
    fn it_says_what_to_install() {
        let text = NoBinaries.to_string();
        for way_out in ["apt-get install postgresql", "PG_BIN", "TEST_DATABASE_URL"] {
            assert!(text.contains(way_out));
        }
    }
}
