//! The settings of tenant lookups.

use adapter_monitor::{BaseUrl, LookupPath};
use domain::conversation::LookupAges;
use secrecy::SecretString;

use super::Reader;

/// Everything about tenants.
#[derive(Debug)]
pub(crate) struct TenantSettings {
    /// Where the Collections Monitor is; none: lookups wait.
    pub(crate) monitor: Option<BaseUrl>,
    pub(crate) lookup_path: LookupPath,
    pub(crate) api_key: Option<SecretString>,
    /// Where the tenant profiles are; none: nobody is told.
    pub(crate) profiles: Option<BaseUrl>,
    pub(crate) ages: LookupAges,
}

impl TenantSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            monitor: reader.optional("MONITOR_API_URL", str::parse),
            lookup_path: reader.optional("MONITOR_LOOKUP_PATH", str::parse).unwrap_or_default(),
            api_key: reader.secret("MONITOR_API_KEY"),
            profiles: reader.optional("TENANT_PROFILE_API_URL", str::parse),
            ages: LookupAges {
                tenant: reader.span("TENANT_BELIEVED_FOR"),
                nobody: reader.span("TENANT_UNKNOWN_FOR"),
            },
        }
    }
}
