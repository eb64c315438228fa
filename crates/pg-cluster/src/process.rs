//! Signals to a server and to the processes that it started.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

/// The longest that a process may take to do what it is told.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Sends `signal` to the process; one that is gone is no error.
pub(crate) fn send(signal: Signal, pid: u32) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid)?);
    match signal::kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("{signal} could not be sent to {pid}")),
    }
}

/// Holds the process and those that it has started, and returns when none moves any more.
pub(crate) fn freeze(pid: u32) -> Result<()> {
    // The first one first, so that it starts no more.
    hold(pid)?;
    children(pid)?.into_iter().try_for_each(hold)
}

/// Lets all of them go on.
pub(crate) fn thaw(pid: u32) -> Result<()> {
    let held = children(pid)?;
    send(Signal::SIGCONT, pid)?;
    held.into_iter().try_for_each(|child| send(Signal::SIGCONT, child))
}

/// Ends all of them, and returns when those that it has started are gone.
pub(crate) fn kill(pid: u32) -> Result<()> {
    hold(pid)?;
    let orphans = children(pid)?;
    for process in orphans.iter().copied().chain([pid]) {
        send(Signal::SIGKILL, process)?;
    }
    let all_gone = || Ok(orphans.iter().all(|orphan| matches!(state(*orphan), None | Some('Z'))));
    ensure!(within(PATIENCE, all_gone)?, "processes of the server do not end");
    Ok(())
}

fn hold(pid: u32) -> Result<()> {
    send(Signal::SIGSTOP, pid)?;
    let held = || Ok(matches!(state(pid), None | Some('T' | 'Z')));
    ensure!(within(PATIENCE, held)?, "process {pid} cannot be held");
    Ok(())
}

/// Asks until the answer is yes; `false` where that takes longer than `limit`.
pub(crate) fn within(limit: Duration, mut answer: impl FnMut() -> Result<bool>) -> Result<bool> {
    let start = Instant::now();
    while !answer()? {
        if start.elapsed() > limit {
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(true)
}

fn children(of: u32) -> Result<Vec<u32>> {
    let entries = fs::read_dir("/proc").context("the list of processes cannot be read")?;
    let is_child = |pid: &u32| parent(&stat(*pid)) == Some(of);
    Ok(entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(is_child)
        .collect())
}

/// What the process does: `R`uns, `S`leeps, is s`T`opped, is dead but listed (`Z`); `None` where
/// there is none.
fn state(pid: u32) -> Option<char> {
    behind_name(&stat(pid)).next()?.chars().next()
}

fn parent(stat: &str) -> Option<u32> {
    behind_name(stat).nth(1)?.parse().ok()
}

fn stat(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default()
}

/// The fields of `/proc/<pid>/stat` (`pid (name) state parent ...`, see proc(5)) from the state on.
/// The name can hold blanks and brackets.
fn behind_name(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_any_name() {
        assert_eq!(parent("12 (postgres: (a) b) S 7 12 12 0"), Some(7));
        assert_eq!(parent(""), None);
    }

    #[test]
    fn a_child_is_listed_while_it_lives() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(children(std::process::id()).unwrap().contains(&child.id()));
        hold(child.id()).unwrap();
        assert_eq!(state(child.id()), Some('T'));
        send(Signal::SIGKILL, child.id()).unwrap();
        child.wait().unwrap();
        assert_eq!(state(child.id()), None);
        assert!(!children(std::process::id()).unwrap().contains(&child.id()));
        send(Signal::SIGKILL, child.id()).unwrap();
    }
}
