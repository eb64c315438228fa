//! Use cases: other programs subscribe to what happens, and are told of it.

mod deliver;
mod feed;
mod subscriptions;

pub use deliver::{HookPorts, Hooks};
pub use feed::Feed;
pub use subscriptions::{Created, Draft, Edit, Subscriptions};
