//! How to ask others about an address.

use super::{PhoneNumber, Region};
use crate::text::Text;

/// Longer text is nobody's address, so nobody is asked about it. Characters.
const LONGEST: usize = 500;

/// The spellings under which somebody else may know an address, in the order in which to ask and
/// each once: as it came, E.164, its digits, the national significant number.
///
/// E.164 and national number are there when the text has a telephone number in it, also behind a
/// scheme: the tenant of `whatsapp:+18605550199` is the tenant of `+18605550199`, though the two
/// conversations are not one. Of other addresses there is what came and its digits. Blank text
/// and text that is too long to be an address have none.
#[must_use]
pub fn lookup_variants(original: &Text, region: Region) -> Vec<String> {
    let raw = original.as_str();
    if raw.trim().is_empty() || raw.chars().nth(LONGEST).is_some() {
        return Vec::new();
    }
    let number = PhoneNumber::parse(raw, region).ok();
    let digits: String = raw.chars().filter(char::is_ascii_digit).collect();
    let spellings = [
        Some(raw),
        number.as_ref().map(PhoneNumber::as_str),
        Some(digits.as_str()),
        number.as_ref().map(PhoneNumber::national),
    ];
    let mut variants: Vec<String> = Vec::with_capacity(spellings.len());
    for spelling in spellings.into_iter().flatten().filter(|spelling| !spelling.is_empty()) {
        if !variants.iter().any(|variant| variant == spelling) {
            variants.push(spelling.to_owned());
        }
    }
    variants
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(lookup_variants(&Text::new(text), Region::default()), expected, "{text}");
    }

    #[test]
    fn a_number_is_asked_for_as_it_came_then_from_long_to_short() {
        check("+1 860-555-0199", &["+1 860-555-0199", "+18605550199", "18605550199", "8605550199"]);
    }

    #[test]
    fn no_spelling_is_asked_for_twice() {
        check("+18605550199", &["+18605550199", "18605550199", "8605550199"]);
        check("8605550199", &["8605550199", "+18605550199"]);
        check("12345", &["12345"]);
    }

    #[test]
    fn the_number_behind_a_scheme_is_asked_for_too() {
        check(
            "whatsapp:+18605550199",
            &["whatsapp:+18605550199", "+18605550199", "18605550199", "8605550199"],
        );
    }

    #[test]
    fn what_is_no_number_is_asked_for_as_it_came_and_by_its_digits() {
        check("RENT2024", &["RENT2024", "2024"]);
        check("VERIFY", &["VERIFY"]);
        check("+52 1 55 1234 5678", &["+52 1 55 1234 5678", "5215512345678"]);
    }

    #[test]
    fn nobody_is_asked_about_nothing() {
        for text in ["", "  ", "\n", &"4".repeat(501)] {
            check(text, &[]);
        }
    }
}
