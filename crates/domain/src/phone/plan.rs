//! Numbering plans: which digits are a number, and of which country.
//!
//! The metadata are libphonenumber's, as crate `phonenumber` brings them. The rules are
//! libphonenumber's too, spelled out here because the crate's own differ: it takes the default
//! country's prefix off other countries' numbers, and it calls a number valid of which only the
//! beginning is.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use phonenumber::Metadata;
use phonenumber::metadata::{DATABASE, Descriptor};
use regex::{Regex, RegexBuilder};

use super::Region;
use super::written::Written;

/// A number that exists.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    /// The country calling code.
    pub(super) code: u16,
    /// The national significant number.
    pub(super) national: String,
}

/// Loads the metadata, which the first use of a plan does otherwise.
pub(super) fn load() {
    let _ = Plan::of_region(Region::default());
}

/// The number that somebody in `region` means, if its country has such numbers.
pub(super) fn resolve(written: &Written, region: Region) -> Option<Resolved> {
    let (plan, digits) = dialled(written, Plan::of_region(region)?)?;
    let code = plan.0.country_code();
    // Otherwise reading an E.164 number again could take a prefix off it.
    if written.international && exists(code, &digits) {
        return Some(Resolved { code, national: digits });
    }
    let national = plan.national_number(&digits);
    exists(code, &national).then_some(Resolved { code, national })
}

/// The country that is called, and what is dialled there.
fn dialled(written: &Written, home: Plan) -> Option<(Plan, String)> {
    let digits = written.digits.as_str();
    let abroad = |digits: &str| {
        let (plan, rest) = split_code(digits).filter(|_| digits.len() > 2)?;
        Some((plan, rest.to_owned()))
    };
    if written.international
        && let Some(called) = abroad(digits)
    {
        return Some(called);
    }
    if let Some(rest) = home.past_international_prefix(digits) {
        return abroad(rest);
    }
    if let Some(rest) = home.past_own_code(digits) {
        return Some((Plan::of_code(home.0.country_code())?, rest));
    }
    (!written.international).then(|| (home, digits.to_owned()))
}

/// The country whose calling code the digits begin with, and the rest of them.
fn split_code(digits: &str) -> Option<(Plan, &str)> {
    (1..=3).find_map(|length| {
        let (code, rest) = digits.split_at_checked(length)?;
        let plan = Plan::of_code(code.parse().ok().filter(|_| !code.starts_with('0'))?)?;
        Some((plan, rest))
    })
}

/// Whether a country with that calling code has that number.
fn exists(code: u16, national: &str) -> bool {
    let plans = DATABASE.by_code(&code).unwrap_or_default();
    let mut plans = plans.into_iter().map(Plan);
    if plans.len() == 1 {
        return plans.all(|plan| plan.has(national));
    }
    // Of several countries the first one that claims a number decides.
    let decides = |plan: &Plan| match plan.0.leading_digits() {
        Some(leading) => beginning(leading.as_str()).is_some_and(|it| it.is_match(national)),
        None => plan.has(national),
    };
    plans.find(decides).is_some_and(|plan| plan.has(national))
}

/// The numbering plan of a country.
#[derive(Clone, Copy)]
struct Plan(&'static Metadata);

impl Plan {
    fn of_region(region: Region) -> Option<Self> {
        DATABASE.by_id(region.0.as_ref()).map(Self)
    }

    /// The plan of the main country with that calling code.
    fn of_code(code: u16) -> Option<Self> {
        DATABASE.by_code(&code)?.into_iter().next().map(Self)
    }

    /// What is left after the prefix for calls to other countries, such as `011`.
    fn past_international_prefix(self, digits: &str) -> Option<&str> {
        let prefix = beginning(self.0.international_prefix()?.as_str())?;
        let rest = digits.get(prefix.find(digits)?.end()..)?;
        (!rest.starts_with('0')).then_some(rest)
    }

    /// What is left after the country's own calling code, where that makes a better number.
    fn past_own_code(self, digits: &str) -> Option<String> {
        let rest = digits.strip_prefix(&self.0.country_code().to_string())?;
        let rest = self.without_national_prefix(rest);
        let better = !self.fits(digits) && self.fits(&rest);
        (better || self.is_too_long(digits)).then_some(rest)
    }

    /// The national significant number of what is dialled within the country.
    fn national_number(self, digits: &str) -> String {
        let bare = self.without_national_prefix(digits);
        let possible = self.kinds().any(|kind| has_length(kind, &bare));
        if possible || self.is_too_long(&bare) { bare } else { digits.to_owned() }
    }

    /// Without the prefix for calls to other places, unless it is needed to make a number; in some
    /// countries something else takes its place.
    fn without_national_prefix(self, digits: &str) -> String {
        self.prefix_replaced(digits)
            .filter(|bare| self.fits(bare) || !self.fits(digits))
            .unwrap_or_else(|| digits.to_owned())
    }

    fn prefix_replaced(self, digits: &str) -> Option<String> {
        let prefix = beginning(match self.0.national_prefix_for_parsing() {
            Some(pattern) => pattern.as_str(),
            None => self.0.national_prefix()?,
        })?;
        let groups = prefix.captures(digits)?;
        let last = groups.get(groups.len() - 1);
        match self.0.national_prefix_transform_rule() {
            Some(rule) if last.is_some() => Some(prefix.replace(digits, rule).into_owned()),
            _ => digits.get(groups.get(0)?.end()..).map(str::to_owned),
        }
    }

    /// Whether it has the form of the country's numbers in general.
    fn fits(self, national: &str) -> bool {
        is_whole(self.0.descriptors().general(), national)
    }

    fn is_too_long(self, digits: &str) -> bool {
        let mut lengths = self.kinds().flat_map(Descriptor::possible_length);
        lengths.all(|length| usize::from(*length) < digits.len())
    }

    /// Whether it is a number of any kind.
    fn has(self, national: &str) -> bool {
        let mut kinds = self.kinds().filter(|kind| has_length(kind, national));
        kinds.any(|kind| is_whole(kind, national)) && self.fits(national)
    }

    fn kinds(self) -> impl Iterator<Item = &'static Descriptor> {
        let kinds = self.0.descriptors();
        let kinds = [
            kinds.fixed_line(),
            kinds.mobile(),
            kinds.toll_free(),
            kinds.premium_rate(),
            kinds.shared_cost(),
            kinds.personal_number(),
            kinds.voip(),
            kinds.pager(),
            kinds.uan(),
            kinds.voicemail(),
        ];
        kinds.into_iter().flatten()
    }
}

