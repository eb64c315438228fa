//! The command line.

mod inbound;
mod load;
mod run;
mod serve;

use clap::{Parser, Subcommand};

pub(crate) use inbound::Inbound;
pub(crate) use load::LoadTest;
pub(crate) use run::{Guarded, Run};
pub(crate) use serve::Serve;

const LOCAL_BASE_URL: &str = "http://127.0.0.1:8080";
const LOCAL_PHONE_NUMBER: &str = "+18605550100";
const LOCAL_AUTH_TOKEN: &str = "local-development-token";
const LOCAL_ACCOUNT: &str = "AC00000000000000000000000000000000";

/// A local Twilio: takes the service's texts, and sends it what Twilio would send, signed.
#[derive(Parser)]
#[command(name = "twilio-sim", version)]
pub(crate) struct TwilioSim {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Sends a text to one of our numbers.
    Inbound(Inbound),
    /// Plays Twilio's API, and serves a phone in the browser, until it is stopped.
    Serve(Serve),
    /// Starts the service and plays Twilio to it, until either is stopped.
    Run(Run),
    /// Sends many texts, and says how fast they were taken.
    Load(LoadTest),
    /// Becomes another program that ends with the one that started it.
    #[command(hide = true)]
    Guarded(Guarded),
}

/// The first of several base URLs separated by commas, without a slash at the end.
fn first_url(setting: Option<&String>) -> &str {
    let mut entries = given(setting).unwrap_or(LOCAL_BASE_URL).split(',').map(str::trim);
    let first = entries.find(|entry| !entry.is_empty());
    first.unwrap_or(LOCAL_BASE_URL).trim_end_matches('/')
}

// A variable that is set but empty counts as unset, as it does for the service.
fn given(value: Option<&String>) -> Option<&str> {
    value.map(String::as_str).filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        TwilioSim::command().debug_assert();
    }
}
