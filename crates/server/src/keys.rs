//! `sms-foundation key new`: makes a key for the API.

use std::process::ExitCode;

use adapter_http::NewKey;
use clap::Subcommand;

/// What can be done with keys.
#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key. It is shown this once.
    New {
        /// Who will use it: goes to the log with each of its requests. A second key of the same name
        /// lets both be used while one replaces the other.
        #[arg(long)]
        name: String,
        /// What it opens: send, read, write, operate joined by +, or *.
        #[arg(long)]
        scopes: String,
    },
}

/// Makes a key and tells it. Needs no settings.
pub(crate) fn run(command: &KeyCommand) -> ExitCode {
    let KeyCommand::New { name, scopes } = command;
    let mut secret = [0; 32];
    if getrandom::fill(&mut secret).is_err() {
        return refuse("the system gives no random numbers");
    }
    match NewKey::make(name, scopes, secret) {
        Ok(new) => tell(&new),
        Err(reason) => refuse(reason),
    }
}

#[expect(clippy::print_stdout, reason = "a command that answers")]
fn tell(new: &NewKey) -> ExitCode {
    println!("key, for the caller (`Authorization: Bearer <key>`); it is not shown again:");
    println!("  {}", new.key);
    println!("entry, to be added to API_KEYS (entries are separated by commas):");
    println!("  {}", new.entry);
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "the program stops here: this is its last word")]
fn refuse(reason: &str) -> ExitCode {
    eprintln!("sms-foundation key new: {reason}");
    ExitCode::FAILURE
}
