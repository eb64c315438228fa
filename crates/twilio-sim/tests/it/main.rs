//! The simulator against the real gate, and against a server that answers as it is told.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod delivery;
mod gate;
