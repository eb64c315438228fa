//! The settings: compiled-in defaults, then a file, then the environment. Everything that is wrong is
//! found at start and told in one message.
//!
//! To add a setting: a commented line in `config/defaults.toml`, its name in `source::NAMES` (and in
//! `shown::SECRETS` where it is one), a field here. What contradicts another goes into `together`.

mod backfill;
mod database;
mod export;
mod hooks;
mod near;
mod sending;
mod shown;
mod source;
mod tenants;
mod together;

use std::fmt;
use std::num::NonZeroU32;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use adapter_http::{Access, ApiKeys, Cors, LimitSettings};
use adapter_twilio::PublicUrls;
use domain::backfill::BackfillRules;
use domain::phone::Region;
use secrecy::SecretString;

use source::Source;

pub(crate) use database::DatabaseSettings;
pub(crate) use export::ExportSettings;
pub(crate) use hooks::HookSettings;
pub(crate) use sending::SendingSettings;
pub(crate) use tenants::TenantSettings;

/// Everything that the service is told from outside.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) environment: Environment,
    pub(crate) version: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) public_urls: PublicUrls,
    pub(crate) twilio: TwilioSettings,
    pub(crate) sending: SendingSettings,
    pub(crate) tenants: TenantSettings,
    pub(crate) backfill: BackfillRules,
    pub(crate) hooks: HookSettings,
    pub(crate) database: DatabaseSettings,
    pub(crate) migrate_on_start: bool,
    pub(crate) region: Region,
    pub(crate) access: Access,
    pub(crate) limits: LimitSettings,
    pub(crate) cors: Cors,
    pub(crate) shutdown_grace: Duration,
    pub(crate) shutdown_delay: Duration,
    pub(crate) log: LogSettings,
    pub(crate) survey_interval: Duration,
    pub(crate) export: ExportSettings,
    /// What looks like a mistake and may be none.
    pub(crate) warnings: Vec<String>,
}

/// Where it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Environment {
    Local,
    Dev,
    Staging,
    Prod,
}

/// What proves that a webhook is Twilio's.
#[derive(Debug)]
pub(crate) struct TwilioSettings {
    pub(crate) auth_token: Option<SecretString>,
    pub(crate) auth_token_secondary: Option<SecretString>,
    pub(crate) account_sid: Option<String>,
}

/// What is logged, and how.
#[derive(Debug)]
pub(crate) struct LogSettings {
    pub(crate) json: bool,
    pub(crate) filter: String,
}

/// All that is wrong with the settings. Names settings, never repeats their values.
#[derive(Debug)]
pub(crate) struct Problems {
    wrong: Vec<String>,
    /// What looks like a mistake: whoever reads that a setting is missing reads here that it is misspelt.
    warnings: Vec<String>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "sms-foundation cannot start; mend these settings:")?;
        for problem in &self.wrong {
            writeln!(f, "  - {problem}")?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

impl Settings {
    /// The settings of this process: `file` is the one that the command line names.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, Problems> {
        Self::read(&mut Reader::new(Source::of_process(file)))
    }

    /// All settings as they count and where they come from, secrets hidden; and what is wrong.
    pub(crate) fn show(file: Option<&Path>) -> (String, Option<Problems>) {
        let mut reader = Reader::new(Source::of_process(file));
        let problems = Self::read(&mut reader).err();
        // The warnings stand above the settings.
        let problems = problems.map(|problems| Problems { warnings: Vec::new(), ..problems });
        let warnings = reader.source.warnings.iter().map(|warning| format!("warning: {warning}\n"));
        let warnings: String = warnings.collect();
        (warnings + &shown::shown(&reader.source), problems)
    }

    /// Where this process's service listens, whatever else is wrong.
    pub(crate) fn address(file: Option<&Path>) -> Option<(String, u16)> {
        let mut reader = Reader::new(Source::of_process(file));
        let environment = reader.optional("APP_ENV", Environment::from_str)?;
        reader.assume(environment);
        Some((reader.text("HOST")?, reader.text("PORT")?.parse().ok()?))
    }

    fn read(reader: &mut Reader) -> Result<Self, Problems> {
        let environment = reader.required("APP_ENV", Environment::from_str);
        let environment = environment.unwrap_or(Environment::Prod);
        let local = environment == Environment::Local;
        reader.assume(environment);
        let port = reader.required("PORT", |text| {
            text.parse::<u16>().map_err(|_| "must be a port number from 0 to 65535")
        });
        let port = port.unwrap_or(0);
        let public_urls = reader.public_urls();
        let loopback = public_urls.as_ref().is_none_or(PublicUrls::are_all_loopback);
        let region = reader.required("DEFAULT_REGION", Region::from_str).unwrap_or_default();
        reader.check_together(local);
        let settings = Self {
            environment,
            version: reader.text("APP_VERSION").unwrap_or(env!("CARGO_PKG_VERSION").to_owned()),
            host: reader.text("HOST").unwrap_or_default(),
            port,
            access: reader.access(local, loopback),
            limits: reader.limits(),
            cors: reader.cors(environment),
            public_urls: public_urls.unwrap_or_else(PublicUrls::nowhere),
            twilio: reader.twilio(local),
            sending: SendingSettings::read(reader),
            tenants: TenantSettings::read(reader),
            backfill: backfill::read(reader, region),
            hooks: HookSettings::read(reader, local),
            database: DatabaseSettings::read(reader),
            migrate_on_start: reader.switch("MIGRATE_ON_START"),
            region,
            shutdown_grace: reader.required("SHUTDOWN_GRACE", duration).unwrap_or_default(),
            shutdown_delay: reader.span("SHUTDOWN_DELAY"),
            log: reader.log(local),
            survey_interval: reader.survey_interval(),
            export: ExportSettings::read(reader),
            warnings: reader.source.warnings.clone(),
        };
        let wrong = std::mem::take(&mut reader.problems);
        if wrong.is_empty() {
            return Ok(settings);
        }
        Err(Problems { wrong, warnings: settings.warnings })
    }
}

