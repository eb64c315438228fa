//! The settings of sending and of the worker.

use std::time::Duration;

use adapter_twilio::ApiUrl;
use domain::backlog::Keep;
use domain::job::Backoff;
use domain::ports::Sender;

use super::{Reader, duration};

/// The least by which a lease outlives a call to Twilio.
const LEASE_MARGIN: Duration = Duration::from_secs(8);
/// What somebody looks into is still there.
const SHORTEST_PAYLOAD_AGE: Duration = Duration::from_hours(1);
/// Callers give up after 30 s.
const LONGEST_WAIT: Duration = Duration::from_secs(25);

/// Everything about sending.
#[derive(Debug)]
pub(crate) struct SendingSettings {
    /// What texts are sent from; none: nothing can be sent.
    pub(crate) senders: Vec<Sender>,
    pub(crate) api_url: ApiUrl,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) wait: Duration,
    pub(crate) expiry: Duration,
    pub(crate) quiet_period: Duration,
    pub(crate) pacing: Duration,
    pub(crate) backoff: Backoff,
    pub(crate) max_retries: Option<u32>,
    pub(crate) job_lease: Duration,
    pub(crate) job_poll: Duration,
    pub(crate) job_concurrency: usize,
    pub(crate) keep: Keep,
}

impl SendingSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let timeout = reader.span("TWILIO_TIMEOUT");
        let expiry = reader.span("SEND_EXPIRY");
        let settings = Self {
            senders: senders(reader),
            api_url: reader.required("TWILIO_API_BASE_URL", str::parse).unwrap_or_default(),
            connect_timeout: reader.span("TWILIO_CONNECT_TIMEOUT"),
            timeout,
            wait: reader.span("SEND_WAIT"),
            expiry,
            quiet_period: reader.span("SEND_QUIET_PERIOD"),
            pacing: reader.span("SEND_PACING"),
            backoff: Backoff {
                base: reader.millis("TWILIO_SEND_BASE_BACKOFF_MS"),
                cap: reader.millis("TWILIO_SEND_BACKOFF_CAP_MS"),
            },
            max_retries: reader.optional("TWILIO_SEND_MAX_RETRIES", |text| {
                text.parse::<u32>().map_err(|_| "must be a whole number")
            }),
            job_lease: reader.span("JOB_LEASE"),
            job_poll: reader.span("JOB_POLL_INTERVAL"),
            job_concurrency: concurrency(reader),
            keep: Keep {
                idempotency_keys: reader.span("KEEP_IDEMPOTENCY_KEYS"),
                done_jobs: reader.span("KEEP_DONE_JOBS"),
                parked_jobs: reader.span("KEEP_PARKED_JOBS"),
                parked_events: reader.span("KEEP_PARKED_EVENTS"),
                raw_payloads: reader.optional("KEEP_RAW_PAYLOADS", payload_age),
                send_expiry: expiry,
            },
        };
        settings.check(reader);
        settings
    }

    /// What fits by itself and not with the rest.
    fn check(&self, reader: &mut Reader) {
        if self.timeout <= self.connect_timeout {
            // Else a connection that was never made could not be told from a lost answer.
            reader.problem("TWILIO_TIMEOUT", "must be longer than TWILIO_CONNECT_TIMEOUT");
        }
        if self.job_lease < self.timeout + LEASE_MARGIN {
            reader.problem("JOB_LEASE", "must be at least 8s longer than TWILIO_TIMEOUT");
        }
        if self.wait > LONGEST_WAIT {
            reader.problem("SEND_WAIT", "must be at most 25s: callers give up after 30s");
        }
        if self.expiry < Duration::from_secs(1) {
            reader.problem("SEND_EXPIRY", "must be at least 1s");
        }
        if self.job_poll < Duration::from_millis(10) {
            reader.problem("JOB_POLL_INTERVAL", "must be at least 10ms");
        }
    }
}

/// Too short an age is a mistake, and what it deletes does not come back.
fn payload_age(text: &str) -> Result<Duration, &'static str> {
    match duration(text)? {
        age if age < SHORTEST_PAYLOAD_AGE => {
            Err("must be at least 1h; without it payloads are kept for ever")
        }
        age => Ok(age),
    }
}

fn senders(reader: &mut Reader) -> Vec<Sender> {
    let senders = reader.optional("TWILIO_PHONE_NUMBER", |text| {
        let each = text.split(',').map(str::trim).filter(|text| !text.is_empty());
        each.map(sender).collect::<Result<Vec<_>, _>>()
    });
    senders.unwrap_or_default()
}

/// A number with its country, a short code, a Messaging Service, or a number in a channel.
fn sender(text: &str) -> Result<Sender, &'static str> {
    let sender = Sender::read(text);
    let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit()).len();
    let usable = matches!(sender, Sender::Service(_))
        || text.starts_with('+') && digits >= 8
        || text.contains(":+")
        || text.len() <= 11 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    usable
        .then_some(sender)
        .ok_or("must be numbers such as +18605550100, or Messaging Service SIDs")
}

fn concurrency(reader: &mut Reader) -> usize {
    let number = reader.required("JOB_CONCURRENCY", |text| match text.parse() {
        Ok(number @ 1..=10_000) => Ok(number),
        _ => Err("must be a whole number from 1 to 10000"),
    });
    number.unwrap_or(1)
}

impl Reader {
    pub(super) fn span(&mut self, name: &str) -> Duration {
        self.required(name, duration).unwrap_or_default()
    }

    fn millis(&mut self, name: &str) -> Duration {
        let millis = self.required(name, |text| {
            text.parse().map_err(|_| "must be a whole number of milliseconds")
        });
        Duration::from_millis(millis.unwrap_or_default())
    }
}