fn has_length(kind: &Descriptor, national: &str) -> bool {
    kind.possible_length().iter().any(|length| usize::from(*length) == national.len())
}

fn is_whole(kind: &'static Descriptor, national: &str) -> bool {
    compiled(kind.national_number().as_str(), "$").is_some_and(|it| it.is_match(national))
}

fn beginning(pattern: &'static str) -> Option<Arc<Regex>> {
    compiled(pattern, "")
}

/// More are not kept, whatever countries texts come from.
const MOST_PATTERNS: usize = 128;

type Patterns = HashMap<(&'static str, &'static str), Arc<Regex>>;

/// A pattern of the metadata that begins where the digits begin, and `end`s with them or anywhere.
/// `None` if it is broken.
fn compiled(pattern: &'static str, end: &'static str) -> Option<Arc<Regex>> {
    static PATTERNS: LazyLock<Mutex<Patterns>> = LazyLock::new(Mutex::default);
    let mut patterns = PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(compiled) = patterns.get(&(pattern, end)) {
        return Some(Arc::clone(compiled));
    }
    // ASCII digits only, and white space in the metadata is layout.
    let source = format!("^(?:{pattern}){end}");
    let compiled =
        RegexBuilder::new(&source).unicode(false).ignore_whitespace(true).build().ok()?;
    if patterns.len() >= MOST_PATTERNS {
        patterns.clear();
    }
    Some(Arc::clone(patterns.entry((pattern, end)).or_insert_with(|| Arc::new(compiled))))
}

#[cfg(test)]
mod tests {
    use phonenumber::country;

    use super::*;

    fn check(text: &str, region: country::Id, expected: &str) {
        let written = Written::find(text).unwrap();
        let number =
            resolve(&written, Region(region)).map(|n| format!("+{} {}", n.code, n.national));
        assert_eq!(number.unwrap_or_default(), expected, "{text}");
    }

    #[test]
    fn a_number_is_dialled_as_its_country_dials() {
        check("(860) 555-0199", country::US, "+1 8605550199");
        check("1 860 555 0199", country::US, "+1 8605550199");
        check("02079460958", country::GB, "+44 2079460958");
        check("06 1234 5678", country::IT, "+39 0612345678");
        check("912 345 678", country::PT, "+351 912345678");
        check("02079460958", country::US, "");
    }

    #[test]
    fn other_countries_are_reached_by_plus_or_by_the_prefix_of_ones_own() {
        check("011 44 7911 123456", country::US, "+44 7911123456");
        check("+011 44 7911 123456", country::US, "+44 7911123456");
        check("00 44 7911 123456", country::PT, "+44 7911123456");
        check("00 44 7911 123456", country::US, "");
        check("+014155552671", country::US, "");
    }

    #[test]
    fn national_prefixes_inside_international_numbers_are_taken_off() {
        check("+55 011 98765-4321", country::US, "+55 11987654321");
        check("+33 (0)6 12 34 56 78", country::US, "+33 612345678");
        check("+54 11 15 2345-6789", country::US, "+54 91123456789");
        check("+39 06 1234 5678", country::US, "+39 0612345678");
    }

    #[test]
    fn a_number_that_begins_like_a_prefix_is_the_same_number_when_it_is_read_again() {
        check("0 810 690 3101", country::BY, "+375 8106903101");
        check("+3758106903101", country::BY, "+375 8106903101");
    }

    #[test]
    fn the_default_countrys_prefix_stays_in_other_countries_numbers() {
        check("+5511987654321", country::US, "+55 11987654321");
        check("+4915112345678", country::US, "+49 15112345678");
        check("+8613812345678", country::US, "+86 13812345678");
        check("+808 1234 5678", country::US, "+808 12345678");
    }

    #[test]
    fn a_number_is_valid_as_a_whole_or_not_at_all() {
        // Crate `phonenumber` takes these for valid.
        for text in ["+385123456784", "+35322123456", "+611303123156", "+880271112343"] {
            check(text, country::US, "");
        }
    }

    #[test]
    fn every_pattern_of_the_metadata_compiles() {
        for plan in DATABASE.iter().map(Plan) {
            let id = plan.0.id();
            assert!(plan.kinds().next().is_some(), "{id}");
            for kind in plan.kinds().chain([plan.0.descriptors().general()]) {
                assert!(compiled(kind.national_number().as_str(), "$").is_some(), "{id}");
            }
            let beginnings = [
                plan.0.international_prefix(),
                plan.0.national_prefix_for_parsing(),
                plan.0.leading_digits(),
            ];
            for pattern in beginnings.into_iter().flatten() {
                assert!(beginning(pattern.as_str()).is_some(), "{id}");
            }
        }
    }
}