fn default_host(environment: Environment) -> &'static str {
    match environment {
        Environment::Local => "127.0.0.1",
        Environment::Dev | Environment::Staging | Environment::Prod => "0.0.0.0",
    }
}

/// Verbose where developers try things out; what others' crates say is little help even there.
fn default_filter(environment: Environment) -> &'static str {
    match environment {
        Environment::Dev => {
            "info,sms_foundation=debug,domain=debug,adapter_http=debug,adapter_monitor=debug,\
             adapter_twilio=debug,adapter_postgres=debug,adapter_sqlite=debug,\
             actix_server=warn,opentelemetry=warn,opentelemetry_sdk=warn"
        }
        Environment::Local | Environment::Staging | Environment::Prod => {
            "info,actix_server=warn,opentelemetry=warn,opentelemetry_sdk=warn"
        }
    }
}

impl FromStr for Environment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "local" => Ok(Self::Local),
            "dev" => Ok(Self::Dev),
            "staging" => Ok(Self::Staging),
            "prod" => Ok(Self::Prod),
            _ => Err("must be local, dev, staging or prod"),
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Dev => "dev",
            Self::Staging => "staging",
            Self::Prod => "prod",
        })
    }
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(text).map_err(|_| "must be a duration such as 250ms, 15m or 4h")
}

/// Every request to Twilio names it in its path.
fn account_sid(text: &str) -> Result<String, &'static str> {
    let digits = text.strip_prefix("AC").unwrap_or_default();
    let fits = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then(|| text.to_owned()).ok_or("must be AC and 32 hexadecimal digits")
}

/// A duration that is not nothing.
fn timeout(text: &str) -> Result<Duration, &'static str> {
    let time = duration(text)?;
    if time.is_zero() { Err("must be more than zero") } else { Ok(time) }
}

/// Reads settings one by one and collects what is wrong with them.
struct Reader {
    source: Source,
    problems: Vec<String>,
}

impl Reader {
    fn new(mut source: Source) -> Self {
        let problems = std::mem::take(&mut source.problems);
        Self { source, problems }
    }

    /// What follows from the environment where nobody says otherwise.
    fn assume(&mut self, environment: Environment) {
        let port = self.text("PORT").unwrap_or_default();
        let source = &mut self.source;
        source.assume("HOST", default_host(environment));
        source.assume("APP_VERSION", env!("CARGO_PKG_VERSION"));
        source.assume("RUST_LOG", default_filter(environment));
        match environment {
            Environment::Local => {
                source.assume("PUBLIC_BASE_URL", format!("http://127.0.0.1:{port}"));
                source.assume("DATABASE_URL", "sqlite://data/sms-foundation.db");
                source.assume("LOG_FORMAT", "pretty");
            }
            Environment::Dev | Environment::Staging | Environment::Prod => {
                source.assume("LOG_FORMAT", "json");
            }
        }
    }

