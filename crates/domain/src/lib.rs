#![doc = include_str!("../README.md")]

pub mod backfill;
pub mod backlog;
pub mod conversation;
pub mod delivery;
pub mod error;
pub mod event;
pub mod history;
pub mod hook;
pub mod idempotency;
pub mod identify;
pub mod inbox;
pub mod job;
pub mod language;
pub mod message;
pub mod notify;
pub mod origin;
pub mod outbound;
pub mod outbox;
pub mod phone;
pub mod ports;
pub mod receipts;
pub mod senders;
pub mod subscription;
pub mod tenant;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;
pub mod threads;
pub mod timestamp;
pub mod workflow;

// `make fuzz` links the fuzzer into every test program of this crate; this names it where no target is.
#[cfg(all(test, fuzzing))]
use bolero as _;
