//! What is so: read, not judged.

use std::time::Duration;

use adapter_postgres::UnusableWay;
use adapter_sqlite::{OpenError, SqliteStore};
use adapter_twilio::{AccountState, ClientSettings, NumberSettings, ServiceSettings, TwilioClient};
use domain::error::causes;
use domain::ports::{Clock, ProviderError, Sender};
use domain::timestamp::Timestamp;

use crate::config::{DatabaseSettings, Settings};
use crate::database::postgres;
use crate::ports::SystemClock;

/// The path of the webhook for texts.
const WEBHOOK: &str = "/webhook/twilio/sms";
/// A database that is asked once may take longer than in a webhook's path.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything that is judged.
pub(super) struct Facts {
    /// What Twilio is to call, canonical first.
    pub(super) webhooks: Vec<String>,
    /// Whether nobody but this machine reaches them.
    pub(super) is_loopback: bool,
    /// Whether Twilio is a simulator on this machine.
    pub(super) is_simulated: bool,
    pub(super) has_auth_token: bool,
    pub(super) database: DatabaseFacts,
    /// `None` where no account or number is configured.
    pub(super) twilio: Option<TwilioFacts>,
}

/// How the database is.
pub(super) enum DatabaseFacts {
    /// It cannot be used.
    Unusable(String),
    /// The service that uses the file is running.
    InUse,
    /// It answers.
    Answers {
        /// Migrations that have not run.
        pending: Vec<String>,
        /// What a pooler on the way there loses, and what to use instead.
        unusable_way: Option<String>,
    },
}

/// How Twilio's side is.
pub(super) enum TwilioFacts {
    /// The settings make no client.
    NoClient(String),
    /// It refuses the account or its token.
    Refused,
    /// It does not answer, or not as it should.
    Silent(String),
    /// It answers.
    Answers(Box<Account>),
}

/// What Twilio said of the account.
pub(super) struct Account {
    pub(super) state: AccountState,
    /// Our clock when Twilio's was read.
    pub(super) our_clock: Timestamp,
    /// Each number of ours that is configured; `None`: the account has no such number.
    pub(super) numbers: Vec<(String, Option<NumberSettings>)>,
    /// Each Messaging Service that is configured; `None`: the account has no such service.
    pub(super) own_services: Vec<(String, Option<ServiceSettings>)>,
    /// All Messaging Services of the account.
    pub(super) services: Vec<ServiceSettings>,
}

impl Facts {
    pub(super) async fn gather(settings: &Settings) -> Self {
        let (database, twilio) = tokio::join!(database(&settings.database), twilio(settings));
        let webhook = format!("{}{WEBHOOK}", settings.public_urls.canonical());
        let mut webhooks = vec![webhook];
        webhooks.extend(settings.public_urls.candidates(WEBHOOK));
        Self {
            webhooks,
            is_loopback: settings.public_urls.are_all_loopback(),
            is_simulated: settings.sending.api_url.is_loopback(),
            has_auth_token: settings.twilio.auth_token.is_some(),
            database,
            twilio,
        }
    }

    /// What could be looked at.
    pub(super) fn looked_at(&self) -> Vec<String> {
        let mut places = vec!["settings".to_owned()];
        if matches!(self.database, DatabaseFacts::Answers { .. }) {
            places.push("database".to_owned());
        }
        if let Some(TwilioFacts::Answers(account)) = &self.twilio {
            places.push("Twilio's account".to_owned());
            places.extend(account.numbers.iter().map(|(number, _)| number.clone()));
            places.extend(account.own_services.iter().map(|(sid, _)| sid.clone()));
        }
        places
    }
}

async fn database(settings: &DatabaseSettings) -> DatabaseFacts {
    match settings {
        DatabaseSettings::Sqlite { path } if !path.exists() => {
            // To open it would make it.
            DatabaseFacts::Answers { pending: Vec::new(), unusable_way: None }
        }
        DatabaseSettings::Sqlite { path } => match SqliteStore::open(path) {
            Ok(store) => answers(store.pending_migrations().await, None),
            Err(OpenError::InUse(_)) => DatabaseFacts::InUse,
            Err(error) => DatabaseFacts::Unusable(causes(&error)),
        },
        DatabaseSettings::Postgres { url, migration_url, .. } => {
            let way = match adapter_postgres::check_way(&postgres(settings, url)).await {
                Ok(()) => None,
                Err(UnusableWay::Settings(error)) => {
                    return DatabaseFacts::Unusable(causes(&error));
                }
                Err(loses) => Some(loses.to_string()),
            };
            let mut migrations = postgres(settings, migration_url.as_ref().unwrap_or(url));
            migrations.deadline = PATIENCE;
            answers(adapter_postgres::pending_migrations(&migrations).await, way)
        }
    }
}

fn answers<E: std::error::Error + 'static>(
    pending: Result<Vec<String>, E>,
    unusable_way: Option<String>,
) -> DatabaseFacts {
    match pending {
        Ok(pending) => DatabaseFacts::Answers { pending, unusable_way },
        Err(error) => DatabaseFacts::Unusable(causes(&error)),
    }
}

async fn twilio(settings: &Settings) -> Option<TwilioFacts> {
    let sending = &settings.sending;
    let account_sid = settings.twilio.account_sid.clone()?;
    let auth_token = settings.twilio.auth_token.clone()?;
    if sending.senders.is_empty() {
        return None;
    }
    let client = TwilioClient::new(&ClientSettings {
        account_sid,
        auth_token,
        api_url: sending.api_url.clone(),
        public_urls: settings.public_urls.clone(),
        connect_timeout: sending.connect_timeout,
        timeout: sending.timeout,
    });
    let facts = match client {
        Ok(client) => account(&client, &sending.senders).await,
        Err(error) => return Some(TwilioFacts::NoClient(causes(&error))),
    };
    Some(match facts {
        Ok(account) => TwilioFacts::Answers(Box::new(account)),
        Err(ProviderError::Account(_)) => TwilioFacts::Refused,
        Err(error) => TwilioFacts::Silent(causes(&error)),
    })
}

async fn account(client: &TwilioClient, senders: &[Sender]) -> Result<Account, ProviderError> {
    let state = client.account_state().await?;
    let our_clock = SystemClock.now();
    let services = client.services().await?;
    let (mut numbers, mut own_services) = (Vec::new(), Vec::new());
    for sender in senders {
        match sender {
            Sender::Number(number) => {
                let number = number.as_str();
                numbers.push((number.to_owned(), client.number_settings(number).await?));
            }
            Sender::Service(sid) => {
                let found = services.iter().find(|service| service.sid == *sid).cloned();
                for number in found.iter().flat_map(|service| &service.numbers) {
                    numbers.push((number.clone(), client.number_settings(number).await?));
                }
                own_services.push((sid.clone(), found));
            }
        }
    }
    Ok(Account { state, our_clock, numbers, own_services, services })
}