    fn survey_interval(&mut self) -> Duration {
        let interval = self.required("METRICS_SURVEY_INTERVAL", |text| {
            let least = Duration::from_millis(100);
            duration(text).map_err(str::to_owned).and_then(|interval| {
                (interval >= least).then_some(interval).ok_or("must be at least 100ms".to_owned())
            })
        });
        interval.unwrap_or_default()
    }

    fn problem(&mut self, name: &str, reason: impl fmt::Display) {
        self.problems.push(format!("{name} {reason}"));
    }

    fn text(&self, name: &str) -> Option<String> {
        self.source.get(name).map(str::to_owned)
    }

    fn secret(&self, name: &str) -> Option<SecretString> {
        self.text(name).map(SecretString::from)
    }

    fn optional<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(name)?;
        parse(&text).map_err(|reason| self.problem(name, reason)).ok()
    }

    fn required<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        if self.text(name).is_none() {
            self.problem(name, "must be given");
        }
        self.optional(name, parse)
    }

    fn switch(&mut self, name: &str) -> bool {
        let on = self.required(name, |text| match text {
            "on" | "true" | "1" => Ok(true),
            "off" | "false" | "0" => Ok(false),
            _ => Err("must be on or off"),
        });
        on.unwrap_or(true)
    }

    fn public_urls(&mut self) -> Option<PublicUrls> {
        if self.text("PUBLIC_BASE_URL").is_none() {
            let reason = "must be given: what Twilio calls, https://sms.example.com";
            self.problem("PUBLIC_BASE_URL", reason);
        }
        self.optional("PUBLIC_BASE_URL", |text| {
            text.parse::<PublicUrls>().map_err(|reason| format!("is wrong: {reason}"))
        })
    }

    fn twilio(&mut self, local: bool) -> TwilioSettings {
        let auth_token = self.secret("TWILIO_AUTH_TOKEN");
        if auth_token.is_none() && !local {
            self.problem("TWILIO_AUTH_TOKEN", "must be given: without it every webhook is refused");
        }
        TwilioSettings {
            auth_token,
            auth_token_secondary: self.secret("TWILIO_AUTH_TOKEN_SECONDARY"),
            account_sid: self.optional("TWILIO_ACCOUNT_SID", account_sid),
        }
    }

    fn access(&mut self, local: bool, loopback: bool) -> Access {
        let keys = self.optional("API_KEYS", ApiKeys::parse).filter(|keys| !keys.is_empty());
        if !self.switch("API_AUTH") {
            return Access::Open;
        }
        match keys {
            Some(keys) => Access::Keys(keys),
            None if local && loopback => Access::Loopback,
            None if local => Access::Closed,
            None => {
                self.problem(
                    "API_KEYS",
                    "must be given outside APP_ENV=local, or API_AUTH=off in a closed network",
                );
                Access::Closed
            }
        }
    }

    fn limits(&mut self) -> LimitSettings {
        let mut count = |name| {
            let count = self.required(name, |text| {
                let count =
                    text.parse::<NonZeroU32>().ok().filter(|count| count.get() <= 1_000_000);
                count.ok_or("must be a whole number from 1 to 1000000")
            });
            count.unwrap_or(NonZeroU32::MIN)
        };
        let (per_second, burst) = (count("RATE_LIMIT"), count("RATE_LIMIT_BURST"));
        let trusted_hops = self.required("TRUSTED_PROXY_HOPS", |text| match text.parse() {
            Ok(hops @ 0..=100) => Ok(hops),
            _ => Err("must be a whole number from 0 to 100"),
        });
        LimitSettings { per_second, burst, trusted_hops: trusted_hops.unwrap_or_default() }
    }

    fn cors(&mut self, environment: Environment) -> Cors {
        let given = self.optional("CORS_ORIGINS", Cors::parse);
        given.unwrap_or(match environment {
            Environment::Local | Environment::Dev => Cors::Everybody,
            Environment::Staging | Environment::Prod => Cors::Off,
        })
    }

    fn log(&mut self, local: bool) -> LogSettings {
        let json = self.optional("LOG_FORMAT", |text| match text {
            "json" => Ok(true),
            "pretty" => Ok(false),
            _ => Err("must be json or pretty"),
        });
        let filter = self.required("RUST_LOG", |text| {
            let parsed = tracing_subscriber::EnvFilter::try_new(text);
            parsed.map(|_| text.to_owned()).map_err(|_| "is no filter such as info,domain=debug")
        });
        LogSettings { json: json.unwrap_or(!local), filter: filter.unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROD: [(&str, &str); 5] = [
        ("APP_ENV", "prod"),
        ("DATABASE_URL", "postgres://sms:hunter2@db/sms"),
        ("PUBLIC_BASE_URL", "https://sms.example.com"),
        ("TWILIO_AUTH_TOKEN", "s3cret"),
        ("API_AUTH", "off"),
    ];

    fn read(given: &[(&str, &str)]) -> Result<Settings, String> {
        let mut reader = Reader::new(Source::of(given));
        Settings::read(&mut reader).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_developer_needs_no_settings() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.environment, Environment::Local);
        assert_eq!((settings.host.as_str(), settings.port), ("127.0.0.1", 8080));
        assert_eq!(settings.public_urls.canonical(), "http://127.0.0.1:8080");
        let DatabaseSettings::Sqlite { path } = settings.database else { panic!() };
        assert_eq!(path, Path::new("data/sms-foundation.db"));
        assert!(settings.migrate_on_start && !settings.log.json);
    }

    #[test]
    fn values_are_never_read_as_numbers_and_empty_is_unset() {
        let settings =
            read(&[("APP_VERSION", "1.10"), ("TWILIO_AUTH_TOKEN", ""), ("HOST", "")]).unwrap();
        assert_eq!(settings.version, "1.10");
        assert!(settings.twilio.auth_token.is_none());
        assert_eq!(settings.host, "127.0.0.1");
    }

    #[test]
    fn production_listens_everywhere_and_logs_json() {
        let settings = read(&PROD).unwrap();
        assert_eq!(settings.host, "0.0.0.0");
        assert!(settings.log.json);
        assert!(matches!(settings.database, DatabaseSettings::Postgres { .. }));
    }

    #[test]
    fn all_that_is_missing_is_told_at_once() {
        let problems = read(&[("APP_ENV", "prod"), ("RUST_LOG", "=x="), ("API_KEYS", "a:b")]);
        let problems = problems.unwrap_err();
        for name in ["PUBLIC_BASE_URL", "TWILIO_AUTH_TOKEN", "DATABASE_URL", "RUST_LOG", "API_KEYS"]
        {
            assert!(problems.contains(name), "{name} in {problems}");
        }
    }

    #[test]
    fn what_looks_misspelt_is_told_with_what_is_missing() {
        let mut reader = Reader::new(Source::of(&[("APP_ENV", "prod")]));
        reader.source.warnings.push("TWILLIO_AUTH_TOKEN is no setting".to_owned());
        let problems = Settings::read(&mut reader).unwrap_err().to_string();
        let (wrong, warnings) = problems.split_once("warning: ").unwrap();
        assert!(wrong.contains("TWILIO_AUTH_TOKEN must be given"), "{problems}");
        assert_eq!(warnings, "TWILLIO_AUTH_TOKEN is no setting\n");
    }

    #[test]
    fn a_wrong_value_is_named_and_not_repeated() {
        for (name, value) in [
            ("APP_ENV", "hunter2"),
            ("PORT", "hunter2"),
            ("PUBLIC_BASE_URL", "ftp://hunter2"),
            ("DATABASE_URL", "mysql://hunter2"),
            ("MIGRATE_ON_START", "hunter2"),
            ("DEFAULT_REGION", "hunter2"),
            ("API_KEYS", "hunter2"),
            ("RATE_LIMIT", "0"),
            ("RATE_LIMIT_BURST", "hunter2"),
            ("TRUSTED_PROXY_HOPS", "-1"),
            ("CORS_ORIGINS", "hunter2"),
            ("SHUTDOWN_GRACE", "hunter2"),
            ("KEEP_RAW_PAYLOADS", "59m"),
            ("LOG_FORMAT", "hunter2"),
            ("DATABASE_POOL_SIZE", "hunter2"),
            ("BACKFILL_INTERVAL", "0s"),
            ("BACKFILL_GRACE", "hunter2"),
            ("TWILIO_PHONE_NUMBER", "hunter2 hunter2"),
            ("TWILIO_API_BASE_URL", "http://hunter2"),
            ("TWILIO_SEND_MAX_RETRIES", "hunter2"),
            ("TWILIO_SEND_BASE_BACKOFF_MS", "hunter2"),
            ("SEND_WAIT", "hunter2"),
            ("SEND_EXPIRY", "0s"),
            ("JOB_LEASE", "15s"),
            ("JOB_CONCURRENCY", "0"),
            ("HOOK_TIMEOUT", "hunter2"),
            ("HOOK_CONCURRENCY", "0"),
            ("HOOK_PRIVATE_NETWORKS", "hunter2"),
            ("SUBSCRIPTIONS_FILE", "/no/such/hunter2"),
            ("KEEP_EVENTS", "1h"),
            ("DATABASE_ROOT_CERTIFICATE", "/no/such/hunter2"),
            ("TENANT_PROFILE_API_KEY", "hunter2 hunter2"),
        ] {
            let mut given = PROD.to_vec();
            given.retain(|(known, _)| *known != name);
            given.push((name, value));
            let problems = read(&given).unwrap_err();
            assert!(problems.contains(name), "{name} in {problems}");
            assert!(!problems.contains("hunter2"), "{problems}");
        }
    }

    #[test]
    fn without_keys_only_a_loopback_service_is_open_and_only_locally() {
        let access = |given: &[(&str, &str)]| read(given).map(|settings| settings.access);
        for url in ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:8080/sms"] {
            assert!(matches!(access(&[("PUBLIC_BASE_URL", url)]), Ok(Access::Loopback)), "{url}");
        }
        for url in ["https://sms.example.com", "http://localhost,https://tunnel.example.com"] {
            assert!(matches!(access(&[("PUBLIC_BASE_URL", url)]), Ok(Access::Closed)), "{url}");
        }
        assert!(matches!(access(&[]), Ok(Access::Loopback)));
        assert!(matches!(access(&[("API_AUTH", "off")]), Ok(Access::Open)));
        let key = format!("a:*:{}", "0".repeat(64));
        assert!(matches!(access(&[("API_KEYS", &key)]), Ok(Access::Keys(_))));
    }

    #[test]
    fn raw_payloads_are_kept_for_ever_unless_somebody_says_for_how_long() {
        let kept = |given| read(given).unwrap().sending.keep.raw_payloads;
        assert_eq!(kept(&[]), None);
        assert_eq!(kept(&[("KEEP_RAW_PAYLOADS", "90days")]), Some(Duration::from_hours(90 * 24)));
    }

    #[test]
    fn pages_of_other_sites_may_call_a_developers_service_only() {
        assert_eq!(read(&[]).unwrap().cors, Cors::Everybody);
        assert_eq!(read(&PROD).unwrap().cors, Cors::Off);
        let given = [PROD.as_slice(), &[("CORS_ORIGINS", "https://a.example")]].concat();
        assert_eq!(read(&given).unwrap().cors, Cors::Origins(vec!["https://a.example".into()]));
    }

    #[test]
    fn the_monitors_key_is_for_the_monitors_host_only() {
        use secrecy::ExposeSecret;
        let check = |profiles: &str, more: &[(&str, &str)], expected: Option<&str>| {
            let mut given = vec![
                ("APP_ENV", "local"),
                ("MONITOR_API_URL", "https://monitor.example/api"),
                ("MONITOR_API_KEY", "monitors"),
                ("TENANT_PROFILE_API_URL", profiles),
            ];
            given.extend(more);
            let key = read(&given).unwrap().tenants.profile_key();
            assert_eq!(key.as_ref().map(ExposeSecret::expose_secret), expected, "{profiles}");
        };
        check("https://monitor.example/profiles", &[], Some("monitors"));
        for other in ["https://profiles.example", "https://monitor.example:8443"] {
            check(other, &[], None);
            check(other, &[("TENANT_PROFILE_API_KEY", "profiles")], Some("profiles"));
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", read(&PROD).unwrap());
        assert!(!shown.contains("hunter2") && !shown.contains("s3cret"), "{shown}");
    }
}
