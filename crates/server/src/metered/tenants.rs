//! Questions to the Collections Monitor and the tenant profiles.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use domain::language::Language;
use domain::ports::{DirectoryError, ProfileAnswer, TenantDirectory, TenantMatch, TenantProfiles};
use domain::tenant::TenantId;
use domain::text::Text;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};

use super::{REQUEST, meter, seconds};

/// A directory that counts what it is asked.
pub(crate) struct MeteredDirectory {
    directory: Arc<dyn TenantDirectory>,
    meters: Meters,
}

/// Profiles that count what they are told.
pub(crate) struct MeteredProfiles {
    profiles: Arc<dyn TenantProfiles>,
    meters: Meters,
}

struct Meters {
    requests: Counter<u64>,
    took: Histogram<f64>,
}

impl Meters {
    fn new() -> Self {
        let meter = meter();
        let requests = meter.u64_counter("sms_monitor_requests");
        let about = "Questions to the Collections Monitor and the tenant profiles";
        let took = "How long they took";
        Self {
            requests: requests.with_description(about).build(),
            took: seconds("sms_monitor_request_duration", took, &REQUEST),
        }
    }

    async fn asked<T>(
        &self,
        operation: &'static str,
        question: impl Future<Output = Result<T, DirectoryError>>,
    ) -> Result<T, DirectoryError> {
        let begun = Instant::now();
        let answer = question.await;
        let outcome = match &answer {
            Ok(_) => "ok",
            Err(DirectoryError::Unavailable { .. }) => "unavailable",
            Err(DirectoryError::Rejected(_)) => "rejected",
        };
        let operation = KeyValue::new("operation", operation);
        self.took.record(begun.elapsed().as_secs_f64(), std::slice::from_ref(&operation));
        self.requests.add(1, &[operation, KeyValue::new("outcome", outcome)]);
        answer
    }
}

impl MeteredDirectory {
    pub(crate) fn new(directory: Arc<dyn TenantDirectory>) -> Self {
        Self { directory, meters: Meters::new() }
    }
}

impl MeteredProfiles {
    pub(crate) fn new(profiles: Arc<dyn TenantProfiles>) -> Self {
        Self { profiles, meters: Meters::new() }
    }
}

#[async_trait]
impl TenantDirectory for MeteredDirectory {
    async fn look_up(&self, spelling: &Text) -> Result<TenantMatch, DirectoryError> {
        self.meters.asked("look_up", self.directory.look_up(spelling)).await
    }

    async fn check(&self) -> Result<(), DirectoryError> {
        self.meters.asked("check", self.directory.check()).await
    }
}

#[async_trait]
impl TenantProfiles for MeteredProfiles {
    async fn set_language(
        &self,
        tenant: &TenantId,
        language: Language,
    ) -> Result<ProfileAnswer, DirectoryError> {
        self.meters.asked("set_language", self.profiles.set_language(tenant, language)).await
    }
}
