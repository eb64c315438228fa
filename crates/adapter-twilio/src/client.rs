//! The client of Twilio's REST API: the requests, and what is never done with them.
//!
//! Nothing is repeated here: a message that is created twice is a text that is sent twice.

use std::error::Error as StdError;
use std::time::Duration;

use async_trait::async_trait;
use base64::prelude::{BASE64_STANDARD, Engine};
use domain::message::{MessageId, TwilioSid};
use domain::ports::{
    Provider, ProviderError, ProviderMessage, SendOrder, SendOutcome, Sender, Sought,
};
use domain::text::Text;
use domain::timestamp::Timestamp;
use httpclient::Error;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use crate::answer::{self, Page};
use crate::api_url::ApiUrl;
use crate::form::encode;
use crate::public_url::PublicUrls;
use crate::webhook::MESSAGE_ID;
use crate::{codes, outcome, sought};

/// The longest time that Twilio takes to send a message, and holds one: `ValidityPeriod`.
const LONGEST_VALIDITY: u64 = 36_000;
/// Longer than any answer to what is asked here.
const LARGEST_ANSWER: usize = 4 << 20;
/// Messages in one answer: the longest texts, fully escaped, still fit in it.
pub(crate) const PAGE_SIZE: i64 = 100;
/// The most answers to read for one question.
pub(crate) const MOST_PAGES: usize = 50;
/// After so long without use a connection may be dead without our knowing, and a message put on
/// it would be in doubt.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Sends texts over Twilio and asks what became of them.
pub struct TwilioClient {
    twilio: twilio::TwilioClient,
    /// The API of Messaging Services, at a host of its own.
    messaging: httpclient::Client,
    api_url: ApiUrl,
    account_sid: String,
    /// Account SID and auth token, in base64.
    credentials: SecretString,
    /// Where Twilio reports to, up to our id of the message.
    callback: String,
    timeout: Duration,
}

/// What a client needs to know.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// Our account: `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    /// The account's auth token, used exactly as it is given.
    pub auth_token: SecretString,
    /// Where the API is.
    pub api_url: ApiUrl,
    /// Where Twilio reaches us: reports go to the canonical one.
    pub public_urls: PublicUrls,
    /// How long a connection may take: name, TCP and TLS.
    pub connect_timeout: Duration,
    /// How long a request may take altogether.
    pub timeout: Duration,
}

impl ClientSettings {
    /// How long a connection may take, unless said otherwise.
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
    /// How long a request may take altogether, unless said otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(15);

    /// The settings of an account, the others being as usual.
    #[must_use]
    pub fn new(account_sid: String, auth_token: SecretString, public_urls: PublicUrls) -> Self {
        Self {
            account_sid,
            auth_token,
            api_url: ApiUrl::default(),
            public_urls,
            connect_timeout: Self::CONNECT_TIMEOUT,
            timeout: Self::TIMEOUT,
        }
    }
}

/// Why there can be no client with these settings.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The account's SID has another form.
    #[error("the account SID must be AC and 32 hexadecimal digits")]
    AccountSid,
    /// The auth token is blank.
    #[error("the auth token is missing")]
    AuthToken,
    /// Twilio would refuse every message, with 21609.
    #[error("the public base URL must have no underscore in its host: Twilio accepts none")]
    PublicHost,
    /// Its TLS cannot be set up.
    #[error("no HTTPS client can be made: are root certificates installed on this machine?")]
    Tls(#[source] reqwest::Error),
}

impl TwilioClient {
    /// A client with these settings. It connects when it is first used.
    ///
    /// # Errors
    /// [`ClientError`] names what to change.
    pub fn new(settings: &ClientSettings) -> Result<Self, ClientError> {
        check(settings)?;
        let ClientSettings { account_sid, auth_token, api_url, .. } = settings;
        let pair = format!("{account_sid}:{}", auth_token.expose_secret());
        let credentials = BASE64_STANDARD.encode(pair);
        let authentication =
            twilio::TwilioAuthentication::BasicAuth { basic_auth: credentials.clone() };
        let mut twilio = twilio::TwilioClient::new(api_url.as_str(), authentication);
        let http = http_client(settings).map_err(ClientError::Tls)?;
        let client =
            |base: &str| httpclient::Client::over(http.clone(), LARGEST_ANSWER).base_url(base);
        twilio.client = client(api_url.as_str());
        let base = settings.public_urls.canonical();
        Ok(Self {
            twilio,
            messaging: client(&api_url.messaging()),
            api_url: api_url.clone(),
            account_sid: account_sid.clone(),
            credentials: credentials.into(),
            callback: format!("{base}/webhook/twilio/status?{MESSAGE_ID}="),
            timeout: settings.timeout,
        })
    }

