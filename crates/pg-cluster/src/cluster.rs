//! The server: making its data, starting and stopping it, and what can befall it.

use std::fs::{self, File, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};
use tempfile::TempDir;

use crate::process::{PATIENCE, within};
use crate::watchdog::Watchdog;
use crate::{binaries, process};

/// A server of one's own, with everything it keeps in a temporary folder. Dropping it stops it and
/// deletes that folder.
#[derive(Debug)]
pub struct Cluster {
    programs: Programs,
    folder: TempDir,
    settings: Vec<(String, String)>,
    port: u16,
    server: Option<Server>,
}

#[derive(Debug)]
struct Server {
    first_process: Child,
    /// Lives as long as the server may.
    _watchdog: Watchdog,
}

/// What a server does to keep data through a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// As PostgreSQL comes: what was committed is on the disk. For measuring, and for tests that
    /// kill the server.
    Default,
    /// Nothing waits for the disk.
    Fast,
}

/// Says how a server is to be before it starts.
#[derive(Debug, Clone)]
pub struct Builder {
    settings: Vec<(String, String)>,
    /// Certificate and key.
    tls: Option<(String, String)>,
}

impl Builder {
    /// Sets a parameter of the server, such as `max_connections`. The last setting of a name
    /// counts.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets clients encrypt: the server proves itself with that certificate and key, both PEM.
    #[must_use]
    pub fn tls(mut self, certificate: impl Into<String>, key: impl Into<String>) -> Self {
        self.tls = Some((certificate.into(), key.into()));
        self
    }

    /// Makes the data and starts the server on a free port.
    ///
    /// # Errors
    /// [`NoBinaries`](crate::NoBinaries) (found by downcasting) where there is no server to start,
    /// and whatever keeps it from starting, with the end of its log.
    pub fn start(self) -> Result<Cluster> {
        let programs = Programs::find()?;
        let folder = programs.make_folder()?;
        programs.initialise(folder.path())?;
        let mut settings = self.settings;
        if let Some((certificate, key)) = self.tls {
            settings.push(("ssl".into(), "on".into()));
            for (name, text) in [("ssl_cert_file", certificate), ("ssl_key_file", key)] {
                let file = programs.write_private(folder.path(), name, &text)?;
                settings.push((name.into(), file.display().to_string()));
            }
        }
        let mut cluster = Cluster { programs, folder, settings, port: 0, server: None };
        cluster.start_on_free_port()?;
        Ok(cluster)
    }
}

/// Between choosing a free port and listening on it somebody else can take it.
const PORTS_TRIED: usize = 5;

