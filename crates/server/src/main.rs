//! `sms-foundation`: the one service between Twilio and the programs that need its texts.
//!
//! This crate only wires: settings, telemetry, the store, the HTTP side, shutdown.

mod app;
mod config;
mod database;
mod hurry;
mod keys;
mod parts;
mod ports;
mod telemetry;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use config::Settings;

/// The one service between Twilio and the programs that need its texts.
#[derive(Parser)]
#[command(name = "sms-foundation", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service (the default).
    Serve,
    /// Bring the tables up to date and stop.
    Migrate,
    /// Keys for the API.
    Key {
        #[command(subcommand)]
        command: keys::KeyCommand,
    },
}

/// What `sysexits.h` calls a configuration error.
const EXIT_CONFIG: u8 = 78;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let command = match arguments.command.unwrap_or(Command::Serve) {
        Command::Key { command } => return keys::run(&command),
        command @ (Command::Serve | Command::Migrate) => command,
    };
    let settings = match Settings::load() {
        Ok(settings) => settings,
        Err(problems) => {
            say(&problems.to_string());
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    telemetry::start_logging(&settings.log);
    telemetry::log_panics();
    let done = match command {
        Command::Migrate => app::migrate(&settings).await,
        Command::Serve | Command::Key { .. } => app::serve(settings).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("sms-foundation: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the program stops here: this is its last word")]
fn say(text: &str) {
    eprintln!("{text}");
}