    /// `twilio-rs` would post an empty form: see `docs/decisions/twilio-rs.md`.
    async fn create(&self, order: &SendOrder) -> Result<httpclient::Response, Error> {
        let request = self.twilio.client.post(&self.messages()).form(self.form(order));
        request.basic_auth(self.credentials.expose_secret()).send_awaiting_body().await
    }

    /// The fields in the order of the official libraries.
    fn form(&self, order: &SendOrder) -> String {
        let callback = self.callback_for(order.message);
        let validity = order.validity.as_secs().clamp(1, LONGEST_VALIDITY).to_string();
        let mut fields = vec![
            ("To", order.to.as_str()),
            ("StatusCallback", callback.as_str()),
            ("ValidityPeriod", validity.as_str()),
            match &order.sender {
                Sender::Number(number) => ("From", number.as_str()),
                Sender::Service(sid) => ("MessagingServiceSid", sid.as_str()),
            },
        ];
        fields.extend(order.body.as_ref().map(|body| ("Body", body.as_str())));
        fields.extend(order.media.iter().map(|url| ("MediaUrl", url.as_str())));
        encode(fields)
    }

    fn callback_for(&self, message: MessageId) -> String {
        format!("{}{message}", self.callback)
    }

    /// The path of the account's messages.
    fn messages(&self) -> String {
        format!("/2010-04-01/Accounts/{}/Messages.json", self.account_sid)
    }

    async fn get(&self, path: &str) -> Result<Value, Error> {
        self.respond(path).await?.json()
    }

    /// What is at that path of the API.
    pub(crate) async fn respond(&self, path: &str) -> Result<httpclient::Response, Error> {
        let request = self.twilio.client.get(path).basic_auth(self.credentials.expose_secret());
        request.send_awaiting_body().await
    }

    /// The JSON at that path of the API.
    pub(crate) async fn ask(&self, path: &str) -> Result<Value, ProviderError> {
        self.get(path).await.map_err(outcome::of_asking)
    }

    /// The JSON at that path of the API of Messaging Services.
    pub(crate) async fn ask_messaging(&self, path: &str) -> Result<Value, ProviderError> {
        let request = self.messaging.get(path).basic_auth(self.credentials.expose_secret());
        let answer = async { request.send_awaiting_body().await?.json() };
        answer.await.map_err(outcome::of_asking)
    }

    pub(crate) fn account_sid(&self) -> &str {
        &self.account_sid
    }

    pub(crate) fn api_url(&self) -> &str {
        self.api_url.as_str()
    }

    /// The newest messages to a number, whether they were sent or still wait.
    async fn first_page(&self, to: &Text) -> Result<Page, ProviderError> {
        let list = self.twilio.list_message(&self.account_sid).to(to.as_str());
        listed(list.page_size(PAGE_SIZE).await)
    }

    pub(crate) async fn page(&self, query: &str) -> Result<Page, ProviderError> {
        listed(self.get(&format!("{}?{query}", self.messages())).await)
    }

    /// What is behind a page, as a query: a page is never looked for at another place. `None`
    /// where there is nothing, or nothing as young as `since`.
    pub(crate) fn behind(
        &self,
        page: &Page,
        since: Timestamp,
    ) -> Result<Option<String>, ProviderError> {
        let Some(uri) = page.next.as_ref().filter(|_| !reaches_before(page, since)) else {
            return Ok(None);
        };
        let query = uri.strip_prefix(&self.messages()).and_then(|rest| rest.strip_prefix('?'));
        let elsewhere = || outcome::odd_list("the list goes on at another place");
        query.map(|query| Some(query.to_owned())).ok_or_else(elsewhere)
    }
}

