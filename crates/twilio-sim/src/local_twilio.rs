//! The account, and the way to the service under test.

use std::error::Error;
use std::time::Duration;

use adapter_twilio::signature::Key;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use secrecy::{ExposeSecret, SecretString};

use crate::client;
use crate::request::WebhookRequest;

/// A Twilio of our own: signs webhooks with an account's token and posts them.
pub struct LocalTwilio {
    key: Option<Key>,
    client: reqwest::Client,
}

impl LocalTwilio {
    /// A Twilio whose account has that auth token. With a blank one it signs nothing.
    pub fn builder(auth_token: impl Into<SecretString>) -> Builder {
        Builder { auth_token: auth_token.into(), timeout: Duration::from_secs(10) }
    }

    /// The request that posts `fields` to `url`, signed.
    #[must_use]
    pub fn request(&self, url: &str, fields: &[(String, String)]) -> WebhookRequest {
        WebhookRequest::new(url, fields, self.key.as_ref())
    }

    /// Posts a request, once, and follows no redirect.
    ///
    /// # Errors
    /// [`DeliveryError`] where no whole answer came. Any answer is an answer, whatever its status.
    pub async fn deliver(&self, request: &WebhookRequest) -> Result<Answer, DeliveryError> {
        let form = "application/x-www-form-urlencoded; charset=UTF-8";
        let mut post =
            self.client.post(&request.url).header(CONTENT_TYPE, form).body(request.body.clone());
        if let Some(signature) = &request.signature {
            post = post.header("X-Twilio-Signature", signature);
        }
        let response = post.send().await?;
        let header = |name| {
            let value: &reqwest::header::HeaderValue = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        Ok(Answer {
            status: response.status().as_u16(),
            content_type: header(CONTENT_TYPE),
            location: header(LOCATION),
            body: response.text().await?,
        })
    }
}

/// Settings of a [`LocalTwilio`].
pub struct Builder {
    auth_token: SecretString,
    timeout: Duration,
}

impl Builder {
    /// How long a delivery may take altogether; 10 s unless said otherwise.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The Twilio.
    ///
    /// # Errors
    /// [`DeliveryError::Other`] where no HTTP client can be made on this machine.
    pub fn build(self) -> Result<LocalTwilio, DeliveryError> {
        let client =
            client::build(|settings| settings.timeout(self.timeout).user_agent("TwilioProxy/1.1"))?;
        Ok(LocalTwilio { key: Key::new(self.auth_token.expose_secret()), client })
    }
}

/// What the service answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Location`, of a redirect.
    pub location: Option<String>,
    /// The body, as text.
    pub body: String,
}

impl Answer {
    /// Whether Twilio would be content: any 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// Nothing listens there.
    #[error("nothing answers at that URL")]
    NotRunning(#[source] reqwest::Error),
    /// It did not answer in time.
    #[error("no answer came in time")]
    TimedOut(#[source] reqwest::Error),
    /// Anything else: a wrong URL, a certificate, a broken answer.
    #[error("the request could not be made")]
    Other(#[source] reqwest::Error),
}

impl From<reqwest::Error> for DeliveryError {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::TimedOut(error)
        } else if error.is_connect() && is_refused(&error) {
            Self::NotRunning(error)
        } else {
            Self::Other(error)
        }
    }
}

impl DeliveryError {
    /// What lies at the bottom of it: `connection closed before message completed`.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::NotRunning(_) | Self::TimedOut(_) => self.to_string(),
            Self::Other(error) => {
                causes(error).last().map_or_else(String::new, ToString::to_string)
            }
        }
    }
}

fn is_refused(error: &reqwest::Error) -> bool {
    causes(error)
        .filter_map(|error| error.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

/// The error, and what lies under it.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let first: &(dyn Error + 'static) = error;
    std::iter::successors(Some(first), |error| (*error).source())
}
