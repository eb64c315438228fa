#![doc = include_str!("../README.md")]

mod inbound;
mod local_twilio;
mod request;

pub use inbound::InboundText;
pub use local_twilio::{Answer, Builder, DeliveryError, LocalTwilio};
pub use request::WebhookRequest;
