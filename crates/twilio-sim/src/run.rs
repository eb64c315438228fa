//! The service and its Twilio, started and stopped together.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use twilio_sim::Simulator;

use crate::command::{Guarded, Run};
use crate::report;

/// Longer than the service takes to stop.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a service that starts is asked whether it is ready.
const PAUSE: Duration = Duration::from_millis(50);

/// Runs both until Ctrl-C, or until the service ends.
pub(crate) async fn run(run: &Run) -> anyhow::Result<ExitCode> {
    let told_to_stop = told_to_stop()?;
    must_be_free(run.sim_port, "SIM_PORT")?;
    must_be_free(run.port, "PORT")?;
    let simulator = run.simulator().start().await?;
    let mut service = start_service(run, &simulator.base_url())?;
    let stopped = tokio::select! {
        () = told_to_stop => None,
        ended = service.wait() => Some(ended?),
        said = say_when_ready(run, &simulator) => {
            said?;
            None
        }
    };
    if let Some(status) = stopped {
        report::service_ended(status)?;
        return Ok(ExitCode::FAILURE);
    }
    stop(&mut service).await?;
    Ok(ExitCode::SUCCESS)
}

/// Becomes the program. It is told to end when the process that started this one does, even where
/// that was killed.
pub(crate) fn become_guarded(guarded: &Guarded) -> anyhow::Result<ExitCode> {
    #[cfg(target_os = "linux")]
    {
        rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
        // It may have ended before we asked.
        let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
        if parent.and_then(|pid| u32::try_from(pid).ok()) != Some(guarded.parent) {
            bail!("whoever started this has ended");
        }
    }
    let error = std::process::Command::new(&guarded.program).exec();
    Err(error).with_context(|| format!("cannot start {}", guarded.program.display()))
}

fn must_be_free(port: u16, name: &str) -> anyhow::Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => bail!(
            "Port {port} is taken: is it running already? Stop that, or choose another port:\n  \
             make run {name}={}",
            port.checked_add(1).unwrap_or(9_000)
        ),
        Err(error) => Err(error).with_context(|| format!("cannot listen on port {port}")),
        Ok(_) => Ok(()),
    }
}

fn start_service(run: &Run, twilio_url: &str) -> anyhow::Result<Child> {
    if !run.service.is_file() {
        bail!("there is no program {}; `make run` builds it", run.service.display());
    }
    Command::new(std::env::current_exe()?)
        .arg("guarded")
        .args(["--parent", &std::process::id().to_string()])
        .arg(&run.service)
        .env_clear()
        .envs(run.environment(twilio_url))
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}", run.service.display()))
}

/// Says what to do once the service is ready. Never comes back after that.
async fn say_when_ready(run: &Run, simulator: &Simulator) -> anyhow::Result<()> {
    while !twilio_sim::is_ready(&run.service_url()).await {
        tokio::time::sleep(PAUSE).await;
    }
    report::running(&simulator.base_url(), &run.service_url())?;
    std::future::pending().await
}

/// Heard of with the first SIGINT, SIGTERM or SIGHUP.
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    let (mut int, mut term, mut hup) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
        signal(SignalKind::hangup())?,
    );
    Ok(async move {
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
            _ = hup.recv() => {}
        }
    })
}

/// Asks the service to stop, and ends it where it does not.
async fn stop(service: &mut Child) -> anyhow::Result<()> {
    let pid = service.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    if let Some(pid) = pid {
        // It may have ended by itself: Ctrl-C reaches it as well.
        let _ = kill_process(pid, Signal::TERM);
    }
    if tokio::time::timeout(PATIENCE, service.wait()).await.is_err() {
        report::service_does_not_stop()?;
        service.kill().await?;
    }
    Ok(())
}

/// How a service ended, for people.
pub(crate) fn described(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no reason".to_owned(),
    }
}
