//! What fits by itself and not with the rest.

use adapter_twilio::PublicUrls;
use url::Url;

use super::{Reader, duration};

impl Reader {
    /// Says of settings that contradict each other which of them to change.
    pub(super) fn check_together(&mut self, local: bool) {
        self.check_access();
        self.check_database();
        self.check_twilio(local);
        self.check_callback();
        self.check_monitor();
        self.check_times();
    }

    fn check_access(&mut self) {
        if self.source.is_told("API_KEYS") && self.is("API_AUTH", &["off", "false", "0"]) {
            self.problem("API_KEYS", "is given, and API_AUTH=off lets everybody in: leave one out");
        }
    }

    fn check_database(&mut self) {
        let embedded = self.text("DATABASE_URL").is_some_and(|url| url.starts_with("sqlite:"));
        for name in ["DATABASE_SCHEMA", "DATABASE_MIGRATION_URL", "DATABASE_ROOT_CERTIFICATE"] {
            if embedded && self.source.is_told(name) {
                self.problem(name, "is for PostgreSQL, and DATABASE_URL is sqlite: leave one out");
            }
        }
    }

    fn check_twilio(&mut self, local: bool) {
        let told = |reader: &Self, name| reader.source.is_told(name);
        if told(self, "TWILIO_AUTH_TOKEN_SECONDARY") && !told(self, "TWILIO_AUTH_TOKEN") && local {
            let reason = "is given without TWILIO_AUTH_TOKEN, which it is the second of";
            self.problem("TWILIO_AUTH_TOKEN_SECONDARY", reason);
        }
        if told(self, "TWILIO_PHONE_NUMBER") && !told(self, "TWILIO_ACCOUNT_SID") && !local {
            let reason = "is given without TWILIO_ACCOUNT_SID: nothing could be sent from it";
            self.problem("TWILIO_PHONE_NUMBER", reason);
        }
    }

    /// Twilio would refuse every message, with 21609.
    fn check_callback(&mut self) {
        let urls = self.text("PUBLIC_BASE_URL").and_then(|text| text.parse::<PublicUrls>().ok());
        let callback = urls.and_then(|urls| Url::parse(&urls.canonical()).ok());
        let has_underscore =
            callback.is_some_and(|url| url.host_str().is_some_and(|host| host.contains('_')));
        if has_underscore && self.source.is_told("TWILIO_ACCOUNT_SID") {
            let reason = "must have no underscore in its host: Twilio accepts none to report to";
            self.problem("PUBLIC_BASE_URL", reason);
        }
    }

    fn check_monitor(&mut self) {
        let told = |reader: &Self, name| reader.source.is_told(name);
        let monitor = told(self, "MONITOR_API_URL");
        if told(self, "MONITOR_API_KEY") && !monitor && !told(self, "TENANT_PROFILE_API_URL") {
            self.problem("MONITOR_API_KEY", "is given without MONITOR_API_URL: nobody gets it");
        }
        if told(self, "MONITOR_LOOKUP_PATH") && !monitor {
            self.problem("MONITOR_LOOKUP_PATH", "is given without MONITOR_API_URL");
        }
    }

    fn check_times(&mut self) {
        for (shorter, longer) in
            [("TWILIO_CONNECT_TIMEOUT", "TWILIO_TIMEOUT"), ("SHUTDOWN_DELAY", "SHUTDOWN_GRACE")]
        {
            let time = |name| self.text(name).and_then(|text| duration(&text).ok());
            if let (Some(short), Some(long)) = (time(shorter), time(longer))
                && short >= long
                && self.source.is_told(shorter)
            {
                self.problem(shorter, format_args!("must be shorter than {longer}"));
            }
        }
        let number = |name| self.text(name).and_then(|text| text.parse::<u64>().ok());
        let (base, cap) = ("TWILIO_SEND_BASE_BACKOFF_MS", "TWILIO_SEND_BACKOFF_CAP_MS");
        if let (Some(first), Some(most)) = (number(base), number(cap))
            && first > most
            && self.source.is_told(base)
        {
            self.problem(base, format_args!("must not be more than {cap}"));
        }
    }

    fn is(&self, name: &str, words: &[&str]) -> bool {
        self.source.get(name).is_some_and(|text| words.contains(&text))
    }
}
