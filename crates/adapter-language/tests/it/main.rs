//! The detector against data that nobody tuned to it, and against the clock.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that panics has failed, and one that is skipped says so"
)]

mod accuracy;
mod contract_data;
mod speed;
