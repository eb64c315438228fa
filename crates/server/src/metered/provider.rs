//! Requests to Twilio.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use domain::message::TwilioSid;
use domain::ports::{
    Provider, ProviderError, ProviderFault, ProviderMessage, SendOrder, SendOutcome, Sought,
};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};

use super::{REQUEST, meter, seconds};

/// Our own words where Twilio gave no code.
const WORDS: [&str; 5] = ["timeout", "connect", "unreadable", "shutdown", "interrupted"];

/// A provider that counts what is asked of it.
pub(crate) struct MeteredProvider {
    provider: Arc<dyn Provider>,
    requests: Counter<u64>,
    took: Histogram<f64>,
}

impl MeteredProvider {
    pub(crate) fn new(provider: Arc<dyn Provider>) -> Self {
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
        fault: Option<&ProviderFault>,
    ) {
        let code = fault.and_then(|fault| fault.code.as_deref());
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
        let outcome = match &answer {
            Ok(_) => "ok",
            Err(ProviderError::Unavailable { .. }) => "unavailable",
            Err(ProviderError::Account(_)) => "refused",
            Err(ProviderError::Rejected(_)) => "rejected",
        };
        self.count(begun, operation, outcome, None);
        answer
    }
}

#[async_trait]
impl Provider for MeteredProvider {
    async fn send(&self, order: &SendOrder) -> SendOutcome {
        let begun = Instant::now();
        let outcome = self.provider.send(order).await;
        let (word, fault) = match &outcome {
            SendOutcome::Accepted(_) => ("ok", None),
            SendOutcome::Refused(fault) => ("refused", Some(fault)),
            SendOutcome::Unsent { fault, .. } => ("unsent", Some(fault)),
            SendOutcome::Ambiguous(fault) => ("ambiguous", Some(fault)),
        };
        self.count(begun, "send", word, fault);
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
