#![doc = include_str!("../README.md")]

mod diagnosis;
pub mod form;
mod gate;
pub mod payload;
mod public_url;
pub mod signature;
mod webhook;

pub use gate::{GateSettings, TwilioGate};
pub use public_url::{InvalidPublicUrl, PublicUrlFault, PublicUrls};
