//! Requests as Twilio and the callers of the API make them, ready to be written to a connection.

use std::sync::atomic::{AtomicU64, Ordering};

use adapter_twilio::form::Form;
use adapter_twilio::signature::{Key, Payload, sign};
use anyhow::{Context, Result};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// What the service is told that Twilio calls, and the token that proves it.
pub(crate) const PUBLIC: &str = "https://sms.example.com";
pub(crate) const TOKEN: &str = "7f3c1e0b9a8d4c6f5e2b1a0d9c8f7e6b";
/// How many tenants write, as in `reference/inbound.sql`.
pub(crate) const TENANTS: u64 = 5001;

/// No SID is ever used twice.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Signs as Twilio does. Requests are signed before the clock runs.
pub(crate) struct Signer {
    key: Key,
}

impl Signer {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { key: Key::new(TOKEN).context("the token is no key")? })
    }

    /// Texts of random tenants, the same as `reference/inbound.sql` writes.
    pub(crate) fn texts(&self, count: usize) -> Vec<Vec<u8>> {
        std::iter::repeat_with(|| self.text()).take(count).collect()
    }

    /// A text of every tenant.
    pub(crate) fn first_texts(&self) -> Vec<Vec<u8>> {
        (0..TENANTS).map(|nth| self.text_of(nth, NEXT.fetch_add(1, Ordering::Relaxed))).collect()
    }

    fn text(&self) -> Vec<u8> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.text_of(scattered(number) % TENANTS, number)
    }

    fn text_of(&self, nth: u64, number: u64) -> Vec<u8> {
        let (from, sid) = (tenant(nth), format!("SM{number:032x}"));
        self.post(
            "/webhook/twilio/sms",
            &[
                ("ToCountry", "US"),
                ("ToState", "CT"),
                ("SmsMessageSid", &sid),
                ("NumMedia", "0"),
                ("ToCity", "HARTFORD"),
                ("FromZip", "06103"),
                ("SmsSid", &sid),
                ("FromState", "CT"),
                ("SmsStatus", "received"),
                ("FromCity", "HARTFORD"),
                ("Body", "Hello, my sink is leaking again, can someone come by today?"),
                ("FromCountry", "US"),
                ("To", "+18605550100"),
                ("ToZip", "06103"),
                ("NumSegments", "1"),
                ("MessageSid", &sid),
                ("AccountSid", "AC00000000000000000000000000000000"),
                ("From", &from),
                ("ApiVersion", "2010-04-01"),
            ],
        )
    }

    /// Reports that these messages were delivered.
    pub(crate) fn reports(&self, sids: &[String]) -> Vec<Vec<u8>> {
        sids.iter().map(|sid| self.report(sid)).collect()
    }

    fn report(&self, sid: &str) -> Vec<u8> {
        self.post(
            "/webhook/twilio/status",
            &[
                ("SmsSid", sid),
                ("SmsStatus", "delivered"),
                ("MessageStatus", "delivered"),
                ("To", "+18602000000"),
                ("MessageSid", sid),
                ("AccountSid", "AC00000000000000000000000000000000"),
                ("From", "+18605550100"),
                ("ApiVersion", "2010-04-01"),
            ],
        )
    }

    fn post(&self, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
        let encoded = fields.iter().map(|(name, value)| {
            format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))
        });
        let body = encoded.collect::<Vec<_>>().join("&");
        let form = Form::parse(body.as_bytes());
        let fields = form.fields().iter().map(|field| (&*field.name, &*field.value)).collect();
        let signature = sign(&format!("{PUBLIC}{path}"), &Payload::Form(fields), &self.key);
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: sms.example.com\r\nUser-Agent: TwilioProxy/1.1\r\n\
             Accept: */*\r\nContent-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n\
             X-Twilio-Signature: {signature}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        request.into_bytes()
    }
}

/// Reads the newest page of random conversations.
pub(crate) fn pages(count: usize, conversations: u64) -> Vec<Vec<u8>> {
    let page = || {
        let nth = scattered(NEXT.fetch_add(1, Ordering::Relaxed)) % conversations;
        let number = tenant(nth);
        format!(
            "GET /conversations/{number}/messages?limit=20 HTTP/1.1\r\nHost: sms.example.com\r\n\r\n"
        )
        .into_bytes()
    };
    std::iter::repeat_with(page).take(count).collect()
}

/// The number of a tenant.
fn tenant(nth: u64) -> String {
    format!("+1860{}", 2_000_000 + nth)
}

/// The same every time, and in no order.
fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20
}
