#![doc = include_str!("../README.md")]

mod acceptance;
mod attempts;
mod checks;
mod conversations;
mod events;
#[cfg(feature = "testing")]
mod explain;
mod failure;
mod feed;
mod hooks;
mod housekeeping;
mod idempotency;
mod inbound;
#[cfg(feature = "testing")]
mod inspect;
mod jobs;
mod listing;
mod locks;
mod migrate;
mod outgoing;
mod pool;
mod prepared;
mod reading;
mod reconciliation;
mod retry;
mod rows;
mod schema;
mod settings;
mod status;
mod store;
mod subscriptions;
mod tenants;
mod verdicts;

#[cfg(feature = "testing")]
pub use migrate::revert_all;
pub use migrate::{MigrateError, migrate};
pub use settings::{InvalidSettings, PgSettings};
pub use store::PgStore;
