//! What becomes of a request to create a message.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::mix::InvalidSetting;

/// What becomes of a request to create a message. `Display` and `FromStr` use the words given here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Failure {
    /// `answer`: it is answered as it deserves.
    #[default]
    Answer,
    /// `answer-slowly:150ms`: the same, but the answer comes that long after the message was made.
    AnswerSlowly(Duration),
    /// `drop-after-accepting`: the message is made and the connection cut without an answer.
    DropAfterAccepting,
    /// `drop-before-accepting`: the connection is cut, and no message is made.
    DropBeforeAccepting,
    /// `hang:created` and `hang:nothing`: no answer ever comes, the connection stays open.
    Hang {
        /// Whether the message is made.
        created: bool,
    },
    /// `500:created` and `500:nothing`: a 500 without a body that could be read.
    Error500 {
        /// Whether the message is made.
        created: bool,
    },
    /// `429` and `429:2s`: too many requests (20429); no message is made.
    TooMany {
        /// What `Retry-After` says, in whole seconds.
        retry_after: Option<Duration>,
    },
    /// `error:21610`: refused with that code of Twilio's; no message is made.
    Error(u32),
}

const EXPECTED: &str = "answer, answer-slowly:150ms, drop-after-accepting, drop-before-accepting, \
    hang:created, hang:nothing, 500:created, 500:nothing, 429, 429:2s, error:21610";

impl FromStr for Failure {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || match text.split_once(':') {
            None => match text {
                "answer" => Some(Self::Answer),
                "drop-after-accepting" => Some(Self::DropAfterAccepting),
                "drop-before-accepting" => Some(Self::DropBeforeAccepting),
                "429" => Some(Self::TooMany { retry_after: None }),
                _ => None,
            },
            Some(("answer-slowly", wait)) => Some(Self::AnswerSlowly(duration(wait)?)),
            Some(("hang", made)) => Some(Self::Hang { created: created(made)? }),
            Some(("500", made)) => Some(Self::Error500 { created: created(made)? }),
            Some(("429", wait)) => Some(Self::TooMany { retry_after: Some(duration(wait)?) }),
            Some(("error", code)) => code.parse().ok().map(Self::Error),
            Some(_) => None,
        };
        read().ok_or_else(|| InvalidSetting { text: text.to_owned(), expected: EXPECTED })
    }
}

fn duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}

fn created(text: &str) -> Option<bool> {
    match text {
        "created" => Some(true),
        "nothing" => Some(false),
        _ => None,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |created: bool| if created { "created" } else { "nothing" };
        match self {
            Self::Answer => f.write_str("answer"),
            Self::AnswerSlowly(wait) => {
                write!(f, "answer-slowly:{}", humantime::format_duration(*wait))
            }
            Self::DropAfterAccepting => f.write_str("drop-after-accepting"),
            Self::DropBeforeAccepting => f.write_str("drop-before-accepting"),
            Self::Hang { created } => write!(f, "hang:{}", word(*created)),
            Self::Error500 { created } => write!(f, "500:{}", word(*created)),
            Self::TooMany { retry_after: None } => f.write_str("429"),
            Self::TooMany { retry_after: Some(wait) } => {
                write!(f, "429:{}", humantime::format_duration(*wait))
            }
            Self::Error(code) => write!(f, "error:{code}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_is_written_as_it_is_read() {
        for text in EXPECTED.split(", ") {
            assert_eq!(text.parse::<Failure>().unwrap().to_string(), text);
        }
        for text in ["", "hang", "hang:maybe", "error:x", "answer-slowly", "429:", "answer:1s"] {
            let error = text.parse::<Failure>().unwrap_err();
            assert_eq!(error.text, text);
        }
    }
}
