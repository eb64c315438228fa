//! Reads back through the API what was posted.

use std::collections::HashMap;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use time::format_description::well_known::Rfc3339;
use url::Url;

use super::{LoadReport, Texts};
use crate::client;

/// As many as the API gives at once.
const PAGE_SIZE: &str = "100";
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the API may say in a row that it is asked too often.
const MOST_REFUSALS: u32 = 20;
/// How wrong the service's clock may be.
const CLOCK_SKEW: time::Duration = time::Duration::minutes(10);

/// What is there of a load.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// Acknowledged, there once, with its words.
    pub kept: u64,
    /// The SIDs of those that were acknowledged and are not there.
    pub lost: Vec<String>,
    /// The SIDs of those that are there more than once.
    pub doubled: Vec<String>,
    /// The SIDs of those that are there with other words.
    pub changed: Vec<String>,
    /// There without having been acknowledged: stored, but the answer was lost.
    pub unacknowledged: u64,
}

impl Verification {
    /// Whether each acknowledged text is there once, with its words.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.changed.is_empty()
    }
}

/// Why nothing could be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The API cannot be reached, or answers something else.
    #[error("the API at {url} could not be read")]
    Unreadable {
        /// What was asked.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The API refuses.
    #[error("the API answered {0}: --api-key must be a key with the scope `read`")]
    Refused(u16),
    /// The API answers something else than messages.
    #[error("the API answered {0}")]
    Unexpected(u16),
}

/// Reads back, page by page, everything that was said since the load began.
///
/// # Errors
/// [`VerifyError`] where the API cannot be read to the end.
pub async fn verify(
    base_url: &str,
    api_key: Option<&SecretString>,
    report: &LoadReport,
) -> Result<Verification, VerifyError> {
    let reader = Reader::new(base_url, api_key, report)?;
    let mut found = Found::default();
    let mut cursor = None;
    loop {
        let page = reader.page(cursor.as_deref()).await?;
        found.add(&page.messages, &report.texts);
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Ok(found.verification(report)),
        }
    }
}

struct Reader<'a> {
    client: reqwest::Client,
    url: Url,
    api_key: Option<&'a SecretString>,
}

#[derive(Deserialize)]
struct Page {
    messages: Vec<Listed>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    twilio_sid: Option<String>,
    message_content: Option<String>,
}

impl<'a> Reader<'a> {
    fn new(
        base_url: &str,
        api_key: Option<&'a SecretString>,
        report: &LoadReport,
    ) -> Result<Self, VerifyError> {
        let since = report.began_at.saturating_sub(CLOCK_SKEW).format(&Rfc3339);
        let plain = format!("{}/messages", base_url.trim_end_matches('/'));
        let unreadable = |source| VerifyError::Unreadable { url: plain.clone(), source };
        let client = client::build(|settings| settings.timeout(PATIENCE)).map_err(unreadable)?;
        // The load has been posted there: it is a URL.
        let request = client.get(&plain).build().map_err(unreadable)?;
        let mut url = request.url().clone();
        url.query_pairs_mut()
            .append_pair("direction", "inbound")
            .append_pair("since", &since.unwrap_or_default())
            .append_pair("limit", PAGE_SIZE);
        Ok(Self { client, url, api_key })
    }

    async fn page(&self, cursor: Option<&str>) -> Result<Page, VerifyError> {
        let unreadable = |source| VerifyError::Unreadable { url: self.url.to_string(), source };
        let mut refusals = 0;
        loop {
            let response = self.ask(cursor).await.map_err(unreadable)?;
            match response.status() {
                StatusCode::OK => return response.json().await.map_err(unreadable),
                StatusCode::TOO_MANY_REQUESTS if refusals < MOST_REFUSALS => {
                    refusals += 1;
                    tokio::time::sleep(retry_after(&response)).await;
                }
                status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                    return Err(VerifyError::Refused(status.as_u16()));
                }
                status => return Err(VerifyError::Unexpected(status.as_u16())),
            }
        }
    }

    async fn ask(&self, cursor: Option<&str>) -> reqwest::Result<reqwest::Response> {
        let mut url = self.url.clone();
        if let Some(cursor) = cursor {
            url.query_pairs_mut().append_pair("cursor", cursor);
        }
        let request = self.client.get(url);
        match self.api_key {
            Some(key) => request.bearer_auth(key.expose_secret()).send().await,
            None => request.send().await,
        }
    }
}

fn retry_after(response: &reqwest::Response) -> Duration {
    let seconds =
        response.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1).clamp(1, 60))
}

/// The texts of the load that were read: how often, and whether their words are theirs.
#[derive(Default)]
struct Found(HashMap<u64, (u32, bool)>);

impl Found {
    fn add(&mut self, messages: &[Listed], texts: &Texts) {
        for message in messages {
            let Some(number) = message.twilio_sid.as_deref().and_then(|sid| texts.number(sid))
            else {
                continue;
            };
            let is_its_own = message.message_content.as_ref() == Some(&Texts::body(number));
            let (times, all_its_own) = self.0.entry(number).or_insert((0, true));
            *times += 1;
            *all_its_own &= is_its_own;
        }
    }

    fn verification(mut self, report: &LoadReport) -> Verification {
        let mut verification = Verification::default();
        for number in &report.acknowledged {
            let sid = || report.texts.sid(*number);
            match self.0.remove(number) {
                None => verification.lost.push(sid()),
                Some((_, false)) => verification.changed.push(sid()),
                Some((1, true)) => verification.kept += 1,
                Some(_) => verification.doubled.push(sid()),
            }
        }
        for (number, (times, _)) in self.0 {
            verification.unacknowledged += 1;
            if times > 1 {
                verification.doubled.push(report.texts.sid(number));
            }
        }
        verification
    }
}
