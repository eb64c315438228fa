//! What an answer, or none, means: of a request to send, and of a question.
//!
//! A message is proven not to exist in two cases only: nothing was sent, or Twilio said no (4xx).
//! All else is ambiguous, because Twilio's create call is not idempotent.

use domain::ports::{ProviderError, ProviderFault, SendOutcome, UnsentReason};
use httpclient::{Error, Response};
use serde_json::Value;

use crate::answer;
use crate::codes::{self, Kind};

/// What became of one request to send.
pub(crate) fn of_sending(answer: Result<Response, Error>) -> SendOutcome {
    match answer {
        Ok(response) => of_created(&response),
        Err(Error::NotSuccess(response)) => of_refusal(&response),
        Err(Error::NotConnected(_)) => {
            let fault = fault("connect", "Twilio could not be reached; nothing was sent.");
            SendOutcome::Unsent { reason: UnsentReason::Busy, fault, retry_after: None }
        }
        Err(Error::NoTransport | Error::Credentials | Error::Unusable(_)) => {
            SendOutcome::Refused(fault("request", "The request could not be put together."))
        }
        Err(Error::TimedOut(_)) => SendOutcome::Ambiguous(fault(
            "timeout",
            "Twilio did not answer in time; the message may have been sent.",
        )),
        Err(Error::Broken(_)) => SendOutcome::Ambiguous(fault(
            "broken",
            "The connection to Twilio broke; the message may have been sent.",
        )),
        Err(Error::TooLarge { .. } | Error::Unreadable { .. }) => {
            SendOutcome::Ambiguous(unreadable(None))
        }
    }
}

/// Why a question brought no usable answer.
pub(crate) fn of_asking(error: Error) -> ProviderError {
    let Error::NotSuccess(response) = error else {
        return ProviderError::Unavailable { retry_after: None, source: error.into() };
    };
    let (status, code) = (response.status(), answer::error_code(&response));
    let kind = code.as_deref().and_then(codes::kind);
    let source = NotAnswered { status, code }.into();
    match (status, kind) {
        _ if !is_final(status) || status == 429 => {
            ProviderError::Unavailable { retry_after: answer::retry_after(&response), source }
        }
        (_, Some(Kind::Wait | Kind::Transient)) => {
            ProviderError::Unavailable { retry_after: answer::retry_after(&response), source }
        }
        (401 | 403, _) | (_, Some(Kind::Account)) => ProviderError::Account(source),
        _ => ProviderError::Rejected(source),
    }
}

/// The code of why a question brought no usable answer: Twilio's own, or a word of ours (`timeout`,
/// `connect`, `broken`, `unreadable`, `request`); `None` where it has none.
#[must_use]
pub fn code_of(error: &ProviderError) -> Option<&str> {
    let cause = std::error::Error::source(error)?;
    if let Some(answered) = cause.downcast_ref::<NotAnswered>() {
        return answered.code.as_deref();
    }
    Some(match cause.downcast_ref::<Error>()? {
        Error::NotConnected(_) => "connect",
        Error::TimedOut(_) => "timeout",
        Error::Broken(_) => "broken",
        Error::TooLarge { .. } | Error::Unreadable { .. } => "unreadable",
        Error::NoTransport | Error::Credentials | Error::Unusable(_) => "request",
        Error::NotSuccess(_) => return None,
    })
}

/// Twilio answered with an error.
#[derive(Debug, thiserror::Error)]
#[error("Twilio answered {status}, code {}", .code.as_deref().unwrap_or("none"))]
struct NotAnswered {
    status: u16,
    code: Option<String>,
}

fn of_created(response: &Response) -> SendOutcome {
    match response.json::<Value>().ok().and_then(answer::message) {
        Some(message) => SendOutcome::Accepted(Box::new(message)),
        None => SendOutcome::Ambiguous(unreadable(Some(response.status()))),
    }
}

fn of_refusal(response: &Response) -> SendOutcome {
    let status = response.status();
    let code = answer::error_code(response);
    if !is_final(status) {
        return SendOutcome::Ambiguous(ProviderFault {
            status: Some(status),
            ..unclear(code.as_deref())
        });
    }
    let reason = unsent_reason(status, code.as_deref());
    let fault = ProviderFault { status: Some(status), ..refused(code.as_deref()) };
    match reason {
        Some(reason) => {
            SendOutcome::Unsent { reason, fault, retry_after: answer::retry_after(response) }
        }
        None => SendOutcome::Refused(fault),
    }
}

/// Whether a status says that the request did not and will not take effect.
fn is_final(status: u16) -> bool {
    (400..500).contains(&status) && status != 408
}

/// Why a later request may succeed; `None` where none will.
fn unsent_reason(status: u16, code: Option<&str>) -> Option<UnsentReason> {
    match (status, code.and_then(codes::kind)) {
        (_, Some(Kind::Wait)) => Some(UnsentReason::Window),
        (429, _) | (_, Some(Kind::Transient)) => Some(UnsentReason::Busy),
        // A bare 403 is a proxy's or a firewall's word about this one request.
        (_, Some(Kind::Account)) | (401, None) => Some(UnsentReason::Account),
        _ => None,
    }
}

/// The sentence is ours: Twilio's own can hold a telephone number.
fn refused(code: Option<&str>) -> ProviderFault {
    let Some(code) = code else {
        return fault("unreadable", "Twilio refused the message without a code.");
    };
    let sentence = codes::explain(code);
    fault(code, sentence.unwrap_or("Twilio refused the message, for a reason not known here."))
}

fn unclear(code: Option<&str>) -> ProviderFault {
    let sentence = "Twilio had a failure of its own; the message may have been sent.";
    fault(code.unwrap_or("unclear"), sentence)
}

fn unreadable(status: Option<u16>) -> ProviderFault {
    let sentence = "Twilio's answer could not be read; the message may have been sent.";
    ProviderFault { status, ..fault("unreadable", sentence) }
}

fn fault(code: &str, sentence: &str) -> ProviderFault {
    ProviderFault { status: None, code: Some(code.to_owned()), message: Some(sentence.to_owned()) }
}

/// An error about a list that Twilio answered, but not as it should.
pub(crate) fn odd_list(what: &'static str) -> ProviderError {
    ProviderError::Rejected(what.into())
}

/// The account is there, but cannot be used.
pub(crate) fn idle_account() -> ProviderError {
    ProviderError::Account("the account is suspended or closed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_without_an_answer_has_twilios_code_or_a_word_of_ours() {
        let answered = |code: Option<&str>| {
            let code = code.map(str::to_owned);
            ProviderError::Rejected(NotAnswered { status: 400, code }.into())
        };
        for (error, code) in [
            (answered(Some("20003")), Some("20003")),
            (answered(None), None),
            (of_asking(Error::Credentials), Some("request")),
            (of_asking(Error::TooLarge { limit: 1 }), Some("unreadable")),
            (of_asking(Error::Unreadable { line: 1, column: 1 }), Some("unreadable")),
            (odd_list("the answer is no list"), None),
            (idle_account(), None),
        ] {
            assert_eq!(code_of(&error), code, "{error:?}");
        }
    }
}
