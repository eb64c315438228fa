//! What a text comes from or goes to.

use std::collections::HashSet;
use std::fmt;
use std::ops::RangeInclusive;

use super::{PhoneNumber, Region};
use crate::text::Text;

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

impl Address {
    /// What `text` is an address of; numbers without `+` are in the national form of `region`.
    #[must_use]
    pub fn read(text: &Text, region: Region) -> Self {
        let (whole, text) = (text.as_str(), text.as_str().trim());
        if text.is_empty() {
            return Self::Withheld;
        }
        Self::channel(text, region)
            .or_else(|| Self::named(whole))
            .or_else(|| Self::short_code(text, 3..=6))
            .or_else(|| PhoneNumber::parse(whole, region).map(Self::Phone).ok())
            // Blanks may be all that made it too long for a number: without them it would be one.
            .or_else(|| shortened(whole).map(Self::Other))
            .or_else(|| Self::short_code(text, 7..=8))
            .or_else(|| Self::sender(text))
            .unwrap_or_else(|| {
                Self::Other(international(text, region).unwrap_or_else(|| text.to_owned()))
            })
    }

    /// A scheme and a value. `tel:` and `sms:` are no channels of their own: they name a number.
    fn channel(text: &str, region: Region) -> Option<Self> {
        let (scheme, value) = text.split_once(':')?;
        let (scheme, value) = (scheme.trim_end().to_ascii_lowercase(), value.trim());
        let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
            && scheme.len() <= 32;
        if !named || ["tel", "sms"].contains(&scheme.as_str()) {
            return None;
        }
        let number = Some(value).filter(|_| NUMBERED.contains(&scheme.as_str()));
        let value = number
            .and_then(|value| number_in_channel(value, region))
            .or_else(|| shortened(value))
            .unwrap_or_else(|| value.to_owned());
        Some(Self::Channel { scheme, value })
    }

    /// A text of letters, digits and blanks that begins with a letter is a name, whatever number
    /// could be found in it: `T4155552671` is not +14155552671. Without a blank it is one word, also
    /// where it is too long for a sender; a longer one with blanks may be `call 415 555 2671`.
    fn named(whole: &str) -> Option<Self> {
        let text = whole.trim();
        let is_named = text.starts_with(|c: char| c.is_ascii_alphabetic());
        let is_word = || text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let other = || Self::Other(shortened(whole).unwrap_or_else(|| text.to_owned()));
        is_named.then(|| Self::sender(text).or_else(|| is_word().then(other))).flatten()
    }

