//! `sms-foundation`: the one service between Twilio and the programs that need its texts.
//!
//! This crate only wires: settings, telemetry, the store, the HTTP side, shutdown.

mod app;
mod backfill;
mod config;
mod database;
mod descriptors;
mod doctor;
mod healthcheck;
mod hurry;
mod import;
mod keys;
mod listener;
mod metered;
mod parts;
mod ports;
mod telemetry;
mod worker;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

use config::Settings;
use telemetry::Telemetry;

/// Texts are small and short-lived: glibc's allocator took a fifth of what one cost.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The one service between Twilio and the programs that need its texts.
#[derive(Parser)]
#[command(name = "sms-foundation", version, about)]
struct Arguments {
    /// A file of settings, in the form of config/defaults.toml; `SMS_FOUNDATION_CONFIG` names one too.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
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
    /// Show every setting, where it comes from, and what is wrong.
    Config,
    /// Ask the running service whether it lives: 0 is yes, 1 is no. For a container's health check.
    Health,
    /// Keys for the API.
    Key {
        #[command(subcommand)]
        command: keys::KeyCommand,
    },
}

/// What `sysexits.h` calls a configuration error.
const EXIT_CONFIG: u8 = 78;

fn main() -> ExitCode {
    match runtime() {
        Ok(runtime) => {
            let code = runtime.block_on(run_command());
            // What still blocks a thread, a migration that waits for another's, keeps nobody here.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            say(&format!("sms-foundation: no threads can be started: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// What drives the database, the jobs and calls to others. Requests are answered by threads of the
/// HTTP server, one for each processor: on few processors these would only wait for more of ours.
fn runtime() -> std::io::Result<Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(processors.div_ceil(2)).enable_all().build()
}

async fn run_command() -> ExitCode {
    let arguments = Arguments::parse();
    let file = arguments.config.as_deref();
    let command = match arguments.command.unwrap_or(Command::Serve) {
        Command::Key { command } => return keys::run(&command),
        Command::Config => return show_settings(file),
        Command::Health => return healthcheck::run(Settings::address(file)),
        command => command,
    };
    let settings = match Settings::load(file) {
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
    match run(command, settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("sms-foundation: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command, settings: Settings) -> anyhow::Result<()> {
    let telemetry = Telemetry::start(&settings)?;
    telemetry::log_panics();
    match command {
        Command::Migrate => app::migrate(&settings).await,
        Command::Backfill(wanted) => backfill::run(&settings, wanted).await,
        Command::Import(wanted) => import::run(&settings, wanted).await,
        _ => Box::pin(app::serve(settings, telemetry)).await,
    }
}

#[expect(clippy::print_stdout, reason = "a command that answers")]
fn show_settings(file: Option<&Path>) -> ExitCode {
    let (shown, problems) = Settings::show(file);
    print!("{shown}");
    problems.map_or(ExitCode::SUCCESS, |problems| {
        say(&problems.to_string());
        ExitCode::from(EXIT_CONFIG)
    })
}

#[expect(clippy::print_stderr, reason = "the program stops here: this is its last word")]
fn say(text: &str) {
    eprintln!("{}", text.trim_end());
}
