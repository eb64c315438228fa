//! `twilio-sim load`

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use secrecy::SecretString;
use twilio_sim::{Load, MOST_TEXTS, is_loopback};
use url::Url;

use super::{LOCAL_ACCOUNT, LOCAL_AUTH_TOKEN, LOCAL_PHONE_NUMBER, first_url, given};

#[derive(Args)]
pub(crate) struct LoadTest {
    /// Texts a second; as many as the connections bring through unless given.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: Option<u32>,

    /// How many requests are in flight at the same time, at most.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=2_000))]
    connections: u16,

    /// For how long texts are due. It is over 16 seconds later at the latest.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,

    /// Read back through the API that each acknowledged text is there, once.
    #[arg(long)]
    verify: bool,

    /// Where the service is, the first of several; port 8080 of this machine unless given.
    #[arg(long, value_name = "URL", env = "PUBLIC_BASE_URL")]
    base_url: Option<String>,

    /// Let the service be on another machine.
    #[arg(long)]
    allow_remote: bool,

    /// A key to the service's API with the scope `read`, for --verify.
    #[arg(long, value_name = "KEY", env = "API_KEY", hide_env_values = true)]
    api_key: Option<String>,

    /// Our number; +18605550100 unless given.
    #[arg(long, value_name = "NUMBER", env = "TWILIO_PHONE_NUMBER")]
    to: Option<String>,

    /// The token to sign with; local-development-token unless given.
    #[arg(long, value_name = "TOKEN", env = "TWILIO_AUTH_TOKEN", hide_env_values = true)]
    auth_token: Option<String>,

    /// The account that the number belongs to; nobody's unless given.
    #[arg(long, value_name = "SID", env = "TWILIO_ACCOUNT_SID")]
    account_sid: Option<String>,
}

impl LoadTest {
    /// The load, if it may be: bounded, and against this machine unless that was allowed.
    pub(crate) fn load(&self) -> anyhow::Result<Load> {
        let base_url = self.base_url();
        let Ok(url) = Url::parse(base_url) else {
            bail!("--base-url must be a URL, such as http://127.0.0.1:8080");
        };
        if !self.allow_remote && !is_loopback(&url) {
            bail!("{base_url} is not on this machine. Where you may load it, say --allow-remote");
        }
        let load = Load {
            base_url: base_url.to_owned(),
            auth_token: given(self.auth_token.as_ref()).unwrap_or(LOCAL_AUTH_TOKEN).into(),
            account_sid: given(self.account_sid.as_ref()).unwrap_or(LOCAL_ACCOUNT).to_owned(),
            to: given(self.to.as_ref()).unwrap_or(LOCAL_PHONE_NUMBER).to_owned(),
            rate: self.rate,
            connections: self.connections.into(),
            duration: Duration::from_secs(self.seconds.into()),
        };
        if load.planned().is_some_and(|planned| planned > MOST_TEXTS) {
            bail!("--rate times --seconds must be at most {MOST_TEXTS}");
        }
        Ok(load)
    }

    pub(crate) fn base_url(&self) -> &str {
        first_url(self.base_url.as_ref())
    }

    pub(crate) fn api_key(&self) -> Option<SecretString> {
        given(self.api_key.as_ref()).map(SecretString::from)
    }

    pub(crate) fn verifies(&self) -> bool {
        self.verify
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Command, TwilioSim};
    use super::*;
    use clap::Parser;

    fn load(arguments: &[&str]) -> Result<Load, String> {
        let line = ["twilio-sim", "load"].iter().chain(arguments);
        let parsed = TwilioSim::try_parse_from(line).map_err(|error| error.to_string())?;
        let Command::Load(load) = parsed.command else { panic!() };
        load.load().map_err(|error| error.to_string())
    }

    #[test]
    fn another_machine_is_loaded_only_where_that_is_allowed() {
        for url in ["http://127.0.0.1:1", "http://localhost:8080/sms", "http://[::1]:8080"] {
            assert!(load(&["--base-url", url]).is_ok(), "{url}");
        }
        for url in ["https://sms.example.com", "http://10.0.0.1:8080"] {
            assert!(load(&["--base-url", url]).unwrap_err().contains("--allow-remote"), "{url}");
            assert!(load(&["--base-url", url, "--allow-remote"]).is_ok(), "{url}");
        }
        assert!(load(&["--base-url", "8080"]).is_err());
    }

    #[test]
    fn a_load_is_bounded() {
        assert!(load(&["--rate", "1000", "--seconds", "2000"]).is_ok());
        assert!(load(&["--rate", "1001", "--seconds", "2000"]).is_err());
        for wrong in [["--rate", "0"], ["--connections", "0"], ["--seconds", "3601"]] {
            assert!(load(&wrong).is_err(), "{wrong:?}");
        }
    }
}
