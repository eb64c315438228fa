//! `twilio-sim inbound`

use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use twilio_sim::{INBOUND_PATH, InboundText};
use url::Url;

use super::{LOCAL_AUTH_TOKEN, LOCAL_PHONE_NUMBER, first_url, given};

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
        first_url(self.base_url.as_ref())
    }
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
    fn a_variable_that_is_empty_counts_as_unset() {
        let inbound = inbound(None, None);
        assert_eq!(inbound.auth_token(), "local-development-token");
        let to = ("To".to_owned(), "+18605550100".to_owned());
        assert!(inbound.text().fields().contains(&to));
    }
}
