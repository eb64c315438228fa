//! The service that carries our texts (Twilio).

use std::time::Duration;

use async_trait::async_trait;

use crate::delivery::StatusReport;
use crate::error::BoxError;
use crate::message::{MessageId, RawPayload, TwilioSid};
use crate::text::Text;
use crate::timestamp::Timestamp;

/// Sends our texts and knows what became of them.
///
/// No method repeats a request: whoever calls decides what may be tried again.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Provider: Send + Sync {
    /// Hands one message over: exactly one request. It MUST end within
    /// [`call_timeout`](Self::call_timeout), and MUST answer [`SendOutcome::Ambiguous`] wherever
    /// it cannot prove that no message was made.
    async fn send(&self, order: &SendOrder) -> SendOutcome;

    /// The longest time that [`send`](Self::send) takes.
    fn call_timeout(&self) -> Duration;

    /// The messages that may be the one sought, oldest first: from us to that number, made in that
    /// time, with that text. Reads the whole list back to the beginning of that time.
    async fn find_sent(&self, sought: &Sought) -> Result<Vec<ProviderMessage>, ProviderError>;

    /// A message as the provider knows it now; `None` where it knows none by that SID.
    async fn fetch(&self, sid: &TwilioSid) -> Result<Option<ProviderMessage>, ProviderError>;

    /// Whether the account can be used now.
    async fn check(&self) -> Result<(), ProviderError>;

    /// What one of its error codes means, in plain words; `None` for an unknown one.
    fn explain(&self, code: &str) -> Option<&'static str>;
}

/// A message to be handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendOrder {
    /// Our id: reports about the message carry it.
    pub message: MessageId,
    /// The recipient, as the provider writes addresses: `+18605550199`, `whatsapp:+18605550199`.
    pub to: Text,
    /// Who it is from.
    pub sender: Sender,
    /// What it says.
    pub body: Option<Text>,
    /// Pictures and files, https addresses in order.
    pub media: Vec<String>,
    /// How long the provider may hold it before it gives up.
    pub validity: Duration,
}

/// Who a message is from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sender {
    /// One of our numbers.
    Number(Text),
    /// A Messaging Service (`MG...`), which picks the number.
    Service(String),
}

impl Sender {
    /// A Messaging Service where the text has the form of its SID, else a number.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let service = text.len() == 34
            && text.starts_with("MG")
            && text.bytes().skip(2).all(|byte| byte.is_ascii_hexdigit());
        if service { Self::Service(text.to_owned()) } else { Self::Number(Text::new(text)) }
    }

    /// The text that [`read`](Self::read) reads.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Number(number) => number.as_str(),
            Self::Service(sid) => sid,
        }
    }
}

/// What became of one request to hand a message over.
#[derive(Debug, Clone, PartialEq)]
pub enum SendOutcome {
    /// The provider has it.
    Accepted(Box<ProviderMessage>),
    /// The provider will not take it, now or later. No message was made.
    Refused(ProviderFault),
    /// No message was made; a later request may succeed.
    Unsent {
        /// Why.
        reason: UnsentReason,
        /// What the provider said, if it said anything.
        fault: ProviderFault,
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
    },
    /// It may or may not have been made.
    Ambiguous(ProviderFault),
}

/// Why a message was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnsentReason {
    /// Too many requests, or the provider could not be reached at all: wait a little.
    Busy,
    /// The number's queue is full or its window closed: wait for minutes or hours.
    Window,
    /// The account itself is refused (wrong token, suspended): no message can be sent until an
    /// operator acts.
    Account,
}

impl UnsentReason {
    /// The word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Window => "window",
            Self::Account => "account",
        }
    }
}

/// What a failed request told. Holds no personal data: codes, and the provider's own standard text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProviderFault {
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The provider's error code, `21610`; or a word of ours where it gave none: `timeout`,
    /// `connect`, `unreadable`.
    pub code: Option<String>,
    /// What the code means, in plain words.
    pub message: Option<String>,
}

/// A message as the provider knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderMessage {
    /// Its id there.
    pub sid: TwilioSid,
    /// Its status in the provider's own word.
    pub status: String,
    /// Its error code.
    pub error_code: Option<String>,
    /// The provider's text for it.
    pub error_message: Option<String>,
    /// Whether it is a message to us.
    pub inbound: bool,
    /// Who it is from, once that is known.
    pub from: Option<Text>,
    /// Who it is to.
    pub to: Option<Text>,
    /// What it says.
    pub body: Option<Text>,
    /// How many pictures and files it has.
    pub num_media: u32,
    /// When it was made there, whole seconds.
    pub created_at: Option<Timestamp>,
    /// When it was sent or received, whole seconds; `None` while it is queued.
    pub sent_at: Option<Timestamp>,
    /// Everything that the provider said about it.
    pub raw: RawPayload,
}

impl ProviderMessage {
    /// The same as a report about `message`.
    #[must_use]
    pub fn report(&self, message: Option<MessageId>) -> StatusReport {
        let code = self.error_code.as_deref();
        let text = self.error_message.as_deref();
        let mut report =
            StatusReport::new(self.sid.clone(), &self.status, code, text, self.raw.clone());
        report.message = message;
        report
    }
}

/// A message of which nobody knows whether it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sought {
    /// The recipient.
    pub to: Text,
    /// The sender.
    pub sender: Sender,
    /// What it says.
    pub body: Option<Text>,
    /// How many pictures and files it has.
    pub num_media: u32,
    /// When the request went out.
    pub not_before: Timestamp,
    /// When the request surely was over.
    pub not_after: Timestamp,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProviderPage {
    /// Newest first.
    pub messages: Vec<ProviderMessage>,
    /// The page behind it.
    pub next: Option<PageToken>,
}

/// Where a page begins: only the provider that made it can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageToken(pub String);

/// Why the provider gave no answer. The source is for the log and holds no personal data.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The same question may be answered later.
    #[error("the provider is unavailable")]
    Unavailable {
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The account or its token is refused.
    #[error("the provider refuses our account")]
    Account(#[source] BoxError),
    /// The same question will fail again.
    #[error("the provider rejected the question")]
    Rejected(#[source] BoxError),
}