    fn short_code(text: &str, lengths: RangeInclusive<usize>) -> Option<Self> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        (digits && lengths.contains(&text.len())).then(|| Self::ShortCode(text.to_owned()))
    }

    fn sender(text: &str) -> Option<Self> {
        let lettered = text.bytes().any(|byte| byte.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ');
        (lettered && text.len() <= 11).then(|| Self::Sender(text.to_owned()))
    }

    /// The one spelling of this address: the key of its conversation. Read again it gives the
    /// same address.
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

/// The addresses that we send from. A text from one of them is stored like any other and never
/// answered: whoever answers himself never stops.
#[derive(Debug, Clone)]
pub struct OwnAddresses {
    region: Region,
    addresses: HashSet<Address>,
}

impl OwnAddresses {
    /// These addresses; numbers without `+` behind a scheme are in the national form of `region`.
    pub fn new(addresses: impl IntoIterator<Item = Address>, region: Region) -> Self {
        let addresses = addresses.into_iter().map(|address| without_channel(address, region));
        Self { region, addresses: addresses.collect() }
    }

    /// Whether `address` is one of them, however it is written and in whatever channel.
    #[must_use]
    pub fn contains(&self, address: &Address) -> bool {
        self.addresses.contains(&without_channel(address.clone(), self.region))
    }
}

/// The number that an address of another channel stands for, if it stands for one.
fn without_channel(address: Address, region: Region) -> Address {
    match &address {
        Address::Channel { value, .. } => {
            PhoneNumber::parse(value, region).map_or(address, Address::Phone)
        }
        _ => address,
    }
}

/// Channels whose values are telephone numbers. In others (`client`, `messenger`, `sip`) a value of
/// digits is somebody's id.
const NUMBERED: [&str; 3] = ["whatsapp", "viber", "rcs"];

/// The one spelling of a number in a channel; `None` where it names none: an agent of `rcs`.
fn number_in_channel(value: &str, region: Region) -> Option<String> {
    if value.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let number = PhoneNumber::parse(value, region).ok();
    number.map(|number| number.as_str().to_owned()).or_else(|| international(value, region))
}

/// A number with its country that no plan of numbers knows, without what people write between
/// digits: `+52 1 55 1234 5678`, as Mexico's mobile numbers were until 2019, is one conversation
/// however it is written.
fn international(text: &str, region: Region) -> Option<String> {
    let digits = text.strip_prefix('+')?;
    let is_written = |c: char| c.is_ascii_digit() || " -.()".contains(c);
    let is_one = digits.chars().all(is_written);
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    let number = format!("+{digits}");
    // Where a plan knows it after all, it would be read as another address.
    let is_unknown = || PhoneNumber::parse(&number, region).is_err();
    (is_one && (4..=15).contains(&digits.len()) && is_unknown()).then_some(number)
}

/// Longer text would not fit in an index. Characters.
const LONGEST: usize = 200;

/// A checksum in the place of text that is too long, spelled in letters, so that nothing else is
/// ever read in it.
fn shortened(text: &str) -> Option<String> {
    text.chars().nth(LONGEST)?;
    let checksum = format!("{:016x}", fnv1a(text.as_bytes()));
    let letters = checksum.chars().filter_map(|hex| char::from_digit(hex.to_digit(16)? + 10, 36));
    Some(format!("~{}", letters.collect::<String>()))
}

/// The 64-bit FNV-1a checksum: stable for ever, which the standard library's hasher is not.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A telephone number for logs and pages: its first digit and its last four, `+1******0199`.
/// Stars only for what is no number.
#[must_use]
pub fn masked(address: &str) -> String {
    let digits: String = address.chars().filter(char::is_ascii_digit).collect();
    let plus = if address.contains('+') { "+" } else { "" };
    match (digits.get(..1), digits.len().checked_sub(4).and_then(|at| digits.get(at..))) {
        (Some(first), Some(last)) if (8..=15).contains(&digits.len()) => {
            format!("{plus}{first}{}{last}", "*".repeat(digits.len() - 5))
        }
        _ => "*".repeat(address.chars().take(8).count()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::read(&Text::new(text), Region::default())
    }

    fn check(text: &str, kind: &str, canonical: &str) {
        let address = address(text);
        assert_eq!(format!("{address:?}"), kind, "{text}");
        assert_eq!(address.canonical(), canonical);
    }

    #[test]
    fn a_number_is_one_address_however_it_is_written() {
        for text in ["+18605550199", "(860) 555-0199", " 1 860 555 0199", "tel:+1-860-555-0199"] {
            check(text, "Phone(..)", "+18605550199");
        }
        check("SMS:+18605550199", "Phone(..)", "+18605550199");
    }

    #[test]
    fn what_is_no_number_never_becomes_one() {
        check("12345", "ShortCode(..)", "12345");
        check("12345678", "ShortCode(..)", "12345678");
        check("RENT2024", "Sender(..)", "RENT2024");
        check("WhatsApp:+18605550199", "Channel(..)", "whatsapp:+18605550199");
        check("whatsapp:", "Channel(..)", "whatsapp:");
        check("+1415555O671", "Other(..)", "+1415555O671");
        check("+12345", "Other(..)", "+12345");
        check("tel:12345", "Other(..)", "tel:12345");
        check("  ", "Withheld", "");
    }

    #[test]
    fn a_name_with_a_number_in_it_is_no_number() {
        check("T4155552671", "Sender(..)", "T4155552671");
        check("A14155552671", "Other(..)", "A14155552671");
        check("call 415 555 2671", "Phone(..)", "+14155552671");
        check("Tel. (415) 555-2671", "Phone(..)", "+14155552671");
    }

    #[test]
    fn an_address_in_a_channel_has_one_spelling() {
        for text in [
            "whatsapp:+18605550111",
            "whatsapp :+18605550111",
            "whatsapp: +18605550111 ",
            "WhatsApp:+1 (860) 555-0111",
            "whatsapp:18605550111",
        ] {
            check(text, "Channel(..)", "whatsapp:+18605550111");
        }
        check("whatsapp:+52 1 55 1234 5678", "Channel(..)", "whatsapp:+5215512345678");
        check("client: alice ", "Channel(..)", "client:alice");
        check("messenger:8605550111", "Channel(..)", "messenger:8605550111");
        check("rcs:rent_agent_8605550111", "Channel(..)", "rcs:rent_agent_8605550111");
    }

    #[test]
    fn a_number_that_no_plan_knows_has_one_spelling_too() {
        for text in ["+5215512345678", "+52 1 55 1234 5678", "+52 (1) 55-1234-5678"] {
            check(text, "Other(..)", "+5215512345678");
        }
    }

    #[test]
    fn bare_digits_are_a_short_code_also_where_numbers_are_as_short() {
        let germany = "DE".parse().unwrap();
        let read = |text: &str| Address::read(&Text::new(text), germany);
        assert_eq!(read("123456"), Address::ShortCode("123456".into()));
        assert_eq!(read("030 123456").canonical(), "+4930123456");
    }

    #[test]
    fn an_endless_sender_still_fits_in_an_index() {
        let (one, other) = ("5".repeat(100_000), format!("{}6", "5".repeat(99_999)));
        assert_ne!(address(&one), address(&other));
        let named = "A4155552671".repeat(40);
        for text in
            [one, named, format!("viber:{other}"), format!("+18605550199{}", " ".repeat(300))]
        {
            let first = address(&text);
            assert!(first.canonical().len() < 100);
            assert_eq!(address(&first.canonical()), first);
        }
    }

    #[test]
    fn our_own_number_is_ours_however_it_is_written() {
        let own = OwnAddresses::new([address("860-555-0100"), address("12345")], Region::default());
        for text in ["+18605550100", "(860) 555-0100", "whatsapp:+18605550100", "12345"] {
            assert!(own.contains(&address(text)), "{text}");
        }
        for text in ["+18605550101", "", "RENT2024", "whatsapp:12345", "client:ours", "123456"] {
            assert!(!own.contains(&address(text)), "{text}");
        }
    }

    #[test]
    fn a_masked_number_shows_its_first_digit_and_the_last_four() {
        assert_eq!(masked("+18605550199"), "+1******0199");
        assert_eq!(masked("(860) 555-0199"), "8*****0199");
        assert_eq!(masked("12345"), "*****");
        assert_eq!(masked("sip:alice@example.com"), "********");
    }
}
