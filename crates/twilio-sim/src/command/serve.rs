//! `twilio-sim serve`

use clap::Args;
use secrecy::SecretString;
use twilio_sim::{Callbacks, Delays, Failure, Mix, Outcome, Simulator};

use super::{LOCAL_ACCOUNT, LOCAL_AUTH_TOKEN, LOCAL_BASE_URL, given};

#[derive(Args)]
pub(crate) struct Serve {
    /// The port to listen on; 0 for any that is free.
    #[arg(long, default_value_t = 4010)]
    port: u16,

    /// The account that the service has; nobody's unless given.
    #[arg(long, value_name = "SID", env = "TWILIO_ACCOUNT_SID")]
    account_sid: Option<String>,

    /// Its token; local-development-token unless given.
    #[arg(long, value_name = "TOKEN", env = "TWILIO_AUTH_TOKEN", hide_env_values = true)]
    auth_token: Option<String>,

    /// A number that the account owns; may be repeated. Every number unless given.
    #[arg(long, value_name = "NUMBER")]
    number: Vec<String>,

    /// The service that the numbers belong to: for the phone page.
    #[arg(long, value_name = "URL", default_value = LOCAL_BASE_URL)]
    service: String,

    /// A key to the service's API, with the scopes `read` and `send`, where it wants one.
    #[arg(long, value_name = "KEY", env = "API_KEY", hide_env_values = true)]
    api_key: Option<String>,

    /// What becomes of requests to send, with weights: answer=10,drop-after-accepting=3,429:2s=1.
    #[arg(long, value_name = "MODES", default_value = "answer")]
    fail: Mix<Failure>,

    /// The same for one recipient: +18605550177=hang:created; may be repeated.
    #[arg(long, value_name = "NUMBER=MODES", value_parser = for_one)]
    fail_to: Vec<(String, Mix<Failure>)>,

    /// How messages end: delivered, undelivered:30003, failed:30008, sent.
    #[arg(long, value_name = "MODES", default_value = "delivered")]
    outcome: Mix<Outcome>,

    /// How their status is told: as-it-happens, early, late:2s, lost, twice, reversed.
    #[arg(long, value_name = "MODES", default_value = "as-it-happens")]
    callbacks: Mix<Callbacks>,

    /// How long each step to delivery takes, or 200ms,500ms,2s for each of the three.
    #[arg(long, value_name = "DURATION", default_value = "300ms")]
    delays: Delays,

    /// What chances come from: the same seed plays the same chances.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// A trial account: a few words stand before each text.
    #[arg(long)]
    trial: bool,
}

impl Serve {
    pub(crate) async fn start(&self) -> Result<Simulator, twilio_sim::StartError> {
        let token = given(self.auth_token.as_ref()).unwrap_or(LOCAL_AUTH_TOKEN);
        let mut builder = Simulator::builder(self.account_sid(), token)
            .port(self.port)
            .delays(self.delays)
            .service(&self.service, self.api_key())
            .seed(self.seed);
        for number in &self.number {
            builder = builder.number(number);
        }
        if self.trial {
            builder = builder.trial();
        }
        let simulator = builder.start().await?;
        simulator.set_failure(self.fail.clone());
        for (recipient, fail) in &self.fail_to {
            simulator.set_failure_for(recipient, fail.clone());
        }
        simulator.set_outcome(self.outcome.clone());
        simulator.set_callbacks(self.callbacks.clone());
        Ok(simulator)
    }

    fn api_key(&self) -> Option<SecretString> {
        given(self.api_key.as_ref()).map(SecretString::from)
    }

    pub(crate) fn account_sid(&self) -> &str {
        given(self.account_sid.as_ref()).unwrap_or(LOCAL_ACCOUNT)
    }

    /// Whether the service needs to be told which token to use.
    pub(crate) fn has_local_token(&self) -> bool {
        given(self.auth_token.as_ref()).is_none()
    }
}

fn for_one(text: &str) -> Result<(String, Mix<Failure>), String> {
    let (recipient, modes) = text.split_once('=').ok_or("must be NUMBER=MODES")?;
    let modes = modes.parse().map_err(|error: twilio_sim::InvalidSetting| error.to_string())?;
    Ok((recipient.to_owned(), modes))
}

#[cfg(test)]
mod tests {
    use super::super::TwilioSim;
    use clap::Parser;

    #[test]
    fn a_simulator_is_described_in_words() {
        let read = |arguments: &[&str]| {
            TwilioSim::try_parse_from(["twilio-sim", "serve"].iter().chain(arguments))
        };
        let fails = ["--fail", "answer=9,hang:created=1", "--outcome", "undelivered:30003"];
        assert!(read(&fails).is_ok());
        assert!(read(&["--callbacks", "late:2s", "--delays", "1ms,2ms,3ms"]).is_ok());
        assert!(read(&["--fail-to", "+18605550177=429=1,answer=1"]).is_ok());
        assert!(read(&["--fail-to", "429"]).is_err());
        assert!(read(&["--fail", "sometimes"]).is_err());
    }
}
