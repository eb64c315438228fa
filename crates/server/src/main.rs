//! `sms-foundation`: the one service between Twilio and the programs that need its texts.
//!
//! This crate only wires: settings, telemetry, the store, the HTTP side, shutdown.

mod app;
mod backfill;
mod config;
mod database;
mod doctor;
mod hurry;
mod import;
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
    /// Look at Twilio for texts that no webhook brought.
    Backfill(backfill::BackfillArguments),
    /// Say what is wrong with the settings, the database and Twilio's side, and how to mend it.
    Doctor,
    /// Take over what the Python original has stored.
    Import(import::ImportArguments),
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
        command => command,
    };
    let settings = match Settings::load() {
        Ok(settings) => settings,
        Err(problems) => {
            say(&problems.to_string());
            let is_asked = matches!(command, Command::Doctor);
            return if is_asked { ExitCode::FAILURE } else { ExitCode::from(EXIT_CONFIG) };
        }
    };
    if let Command::Doctor = command {
        // What it says is its answer: no log lines between.
        return doctor::run(&settings).await;
    }
    telemetry::start_logging(&settings.log);
    telemetry::log_panics();
    let done = match command {
        Command::Migrate => app::migrate(&settings).await,
        Command::Backfill(wanted) => backfill::run(&settings, wanted).await,
        Command::Import(wanted) => import::run(&settings, wanted).await,
        Command::Serve | Command::Doctor | Command::Key { .. } => app::serve(settings).await,
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
