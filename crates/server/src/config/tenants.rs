//! The settings of tenant lookups.

use adapter_monitor::{BaseUrl, LookupPath};
use domain::conversation::LookupAges;
use secrecy::SecretString;

use super::Reader;

/// Everything about tenants.
#[derive(Debug)]
pub(crate) struct TenantSettings {
    /// Where the Collections Monitor is; none: nobody is looked up.
    pub(crate) monitor: Option<BaseUrl>,
    pub(crate) lookup_path: LookupPath,
    pub(crate) api_key: Option<SecretString>,
    /// Where the tenant profiles are; none: nobody is told.
    pub(crate) profiles: Option<BaseUrl>,
    profile_key: Option<SecretString>,
    pub(crate) ages: LookupAges,
}

/// What a header can carry.
fn api_key(text: &str) -> Result<SecretString, &'static str> {
    let fits = text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.into()).ok_or("must be visible ASCII characters, without blanks")
}

impl TenantSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            monitor: reader.optional("MONITOR_API_URL", str::parse),
            lookup_path: reader.optional("MONITOR_LOOKUP_PATH", str::parse).unwrap_or_default(),
            api_key: reader.optional("MONITOR_API_KEY", api_key),
            profiles: reader.optional("TENANT_PROFILE_API_URL", str::parse),
            profile_key: reader.optional("TENANT_PROFILE_API_KEY", api_key),
            ages: LookupAges {
                tenant: reader.span("TENANT_BELIEVED_FOR"),
                nobody: reader.span("TENANT_UNKNOWN_FOR"),
            },
        }
    }

    /// The profiles' own key; or the Monitor's, which nobody but the Monitor's own host gets to see.
    pub(crate) fn profile_key(&self) -> Option<SecretString> {
        let is_one_service = match (&self.monitor, &self.profiles) {
            (Some(monitor), Some(profiles)) => monitor.is_same_origin(profiles),
            _ => false,
        };
        let shared = self.api_key.as_ref().filter(|_| is_one_service);
        self.profile_key.as_ref().or(shared).cloned()
    }

    /// How long lookups are believed; `None` where nobody can be asked.
    pub(crate) fn lookup_ages(&self) -> Option<LookupAges> {
        self.monitor.is_some().then_some(self.ages)
    }
}
