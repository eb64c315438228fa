//! What error codes mean, in plain words.

use domain::outbound::{CANCELED, EXHAUSTED, EXPIRED, NOT_SENT};
use domain::outbox::Outbox;

/// One of our own codes, or one of Twilio's where sending is configured.
pub(crate) fn explain(outbox: Option<&Outbox>, code: &str) -> Option<&'static str> {
    ours(code).or_else(|| outbox?.explain(code))
}

/// Whether it is one of Twilio's: those are numbers.
pub(crate) fn is_providers(code: &str) -> bool {
    !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_digit())
}

fn ours(code: &str) -> Option<&'static str> {
    Some(match code {
        NOT_SENT => {
            "The request to send it had no answer, and Twilio shows no trace of it. It is never \
             sent again by us: ask for it anew if it is still wanted."
        }
        EXPIRED => {
            "Twilio could not take it before it expired. It will not be sent; the attempts say why."
        }
        EXHAUSTED => {
            "Twilio could not take it, however often it was tried. It will not be sent; the \
             attempts say why."
        }
        CANCELED => "It was cancelled before it was sent.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_of_ours_has_words() {
        for code in [NOT_SENT, EXPIRED, EXHAUSTED, CANCELED] {
            assert!(explain(None, code).is_some(), "{code}");
        }
        assert_eq!(explain(None, "21610"), None);
    }

    #[test]
    fn twilios_codes_are_numbers() {
        assert!(is_providers("21610"));
        for ours in ["", "timeout", "http_400", NOT_SENT] {
            assert!(!is_providers(ours), "{ours}");
        }
    }
}
