//! Nobody's server is left behind, however its test ends.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// A process beside the server that stops it, and deletes its folder, once this process is gone:
/// a test that is killed for taking too long cannot do that itself.
#[derive(Debug)]
pub(crate) struct Watchdog(Child);

/// Its input is a pipe that nobody writes to and that closes when this process ends.
const SCRIPT: &str = r#"
    read -r _
    kill -CONT "$1"
    kill -QUIT "$1"
    tenths=0
    while kill -0 "$1" && [ $tenths -lt 100 ]; do
        sleep 0.1
        tenths=$((tenths + 1))
    done
    kill -KILL "$1"
    rm -rf "$2"
"#;

impl Watchdog {
    /// Watches over the server with that process id.
    pub(crate) fn over(server: u32, folder: &Path) -> Result<Self> {
        Command::new("sh")
            .args(["-c", SCRIPT, "watchdog", &server.to_string()])
            .arg(folder)
            // What ends this process's group must not end the watchdog.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map(Self)
            .context("sh cannot be started")
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
