//! A private PostgreSQL server for tests: it begins empty, listens on a free port of the loopback
//! interface only, and takes everything with it when it is dropped or its process ends.
//!
//! For tests alone. It trusts whoever reaches its port, and no release build may depend on it.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! let mut cluster = pg_cluster::Cluster::start(pg_cluster::Durability::Fast)?;
//! println!("{}", cluster.url());
//! cluster.kill()?; // as a crash does
//! cluster.start_again()?; // with the same data, on the same port
//! # Ok(())
//! # }
//! ```

mod binaries;
mod cluster;
mod process;
mod watchdog;

pub use binaries::NoBinaries;
pub use cluster::{Builder, Cluster, Durability};
