//! What the provider (Twilio) remembers of all messages, whoever was told of them.

use async_trait::async_trait;

use super::{PageToken, ProviderError, ProviderPage};
use crate::message::{Direction, Media, TwilioSid};
use crate::text::Text;
use crate::timestamp::Timestamp;

/// The lists of messages that the provider keeps.
///
/// No method repeats a request: whoever calls decides what may be asked again.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Archive: Send + Sync {
    /// One page of a list, newest first; `page` is [`ProviderPage::next`] of the one before. A
    /// page whose oldest message is older than `since` is the last that is given. It may hold
    /// messages that go the other way or are older than `since`.
    async fn list(
        &self,
        list: &MessageList,
        since: Timestamp,
        page: Option<PageToken>,
    ) -> Result<ProviderPage, ProviderError>;

    /// The pictures and files of a message, in the order of the provider's list.
    async fn media_of(&self, sid: &TwilioSid) -> Result<Vec<Media>, ProviderError>;

    /// The numbers that a Messaging Service (`MG...`) sends from.
    async fn numbers_of(&self, service: &str) -> Result<Vec<Text>, ProviderError>;
}

/// Which messages.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MessageList {
    /// `Inbound`: to the number; `Outbound`: from it.
    pub direction: Direction,
    /// One of our numbers, as the provider writes it.
    pub number: Text,
}
