//! What the command prints.

use std::io::{self, Write};
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use twilio_sim::{Answer, Load, LoadReport, Verification, WebhookRequest};

use crate::run::described;

/// How many SIDs of lost texts are named.
const NAMED: usize = 10;

/// What was started, and how to use it.
pub(crate) fn serving(base_url: &str, account_sid: &str, local_token: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "Twilio's API is at {base_url} (Ctrl-C stops it). For the service:")?;
    writeln!(out, "  TWILIO_API_BASE_URL={base_url}")?;
    writeln!(out, "  TWILIO_ACCOUNT_SID={account_sid}")?;
    if local_token {
        writeln!(out, "  TWILIO_AUTH_TOKEN=local-development-token")?;
    }
    writeln!(out, "What it was asked to send:\n  curl {base_url}/sim/messages")?;
    writeln!(out, "A phone to text with:\n  {base_url}/")?;
    out.flush()
}

/// What to do with both.
pub(crate) fn running(sim_url: &str, service_url: &str) -> io::Result<()> {
    let request = r#"-d '{"to": "+18605550199", "body": "We will come by at four."}'"#;
    let text = format!(
        "\n  Open  {sim_url}        a phone, and the desk that answers it (Ctrl-C stops all)\n  \
         Read  {service_url}/docs   the API\n  \
         Try   curl {service_url}/sms/send -H 'Content-Type: application/json' {request}\n\n"
    );
    // In one piece: whoever reads it may leave behind the third line.
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The service has ended by itself.
pub(crate) fn service_ended(status: ExitStatus) -> io::Result<()> {
    let mut out = io::stderr().lock();
    writeln!(out, "\nThe service has ended ({}); what it said stands above.", described(status))
}

/// The service was asked to stop and did not.
pub(crate) fn service_does_not_stop() -> io::Result<()> {
    writeln!(io::stderr().lock(), "The service does not stop: it is ended.")
}

/// Which load is about to begin.
pub(crate) fn loading(load: &Load) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let seconds = load.duration.as_secs();
    let connections = load.connections;
    match load.rate {
        Some(rate) => write!(out, "{rate} texts a second")?,
        None => write!(out, "As many texts as get through")?,
    }
    writeln!(out, " over {connections} connections for {seconds} s to {}", load.base_url)?;
    out.flush()
}

/// How fast texts were taken.
pub(crate) fn load(report: &LoadReport) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let (acknowledged, posted) = (report.acknowledged.len(), report.posted);
    let throughput = report.throughput();
    writeln!(out, "  acknowledged  {acknowledged} of {posted} posted, {throughput:.1} a second")?;
    for (what, times) in &report.failures {
        writeln!(out, "  not taken     {times} times: {what}")?;
    }
    if report.left_out() > 0 {
        let left_out = report.left_out();
        writeln!(out, "  not posted    {left_out} that were due: every connection was busy")?;
    }
    write!(out, "  latency      ")?;
    for (name, permille) in
        [("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999), ("max", 1_000)]
    {
        match report.latencies.permille(permille) {
            Some(latency) => write!(out, " {name} {}", millis(latency))?,
            None => write!(out, " {name} -")?,
        }
    }
    writeln!(out, " (since each was due)")?;
    out.flush()
}

fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1_000.0)
}

/// What was found of a load.
pub(crate) fn verification(verification: &Verification) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let kept = verification.kept;
    writeln!(out, "  verified      {kept} acknowledged texts are there, once, with their words")?;
    if verification.unacknowledged > 0 {
        let more = verification.unacknowledged;
        writeln!(out, "                {more} more are there whose answer was lost")?;
    }
    for (what, sids) in [
        ("LOST", &verification.lost),
        ("DOUBLED", &verification.doubled),
        ("CHANGED", &verification.changed),
    ] {
        if !sids.is_empty() {
            let named: Vec<_> = sids.iter().take(NAMED).map(String::as_str).collect();
            writeln!(out, "  {what:<13} {} texts: {} ..", sids.len(), named.join(", "))?;
        }
    }
    out.flush()
}

/// Which request is about to go out.
pub(crate) fn sending(request: &WebhookRequest, sid: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "POST {}", request.url)?;
    writeln!(out, "     MessageSid {sid}")?;
    match &request.signature {
        Some(signature) => writeln!(out, "     X-Twilio-Signature {signature}"),
        None => writeln!(out, "     unsigned: there is no auth token"),
    }
}

/// What came back, and where to look next.
pub(crate) fn answer(answer: &Answer, conversation_url: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let content_type = answer.content_type.as_deref().unwrap_or("no content type");
    writeln!(out, "\n{} {content_type}", answer.status)?;
    if let Some(location) = &answer.location {
        writeln!(out, "redirects to {location}, which Twilio would follow and this does not")?;
    }
    if !answer.body.is_empty() {
        writeln!(out, "{}", answer.body.trim_end())?;
    }
    if answer.is_success() {
        writeln!(out, "\nThe conversation now:\n  curl {conversation_url}")?;
    } else if answer.status == 403 {
        let hint = "the service has another TWILIO_AUTH_TOKEN or PUBLIC_BASE_URL: see its log";
        writeln!(out, "\nThe signature was refused: {hint}.")?;
    }
    Ok(())
}

/// Nothing listens there.
pub(crate) fn not_running(url: &str) -> io::Result<()> {
    let mut out = io::stderr().lock();
    writeln!(out, "\nNothing answers at {url}: the service is not running there.")?;
    writeln!(out, "Start it with\n  make run\nor name another place with --url.")
}

/// Anything else that went wrong, with its causes.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    // Where nobody reads what we say, the exit code still tells.
    let _ = writeln!(io::stderr().lock(), "\n{error:#}");
    ExitCode::FAILURE
}
