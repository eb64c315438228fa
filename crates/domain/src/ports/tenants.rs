//! The services that know the tenants: the Collections Monitor, and the tenant profiles.

use std::time::Duration;

use async_trait::async_trait;

use crate::error::BoxError;
use crate::language::Language;
use crate::tenant::TenantId;
use crate::text::Text;

/// Knows which tenant a phone number belongs to (wire contracts, section 4).
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait TenantDirectory: Send + Sync {
    /// Whose number this is, in that spelling. Trouble that passes within seconds is waited for:
    /// an error means that it is better to ask again in minutes.
    async fn look_up(&self, spelling: &Text) -> Result<TenantMatch, DirectoryError>;

    /// Whether it answers now; one request, no waiting.
    async fn check(&self) -> Result<(), DirectoryError>;
}

/// Whose number it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantMatch {
    /// This tenant's.
    Tenant(TenantId),
    /// Nobody's that is known.
    Nobody,
    /// Several different tenants': no one's in particular.
    Ambiguous,
}

/// Keeps what is known of a tenant (wire contracts, section 4).
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait TenantProfiles: Send + Sync {
    /// Says which language the tenant writes in; [`Language::Unknown`] MUST NOT be given.
    async fn set_language(
        &self,
        tenant: &TenantId,
        language: Language,
    ) -> Result<ProfileAnswer, DirectoryError>;
}

/// What became of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileAnswer {
    /// It says so now.
    Kept,
    /// There is no profile of that tenant.
    NoSuchTenant,
}

/// Why there is no answer. The source is for the log: it holds no number and no URL.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The same question may be answered later.
    #[error("the service is unavailable")]
    Unavailable {
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The same question will fail again: wrong credentials, an answer that cannot be read.
    #[error("the service refuses the question, or its answer cannot be used")]
    Rejected(#[source] BoxError),
}
