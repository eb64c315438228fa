#![doc = include_str!("../README.md")]

mod answer;
mod api_url;
mod archive;
mod client;
pub mod codes;
mod diagnosis;
pub mod form;
mod gate;
mod inspection;
mod outcome;
pub mod payload;
mod public_url;
pub mod signature;
mod sought;
mod webhook;

pub use api_url::{ApiUrl, InvalidApiUrl};
pub use client::{ClientError, ClientSettings, TwilioClient};
pub use gate::{GateSettings, TwilioGate};
pub use inspection::{AccountState, NumberSettings, ServiceSettings};
pub use outcome::code_of;
pub use public_url::{InvalidPublicUrl, PublicUrlFault, PublicUrls};
