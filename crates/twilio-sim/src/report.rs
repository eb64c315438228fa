//! What the command prints.

use std::io::{self, Write};
use std::process::ExitCode;

use twilio_sim::{Answer, WebhookRequest};

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
