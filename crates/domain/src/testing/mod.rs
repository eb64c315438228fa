//! For tests only (feature `testing`): the in-memory store, fakes of the other ports, and the
//! contract suite that every store runs.

mod contract;
mod fakes;
pub mod fixture;
pub mod history;
mod inspect;
mod memory;

pub use contract::promises;
pub use fakes::{CountingIds, FakeGate, FixedDetector, SteppingClock};
pub use inspect::{Everything, Inspect, JobRecord};
pub use memory::InMemoryStore;
