//! The way out to the service under test.

use reqwest::{ClientBuilder, redirect};
use rustls::crypto::ring;

/// A client that calls what is here, not what is behind a proxy, and follows no redirect.
pub(crate) fn build(
    settings: impl Fn(ClientBuilder) -> ClientBuilder,
) -> reqwest::Result<reqwest::Client> {
    // The client panics without a provider. Whoever installed one before us is as good.
    let _ = ring::default_provider().install_default();
    let plain =
        || settings(reqwest::Client::builder().redirect(redirect::Policy::none()).no_proxy());
    // A machine without certificates, such as a small container, still has plain HTTP.
    plain().build().or_else(|_| plain().tls_certs_only([]).build())
}
