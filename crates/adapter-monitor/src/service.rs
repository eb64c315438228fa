//! One service behind us: how it is reached, and what is never done on the way.

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, redirect, retry};
use secrecy::{ExposeSecret, SecretString};
use trace_context::TraceParent;

use crate::base_url::BaseUrl;
use crate::fault::{self, Fault};
use crate::patience::Patience;

/// Longer than any answer to what is asked here.
const LARGEST_ANSWER: usize = 256 << 10;

/// Makes requests to one service.
pub(crate) struct Service {
    http: reqwest::Client,
    base_url: BaseUrl,
    pub(crate) patience: Patience,
}

/// Why there can be no client with these settings.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// The API key cannot be sent.
    #[error("the API key must be visible ASCII characters, without blanks")]
    ApiKey,
    /// Its TLS cannot be set up.
    #[error("no HTTPS client can be made: are root certificates installed on this machine?")]
    Tls(#[source] reqwest::Error),
}

impl Service {
    pub(crate) fn new(
        base_url: &BaseUrl,
        api_key: Option<&SecretString>,
        patience: Patience,
    ) -> Result<Self, MonitorError> {
        let http = http_client(base_url, headers(api_key)?, &patience);
        Ok(Self { http: http.map_err(MonitorError::Tls)?, base_url: base_url.clone(), patience })
    }

    /// A request to what is at `path`, which begins with a slash and may have a query.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base_url.as_str()));
        match TraceParent::current() {
            Some(parent) => request.header(trace_context::HEADER, parent.to_string()),
            None => request,
        }
    }

    /// Whether there is anybody. A GET of the base URL asks about no number and changes nothing,
    /// and services seldom have a page there: any answer but a 5xx shows that one is alive.
    pub(crate) async fn check(&self) -> Result<(), Fault> {
        let answer = send(self.request(Method::GET, "")).await?;
        if answer.status() < 500 { Ok(()) } else { Err(answer.into_fault()) }
    }
}

/// Makes a request, once.
pub(crate) async fn send(request: RequestBuilder) -> Result<Answer, Fault> {
    request.send().await.map(Answer).map_err(Fault::of_sending)
}

/// An answer whose body is not read yet.
pub(crate) struct Answer(reqwest::Response);

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    /// The body.
    pub(crate) async fn read(mut self) -> Result<Vec<u8>, Fault> {
        let mut body = Vec::new();
        while let Some(piece) = self.0.chunk().await.map_err(Fault::of_reading)? {
            if body.len() + piece.len() > LARGEST_ANSWER {
                return Err(Fault::TooLarge { limit: LARGEST_ANSWER });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// What it means where its status is none of those hoped for.
    pub(crate) fn into_fault(self) -> Fault {
        let retry_after = fault::retry_after(self.0.headers());
        Fault::Status { status: self.status(), retry_after }
    }
}

/// What is sent with every request. A redirect cannot carry the key elsewhere: none is followed.
fn headers(api_key: Option<&SecretString>) -> Result<HeaderMap, MonitorError> {
    let accept = (ACCEPT, HeaderValue::from_static("application/json"));
    let mut headers = HeaderMap::from_iter([accept]);
    if let Some(key) = api_key.map(ExposeSecret::expose_secret) {
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(MonitorError::ApiKey);
        }
        let value = HeaderValue::try_from(format!("Bearer {key}"));
        let mut value = value.map_err(|_| MonitorError::ApiKey)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// Makes each request once: no redirect, and no repeat that [`Patience`] does not know of.
fn http_client(
    base_url: &BaseUrl,
    headers: HeaderMap,
    patience: &Patience,
) -> Result<reqwest::Client, reqwest::Error> {
    // The client panics without a provider. Whoever installed one before us is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut http = reqwest::Client::builder()
        .connect_timeout(patience.connect_timeout)
        .read_timeout(patience.read_timeout)
        // Silence is not all: a service that says a byte now and then would be read for ever.
        .timeout(patience.timeout())
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .http1_only()
        .default_headers(headers)
        .user_agent(concat!("sms-foundation/", env!("CARGO_PKG_VERSION")));
    if base_url.is_loopback() {
        http = http.no_proxy();
    }
    if !base_url.is_https() {
        // A machine without certificates still has plain HTTP.
        http = http.tls_certs_only([]);
    }
    http.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_is_shown_hides_the_key() {
        let headers = headers(Some(&"k3y-of-ours".into())).unwrap();
        assert_eq!(headers.get(AUTHORIZATION).unwrap(), "Bearer k3y-of-ours");
        assert!(!format!("{headers:?}").contains("k3y"));
    }
}
