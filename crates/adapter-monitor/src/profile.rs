//! The client of the tenant profiles.

use async_trait::async_trait;
use domain::language::Language;
use domain::ports::{DirectoryError, ProfileAnswer, TenantProfiles};
use domain::tenant::TenantId;
use reqwest::Method;
use secrecy::SecretString;
use serde::Serialize;

use crate::base_url::BaseUrl;
use crate::fault::Fault;
use crate::patience::Patience;
use crate::service::{MonitorError, Service, send};

/// Tells the tenant profiles which language a tenant writes in.
pub struct ProfileClient {
    service: Service,
}

/// What a [`ProfileClient`] needs to know.
#[derive(Debug, Clone)]
pub struct ProfileSettings {
    /// Where the profiles are: `TENANT_PROFILE_API_URL`.
    pub base_url: BaseUrl,
    /// A bearer token for every request.
    pub api_key: Option<SecretString>,
    /// How long they are waited for, and how often they are told.
    pub patience: Patience,
}

/// A profile's language.
#[derive(Serialize)]
struct LanguageBody {
    language: &'static str,
}

impl ProfileSettings {
    /// The settings of open profiles there, the others being as usual.
    #[must_use]
    pub fn new(base_url: BaseUrl) -> Self {
        Self { base_url, api_key: None, patience: Patience::default() }
    }
}

impl ProfileClient {
    /// A client with these settings. It connects when it is first used.
    ///
    /// # Errors
    /// [`MonitorError`] names what to change.
    pub fn new(settings: &ProfileSettings) -> Result<Self, MonitorError> {
        let ProfileSettings { base_url, api_key, patience } = settings;
        Ok(Self { service: Service::new(base_url, api_key.as_ref(), *patience)? })
    }

    async fn tell(&self, path: &str, body: &LanguageBody) -> Result<ProfileAnswer, Fault> {
        let answer = send(self.service.request(Method::PUT, path).json(body)).await?;
        match answer.status() {
            200 | 204 => Ok(ProfileAnswer::Kept),
            404 => Ok(ProfileAnswer::NoSuchTenant),
            _ => Err(answer.into_fault()),
        }
    }
}

#[async_trait]
impl TenantProfiles for ProfileClient {
    /// Every failure but a wrong question is [`DirectoryError::Unavailable`]; only those that may
    /// pass within seconds are waited for here.
    #[tracing::instrument(name = "profile.set_language", skip_all, fields(otel.kind = "client"))]
    async fn set_language(
        &self,
        tenant: &TenantId,
        language: Language,
    ) -> Result<ProfileAnswer, DirectoryError> {
        if language == Language::Unknown {
            return Err(DirectoryError::Rejected("no language was given".into()));
        }
        let path = format!("/tenants/{tenant}/language");
        let body = LanguageBody { language: language.as_str() };
        let answer = self.service.patience.ask(|| self.tell(&path, &body)).await;
        answer.map_err(Fault::unavailable)
    }
}
