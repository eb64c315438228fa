//! Where Twilio's REST API is: the setting `TWILIO_API_BASE_URL`.

use std::str::FromStr;

use url::Url;

use crate::public_url::is_loopback;

/// The base of the API's URLs, `https://api.twilio.com`: scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiUrl {
    origin: String,
    is_https: bool,
    is_loopback: bool,
}

impl ApiUrl {
    /// The URL, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.origin
    }

    /// Where the API of Messaging Services is: at a host of its own, except in a simulator.
    pub(crate) fn messaging(&self) -> String {
        self.origin.replacen("://api.", "://messaging.", 1)
    }

    /// Whether it is on this machine, as a simulator is.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    pub(crate) fn is_https(&self) -> bool {
        self.is_https
    }
}

impl Default for ApiUrl {
    fn default() -> Self {
        let origin = "https://api.twilio.com".to_owned();
        Self { origin, is_https: true, is_loopback: false }
    }
}

impl FromStr for ApiUrl {
    type Err = InvalidApiUrl;

    fn from_str(setting: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(setting.trim()).map_err(|_| InvalidApiUrl::NotAUrl)?;
        let host = url.host().ok_or(InvalidApiUrl::NotAUrl)?;
        let (is_https, is_loopback) = (url.scheme() == "https", is_loopback(&host));
        let is_safe = is_https || (url.scheme() == "http" && is_loopback);
        if !is_safe {
            return Err(InvalidApiUrl::Insecure);
        }
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !is_bare || !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidApiUrl::NotABase);
        }
        Ok(Self { origin: url.origin().ascii_serialization(), is_https, is_loopback })
    }
}

/// The setting cannot be used. Its text is not repeated here: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidApiUrl {
    /// It is no URL.
    #[error("must be a whole URL, such as https://api.twilio.com")]
    NotAUrl,
    /// The auth token would travel unencrypted.
    #[error("must begin with https:// (http:// is possible to 127.0.0.1 and localhost only)")]
    Insecure,
    /// It has more than a base has.
    #[error("must end after the host and port: no path, query, user or password")]
    NotABase,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_goes_anywhere_and_http_stays_on_this_machine() {
        let check = |setting: &str, expected: &str, loopback: bool| {
            let url: ApiUrl = setting.parse().unwrap();
            assert_eq!((url.as_str(), url.is_loopback()), (expected, loopback), "{setting}");
        };
        check("https://api.twilio.com", "https://api.twilio.com", false);
        check(
            " HTTPS://API.dublin.ie1.Twilio.com:443/ ",
            "https://api.dublin.ie1.twilio.com",
            false,
        );
        check("http://127.0.0.1:4010/", "http://127.0.0.1:4010", true);
        check("http://localhost:4010", "http://localhost:4010", true);
        check("http://[::1]:4010", "http://[::1]:4010", true);
        assert_eq!("https://api.twilio.com".parse(), Ok(ApiUrl::default()));
    }

    #[test]
    fn messaging_services_have_a_host_of_their_own() {
        for (setting, expected) in [
            ("https://api.twilio.com", "https://messaging.twilio.com"),
            ("https://api.dublin.ie1.twilio.com", "https://messaging.dublin.ie1.twilio.com"),
            ("http://127.0.0.1:4010", "http://127.0.0.1:4010"),
        ] {
            assert_eq!(setting.parse::<ApiUrl>().unwrap().messaging(), expected);
        }
    }

    #[test]
    fn any_other_setting_says_what_to_change() {
        let check = |setting: &str, fault: InvalidApiUrl| {
            assert_eq!(setting.parse::<ApiUrl>(), Err(fault), "{setting}");
        };
        for no_url in ["", "api.twilio.com", "https://", "mailto:x", "https://h:port"] {
            check(no_url, InvalidApiUrl::NotAUrl);
        }
        for insecure in ["http://api.twilio.com", "http://10.0.0.7", "ftp://127.0.0.1"] {
            check(insecure, InvalidApiUrl::Insecure);
        }
        for no_base in ["https://h/p", "https://h?", "https://h/#", "https://u@h", "https://u:p@h"]
        {
            check(no_base, InvalidApiUrl::NotABase);
        }
    }
}
