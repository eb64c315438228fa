//! Telephone numbers.

use std::fmt;
use std::str::FromStr;

use phonenumber::country;

use super::nanp::{self, Verdict};
use super::plan;
use super::written::Written;

/// A telephone number in E.164 form, `+14155550123`, that exists by its country's numbering plan.
///
/// Having one proves the text was parsed; nothing further in checks it again.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PhoneNumber {
    e164: String,
    /// Where the national significant number begins.
    national: usize,
}

/// The text is no telephone number. The text itself is personal data, so it is not carried here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a telephone number")]
pub struct InvalidPhoneNumber;

/// The country whose national form a number without `+` is in, as an ISO 3166 code such as `US`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region(pub(super) country::Id);

/// The text is no ISO 3166 country code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a two-letter country code, such as US")]
pub struct InvalidRegion;

impl PhoneNumber {
    /// Reads a number in international form, or in the national form of `region`, as
    /// libphonenumber does: the first number in the text, without its extension.
    ///
    /// # Errors
    /// [`InvalidPhoneNumber`] for text that is no number or a number that cannot exist.
    pub fn parse(text: &str, region: Region) -> Result<Self, InvalidPhoneNumber> {
        let written = Written::find(text).ok_or(InvalidPhoneNumber)?;
        match nanp::judge(&written, region) {
            Verdict::Exists(national) => Ok(Self::new(1, national)),
            Verdict::None => Err(InvalidPhoneNumber),
            Verdict::Unknown => {
                let number = plan::resolve(&written, region).ok_or(InvalidPhoneNumber)?;
                Ok(Self::new(number.code, &number.national))
            }
        }
    }

    fn new(code: u16, national: &str) -> Self {
        let e164 = format!("+{code}{national}");
        Self { national: e164.len() - national.len(), e164 }
    }

    /// The number, `+14155550123`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.e164
    }

    /// The national significant number, `4155550123`: the number without its country's code.
    #[must_use]
    pub fn national(&self) -> &str {
        self.e164.get(self.national..).unwrap_or_default()
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber(..)")
    }
}

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

/// Loads the numbering plans of all countries, once. Without it the first number that is not
/// plainly North American waits for them, about a tenth of a second.
pub fn warm_up() {
    plan::load();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, e164: &str, national: &str) {
        let number = PhoneNumber::parse(text, Region::default()).unwrap();
        assert_eq!((number.as_str(), number.national()), (e164, national), "{text}");
    }

    #[test]
    fn every_way_to_write_a_number_is_the_same_number() {
        for text in ["+18605550199", "(860) 555-0199", "1 860 555 0199", " 860.555.0199 ext 7"] {
            check(text, "+18605550199", "8605550199");
        }
    }

    #[test]
    fn other_countries_numbers_keep_their_digits() {
        check("+55 11 98765-4321", "+5511987654321", "11987654321");
        check("+351912345678", "+351912345678", "912345678");
        check("+39 06 1234 5678", "+390612345678", "0612345678");
    }

    #[test]
    fn a_number_that_cannot_exist_is_none() {
        for text in ["+12345", "12345", "555-2671", "+14151234567", "+15550001234", "RENT2024"] {
            let number = PhoneNumber::parse(text, Region::default());
            assert_eq!(number, Err(InvalidPhoneNumber), "{text}");
        }
    }

    #[test]
    fn a_region_is_a_country_that_has_a_numbering_plan() {
        assert_eq!("US".parse(), Ok(Region::default()));
        for text in ["", "us", "USA", "XX", "001"] {
            assert_eq!(text.parse::<Region>(), Err(InvalidRegion), "{text}");
        }
        let lisbon = PhoneNumber::parse("912 345 678", "PT".parse().unwrap()).unwrap();
        assert_eq!(lisbon.as_str(), "+351912345678");
    }

    #[test]
    fn debug_does_not_show_the_number() {
        let number = PhoneNumber::parse("+18605550199", Region::default());
        assert_eq!(format!("{number:?}"), "Ok(PhoneNumber(..))");
    }
}
