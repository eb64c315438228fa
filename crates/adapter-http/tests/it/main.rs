//! The endpoints on the store in memory, with a gate that tests can open.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that panics has failed")]

mod access;
mod annotating;
mod browsers;
mod connection;
mod conversations;
mod document;
mod fuzz;
mod health;
mod hostile;
mod jobs;
mod log;
mod messages;
mod panics;
mod provider;
mod reading;
mod sending;
mod service;
mod subscriptions;
mod webhooks;
mod worker;
