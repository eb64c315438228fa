//! One call to a subscriber.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use domain::error::BoxError;
use domain::event::Event;
use domain::ports::{HookCall, HookOutcome, HookSender};
use domain::subscription::{Format, SigningSecret};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, redirect, retry};
use trace_context::TraceParent;
use url::Url;

use crate::policy::{AddressRefused, CheckedNames, Policy};
use crate::{orchestrator, signature};

/// So much of an answer is read, to use its connection again.
const READ: usize = 16 << 10;
/// How long a connection may take: name, TCP and TLS.
const CONNECT: Duration = Duration::from_secs(5);
/// Most servers close a connection that rests for longer.
const IDLE: Duration = Duration::from_secs(10);

/// How an event of ours is spelled: JSON.
pub type Spell = Arc<dyn Fn(&Event) -> String + Send + Sync>;

/// What a [`HookClient`] needs to know.
#[derive(Clone)]
pub struct HookSettings {
    /// Who may be called.
    pub policy: Policy,
    /// How long a whole call may take.
    pub timeout: Duration,
    /// How long a call of the orchestrator may take, which works on it before it answers.
    pub orchestrator_timeout: Duration,
    /// How an event of ours is spelled.
    pub spell: Spell,
}

/// Calls subscribers.
pub struct HookClient {
    settings: HookSettings,
    policy: Arc<Policy>,
    standard: Clients,
    orchestrator: Clients,
}

/// Clients for calls of one kind; each is made when it is first needed, so that a machine without
/// root certificates still makes plain calls.
struct Clients {
    timeout: Duration,
    /// Whether connections are used again. One that the other side closes in that moment leaves
    /// open whether it has seen the request.
    reuse: bool,
    plain: OnceLock<Option<Client>>,
    secure: OnceLock<Option<Client>>,
}

impl HookClient {
    /// A client with these settings. It connects when it is first used.
    #[must_use]
    pub fn new(settings: HookSettings) -> Self {
        let policy = Arc::new(settings.policy.clone());
        let standard = Clients::new(settings.timeout, true);
        let orchestrator = Clients::new(settings.orchestrator_timeout, false);
        Self { settings, policy, standard, orchestrator }
    }

    async fn call(&self, call: &HookCall<'_>) -> Result<HookOutcome, HookOutcome> {
        let url =
            self.policy.read(call.url.expose()).map_err(|_| HookOutcome::NotMade("url_refused"))?;
        let body = self.spell(call).map_err(HookOutcome::Unfit)?;
        let id = call.event.id.to_string();
        let headers = signature::headers(&id, call.at, &body, call.secrets);
        let headers = headers.map_err(|_| HookOutcome::NotMade("secret"))?;
        let clients = match call.format {
            Format::Standard => &self.standard,
            Format::Orchestrator => &self.orchestrator,
        };
        let client = clients.for_url(&url, &self.policy).ok_or(HookOutcome::NotMade("tls"))?;
        let mut request =
            client.post(url).headers(headers).headers(described(&id, call.format)).body(body);
        if let Some(parent) = TraceParent::current() {
            request = request.header(trace_context::HEADER, parent.to_string());
        }
        let answer = request.send().await.map_err(|error| why_not(&error))?;
        Ok(meaning(answer).await)
    }

    fn spell(&self, call: &HookCall<'_>) -> Result<String, &'static str> {
        match call.format {
            Format::Standard => Ok((self.settings.spell)(call.event)),
            Format::Orchestrator => orchestrator::spell(call.event, call.tenant),
        }
    }
}

#[async_trait]
impl HookSender for HookClient {
    #[tracing::instrument(name = "hook.send", skip_all, fields(event_id = %call.event.id))]
    async fn send(&self, call: &HookCall<'_>) -> HookOutcome {
        let (Ok(outcome) | Err(outcome)) = self.call(call).await;
        outcome
    }

    fn call_timeout(&self, format: Format) -> Duration {
        match format {
            Format::Standard => self.settings.timeout,
            Format::Orchestrator => self.settings.orchestrator_timeout,
        }
    }

    fn check_url(&self, url: &str) -> Result<(), &'static str> {
        self.policy.read(url).map(|_| ())
    }

    fn check_secret(&self, secret: &SigningSecret) -> Result<(), &'static str> {
        signature::check(secret)
    }

    fn new_secret(&self) -> Result<SigningSecret, BoxError> {
        signature::new_secret()
    }
}

impl Clients {
    fn new(timeout: Duration, reuse: bool) -> Self {
        Self { timeout, reuse, plain: OnceLock::new(), secure: OnceLock::new() }
    }

    fn for_url(&self, url: &Url, policy: &Arc<Policy>) -> Option<&Client> {
        let is_secure = url.scheme() == "https";
        let client = if is_secure { &self.secure } else { &self.plain };
        client.get_or_init(|| self.build(is_secure, policy)).as_ref()
    }

