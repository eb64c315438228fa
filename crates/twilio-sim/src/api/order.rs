//! The form that creates a message, and whether Twilio would take it.

use adapter_twilio::form::Form;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use crate::account::Account;
use crate::api::error::ApiError;
use crate::message::Status;

const LONGEST_BODY: usize = 1_600;
const MOST_MEDIA: usize = 10;
const LONGEST_VALIDITY: u32 = 36_000;

/// The number that all accounts may send from (Twilio's test credentials).
const VALID_NUMBER: &str = "+15005550006";

/// A message that somebody wants to be made.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) to: String,
    pub(crate) from: Option<String>,
    pub(crate) messaging_service_sid: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) media: Vec<String>,
    pub(crate) status_callback: Option<String>,
    pub(crate) validity_period: Option<u32>,
    pub(crate) send_at: Option<OffsetDateTime>,
    /// A parameter that cannot be read.
    unreadable: Option<&'static str>,
}

impl Order {
    /// Reads a form. What it leaves empty is not there.
    pub(crate) fn parse(body: &[u8]) -> Self {
        let form = Form::parse(body);
        let text = |name| form.text(name).filter(|text| !text.is_empty()).map(String::from);
        let validity = text("ValidityPeriod").map(|seconds| seconds.parse().ok());
        let send_at = text("SendAt").map(|at| OffsetDateTime::parse(&at, &Rfc3339).ok());
        let unreadable = match (&validity, &send_at) {
            (Some(None), _) => Some("ValidityPeriod"),
            (_, Some(None)) => Some("SendAt"),
            _ => None,
        };
        let media = form.fields().iter().filter(|field| *field.name == *b"MediaUrl");
        Self {
            to: text("To").map(|to| address(&to)).unwrap_or_default(),
            from: text("From").map(|from| address(&from)),
            messaging_service_sid: text("MessagingServiceSid"),
            body: text("Body"),
            media: media.map(|url| String::from_utf8_lossy(&url.value).into_owned()).collect(),
            status_callback: text("StatusCallback"),
            validity_period: validity.flatten(),
            send_at: send_at.flatten(),
            unreadable,
        }
    }

    /// Whether that account may have this message.
    pub(crate) fn check(&self, account: &Account) -> Result<(), ApiError> {
        self.check_recipient()?;
        self.check_sender(&account.numbers)?;
        self.check_content()?;
        self.check_settings()
    }

    pub(crate) fn initial_status(&self) -> Status {
        match (&self.messaging_service_sid, self.send_at) {
            (None, _) => Status::Queued,
            (Some(_), None) => Status::Accepted,
            (Some(_), Some(_)) => Status::Scheduled,
        }
    }

    fn check_recipient(&self) -> Result<(), ApiError> {
        let code = match self.to.as_str() {
            "" => 21604,
            "+15005550001" => 21211,
            "+15005550002" => 21612,
            "+15005550003" => 21408,
            "+15005550004" => 21610,
            "+15005550009" => 21614,
            to if is_e164(without_channel(to)) => return Ok(()),
            _ => 21211,
        };
        Err(ApiError::of(code, &self.to))
    }

    fn check_sender(&self, numbers: &[String]) -> Result<(), ApiError> {
        let Some(from) = self.from.as_deref() else {
            return self.check_service();
        };
        let code = match from {
            "+15005550001" => 21212,
            "+15005550007" => 21606,
            "+15005550008" => 21611,
            VALID_NUMBER => return Ok(()),
            from if !is_sender(from) => 21212,
            from if numbers.is_empty() || numbers.iter().any(|number| number == from) => {
                return Ok(());
            }
            _ => 21606,
        };
        Err(ApiError::of(code, from))
    }

    fn check_service(&self) -> Result<(), ApiError> {
        match self.messaging_service_sid.as_deref() {
            None => Err(ApiError::of(21603, "")),
            Some(sid) if is_service_sid(sid) => Ok(()),
            Some(sid) => Err(ApiError::of(21701, sid)),
        }
    }

    fn check_content(&self) -> Result<(), ApiError> {
        let length = self.body.as_deref().map_or(0, |body| body.chars().count());
        if length == 0 && self.media.is_empty() {
            return Err(ApiError::of(21602, ""));
        }
        if length > LONGEST_BODY {
            return Err(ApiError::of(21617, ""));
        }
        if self.media.len() > MOST_MEDIA {
            return Err(ApiError::of(21623, ""));
        }
        match self.media.iter().find(|url| !is_web_address(url)) {
            Some(url) => Err(ApiError::of(21620, url)),
            None => Ok(()),
        }
    }

