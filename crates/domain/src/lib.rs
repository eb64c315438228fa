#![doc = include_str!("../README.md")]

pub mod conversation;
pub mod delivery;
pub mod error;
pub mod inbox;
pub mod job;
pub mod language;
pub mod message;
pub mod phone;
pub mod ports;
pub mod receipts;
pub mod tenant;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;
pub mod threads;
pub mod timestamp;
