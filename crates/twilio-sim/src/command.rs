//! The command line.

use clap::{Args, Parser, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use twilio_sim::{Callbacks, Delays, Failure, InboundText, Mix, Outcome, Simulator};
use url::Url;

const INBOUND_PATH: &str = "/webhook/twilio/sms";
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
    /// Plays Twilio's API until it is stopped.
    Serve(Serve),
}

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

    /// What becomes of requests to send, with weights: answer=10,drop-after-accepting=3,429:2s=1.
    #[arg(long, value_name = "MODES", default_value = "answer")]
    fail: Mix<Failure>,

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
            .seed(self.seed);
        for number in &self.number {
            builder = builder.number(number);
        }
        if self.trial {
            builder = builder.trial();
        }
        let simulator = builder.start().await?;
        simulator.set_failure(self.fail.clone());
        simulator.set_outcome(self.outcome.clone());
        simulator.set_callbacks(self.callbacks.clone());
        Ok(simulator)
    }

    pub(crate) fn account_sid(&self) -> &str {
        given(self.account_sid.as_ref()).unwrap_or(LOCAL_ACCOUNT)
    }

    /// Whether the service needs to be told which token to use.
    pub(crate) fn has_local_token(&self) -> bool {
        given(self.auth_token.as_ref()).is_none()
    }
}

// A variable that is set but empty counts as unset, as it does for the service.
#[derive(Args)]
pub(crate) struct Inbound {
    /// Who sends it, for instance +18605550199.
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    from: String,

    /// What it says.
    #[arg(long, value_name = "TEXT", default_value = "", allow_hyphen_values = true)]
    body: String,

    /// Our number; +18605550100 unless given.
    #[arg(long, value_name = "NUMBER", env = "TWILIO_PHONE_NUMBER")]
    to: Option<String>,

    /// A picture or file that comes with it; may be repeated.
    #[arg(long, value_name = "URL")]
    media: Vec<String>,

    /// The webhook to call, instead of /webhook/twilio/sms at the base URL.
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// Where the service is, the first of several; port 8080 of this machine unless given.
    #[arg(long, value_name = "URL", env = "PUBLIC_BASE_URL")]
    base_url: Option<String>,

    /// The `MessageSid`, to send the same message again; a new one unless given.
    #[arg(long, value_name = "SID")]
    sid: Option<String>,

    /// The token to sign with; local-development-token unless given.
    #[arg(long, value_name = "TOKEN", env = "TWILIO_AUTH_TOKEN", hide_env_values = true)]
    auth_token: Option<String>,

    /// The account that the number belongs to; nobody's unless given.
    #[arg(long, value_name = "SID", env = "TWILIO_ACCOUNT_SID")]
    account_sid: Option<String>,
}

impl Inbound {
    pub(crate) fn text(&self) -> InboundText {
        let to = given(self.to.as_ref()).unwrap_or(LOCAL_PHONE_NUMBER);
        let mut text = InboundText::new(&self.from, to).body(&self.body);
        for url in &self.media {
            text = text.media(url);
        }
        if let Some(account_sid) = given(self.account_sid.as_ref()) {
            text = text.account_sid(account_sid);
        }
        match &self.sid {
            Some(sid) => text.sid(sid),
            None => text,
        }
    }

    pub(crate) fn auth_token(&self) -> &str {
        given(self.auth_token.as_ref()).unwrap_or(LOCAL_AUTH_TOKEN)
    }

    /// The webhook to call.
    pub(crate) fn url(&self) -> String {
        match given(self.url.as_ref()) {
            Some(url) => url.to_owned(),
            None => format!("{}{INBOUND_PATH}", self.base_url()),
        }
    }

    /// Where the conversation with the sender can be read.
    pub(crate) fn conversation_url(&self) -> String {
        let number = utf8_percent_encode(&self.from, NON_ALPHANUMERIC);
        format!("{}/conversations/{number}", self.service())
    }

    /// The service that the webhook belongs to.
    fn service(&self) -> String {
        let url = self.url();
        let webhook = url.split(['?', '#']).next().unwrap_or_default();
        if let Some(base) = webhook.strip_suffix(INBOUND_PATH) {
            return base.to_owned();
        }
        let origin = Url::parse(&url).map(|url| url.origin().ascii_serialization());
        origin.unwrap_or_else(|_| self.base_url().to_owned())
    }

    fn base_url(&self) -> &str {
        let setting = given(self.base_url.as_ref()).unwrap_or(LOCAL_BASE_URL);
        let mut entries = setting.split(',').map(str::trim);
        let first = entries.find(|entry| !entry.is_empty());
        first.unwrap_or(LOCAL_BASE_URL).trim_end_matches('/')
    }
}

fn given(value: Option<&String>) -> Option<&str> {
    value.map(String::as_str).filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbound(url: Option<&str>, base_url: Option<&str>) -> Inbound {
        Inbound {
            from: "+18605550199".into(),
            body: "Hola".into(),
            to: Some(String::new()),
            media: Vec::new(),
            url: url.map(Into::into),
            base_url: base_url.map(Into::into),
            sid: None,
            auth_token: Some(" ".into()),
            account_sid: None,
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        TwilioSim::command().debug_assert();
    }

    #[test]
    fn the_webhook_is_found_from_what_is_given() {
        let check = |url, base_url, webhook: &str, service: &str| {
            let inbound = inbound(url, base_url);
            assert_eq!(inbound.url(), webhook);
            let conversation = format!("{service}/conversations/%2B18605550199");
            assert_eq!(inbound.conversation_url(), conversation);
        };
        let local = "http://127.0.0.1:8080";
        check(None, None, "http://127.0.0.1:8080/webhook/twilio/sms", local);
        check(None, Some(""), "http://127.0.0.1:8080/webhook/twilio/sms", local);
        check(
            None,
            Some(" https://h/p/, https://g"),
            "https://h/p/webhook/twilio/sms",
            "https://h/p",
        );
        check(Some("http://h:1/own?a=1"), None, "http://h:1/own?a=1", "http://h:1");
        check(
            Some("http://h/p/webhook/twilio/sms?a=1"),
            Some("https://g"),
            "http://h/p/webhook/twilio/sms?a=1",
            "http://h/p",
        );
    }

    #[test]
    fn a_simulator_is_described_in_words() {
        let read = |arguments: &[&str]| {
            TwilioSim::try_parse_from(["twilio-sim", "serve"].iter().chain(arguments))
        };
        let fails = ["--fail", "answer=9,hang:created=1", "--outcome", "undelivered:30003"];
        assert!(read(&fails).is_ok());
        assert!(read(&["--callbacks", "late:2s", "--delays", "1ms,2ms,3ms"]).is_ok());
        assert!(read(&["--fail", "sometimes"]).is_err());
    }

    #[test]
    fn a_variable_that_is_empty_counts_as_unset() {
        let inbound = inbound(None, None);
        assert_eq!(inbound.auth_token(), "local-development-token");
        let to = ("To".to_owned(), "+18605550100".to_owned());
        assert!(inbound.text().fields().contains(&to));
    }
}
