#![doc = include_str!("../README.md")]

mod base_url;
mod fault;
mod lookup_path;
mod monitor;
mod patience;
mod profile;
mod service;
mod tenants;
#[cfg(feature = "testing")]
pub mod testing;

pub use base_url::{BaseUrl, InvalidBaseUrl};
pub use lookup_path::{InvalidLookupPath, LookupPath};
pub use monitor::{MonitorClient, MonitorSettings};
pub use patience::Patience;
pub use profile::{ProfileClient, ProfileSettings};
pub use service::MonitorError;
