//! The program as a whole: real processes, real HTTP, real databases.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that panics has failed, and says what it measured"
)]

mod clients;
mod contract;
mod database;
mod proof;
mod service;
mod signed;
mod startup;
mod twilio;
