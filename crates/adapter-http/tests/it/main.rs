//! The endpoints on the store in memory, with a gate that tests can open.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod health;
mod reading;
mod service;
mod webhooks;
