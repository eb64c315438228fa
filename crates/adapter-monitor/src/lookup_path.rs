//! The path of a lookup, as deployments differ in it.

use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands where the spelling goes.
const PHONE: &str = "{phone}";

/// What needs no escape in any place of a URL: RFC 3986, section 2.3.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A path, perhaps with a query, with `{phone}` where the spelling of a number goes: in the
/// query, `/tenants/lookup?phone={phone}` (the default), or in the path, `/phones/{phone}/tenant`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupPath(String);

impl LookupPath {
    /// The path for that spelling, encoded. `None` for blank text and for nothing but dots, which
    /// would be another path or a question for all tenants; they are nobody's number.
    pub(crate) fn of(&self, spelling: &str) -> Option<String> {
        if spelling.chars().all(|c| c == '.' || c.is_whitespace()) {
            return None;
        }
        let encoded = utf8_percent_encode(spelling, ESCAPED).to_string();
        Some(self.0.replace(PHONE, &encoded))
    }
}

impl Default for LookupPath {
    fn default() -> Self {
        Self("/tenants/lookup?phone={phone}".to_owned())
    }
}

impl FromStr for LookupPath {
    type Err = InvalidLookupPath;

    fn from_str(setting: &str) -> Result<Self, Self::Err> {
        let path = setting.trim();
        if !path.starts_with('/') {
            return Err(InvalidLookupPath::NoPath);
        }
        if !path.contains(PHONE) {
            return Err(InvalidLookupPath::NoPhone);
        }
        let rest = path.replace(PHONE, "");
        let is_odd = |c: char| matches!(c, '{' | '}' | '#' | '\\') || !c.is_ascii_graphic();
        if rest.contains(is_odd) {
            return Err(InvalidLookupPath::OddCharacter);
        }
        Ok(Self(path.to_owned()))
    }
}

/// The setting cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLookupPath {
    /// It is no path.
    #[error("must begin with a slash: only what follows MONITOR_API_URL")]
    NoPath,
    /// Every number would be the same.
    #[error("must have {{phone}} where the number goes, as in /tenants/lookup?phone={{phone}}")]
    NoPhone,
    /// Something in it cannot be sent as it is.
    #[error(
        "must be encoded already and have no fragment: no blank, #, backslash, non-ASCII letter, \
         nor braces other than those of {{phone}}"
    )]
    OddCharacter,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use url::Url;

    fn path(setting: &str) -> LookupPath {
        setting.parse().unwrap()
    }

    #[test]
    fn a_spelling_is_encoded_in_whatever_place() {
        let check = |template: &str, spelling: &str, expected: &str| {
            assert_eq!(path(template).of(spelling).as_deref(), Some(expected), "{template}");
        };
        let usual = "/tenants/lookup?phone={phone}";
        assert_eq!(path(usual), LookupPath::default());
        check(usual, "+18605550199", "/tenants/lookup?phone=%2B18605550199");
        check(usual, "(860) 555-0199", "/tenants/lookup?phone=%28860%29%20555-0199");
        check(
            usual,
            "a&b=c#d%/é{phone}",
            "/tenants/lookup?phone=a%26b%3Dc%23d%25%2F%C3%A9%7Bphone%7D",
        );
        check(" /p/{phone}/t ", "../+1", "/p/..%2F%2B1/t");
        check("/p/{phone}?q={phone}", "1", "/p/1?q=1");
    }

    #[test]
    fn blank_text_and_dots_are_not_asked_for() {
        for nothing in ["", " ", "\n", ".", "..", ". ."] {
            assert_eq!(LookupPath::default().of(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn any_other_setting_says_what_to_change() {
        let check = |setting: &str, fault: InvalidLookupPath| {
            assert_eq!(setting.parse::<LookupPath>(), Err(fault), "{setting}");
        };
        check("", InvalidLookupPath::NoPath);
        check("tenants?phone={phone}", InvalidLookupPath::NoPath);
        check("http://h/{phone}", InvalidLookupPath::NoPath);
        check("/tenants/lookup?phone=", InvalidLookupPath::NoPhone);
        check("/tenants/{Phone}", InvalidLookupPath::NoPhone);
        for odd in ["/{id}/{phone}", "/a b/{phone}", "/#{phone}", "/é/{phone}", "/\\{phone}"] {
            check(odd, InvalidLookupPath::OddCharacter);
        }
        let shown = InvalidLookupPath::NoPhone.to_string();
        assert_eq!(
            shown,
            "must have {phone} where the number goes, as in /tenants/lookup?phone={phone}"
        );
    }

    proptest! {
        #[test]
        fn no_spelling_changes_anything_but_its_own_place(spelling in "\\PC{0,12}|[./\\\\#?&%]{0,6}") {
            if let Some(path) = path("/a/{phone}/b?c={phone}&d=e").of(&spelling) {
                let url = Url::parse(&format!("http://h{path}")).unwrap();
                let segments: Vec<_> = url.path_segments().unwrap().collect();
                prop_assert_eq!((segments.len(), segments[0], segments[2]), (3, "a", "b"));
                let pairs: Vec<_> = url.query_pairs().collect();
                prop_assert_eq!(pairs, [("c".into(), spelling.as_str().into()), ("d".into(), "e".into())]);
                prop_assert_eq!(url.fragment(), None);
            }
        }
    }
}
