//! Twilio's API on this machine.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::InboundText;
use crate::account::{Account, Clock, Ledger};
use crate::api::numbers::{MessagingService, NumberSettings};
use crate::creates::Creates;
use crate::failure::Failure;
use crate::lifecycle::{Callbacks, Delays, Outcome};
use crate::local_twilio::{DeliveryError, LocalTwilio};
use crate::message::Message;
use crate::mix::Mix;
use crate::relay::Service;
use crate::server;

/// Twilio's REST API for messages, on a loopback port and in memory, with the account's whole
/// state open to look at. Dropped, it stops: connections are cut, and nobody is told anything more.
///
/// What is set for a recipient wins over what is set for all. A recipient is written as Twilio
/// reads it: `+18605550199`, `whatsapp:+18605550199`.
pub struct Simulator {
    account: Arc<Account>,
    address: SocketAddr,
    _stop: DropGuard,
}

impl Simulator {
    /// A simulator of that account.
    pub fn builder(
        account_sid: impl Into<String>,
        auth_token: impl Into<SecretString>,
    ) -> SimulatorBuilder {
        SimulatorBuilder {
            account_sid: account_sid.into(),
            auth_token: auth_token.into(),
            port: 0,
            numbers: Vec::new(),
            trial: false,
            delays: Delays::each(Duration::from_millis(10)),
            seed: 1,
            callback_timeout: Duration::from_secs(15),
            service: None,
            clock: Arc::new(wall_clock),
        }
    }

    /// Where it listens, `http://127.0.0.1:4010`: what the service takes for `TWILIO_API_BASE_URL`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What becomes of requests to create a message from now on.
    pub fn set_failure(&self, failure: impl Into<Mix<Failure>>) {
        self.account.ledger().failures.set(failure.into());
    }

    /// The same for one recipient.
    pub fn set_failure_for(&self, recipient: &str, failure: impl Into<Mix<Failure>>) {
        self.account.ledger().failures.set_for(recipient, failure.into());
    }

    /// The same for one request, the next that nothing was said about in this way.
    pub fn fail_next(&self, failure: Failure) {
        self.account.ledger().failures.push_next(failure);
    }

    /// How messages that are made from now on end.
    pub fn set_outcome(&self, outcome: impl Into<Mix<Outcome>>) {
        self.account.ledger().outcomes.set(outcome.into());
    }

    /// The same for one recipient.
    pub fn set_outcome_for(&self, recipient: &str, outcome: impl Into<Mix<Outcome>>) {
        self.account.ledger().outcomes.set_for(recipient, outcome.into());
    }

    /// How the service is told of messages that are made from now on.
    pub fn set_callbacks(&self, callbacks: impl Into<Mix<Callbacks>>) {
        self.account.ledger().callbacks.set(callbacks.into());
    }

    /// The same for one recipient.
    pub fn set_callbacks_for(&self, recipient: &str, callbacks: impl Into<Mix<Callbacks>>) {
        self.account.ledger().callbacks.set_for(recipient, callbacks.into());
    }

    /// How fast messages that are made from now on live.
    pub fn set_delays(&self, delays: Delays) {
        self.account.ledger().delays = delays;
    }

    /// Nothing can be sent to that number any more: 21610.
    pub fn opt_out(&self, number: &str) {
        self.account.ledger().opted_out.insert(number.to_owned());
    }

    /// Texts can be sent to that number again.
    pub fn opt_in(&self, number: &str) {
        self.account.ledger().opted_out.remove(number);
    }

    /// Keeps a text to one of our numbers, so that lists show it. It calls no webhook:
    /// [`LocalTwilio`] does.
    pub fn receive(&self, text: &InboundText) {
        self.account.receive(text);
    }

    /// Where the texts to a number go, as the account's settings say.
    pub fn set_number(&self, number: &str, settings: NumberSettings) {
        self.account.ledger().number_settings.insert(number.to_owned(), settings);
    }

    /// Adds a Messaging Service.
    pub fn add_service(&self, service: MessagingService) {
        self.account.ledger().services.push(service);
    }

