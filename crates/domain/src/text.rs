//! Text from outside that every store can keep and no log can show.

use std::fmt;

/// Personal text: a body, a number as it came, a sender's name.
///
/// Free of NUL, which PostgreSQL cannot keep; what was dropped stays recoverable from the raw
/// payload. Its `Debug` shows the length only, because what it shows ends up in a log.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Text(String);

impl Text {
    /// The text without its NUL characters.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.contains('\0') {
            text.retain(|c| c != '\0');
        }
        Self(text)
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

/// At most the first `limit` characters of `text`, without NUL.
pub(crate) fn clip(text: &str, limit: usize) -> String {
    text.chars().filter(|c| *c != '\0').take(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_is_dropped_and_nothing_else() {
        assert_eq!(Text::new("a\0b\u{1F600}\u{202E}").as_str(), "ab\u{1F600}\u{202E}");
    }

    #[test]
    fn debug_does_not_show_the_text() {
        assert_eq!(format!("{:?}", Text::new("my secret")), "Text(9 bytes)");
    }
}
