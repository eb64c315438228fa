#![doc = include_str!("../README.md")]

mod failure;
mod inbound;
#[cfg(feature = "testing")]
mod inspect;
mod locks;
mod migrate;
mod pool;
mod prepared;
mod reading;
mod rows;
mod schema;
mod settings;
mod status;
mod store;

#[cfg(feature = "testing")]
pub use migrate::revert_all;
pub use migrate::{MigrateError, migrate};
pub use settings::{InvalidSettings, PgSettings};
pub use store::PgStore;
