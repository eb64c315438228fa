//! The store on an embedded SQLite file: the default, so that one command runs with nothing
//! installed. One process only; several need PostgreSQL.
//!
//! Writes go through one thread with one connection, which runs all calls that are waiting in one
//! transaction and answers them after its commit: under load many calls share one `fsync`, and a
//! lone call waits for nobody. Reads have a few connections of their own and never wait for the
//! writer.
//!
//! To add a method of a port: a function on `&mut SqliteConnection` in a module of its own that
//! leaves every rule to the domain, then one line in `ports.rs` that hands it to the writer or to
//! the readers. To add a table: a migration in `migrations/sqlite` with a `down.sql`, its columns
//! in `schema.rs`, its row in `rows`, its name in `migrate.rs`. Migrations only add, so that the
//! program before this one can still work with the file.

mod backfill;
mod checks;
mod connection;
mod conversations;
mod delivery;
mod failure;
mod feed;
mod hooks;
mod housekeeping;
mod idempotency;
mod imports;
mod inbound;
mod jobs;
mod listing;
mod lock;
mod migrate;
mod outbound;
mod outgoing;
#[cfg(test)]
mod plans;
mod ports;
mod prepared;
mod readers;
mod reading;
mod rows;
mod schema;
mod status;
mod store;
mod subscriptions;
mod survey;
mod tenants;
#[cfg(feature = "testing")]
mod testing;
mod writer;
mod writing;

pub use connection::Pragmas;
pub use migrate::MigrateError;
pub use store::{Limits, OpenError, SqliteStore};
pub use writer::Groups;
