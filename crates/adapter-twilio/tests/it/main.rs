//! The gate from outside: what it lets in, what it says of the rest, and what the official
//! libraries would have said.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that panics has failed, and what it prints is its report"
)]

mod contract_data;
mod gate;
mod mistakes;
mod request;
mod sdk_signed_requests;
mod signature_vectors;
