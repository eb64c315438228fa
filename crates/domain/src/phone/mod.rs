//! Telephone numbers, and the other things that a text can come from or go to.
//!
//! What of a text is a number, and which numbers exist, follows libphonenumber; what differs is
//! listed in `docs/decisions/canonical-addresses.md`.

mod address;
mod digits;
mod lookup;
mod nanp;
mod number;
mod plan;
mod written;

pub use address::{Address, OwnAddresses, masked};
pub use lookup::lookup_variants;
pub use number::{InvalidPhoneNumber, InvalidRegion, PhoneNumber, Region, warm_up};
