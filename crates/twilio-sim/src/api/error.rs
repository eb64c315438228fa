//! What Twilio's API says where it refuses.

use std::time::Duration;

use serde_json::{Value, json};

/// A refusal, in Twilio's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) code: u32,
    pub(crate) status: u16,
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
}

impl ApiError {
    /// The refusal with that code. `about` is the value that is wrong: as with Twilio's own, the
    /// message repeats it.
    pub(crate) fn of(code: u32, about: &str) -> Self {
        let (status, text) = known(code).unwrap_or((400, UNKNOWN));
        let message = text.replace("{}", about);
        Self { code, status, message, retry_after: None }
    }

    pub(crate) fn too_many(retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..Self::of(20429, "") }
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "code": self.code,
            "message": self.message,
            "more_info": format!("https://www.twilio.com/docs/errors/{}", self.code),
            "status": self.status,
        })
    }
}

/// What a message's `error_message` says.
pub(crate) fn short_text(code: u32) -> String {
    known(code).map_or(UNKNOWN, |(_, text)| text).replace("{}", "")
}

const UNKNOWN: &str = "Unknown error";

/// The HTTP status and the text of a code. Codes of delivery have no status of their own.
fn known(code: u32) -> Option<(u16, &'static str)> {
    Some(match code {
        20001 => (400, "Invalid parameter: {}"),
        20003 => (401, "Authenticate"),
        20004 => (405, "Method not allowed"),
        20005 => (401, "Account is not active"),
        20009 => (409, "Message {} is still in progress"),
        20404 => (404, "The requested resource {} was not found"),
        20429 => (429, "Too many requests"),
        21211 => (400, "Invalid 'To' Phone Number: {}"),
        21212 => (400, "Invalid 'From' Number: {}"),
        21408 => (400, "Sending to the region of the 'To' number {} is not enabled"),
        21602 => (400, "Message body is required."),
        21603 => (400, "A 'From' phone number is required."),
        21604 => (400, "A 'To' phone number is required."),
        21606 => (400, "The 'From' number {} is not a number of your account that can send"),
        21609 => (400, "The 'StatusCallback' URL {} is not a valid URL."),
        21610 => (400, "Attempt to send to unsubscribed recipient {}"),
        21611 => (400, "The queue of the 'From' number {} is full"),
        21612 => (400, "The 'To' number {} cannot be reached from this 'From' number"),
        21614 => (400, "'To' number {} is not a mobile number"),
        21617 => (400, "The concatenated message body exceeds the 1600 character limit"),
        21620 => (400, "Invalid media URL: {}"),
        21623 => (400, "Number of media files exceeds allowed limit"),
        21701 => (400, "The Messaging Service {} does not exist"),
        30001 => (400, "Queue overflow"),
        30002 => (400, "Account suspended"),
        30003 => (400, "Unreachable destination handset"),
        30004 => (400, "Message blocked"),
        30005 => (400, "Unknown destination handset"),
        30006 => (400, "Landline or unreachable carrier"),
        30007 => (400, "Message filtered"),
        30008 => (400, "Unknown error"),
        30022 => (400, "Rate limit of the campaign exceeded"),
        30023 => (400, "Daily limit of the brand reached"),
        30034 => (400, "The number is not registered for sending"),
        30409 => (400, "Message {} cannot be canceled"),
        30410 => (400, "Provider timed out"),
        30500 => (400, "Internal error"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_twilios_shape() {
        let error = ApiError::of(21211, "+1500").json();
        let expected = json!({
            "code": 21211,
            "message": "Invalid 'To' Phone Number: +1500",
            "more_info": "https://www.twilio.com/docs/errors/21211",
            "status": 400,
        });
        assert_eq!(error, expected);
    }

    #[test]
    fn an_unknown_code_is_a_bad_request() {
        let error = ApiError::of(99999, "x");
        assert_eq!((error.status, error.message.as_str()), (400, "Unknown error"));
    }
}