    /// All messages of the account, in the order in which they were made.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.account.ledger().messages().cloned().collect()
    }

    /// All requests to create a message, whatever became of them.
    #[must_use]
    pub fn creates(&self) -> Creates {
        self.account.ledger().creates.clone()
    }

    /// Waits until nothing more will happen to any message: each has ended, and what its
    /// [`Callbacks`] say was told or could not be.
    pub async fn settled(&self) {
        // The account keeps the sender, so that it cannot be closed.
        let _ = self.account.lives.subscribe().wait_for(|lives| *lives == 0).await;
    }

    /// Tells everything that nobody was told of: what was lost on purpose, and what the service
    /// did not answer with a 2xx. In order for each message, once. Gives how many changes were
    /// heard, and how many were not.
    pub async fn tell_everything(&self) -> (usize, usize) {
        self.account.tell_everything().await
    }
}

#[expect(clippy::disallowed_methods, reason = "Twilio's clock is its own, not the service's")]
pub(crate) fn wall_clock() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// Settings of a [`Simulator`].
pub struct SimulatorBuilder {
    account_sid: String,
    auth_token: SecretString,
    port: u16,
    numbers: Vec<String>,
    trial: bool,
    delays: Delays,
    seed: u64,
    callback_timeout: Duration,
    service: Option<(String, Option<SecretString>)>,
    clock: Clock,
}

impl SimulatorBuilder {
    /// The port to listen on; a free one unless said otherwise.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// A number that the account owns. Without any it may send from every number.
    #[must_use]
    pub fn number(mut self, number: impl Into<String>) -> Self {
        self.numbers.push(number.into());
        self
    }

    /// A trial account: Twilio puts a few words before each text.
    #[must_use]
    pub fn trial(mut self) -> Self {
        self.trial = true;
        self
    }

    /// How fast messages live; 10 ms a step unless said otherwise.
    #[must_use]
    pub fn delays(mut self, delays: Delays) -> Self {
        self.delays = delays;
        self
    }

    /// What all chances come from: the same requests in the same order meet the same fate.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How long a status callback may take; 15 s, as with Twilio, unless said otherwise.
    #[must_use]
    pub fn callback_timeout(mut self, timeout: Duration) -> Self {
        self.callback_timeout = timeout;
        self
    }

    /// The service that the account's numbers belong to, `http://127.0.0.1:8080`, and a key to its
    /// API where it wants one: for the phone page. Twilio itself needs none.
    #[must_use]
    pub fn service(mut self, base_url: impl Into<String>, api_key: Option<SecretString>) -> Self {
        self.service = Some((base_url.into(), api_key));
        self
    }

    /// What time it is for Twilio; this machine's clock unless said otherwise.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> OffsetDateTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Starts it on the current runtime.
    ///
    /// # Errors
    /// [`StartError`] where the port is taken or no HTTP client can be made.
    pub async fn start(self) -> Result<Simulator, StartError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await?;
        let address = listener.local_addr()?;
        let account = Arc::new(self.account()?);
        let stop = account.stop.clone();
        let serving = server::serve(listener, Arc::clone(&account));
        tokio::spawn(stop.clone().run_until_cancelled_owned(serving));
        Ok(Simulator { account, address, _stop: stop.drop_guard() })
    }

    fn account(self) -> Result<Account, StartError> {
        let token = self.auth_token.expose_secret();
        let twilio = LocalTwilio::builder(token).timeout(self.callback_timeout).build()?;
        let service = self.service.map(|(base_url, key)| Service::new(&base_url, key));
        Ok(Account {
            service: service.transpose().map_err(DeliveryError::from)?,
            changes: watch::Sender::new(0),
            opened_at: (self.clock)(),
            sid: self.account_sid,
            auth_token: self.auth_token,
            numbers: self.numbers,
            trial: self.trial,
            twilio,
            clock: self.clock,
            started: Instant::now(),
            stop: CancellationToken::new(),
            lives: watch::Sender::new(0),
            ledger: Mutex::new(Ledger::new(self.delays, self.seed)),
        })
    }
}

/// Why a [`Simulator`] did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It cannot listen on that port.
    #[error("cannot listen on that port")]
    Port(#[from] io::Error),
    /// It cannot call anybody.
    #[error("no HTTP client can be made")]
    Client(#[from] DeliveryError),
}
