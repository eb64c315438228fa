#![doc = include_str!("../README.md")]

mod client;
mod orchestrator;
mod policy;
mod signature;

pub use client::{HookClient, HookSettings, Spell};
pub use policy::{InvalidNetworks, Policy};
