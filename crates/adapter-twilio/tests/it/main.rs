//! The gate from outside: what it lets in, what it says of the rest, and what the official
//! libraries would have said. The client from outside: what it sends, and what it makes of answers.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that panics has failed, and what it prints is its report"
)]

mod asking;
mod contract_data;
mod fuzz;
mod gate;
mod mistakes;
mod prism;
mod request;
mod sdk_outbound_requests;
mod sdk_signed_requests;
mod sending;
mod signature_vectors;
mod stub;
mod twilio_rs;
