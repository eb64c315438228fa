//! Twilio, as a process sees it that may have to stop before Twilio answers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::message::{Media, TwilioSid};
use domain::outbound::STOPPED;
use domain::ports::{
    Archive, MessageList, PageToken, Provider, ProviderError, ProviderFault, ProviderMessage,
    ProviderPage, SendOrder, SendOutcome, Sought, UnsentReason,
};
use domain::text::Text;
use domain::timestamp::Timestamp;
use tokio_util::sync::CancellationToken;

/// Cuts every call short once `hurry` is cancelled. What a request to send came to is then not
/// known, and said to be so.
pub(crate) struct Hurried<P: ?Sized> {
    pub(crate) provider: Arc<P>,
    pub(crate) hurry: CancellationToken,
}

/// The process stops.
#[derive(Debug, thiserror::Error)]
#[error("the service stops")]
pub(crate) struct Stopping;

impl<P: ?Sized> Hurried<P> {
    async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        tokio::select! {
            biased;
            answer = call => answer,
            () = self.hurry.cancelled() => {
                Err(ProviderError::Unavailable { retry_after: None, source: Stopping.into() })
            }
        }
    }
}

/// There is no time for the request: whoever comes next makes it.
fn not_begun() -> SendOutcome {
    let fault = ProviderFault {
        status: None,
        code: Some(STOPPED.into()),
        message: Some("the service stopped before it was sent".into()),
    };
    SendOutcome::Unsent { reason: UnsentReason::Busy, fault, retry_after: None }
}

#[async_trait]
impl<P: Provider + ?Sized> Provider for Hurried<P> {
    async fn send(&self, order: &SendOrder) -> SendOutcome {
        if self.hurry.is_cancelled() {
            return not_begun();
        }
        tokio::select! {
            biased;
            outcome = self.provider.send(order) => outcome,
            () = self.hurry.cancelled() => SendOutcome::Ambiguous(ProviderFault {
                status: None,
                code: Some(STOPPED.into()),
                message: Some("the service stopped before Twilio answered".into()),
            }),
        }
    }

    fn call_timeout(&self) -> Duration {
        self.provider.call_timeout()
    }

    async fn find_sent(&self, sought: &Sought) -> Result<Vec<ProviderMessage>, ProviderError> {
        self.in_time(self.provider.find_sent(sought)).await
    }

    async fn fetch(&self, sid: &TwilioSid) -> Result<Option<ProviderMessage>, ProviderError> {
        self.in_time(self.provider.fetch(sid)).await
    }

    async fn check(&self) -> Result<(), ProviderError> {
        self.in_time(self.provider.check()).await
    }

    fn explain(&self, code: &str) -> Option<&'static str> {
        self.provider.explain(code)
    }
}

#[async_trait]
impl<P: Archive + ?Sized> Archive for Hurried<P> {
    async fn list(
        &self,
        list: &MessageList,
        since: Timestamp,
        page: Option<PageToken>,
    ) -> Result<ProviderPage, ProviderError> {
        self.in_time(self.provider.list(list, since, page)).await
    }

    async fn media_of(&self, sid: &TwilioSid) -> Result<Vec<Media>, ProviderError> {
        self.in_time(self.provider.media_of(sid)).await
    }

    async fn numbers_of(&self, service: &str) -> Result<Vec<Text>, ProviderError> {
        self.in_time(self.provider.numbers_of(service)).await
    }
}
