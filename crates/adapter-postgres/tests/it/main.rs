//! The store on a real PostgreSQL. Every test has a schema of its own, so that all run at once.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed")]

mod agreement;
mod database;
mod deadlines;
mod groups;
mod migrations;
mod outages;
mod pages;
mod queue;
mod sending;
mod sharing;
mod tenants;
mod tls;
