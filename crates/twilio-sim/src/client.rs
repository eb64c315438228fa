//! The way out to the service under test.

use std::time::Duration;

use reqwest::{ClientBuilder, redirect};
use rustls::crypto::ring;

/// A connection that nobody has used for so long is not used again. Less than what web servers wait
/// before they close it: a request on a connection that is being closed is lost.
const IDLE: Duration = Duration::from_secs(2);

/// A client that calls what is here, not what is behind a proxy, and follows no redirect.
pub(crate) fn build(
    settings: impl Fn(ClientBuilder) -> ClientBuilder,
) -> reqwest::Result<reqwest::Client> {
    // The client panics without a provider. Whoever installed one before us is as good.
    let _ = ring::default_provider().install_default();
    let plain = || {
        settings(
            reqwest::Client::builder()
                .redirect(redirect::Policy::none())
                .pool_idle_timeout(IDLE)
                .no_proxy(),
        )
    };
    // A machine without certificates, such as a small container, still has plain HTTP.
    plain().build().or_else(|_| plain().tls_certs_only([]).build())
}
