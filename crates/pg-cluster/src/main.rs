//! `pg-cluster run [--] <command...>`: runs a command with a PostgreSQL server of its own, whose
//! address it finds in `TEST_DATABASE_URL`. Where that is set already, that server is used.

use std::env;
use std::ffi::OsString;
use std::io::{IsTerminal, stdin};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};
use std::thread;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pg_cluster::{Cluster, Durability};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

const VARIABLE: &str = "TEST_DATABASE_URL";

#[expect(clippy::print_stderr, reason = "this is how a tool speaks")]
fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("pg-cluster: {error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode> {
    let (program, arguments) = command_of(env::args_os().skip(1).collect())?;
    let mut command = Command::new(&program);
    command.args(arguments);
    // Before the server starts: a signal must not end us and leave the server behind.
    let signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let cluster = match given_server() {
        Some(_) => None,
        None => Some(Cluster::start(Durability::Fast)?),
    };
    if let Some(cluster) = &cluster {
        command.env(VARIABLE, cluster.url());
    }
    let mut child =
        command.spawn().with_context(|| format!("{} cannot be started", program.display()))?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    thread::spawn(move || pass_on(signals, pid));
    let status = child.wait()?;
    drop(cluster);
    Ok(exit_code(status))
}

fn command_of(mut arguments: Vec<OsString>) -> Result<(OsString, Vec<OsString>)> {
    const USAGE: &str = "usage: pg-cluster run [--] <command...>";
    if arguments.first().is_none_or(|word| word != "run") {
        bail!(USAGE);
    }
    let ours = if arguments.get(1).is_some_and(|word| word == "--") { 2 } else { 1 };
    arguments.drain(..ours);
    if arguments.is_empty() {
        bail!(USAGE);
    }
    let program = arguments.remove(0);
    Ok((program, arguments))
}

#[expect(clippy::disallowed_methods, reason = "the variable is this tool's interface")]
fn given_server() -> Option<OsString> {
    env::var_os(VARIABLE).filter(|url| !url.is_empty())
}

/// Gives the command the signals that were meant for both.
fn pass_on(mut signals: Signals, command: Pid) {
    for signal in signals.forever() {
        // Ctrl-C at a terminal reaches the command without us; twice would mean "now".
        let reached_it = signal == SIGINT && stdin().is_terminal();
        if let (false, Ok(signal)) = (reached_it, Signal::try_from(signal)) {
            let _ = kill(command, signal);
        }
    }
}

/// The command's own code, or 128 and the signal that ended it, as a shell says it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| signal + 128));
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn the_command_is_what_follows_run() {
        for line in ["run cargo test -- -q", "run -- cargo test -- -q"] {
            let (program, arguments) = command_of(words(line)).unwrap();
            assert_eq!((program, arguments), ("cargo".into(), words("test -- -q")));
        }
    }

    #[test]
    fn anything_else_is_told_the_usage() {
        for line in ["", "start", "run", "run --"] {
            let error = command_of(words(line)).unwrap_err();
            assert!(error.to_string().starts_with("usage"), "{line:?}");
        }
    }

    #[test]
    fn the_command_decides_the_exit_code() {
        assert_eq!(exit_code(ExitStatus::from_raw(3 << 8)), ExitCode::from(3));
        assert_eq!(exit_code(ExitStatus::from_raw(15)), ExitCode::from(143));
    }
}
