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

/// What a store in memory answers, which it does at once: for the answer of a mock, which is not async.
fn at_once<Answer>(answer: impl Future<Output = Answer>) -> Answer {
    futures_util::FutureExt::now_or_never(answer).unwrap()
}