    fn build(&self, is_secure: bool, policy: &Arc<Policy>) -> Option<Client> {
        // The client panics without a provider. Whoever installed one before us is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .connect_timeout(CONNECT.min(self.timeout))
            .timeout(self.timeout)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .http1_only()
            // A proxy would look names up itself.
            .no_proxy()
            .dns_resolver(Arc::new(CheckedNames(Arc::clone(policy))))
            .pool_idle_timeout(IDLE)
            .user_agent(concat!("sms-foundation/", env!("CARGO_PKG_VERSION")));
        if !self.reuse {
            client = client.pool_max_idle_per_host(0);
        }
        if !is_secure {
            client = client.tls_certs_only([]);
        }
        let client = client.build();
        client.inspect_err(|error| tracing::error!(%error, "no HTTPS client can be made")).ok()
    }
}

fn described(id: &str, format: Format) -> HeaderMap {
    let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let correlation = HeaderName::from_static("x-correlation-id");
    let correlation = HeaderValue::from_str(id).ok().map(|id| (correlation, id));
    let correlation = correlation.filter(|_| format == Format::Orchestrator);
    std::iter::once(json).chain(correlation).collect()
}

/// What is read of the answer matters to nobody.
async fn meaning(mut answer: Response) -> HookOutcome {
    let status = answer.status().as_u16();
    let retry_after = answer.headers().get(RETRY_AFTER).and_then(seconds);
    let mut left = READ;
    while let Ok(Some(piece)) = answer.chunk().await {
        match left.checked_sub(piece.len()) {
            Some(rest) => left = rest,
            None => break,
        }
    }
    if answer.status().is_success() {
        HookOutcome::Accepted { status }
    } else {
        HookOutcome::Refused { status, retry_after }
    }
}

/// Of the two forms only this one needs no clock; nobody who asks for a pause uses the other.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn why_not(error: &reqwest::Error) -> HookOutcome {
    if error.is_connect() || error.is_builder() {
        let refused = causes(error).any(<dyn std::error::Error>::is::<AddressRefused>);
        return HookOutcome::NotMade(if refused { "address_refused" } else { "connect" });
    }
    HookOutcome::NoAnswer(if error.is_timeout() { "timeout" } else { "connection" })
}

fn causes<'a>(
    error: &'a reqwest::Error,
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    let first: &'a (dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |error| error.source())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    fn developer() -> Arc<Policy> {
        Arc::new(Policy { loopback: true, networks: vec![] })
    }

    fn client(policy: &Arc<Policy>) -> Client {
        Clients::new(Duration::from_mins(1), true).build(false, policy).unwrap()
    }

    async fn listener() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        (listener, url)
    }

    #[tokio::test]
    async fn whoever_a_name_hides_in_a_private_network_is_not_connected_to() {
        let (listener, url) = listener().await;
        let refused = client(&Arc::default()).post(&url).send().await.unwrap_err();
        assert_eq!(why_not(&refused), HookOutcome::NotMade("address_refused"));
        let nobody = timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(nobody.is_err(), "somebody connected");
        let calling = tokio::spawn(client(&developer()).post(&url).send());
        assert!(timeout(Duration::from_secs(10), listener.accept()).await.is_ok());
        calling.abort();
    }

    /// Answers 200 and goes on talking for as long as somebody listens.
    async fn talk(listener: TcpListener, said: Arc<AtomicUsize>) {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
        stream.write_all(head).await.unwrap();
        while let Ok(written) = stream.write(&[b'x'; 1024]).await {
            said.fetch_add(written, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn of_an_answer_that_does_not_end_little_is_read() {
        let (listener, url) = listener().await;
        let said = Arc::new(AtomicUsize::new(0));
        let talking = tokio::spawn(talk(listener, said.clone()));
        let begun = Instant::now();
        let answer = client(&developer()).post(&url).send().await.unwrap();
        assert_eq!(meaning(answer).await, HookOutcome::Accepted { status: 200 });
        // The connection is closed, so that nobody is left talking.
        timeout(Duration::from_secs(10), talking).await.unwrap().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(20));
        let said = said.load(Ordering::Relaxed);
        assert!((READ..100_000_000).contains(&said), "{said} bytes");
    }

    #[tokio::test]
    async fn an_answer_of_usual_length_is_read_and_its_connection_used_again() {
        let (listener, url) = listener().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let body = "x".repeat(READ);
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {READ}\r\n\r\n{body}");
            while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let client = client(&developer());
        for _ in 0..2 {
            let answer = timeout(Duration::from_secs(10), client.post(&url).send()).await.unwrap();
            assert_eq!(meaning(answer.unwrap()).await, HookOutcome::Accepted { status: 200 });
        }
    }
}
