//! `twilio-sim run`

use std::path::PathBuf;

use clap::Args;
use twilio_sim::{Delays, Simulator, SimulatorBuilder};

use super::{LOCAL_ACCOUNT, LOCAL_AUTH_TOKEN, LOCAL_PHONE_NUMBER, given};

#[derive(Args)]
pub(crate) struct Run {
    /// The service: the program `sms-foundation`.
    #[arg(long, value_name = "PROGRAM", default_value = "target/debug/sms-foundation")]
    pub(crate) service: PathBuf,

    /// The port of the service.
    #[arg(long, default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,

    /// The port of the phone page and of Twilio's API.
    #[arg(long, default_value_t = 4010, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) sim_port: u16,

    /// A setting of the service, NAME=VALUE; may be repeated. Of the environment it is given
    /// only `RUST_LOG` and `LOG_FORMAT`: nobody should try this out on the real database.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) settings: Vec<(String, String)>,

    /// A key to the service's API for the phone page, where `--set API_KEYS=..` wants one.
    #[arg(long, value_name = "KEY")]
    pub(crate) api_key: Option<String>,

    /// What the service logs.
    #[arg(long, env = "RUST_LOG", default_value = "warn", hide = true)]
    pub(crate) log: String,

    /// How it logs.
    #[arg(long, env = "LOG_FORMAT", default_value = "", hide = true)]
    pub(crate) log_format: String,

    /// How long each step to delivery takes.
    #[arg(long, value_name = "DURATION", default_value = "600ms")]
    pub(crate) delays: Delays,
}

impl Run {
    /// The Twilio of that service.
    pub(crate) fn simulator(&self) -> SimulatorBuilder {
        Simulator::builder(LOCAL_ACCOUNT, LOCAL_AUTH_TOKEN)
            .port(self.sim_port)
            .number(LOCAL_PHONE_NUMBER)
            .delays(self.delays)
            .service(self.service_url(), given(self.api_key.as_ref()).map(Into::into))
    }

    pub(crate) fn service_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What the service is told: that it is a developer's, with this Twilio.
    pub(crate) fn environment(&self, twilio_url: &str) -> Vec<(String, String)> {
        let own = [
            ("APP_ENV", "local"),
            ("HOST", "127.0.0.1"),
            ("PORT", &self.port.to_string()),
            ("PUBLIC_BASE_URL", &self.service_url()),
            ("TWILIO_ACCOUNT_SID", LOCAL_ACCOUNT),
            ("TWILIO_AUTH_TOKEN", LOCAL_AUTH_TOKEN),
            ("TWILIO_PHONE_NUMBER", LOCAL_PHONE_NUMBER),
            ("TWILIO_API_BASE_URL", twilio_url),
            // Nobody who tries it out waits a quarter of an hour for a verdict.
            ("TWILIO_TIMEOUT", "5s"),
            ("SEND_QUIET_PERIOD", "20s"),
            ("RUST_LOG", &self.log),
            ("LOG_FORMAT", &self.log_format),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        own.into_iter().chain(self.settings.iter().cloned()).collect()
    }
}

fn setting(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A program, and the process that it belongs to.
#[derive(Args)]
pub(crate) struct Guarded {
    #[arg(long)]
    pub(crate) parent: u32,

    pub(crate) program: PathBuf,
}
