//! The names and ids of what the callers run in a conversation, which mean nothing to us.

use crate::error::Invalid;
use crate::text::Text;

/// The longest name or id, in characters.
pub const LONGEST: usize = 200;

/// A name or an id as it is kept: without NUL, as every text, and without blanks around it. `None`
/// where nothing is left: blank is as good as absent.
///
/// # Errors
/// [`Invalid`] for that field where it is too long.
pub fn name(field: &'static str, text: &str) -> Result<Option<String>, Invalid> {
    let text = Text::new(text);
    let name = text.as_str().trim();
    if name.chars().count() > LONGEST {
        return Err(Invalid { field, reason: "must have at most 200 characters".into() });
    }
    Ok(Some(name.to_owned()).filter(|name| !name.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_without_blanks_around_it_and_blank_is_none() {
        for text in ["rent 7", " rent 7\n", "\0 rent\0 7"] {
            assert_eq!(name("workflow_id", text).unwrap().as_deref(), Some("rent 7"));
        }
        for blank in ["", "  ", "\n", "\0", " \0 "] {
            assert_eq!(name("workflow_id", blank), Ok(None));
        }
    }

    #[test]
    fn one_that_is_too_long_is_refused_and_characters_are_not_bytes() {
        let longest = "\u{e9}".repeat(LONGEST);
        assert_eq!(name("workflow_id", &format!(" {longest} ")), Ok(Some(longest.clone())));
        let refused = name("workflow_id", &format!("{longest}x")).unwrap_err();
        assert_eq!(refused.field, "workflow_id");
    }
}
