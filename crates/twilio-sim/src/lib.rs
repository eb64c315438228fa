#![doc = include_str!("../README.md")]

mod account;
mod api;
mod client;
mod control;
mod creates;
mod failure;
mod inbound;
mod lifecycle;
mod load;
mod local_twilio;
mod message;
mod mix;
mod page;
mod relay;
mod request;
mod server;
mod simulator;
mod visitor;

/// Where the service hears of texts.
pub const INBOUND_PATH: &str = "/webhook/twilio/sms";

pub use api::numbers::{MessagingService, NumberSettings};
pub use creates::{CreateRequest, Creates, End};
pub use failure::Failure;
pub use inbound::InboundText;
pub use lifecycle::{Callbacks, Delays, Outcome};
pub use load::{
    LATENESS, LONGEST_ANSWER, Latencies, Load, LoadReport, MOST_TEXTS, Texts, Verification,
    VerifyError, verify,
};
pub use local_twilio::{Answer, Builder, DeliveryError, LocalTwilio};
pub use message::{Change, Message, Status, Told};
pub use mix::{InvalidSetting, Mix};
pub use relay::is_ready;
pub use request::WebhookRequest;
pub use simulator::{Simulator, SimulatorBuilder, StartError};
pub use visitor::is_loopback;
