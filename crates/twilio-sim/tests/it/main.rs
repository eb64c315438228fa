//! The simulator against the real gate, and against clients and services that behave as told.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that panics has failed")]

mod api;
mod callbacks;
mod caller;
mod control;
mod delivery;
mod failures;
mod gate;
mod lists;
mod load;
mod numbers;
mod page;
mod refusals;
mod run;
mod service;
mod stub;
mod texting;
