//! The program as a whole: real processes, real HTTP, real databases.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that panics has failed, and says what it measured"
)]

mod access;
mod backfill;
mod chaos;
mod clients;
mod collector;
mod configuration;
mod contract;
mod database;
mod dependencies_table;
mod doctor;
mod documents;
mod fuzz_table;
mod hooks;
mod import;
mod injection;
mod loaded;
mod metrics;
mod named_code;
mod orchestrator;
mod privacy;
mod proof;
mod relay;
mod scripted_twilio;
mod sending;
mod service;
mod settings_table;
mod signed;
mod startup;
mod stopping;
mod subscriber;
mod tenants;
mod traces;
mod twilio;
