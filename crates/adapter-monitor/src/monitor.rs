//! The client of the Collections Monitor.

use async_trait::async_trait;
use domain::ports::{DirectoryError, TenantDirectory, TenantMatch};
use domain::text::Text;
use reqwest::Method;
use secrecy::SecretString;

use crate::base_url::BaseUrl;
use crate::fault::Fault;
use crate::lookup_path::LookupPath;
use crate::patience::Patience;
use crate::service::{MonitorError, Service, send};
use crate::tenants;

/// Asks the Collections Monitor whose a number is.
pub struct MonitorClient {
    service: Service,
    lookup_path: LookupPath,
}

/// What a [`MonitorClient`] needs to know.
#[derive(Debug, Clone)]
pub struct MonitorSettings {
    /// Where the Monitor is: `MONITOR_API_URL`.
    pub base_url: BaseUrl,
    /// Where in it a number is looked up.
    pub lookup_path: LookupPath,
    /// A bearer token for every request: `MONITOR_API_KEY`.
    pub api_key: Option<SecretString>,
    /// How long it is waited for, and how often it is asked.
    pub patience: Patience,
}

impl MonitorSettings {
    /// The settings of an open Monitor there, the others being as usual.
    #[must_use]
    pub fn new(base_url: BaseUrl) -> Self {
        Self {
            base_url,
            lookup_path: LookupPath::default(),
            api_key: None,
            patience: Patience::default(),
        }
    }
}

impl MonitorClient {
    /// A client with these settings. It connects when it is first used.
    ///
    /// # Errors
    /// [`MonitorError`] names what to change.
    pub fn new(settings: &MonitorSettings) -> Result<Self, MonitorError> {
        let MonitorSettings { base_url, lookup_path, api_key, patience } = settings;
        let service = Service::new(base_url, api_key.as_ref(), *patience)?;
        Ok(Self { service, lookup_path: lookup_path.clone() })
    }

    async fn ask(&self, path: &str) -> Result<TenantMatch, Fault> {
        let answer = send(self.service.request(Method::GET, path)).await?;
        match answer.status() {
            200 => tenants::read(&answer.read().await?),
            204 | 404 => Ok(TenantMatch::Nobody),
            _ => Err(answer.into_fault()),
        }
    }
}

#[async_trait]
impl TenantDirectory for MonitorClient {
    /// Blank text and nothing but dots are nobody's, and are not asked for.
    #[tracing::instrument(name = "monitor.look_up", skip_all, fields(otel.kind = "client"))]
    async fn look_up(&self, spelling: &Text) -> Result<TenantMatch, DirectoryError> {
        let Some(path) = self.lookup_path.of(spelling.as_str()) else {
            return Ok(TenantMatch::Nobody);
        };
        Ok(self.service.patience.ask(|| self.ask(&path)).await?)
    }

    /// A GET of the base URL: any answer but a 5xx will do. It proves neither the path nor the key.
    #[tracing::instrument(name = "monitor.check", skip_all, fields(otel.kind = "client"))]
    async fn check(&self) -> Result<(), DirectoryError> {
        Ok(self.service.check().await?)
    }
}
