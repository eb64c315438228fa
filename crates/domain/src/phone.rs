//! Telephone numbers, and the other things that a text can come from or go to.

use std::fmt;
use std::str::FromStr;

use phonenumber::country;

use crate::text::Text;

/// A telephone number in E.164 form, `+14155550123`, that exists by its country's numbering plan.
///
/// Having one proves the text was parsed; nothing further in checks it again.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PhoneNumber(String);

/// The text is no telephone number. The text itself is personal data, so it is not carried here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a telephone number")]
pub struct InvalidPhoneNumber;

/// The country whose national form a number without `+` is in, as an ISO 3166 code such as `US`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region(country::Id);

/// The text is no ISO 3166 country code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a two-letter country code, such as US")]
pub struct InvalidRegion;

impl Default for Region {
    fn default() -> Self {
        Self(country::Id::US)
    }
}

impl FromStr for Region {
    type Err = InvalidRegion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| InvalidRegion)
    }
}

/// No number is longer with all its punctuation; longer text is not worth parsing.
const LONGEST: usize = 250;

impl PhoneNumber {
    /// Reads a number in international form, or in the national form of `region`.
    ///
    /// # Errors
    /// [`InvalidPhoneNumber`] for text that is no number or a number that cannot exist.
    pub fn parse(text: &str, region: Region) -> Result<Self, InvalidPhoneNumber> {
        let text = text.trim();
        // The crate reads letters as keypad digits: `+1415555O671` would become a number.
        if text.len() > LONGEST || text.chars().any(char::is_alphabetic) {
            return Err(InvalidPhoneNumber);
        }
        // With a default country the crate strips that country's prefix from every other
        // country's numbers, so international text is parsed without one.
        let default = (!text.starts_with('+')).then_some(region.0);
        let number = phonenumber::parse(default, text).map_err(|_| InvalidPhoneNumber)?;
        if !phonenumber::is_valid(&number) {
            return Err(InvalidPhoneNumber);
        }
        Ok(Self(number.format().mode(phonenumber::Mode::E164).to_string()))
    }

    /// The number, `+14155550123`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber(..)")
    }
}

/// What a text comes from or goes to. Every text is an address: nothing is refused for its
/// sender's form, and none of the other kinds ever becomes a telephone number.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A telephone number.
    Phone(PhoneNumber),
    /// A short code: three to eight digits, `12345`.
    ShortCode(String),
    /// An alphanumeric sender: up to eleven letters, digits and blanks, `RENT2024`.
    Sender(String),
    /// A channel other than SMS: scheme in lower case and value, `whatsapp:+14155550123`.
    Channel {
        /// `whatsapp`, `viber`, `client`, ...
        scheme: String,
        /// What stands behind the colon.
        value: String,
    },
    /// None of these, kept as it came.
    Other(String),
    /// Nothing was given.
    Withheld,
}

/// Longer addresses are cut and told apart by a checksum, so that they fit in an index.
const LONGEST_CANONICAL: usize = 200;

impl Address {
    /// What `text` is an address of; numbers without `+` are in the national form of `region`.
    #[must_use]
    pub fn read(text: &Text, region: Region) -> Self {
        let text = text.as_str().trim();
        if text.is_empty() {
            return Self::Withheld;
        }
        if let Some(channel) = Self::channel(text) {
            return channel;
        }
        if let Ok(number) = PhoneNumber::parse(text, region) {
            return Self::Phone(number);
        }
        if (3..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::ShortCode(text.to_owned());
        }
        let sender_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b' ';
        let lettered = text.bytes().any(|byte| byte.is_ascii_alphabetic());
        if text.len() <= 11 && lettered && text.bytes().all(sender_byte) {
            return Self::Sender(text.to_owned());
        }
        Self::Other(bounded(text))
    }

    fn channel(text: &str) -> Option<Self> {
        let (scheme, value) = text.split_once(':')?;
        let named = scheme.bytes().next()?.is_ascii_alphabetic()
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        (named && scheme.len() <= 32)
            .then(|| Self::Channel { scheme: scheme.to_ascii_lowercase(), value: bounded(value) })
    }

    /// The one spelling of this address: the key of its conversation.
    #[must_use]
    pub fn canonical(&self) -> String {
        match self {
            Self::Phone(number) => number.as_str().to_owned(),
            Self::ShortCode(text) | Self::Sender(text) | Self::Other(text) => text.clone(),
            Self::Channel { scheme, value } => format!("{scheme}:{value}"),
            Self::Withheld => String::new(),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Phone(_) => "Phone(..)",
            Self::ShortCode(_) => "ShortCode(..)",
            Self::Sender(_) => "Sender(..)",
            Self::Channel { .. } => "Channel(..)",
            Self::Other(_) => "Other(..)",
            Self::Withheld => "Withheld",
        })
    }
}

fn bounded(text: &str) -> String {
    if text.chars().nth(LONGEST_CANONICAL).is_none() {
        return text.to_owned();
    }
    let start: String = text.chars().take(LONGEST_CANONICAL).collect();
    format!("{start}~{:016x}", fnv1a(text.as_bytes()))
}

/// The 64-bit FNV-1a checksum: stable for ever, which the standard library's hasher is not.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A number for logs and pages: country and last four digits, `+1******0199`.
#[must_use]
pub fn masked(address: &str) -> String {
    let length = address.chars().count();
    if length < 8 {
        return "*".repeat(length);
    }
    let shown = |position: usize| position < 2 || position + 4 >= length;
    address.chars().enumerate().map(|(at, c)| if shown(at) { c } else { '*' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::read(&Text::new(text), Region::default())
    }

    #[test]
    fn every_way_to_write_a_number_is_the_same_number() {
        for text in ["+18605550199", "(860) 555-0199", "1 860 555 0199", " 860.555.0199 "] {
            assert_eq!(address(text).canonical(), "+18605550199", "{text}");
        }
    }

    #[test]
    fn other_countries_numbers_keep_their_digits() {
        assert_eq!(address("+55 11 98765-4321").canonical(), "+5511987654321");
        assert_eq!(address("+351912345678").canonical(), "+351912345678");
    }

    #[test]
    fn what_is_no_number_never_becomes_one() {
        let check = |text: &str, kind: &str, canonical: &str| {
            let address = address(text);
            assert_eq!(format!("{address:?}"), kind, "{text}");
            assert_eq!(address.canonical(), canonical);
        };
        check("12345", "ShortCode(..)", "12345");
        check("RENT2024", "Sender(..)", "RENT2024");
        check("WhatsApp:+18605550199", "Channel(..)", "whatsapp:+18605550199");
        check("+1415555O671", "Other(..)", "+1415555O671");
        check("+12345", "Other(..)", "+12345");
        check("  ", "Withheld", "");
    }

    #[test]
    fn an_endless_sender_still_fits_in_an_index() {
        let (one, other) = ("x".repeat(100_000), format!("{}y", "x".repeat(99_999)));
        assert!(address(&one).canonical().len() < 1000);
        assert_ne!(address(&one), address(&other));
    }

    #[test]
    fn a_masked_number_shows_country_and_last_four_digits() {
        assert_eq!(masked("+18605550199"), "+1******0199");
        assert_eq!(masked("12345"), "*****");
    }
}
