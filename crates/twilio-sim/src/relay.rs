//! The way from the phone page to the service: `/service/..`, from the same origin as the page, so
//! that the service needs no settings for it and its key does not get into the browser.
//!
//! Only what the page needs goes through.

use std::time::Duration;

use futures_util::stream;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use url::Url;

use crate::client;
use crate::server::{Answer, Broken, Heard};

/// Longer than the service waits for anything.
const PATIENCE: Duration = Duration::from_secs(30);
/// A stream that is silent for so long is dead: the service's heartbeats are much more frequent.
const SILENCE: Duration = Duration::from_mins(2);

/// How long a service may take to say that it is ready.
const PROBE: Duration = Duration::from_secs(2);

/// What of a request is passed on.
const PASSED_ON: [HeaderName; 3] = [
    CONTENT_TYPE,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
];

/// The service that this Twilio belongs to.
pub(crate) struct Service {
    /// Without a slash at the end.
    pub(crate) base_url: String,
    api_key: Option<SecretString>,
    client: reqwest::Client,
}

impl Service {
    pub(crate) fn new(base_url: &str, api_key: Option<SecretString>) -> reqwest::Result<Self> {
        Ok(Self {
            base_url: base_url.trim_end_matches('/').to_owned(),
            api_key,
            client: client::build(|settings| settings.read_timeout(SILENCE))?,
        })
    }

    /// Where it hears of texts.
    pub(crate) fn webhook(&self) -> String {
        format!("{}{}", self.base_url, crate::INBOUND_PATH)
    }

    /// The request to it; `None` where a path leads elsewhere than it seems to.
    fn request(&self, method: Method, path: &str, query: &str) -> Option<RequestBuilder> {
        let mut url = Url::parse(&format!("{}{path}", self.base_url)).ok()?;
        if !url.path().ends_with(path) {
            return None;
        }
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        let request = self.client.request(method, url);
        Some(match &self.api_key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        })
    }
}

/// Whether the service at that base URL takes requests.
pub async fn is_ready(base_url: &str) -> bool {
    let Ok(client) = client::build(|settings| settings.timeout(PROBE)) else {
        return false;
    };
    let answer = client.get(format!("{base_url}/health/ready")).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

/// The service's path in one of ours.
pub(crate) fn path(path: &str) -> Option<&str> {
    path.strip_prefix("/service").filter(|path| path.starts_with('/'))
}

/// Asks the service, and hands its answer on while it comes.
pub(crate) async fn answer(service: Option<&Service>, request: &Heard, path: &str) -> Answer {
    let Some(service) = service else {
        return refusal(503, "sim.no_service", "this simulator was given no service (--service)");
    };
    let method = match request.method.as_str() {
        "GET" if is_read(path) => Method::GET,
        "POST" if path == "/sms/send" => Method::POST,
        _ => return refusal(404, "sim.not_found", "the page needs no such path of the service"),
    };
    let Some(mut asked) = service.request(method, path, &request.query) else {
        return refusal(404, "sim.not_found", "the page needs no such path of the service");
    };
    for name in PASSED_ON {
        if let Some(value) = request.headers.get(&name) {
            asked = asked.header(name, value);
        }
    }
    if path != "/events" {
        asked = asked.timeout(PATIENCE);
    }
    let Ok(response) = asked.body(request.body.clone()).send().await else {
        let message = format!("no answer from the service at {}", service.base_url);
        return refusal(502, "sim.no_service", &message);
    };
    passed_on(response)
}

fn is_read(path: &str) -> bool {
    let first = path.split('/').nth(1);
    matches!(first, Some("conversations" | "messages" | "events" | "health"))
}

fn passed_on(response: reqwest::Response) -> Answer {
    let json = HeaderValue::from_static("application/json");
    let content_type = response.headers().get(CONTENT_TYPE).cloned().unwrap_or(json);
    let retry_after = response.headers().get(RETRY_AFTER).cloned();
    let status = response.status().as_u16();
    let pieces = stream::unfold(Some(response), async |response| {
        let mut response = response?;
        match response.chunk().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(response))),
            Ok(None) => None,
            Err(_) => Some((Err(Broken), None)),
        }
    });
    let answer = Answer::streaming(status, content_type, pieces)
        .with_header(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match retry_after {
        Some(wait) => answer.with_header(RETRY_AFTER, wait),
        None => answer,
    }
}

/// In the shape of the service's own errors.
fn refusal(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, &json!({ "error": { "code": code, "message": message } }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_page_reads_is_read() {
        for path in ["/conversations", "/conversations/%2B1860", "/messages/SM1", "/events"] {
            assert!(is_read(path), "{path}");
        }
        for path in ["/jobs", "/metrics", "/", "", "/webhook/twilio/sms", "/x/conversations"] {
            assert!(!is_read(path), "{path}");
        }
    }

    #[test]
    fn a_path_leads_where_it_seems_to() {
        let service = Service::new("http://127.0.0.1:8080/sms/", None).unwrap();
        let url = |path: &str| {
            let request = service.request(Method::GET, path, "a=b")?;
            Some(request.build().unwrap().url().to_string())
        };
        let expected = "http://127.0.0.1:8080/sms/conversations/%2B1860?a=b";
        assert_eq!(url("/conversations/%2B1860").as_deref(), Some(expected));
        for path in ["/conversations/../jobs", "/conversations/%2e%2e/jobs", "/messages/..;"] {
            let led = url(path);
            assert!(led.is_none() || led == Some(format!("http://127.0.0.1:8080/sms{path}?a=b")));
        }
        assert_eq!(url("/conversations/../jobs"), None);
        assert_eq!(url("/conversations/%2e%2e/jobs"), None);
    }
}
