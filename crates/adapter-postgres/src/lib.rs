#![doc = include_str!("../README.md")]

mod acceptance;
mod attempts;
mod backfill;
mod checks;
mod clock;
mod conversations;
mod events;
#[cfg(feature = "testing")]
mod explain;
mod failure;
mod feed;
mod groups;
mod hooks;
mod housekeeping;
mod idempotency;
mod imports;
mod inbound;
#[cfg(feature = "testing")]
mod inspect;
mod jobs;
mod listing;
mod locks;
mod migrate;
mod original;
mod outgoing;
mod pool;
mod pooler;
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
mod survey;
mod tenants;
mod tls;
mod transaction;
mod verdicts;

pub use groups::{GroupCounts, GroupSettings};
#[cfg(feature = "testing")]
pub use migrate::revert_all;
pub use migrate::{MigrateError, migrate, pending_migrations};
pub use original::{Original, OriginalError, OriginalRow, OriginalTable};
pub use pool::Connections;
pub use pooler::{UnusableWay, check_way};
pub use settings::{InvalidSettings, PgSettings};
pub use store::PgStore;