    fn check_settings(&self) -> Result<(), ApiError> {
        if let Some(url) = self.status_callback.as_deref().filter(|url| !is_callback(url)) {
            return Err(ApiError::of(21609, url));
        }
        if let Some(name) = self.unreadable {
            return Err(ApiError::of(20001, name));
        }
        if self.validity_period.is_some_and(|seconds| !(1..=LONGEST_VALIDITY).contains(&seconds)) {
            return Err(ApiError::of(20001, "ValidityPeriod"));
        }
        if self.send_at.is_some() && self.messaging_service_sid.is_none() {
            return Err(ApiError::of(20001, "SendAt"));
        }
        Ok(())
    }
}

/// A number as Twilio reads it: without what people write between the digits, and with the code of
/// the United States where it has none. Anything else stays as it is.
pub(crate) fn address(text: &str) -> String {
    let text = text.trim();
    let is_written = |c: char| c.is_ascii_digit() || " -().+".contains(c);
    if !text.chars().all(is_written) {
        return text.to_owned();
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    match (text.starts_with('+'), digits.len()) {
        (true, _) => format!("+{digits}"),
        (false, 10) => format!("+1{digits}"),
        (false, 11) if digits.starts_with('1') => format!("+{digits}"),
        (false, _) => digits,
    }
}

fn without_channel(address: &str) -> &str {
    let channel = |name: &str| address.strip_prefix(name);
    channel("whatsapp:").or_else(|| channel("messenger:")).unwrap_or(address)
}

fn is_e164(number: &str) -> bool {
    let digits = number.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0')
}

/// A number, a short code or an alphanumeric sender.
fn is_sender(from: &str) -> bool {
    let number = without_channel(from);
    let short_code = (3..=8).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    let alphanumeric = (1..=11).contains(&from.len())
        && from.bytes().any(|byte| byte.is_ascii_alphabetic())
        && from.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" +-_&".contains(&byte));
    is_e164(number) || short_code || alphanumeric
}

fn is_service_sid(sid: &str) -> bool {
    sid.len() == 34
        && sid.starts_with("MG")
        && sid.bytes().skip(2).all(|byte| byte.is_ascii_hexdigit())
}

fn is_web_address(text: &str) -> bool {
    let url = Url::parse(text);
    url.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Twilio calls no host with an underscore. It would not reach this machine either, but we do.
fn is_callback(text: &str) -> bool {
    let has_underscore =
        Url::parse(text).is_ok_and(|url| url.host_str().is_some_and(|host| host.contains('_')));
    is_web_address(text) && !has_underscore
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read() {
        let order = Order::parse(
            b"To=%28415%29+555-0100&From=12345&Body=a%2Bb+c&MediaUrl=https%3A%2F%2Fe.com%2Fa+b.png\
              &MediaUrl=https%3A%2F%2Fe.com%2F2&StatusCallback=https%3A%2F%2Fe.com%2Fs%3Fa%3Db%2520c\
              &ValidityPeriod=600&New=1",
        );
        assert_eq!(order.to, "+14155550100");
        assert_eq!(order.from.as_deref(), Some("12345"));
        assert_eq!(order.body.as_deref(), Some("a+b c"));
        assert_eq!(order.media, ["https://e.com/a b.png", "https://e.com/2"]);
        assert_eq!(order.status_callback.as_deref(), Some("https://e.com/s?a=b%20c"));
        assert_eq!(order.validity_period, Some(600));
        assert!(Order::parse(b"To=&Body=") == Order::default());
    }

    #[test]
    fn numbers_are_read_as_twilio_reads_them() {
        let check = |text: &str, read: &str| assert_eq!(address(text), read);
        check("+1 415-555-0100", "+14155550100");
        check("4155550100", "+14155550100");
        check("14155550100", "+14155550100");
        check("12345", "12345");
        check("RENT2024", "RENT2024");
        check("whatsapp:+14155550100", "whatsapp:+14155550100");
    }

    #[test]
    fn what_can_be_called_is_known() {
        for url in ["https://e.com/s?a=1", "http://127.0.0.1:8080/", "http://localhost/a_b"] {
            assert!(is_callback(url), "{url}");
        }
        for url in ["", "/s", "ftp://e.com", "https://my_host.com/s"] {
            assert!(!is_callback(url), "{url}");
        }
    }

    #[test]
    fn senders_are_numbers_codes_and_words() {
        for from in ["+15017122661", "12345", "MYBRAND", "whatsapp:+14155238886"] {
            assert!(is_sender(from), "{from}");
        }
        for from in ["", "+0", "1", "a-word-that-is-too-long", "whatsapp:", "a*b"] {
            assert!(!is_sender(from), "{from}");
        }
    }
}
