//! For tests only (feature `testing`): the in-memory store, fakes of the other ports, and the
//! contract suite that every store runs.

mod backfill_contract;
mod contract;
mod conversation_contract;
mod event_contract;
mod fakes;
pub mod fixture;
pub mod history;
mod inspect;
mod memory;
mod memory_backfill;
mod memory_conversations;
mod memory_events;
mod memory_outbound;
mod memory_survey;
mod outbound_contract;
pub mod sending_history;

pub use backfill_contract::backfill_promises;
pub use contract::promises;
pub use conversation_contract::conversation_promises;
pub use event_contract::event_promises;
pub use fakes::{
    CountingIds, FakeGate, FixedChance, FixedDetector, FixedHooks, NoTimer, SteppingClock,
};
pub use inspect::{Everything, Inspect, JobRecord};
pub use memory::InMemoryStore;
pub use outbound_contract::outbound_promises;
