//! The program as a whole: real processes, real HTTP, real databases.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics has failed")]

mod clients;
mod contract;
mod database;
mod proof;
mod service;
mod signed;
mod startup;
mod twilio;
