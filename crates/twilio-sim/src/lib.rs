#![doc = include_str!("../README.md")]

mod account;
mod api;
mod control;
mod creates;
mod failure;
mod inbound;
mod lifecycle;
mod local_twilio;
mod message;
mod mix;
mod request;
mod server;
mod simulator;

pub use creates::{CreateRequest, Creates, End};
pub use failure::Failure;
pub use inbound::InboundText;
pub use lifecycle::{Callbacks, Delays, Outcome};
pub use local_twilio::{Answer, Builder, DeliveryError, LocalTwilio};
pub use message::{Change, Message, Status, Told};
pub use mix::{InvalidSetting, Mix};
pub use request::WebhookRequest;
pub use simulator::{Simulator, SimulatorBuilder, StartError};
