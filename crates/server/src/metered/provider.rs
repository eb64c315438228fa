//! Requests to Twilio.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use domain::message::{Media, TwilioSid};
use domain::ports::{
    Archive, MessageList, PageToken, Provider, ProviderError, ProviderMessage, ProviderPage,
    SendOrder, SendOutcome, Sought,
};
use domain::text::Text;
use domain::timestamp::Timestamp;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};

use super::{REQUEST, meter, seconds};
use crate::hurry::Stopping;

/// Our own words where Twilio gave no code.
const WORDS: [&str; 8] =
    ["timeout", "connect", "broken", "unreadable", "unclear", "request", "shutdown", "interrupted"];

/// A provider, or an archive of it, that counts what is asked of it.
pub(crate) struct MeteredProvider<P: ?Sized> {
    provider: Arc<P>,
    requests: Counter<u64>,
    took: Histogram<f64>,
}

impl<P: Provider + ?Sized> MeteredProvider<P> {
    pub(crate) fn new(provider: Arc<P>) -> Self {
        let meter = meter();
        let requests = meter.u64_counter("sms_twilio_requests");
        let took = "How long requests to Twilio took";
        Self {
            provider,
            requests: requests.with_description("Requests to Twilio's API").build(),
            took: seconds("sms_twilio_request_duration", took, &REQUEST),
        }
    }

    fn count(
        &self,
        begun: Instant,
        operation: &'static str,
        outcome: &'static str,
        code: Option<&str>,
    ) {
        let labels = [
            KeyValue::new("operation", operation),
            KeyValue::new("outcome", outcome),
            KeyValue::new("code", self.code(code)),
        ];
        self.requests.add(1, &labels);
        let operation = [KeyValue::new("operation", operation)];
        self.took.record(begun.elapsed().as_secs_f64(), &operation);
    }

    /// A code that this version knows: Twilio may say anything.
    fn code(&self, code: Option<&str>) -> Cow<'static, str> {
        let Some(code) = code else { return "none".into() };
        match WORDS.into_iter().find(|word| *word == code) {
            Some(word) => word.into(),
            None if self.provider.explain(code).is_some() => code.to_owned().into(),
            None => "other".into(),
        }
    }

    async fn asked<T>(
        &self,
        operation: &'static str,
        question: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        let begun = Instant::now();
        let answer = question.await;
        let (outcome, code) = match &answer {
            Ok(_) => ("ok", None),
            Err(error) => (outcome_of(error), code_of(error)),
        };
        self.count(begun, operation, outcome, code);
        answer
    }
}

fn outcome_of(error: &ProviderError) -> &'static str {
    match error {
        ProviderError::Unavailable { .. } => "unavailable",
        ProviderError::Account(_) => "refused",
        ProviderError::Rejected(_) => "rejected",
    }
}

/// Twilio's code, or a word of ours. Which of them becomes a label is decided elsewhere.
fn code_of(error: &ProviderError) -> Option<&str> {
    let is_stopping = std::error::Error::source(error)
        .and_then(|cause| cause.downcast_ref::<Stopping>())
        .is_some();
    if is_stopping { Some("shutdown") } else { adapter_twilio::code_of(error) }
}

#[async_trait]
impl<P: Provider + ?Sized> Provider for MeteredProvider<P> {
    async fn send(&self, order: &SendOrder) -> SendOutcome {
        let begun = Instant::now();
        let outcome = self.provider.send(order).await;
        let (word, fault) = match &outcome {
            SendOutcome::Accepted(_) => ("ok", None),
            SendOutcome::Refused(fault) => ("refused", Some(fault)),
            SendOutcome::Unsent { fault, .. } => ("unsent", Some(fault)),
            SendOutcome::Ambiguous(fault) => ("ambiguous", Some(fault)),
        };
        self.count(begun, "send", word, fault.and_then(|fault| fault.code.as_deref()));
        outcome
    }

    fn call_timeout(&self) -> Duration {
        self.provider.call_timeout()
    }

    async fn find_sent(&self, sought: &Sought) -> Result<Vec<ProviderMessage>, ProviderError> {
        self.asked("find", self.provider.find_sent(sought)).await
    }

    async fn fetch(&self, sid: &TwilioSid) -> Result<Option<ProviderMessage>, ProviderError> {
        self.asked("fetch", self.provider.fetch(sid)).await
    }

    async fn check(&self) -> Result<(), ProviderError> {
        self.asked("check", self.provider.check()).await
    }

    fn explain(&self, code: &str) -> Option<&'static str> {
        self.provider.explain(code)
    }
}

#[async_trait]
impl<P: Archive + Provider + ?Sized> Archive for MeteredProvider<P> {
    async fn list(
        &self,
        list: &MessageList,
        since: Timestamp,
        page: Option<PageToken>,
    ) -> Result<ProviderPage, ProviderError> {
        self.asked("list", self.provider.list(list, since, page)).await
    }

    async fn media_of(&self, sid: &TwilioSid) -> Result<Vec<Media>, ProviderError> {
        self.asked("media", self.provider.media_of(sid)).await
    }

    async fn numbers_of(&self, service: &str) -> Result<Vec<Text>, ProviderError> {
        self.asked("numbers", self.provider.numbers_of(service)).await
    }
}

#[cfg(test)]
mod tests {
    use domain::ports::MockProvider;

    use super::*;

    #[test]
    fn a_code_is_one_that_is_known_or_a_word_of_ours_and_nothing_else() {
        let mut provider = MockProvider::new();
        provider.expect_explain().returning(|code| (code == "20003").then_some("refused"));
        let metered = MeteredProvider::new(Arc::new(provider));
        for (code, label) in [
            (None, "none"),
            (Some("20003"), "20003"),
            (Some("99999"), "other"),
            (Some("+18605550199"), "other"),
        ] {
            assert_eq!(metered.code(code), label, "{code:?}");
        }
        for word in WORDS {
            assert_eq!(metered.code(Some(word)), word);
        }
    }

    #[test]
    fn what_is_cut_short_by_the_end_of_the_process_says_so() {
        let cut = ProviderError::Unavailable { retry_after: None, source: Stopping.into() };
        assert_eq!(code_of(&cut), Some("shutdown"));
        assert_eq!(code_of(&ProviderError::Account("suspended".into())), None);
    }
}
