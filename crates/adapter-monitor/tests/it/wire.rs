//! The stub, clients that ask it, and what came of it in a word.

use std::time::Duration;

use adapter_monitor::testing::MonitorStub;
use adapter_monitor::{
    BaseUrl, MonitorClient, MonitorSettings, Patience, ProfileClient, ProfileSettings,
};
use domain::ports::{DirectoryError, TenantDirectory, TenantMatch};
use domain::text::Text;

pub(crate) const PHONE: &str = "+18605550199";

/// As patient as usual, but quicker.
pub(crate) const QUICK: Patience = Patience {
    connect_timeout: Duration::from_secs(3),
    read_timeout: Duration::from_secs(3),
    attempts: 4,
    first_wait: Duration::from_millis(1),
    longest_wait: Duration::from_millis(4),
};

/// So quick that a silent service is given up at once, though a connection may take long.
pub(crate) const HASTY: Patience = Patience {
    connect_timeout: Duration::from_hours(1),
    read_timeout: Duration::from_millis(150),
    ..QUICK
};

pub(crate) async fn stub() -> MonitorStub {
    MonitorStub::start().await.unwrap()
}

pub(crate) fn settings(base_url: &str) -> MonitorSettings {
    MonitorSettings { patience: QUICK, ..MonitorSettings::new(base(base_url)) }
}

pub(crate) fn base(url: &str) -> BaseUrl {
    url.parse().unwrap()
}

pub(crate) fn monitor(stub: &MonitorStub) -> MonitorClient {
    client(&settings(&stub.base_url()))
}

pub(crate) fn client(settings: &MonitorSettings) -> MonitorClient {
    MonitorClient::new(settings).unwrap()
}

pub(crate) fn profiles(base_url: &str, patience: Patience) -> ProfileClient {
    let settings = ProfileSettings { patience, ..ProfileSettings::new(base(base_url)) };
    ProfileClient::new(&settings).unwrap()
}

/// A port on which nobody listens.
pub(crate) async fn nowhere() -> String {
    let stub = stub().await;
    stub.base_url()
}

/// What a lookup brings, in a word.
pub(crate) async fn look_up(client: &MonitorClient, spelling: &str) -> String {
    match client.look_up(&Text::new(spelling)).await {
        Ok(TenantMatch::Tenant(id)) => format!("tenant {id}"),
        Ok(TenantMatch::Nobody) => "nobody".to_owned(),
        Ok(TenantMatch::Ambiguous) => "ambiguous".to_owned(),
        Err(error) => told(&error),
    }
}

pub(crate) fn told(error: &DirectoryError) -> String {
    match error {
        DirectoryError::Unavailable { retry_after: Some(wait), .. } => {
            format!("unavailable for {wait:?}")
        }
        DirectoryError::Unavailable { retry_after: None, .. } => "unavailable".to_owned(),
        DirectoryError::Rejected(_) => "rejected".to_owned(),
    }
}