impl Cluster {
    /// Starts an empty server.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub fn start(durability: Durability) -> Result<Self> {
        Self::builder(durability).start()
    }

    /// A server that is not started yet, for 200 connections unless it is told otherwise.
    #[must_use]
    pub fn builder(durability: Durability) -> Builder {
        let builder = Builder { settings: Vec::new(), tls: None }.setting("max_connections", "200");
        match durability {
            Durability::Default => builder,
            Durability::Fast => builder
                .setting("fsync", "off")
                .setting("synchronous_commit", "off")
                .setting("full_page_writes", "off"),
        }
    }

    /// Where to connect, as a superuser, without a password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The id of the server's first process; `None` while it is stopped.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(|server| server.first_process.id())
    }

    /// The file that the server writes its log to; it is emptied at each start.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Ends all its processes at once, as a crash does. (A power cut also loses what the operating
    /// system has not yet written to the disk.)
    ///
    /// # Errors
    /// Where a process cannot be reached.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut server) = self.server.take() else {
            return Ok(());
        };
        process::kill(server.first_process.id())?;
        server.first_process.wait()?;
        Ok(())
    }

    /// Holds all its processes where they are: it neither answers nor hangs up.
    ///
    /// # Errors
    /// Where a process cannot be reached.
    pub fn freeze(&self) -> Result<()> {
        process::freeze(self.running()?)
    }

    /// Lets a frozen server go on.
    ///
    /// # Errors
    /// Where a process cannot be reached.
    pub fn thaw(&self) -> Result<()> {
        process::thaw(self.running()?)
    }

    /// Stops it at once: sessions are cut off, open transactions are lost, committed ones are not.
    ///
    /// # Errors
    /// Where a process cannot be reached.
    pub fn stop(&mut self) -> Result<()> {
        let Some(Server { first_process, .. }) = &mut self.server else {
            return Ok(());
        };
        // A frozen server hears nothing.
        process::thaw(first_process.id())?;
        process::send(Signal::SIGQUIT, first_process.id())?;
        let stopped = within(PATIENCE, || Ok(first_process.try_wait()?.is_some()))?;
        if stopped {
            self.server = None;
        }
        // What does not want to stop is stopped.
        self.kill()
    }

    /// Starts a stopped server, with the same data, on the same port.
    ///
    /// # Errors
    /// As [`Builder::start`]; also where it runs already.
    pub fn start_again(&mut self) -> Result<()> {
        ensure!(self.server.is_none(), "the server runs already");
        self.launch()
    }

    fn running(&self) -> Result<u32> {
        self.pid().context("the server does not run")
    }

    fn start_on_free_port(&mut self) -> Result<()> {
        let mut outcome = Ok(());
        for _ in 0..PORTS_TRIED {
            self.port = free_port()?;
            outcome = self.launch();
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    fn launch(&mut self) -> Result<()> {
        let log = self.log();
        let mut server = self.programs.command("postgres", self.folder.path());
        server.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        server.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        for (name, value) in &self.settings {
            server.arg("-c").arg(format!("{name}={value}"));
        }
        // Out of the terminal's group: Ctrl-C is for the tests, which then stop the server.
        server.process_group(0).stdout(Stdio::null()).stderr(File::create(&log)?);
        let first_process = server.spawn().context("postgres cannot be started")?;
        let watchdog = Watchdog::over(first_process.id(), self.folder.path())?;
        self.server = Some(Server { first_process, _watchdog: watchdog });
        if within(PATIENCE, || self.accepts())? {
            return Ok(());
        }
        self.kill()?;
        bail!("postgres did not start:\n{}", last_lines(&log));
    }

    /// Whether it accepts connections; an error once it has given up.
    fn accepts(&mut self) -> Result<bool> {
        let (file, log) = (self.data().join("postmaster.pid"), self.log());
        let server = self.server.as_mut().context("the server does not run")?;
        if let Some(status) = server.first_process.try_wait()? {
            self.server = None;
            bail!("postgres gave up ({status}):\n{}", last_lines(&log));
        }
        let state = fs::read_to_string(file).unwrap_or_default();
        Ok(is_ready(&state, server.first_process.id()))
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Not killed: a server that stops gives its shared memory back.
        let _ = self.stop();
    }
}

/// The server's programs, and whom they run as.
#[derive(Debug)]
struct Programs {
    folder: PathBuf,
    /// They refuse to run as root, so root lends them another user.
    owner: Option<User>,
}

impl Programs {
    fn find() -> Result<Self> {
        let folder = binaries::find()?;
        let owner = if geteuid().is_root() { Some(unprivileged()?) } else { None };
        Ok(Self { folder, owner })
    }

    fn make_folder(&self) -> Result<TempDir> {
        let folder = tempfile::Builder::new().prefix("pg-cluster-").tempdir()?;
        if let Some(owner) = &self.owner {
            let (uid, gid) = (owner.uid.as_raw(), owner.gid.as_raw());
            chown(folder.path(), Some(uid), Some(gid))?;
        }
        Ok(folder)
    }

    /// A file that only the server may read: it insists on that for its key.
    fn write_private(&self, folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
        let file = folder.join(name);
        fs::write(&file, text)?;
        fs::set_permissions(&file, Permissions::from_mode(0o600))?;
        if let Some(owner) = &self.owner {
            chown(&file, Some(owner.uid.as_raw()), Some(owner.gid.as_raw()))?;
        }
        Ok(file)
    }

    fn initialise(&self, folder: &Path) -> Result<()> {
        let made = self
            .command("initdb", folder)
            .arg("-D")
            .arg(folder.join("data"))
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"])
            // The server syncs what it writes later; an empty cluster is no loss.
            .arg("--no-sync")
            .output()
            .context("initdb cannot be started")?;
        let said = String::from_utf8_lossy(&made.stderr);
        ensure!(made.status.success(), "initdb failed ({}):\n{said}", made.status);
        Ok(())
    }

    fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = Command::new(self.folder.join(program));
        command.current_dir(folder).stdin(Stdio::null());
        if let Some(owner) = &self.owner {
            command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
        }
        command
    }
}

fn unprivileged() -> Result<User> {
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name)? {
            return Ok(user);
        }
    }
    bail!("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as")
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port is free")?;
    Ok(listener.local_addr()?.port())
}

/// Whether `postmaster.pid` says that the server with that id accepts connections: the id is in
/// its first line, the state in its eighth, as `pg_ctl` reads it.
fn is_ready(file: &str, pid: u32) -> bool {
    let line = |number: usize| file.lines().nth(number).map(str::trim);
    line(0) == Some(pid.to_string().as_str()) && line(7) == Some("ready")
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(10);
    lines.iter().skip(start).copied().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_ready_when_its_own_file_says_so() {
        let file = "42\n/data\n1700000000\n5432\n/tmp\n127.0.0.1\n  1  2\nready   \n";
        assert!(is_ready(file, 42));
        assert!(!is_ready(file, 43), "left by a server before");
        assert!(!is_ready(&file.replace("ready", "starting"), 42));
        assert!(!is_ready("", 42));
    }
}
