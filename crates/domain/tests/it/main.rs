//! The domain from outside, against data that nobody made by looking at it.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

mod backfill;
mod backlog;
mod contract_data;
mod fuzz;
mod hooks;
mod identify;
mod outbound_properties;
mod outbox;
mod phone_cases;
mod phone_properties;
mod threads;
