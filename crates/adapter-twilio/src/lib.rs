#![doc = include_str!("../README.md")]

mod answer;
mod api_url;
mod client;
pub mod codes;
mod diagnosis;
pub mod form;
mod gate;
mod outcome;
pub mod payload;
mod public_url;
pub mod signature;
mod sought;
mod webhook;

pub use api_url::{ApiUrl, InvalidApiUrl};
pub use client::{ClientError, ClientSettings, TwilioClient};
pub use gate::{GateSettings, TwilioGate};
pub use public_url::{InvalidPublicUrl, PublicUrlFault, PublicUrls};