#[async_trait]
impl Provider for TwilioClient {
    #[tracing::instrument(name = "twilio.send", skip_all, fields(otel.kind = "client", message_id = %order.message))]
    async fn send(&self, order: &SendOrder) -> SendOutcome {
        let answer = self.create(order).await;
        if let Err(error) = &answer {
            let error: &(dyn StdError + 'static) = error;
            tracing::warn!(error, "Twilio did not confirm the message");
        }
        outcome::of_sending(answer)
    }

    fn call_timeout(&self) -> Duration {
        self.timeout
    }

    #[tracing::instrument(name = "twilio.find_sent", skip_all, fields(otel.kind = "client"))]
    async fn find_sent(&self, sought: &Sought) -> Result<Vec<ProviderMessage>, ProviderError> {
        let mut found = Vec::new();
        let mut page = self.first_page(&sought.to).await?;
        for _ in 0..MOST_PAGES {
            let next = self.behind(&page, sought.not_before)?;
            found.extend(page.messages.into_iter().filter(|one| sought::may_be(sought, one)));
            let Some(query) = next else {
                found.sort_by_key(|message| message.created_at);
                return Ok(found);
            };
            page = self.page(&query).await?;
        }
        Err(outcome::odd_list("the list is too long to be read"))
    }

    #[tracing::instrument(name = "twilio.fetch", skip_all, fields(otel.kind = "client", twilio_sid = %sid))]
    async fn fetch(&self, sid: &TwilioSid) -> Result<Option<ProviderMessage>, ProviderError> {
        // Anything else would be another path; no message of Twilio's has such a SID.
        if !sid.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(None);
        }
        let path = format!("/2010-04-01/Accounts/{}/Messages/{sid}.json", self.account_sid);
        match self.get(&path).await {
            Ok(json) => match answer::message(json) {
                Some(message) => Ok(Some(message)),
                None => Err(outcome::odd_list("the answer is no message")),
            },
            Err(Error::NotSuccess(response)) if answer::is_unknown(&response) => Ok(None),
            Err(error) => Err(outcome::of_asking(error)),
        }
    }

    #[tracing::instrument(name = "twilio.check", skip_all, fields(otel.kind = "client"))]
    async fn check(&self) -> Result<(), ProviderError> {
        let account = self.twilio.fetch_account(&self.account_sid).await;
        match account.map_err(outcome::of_asking)?.status.as_deref() {
            None | Some("active") => Ok(()),
            Some(_) => Err(outcome::idle_account()),
        }
    }

    fn explain(&self, code: &str) -> Option<&'static str> {
        codes::explain(code)
    }
}

fn check(settings: &ClientSettings) -> Result<(), ClientError> {
    let digits = settings.account_sid.strip_prefix("AC").unwrap_or_default();
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(ClientError::AccountSid);
    }
    if settings.auth_token.expose_secret().trim().is_empty() {
        return Err(ClientError::AuthToken);
    }
    let public = Url::parse(&settings.public_urls.canonical()).ok();
    match public.as_ref().and_then(Url::host_str) {
        Some(host) if host.contains('_') => Err(ClientError::PublicHost),
        _ => Ok(()),
    }
}

/// Makes each request once: no redirect, no repeat. hyper itself makes a request anew only where
/// the connection was found closed before a byte of the request was written.
fn http_client(settings: &ClientSettings) -> Result<reqwest::Client, reqwest::Error> {
    // The client panics without a provider. Whoever installed one before us is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let accept = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
    let mut http = reqwest::Client::builder()
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.timeout)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .http1_only()
        .pool_idle_timeout(IDLE_TIMEOUT)
        .default_headers(accept)
        .user_agent(concat!("sms-foundation/", env!("CARGO_PKG_VERSION")));
    if settings.api_url.is_loopback() {
        http = http.no_proxy();
    }
    if !settings.api_url.is_https() {
        // A machine without certificates still has plain HTTP.
        http = http.tls_certs_only([]);
    }
    http.build()
}

fn listed(json: Result<Value, Error>) -> Result<Page, ProviderError> {
    let page = json.map_err(outcome::of_asking)?;
    answer::page(page).ok_or_else(|| outcome::odd_list("the answer is no list"))
}

fn reaches_before(page: &Page, since: Timestamp) -> bool {
    let mut oldest_first = page.messages.iter().rev();
    oldest_first.find_map(sought::place).is_some_and(|at| sought::is_before(at, since))
}
