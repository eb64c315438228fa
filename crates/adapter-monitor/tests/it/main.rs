//! Both clients from outside: what they ask, what they make of every answer and of none, and what
//! they never tell.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod asking;
mod contract;
mod privacy;
mod profiles;
mod wire;
