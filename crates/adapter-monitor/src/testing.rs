//! A Collections Monitor on a loopback port, tenant profiles included.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::form_urlencoded;

/// How long to wait where no connection can be taken: no file descriptor is free, most likely.
const EXHAUSTED: Duration = Duration::from_millis(20);

/// A Monitor that answers as it is told and keeps what it was asked. Dropped, it stops and cuts
/// its connections.
///
/// A PUT is about a tenant's profile: the path's last segment but one is the tenant. Any other
/// request is about a number: the parameter `phone` or, without one, the path's last segment, as
/// any template puts it. Told nothing, it knows no number (404) and keeps every language (204).
pub struct MonitorStub {
    address: SocketAddr,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

impl MonitorStub {
    /// A Monitor that nobody has asked yet.
    ///
    /// # Errors
    /// Where no port of this machine can be listened on.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (shared, stop) = (Arc::new(Shared::new()), CancellationToken::new());
        let serving = serve(listener, Arc::clone(&shared), stop.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(serving));
        Ok(Self { address, shared, _stop: stop.drop_guard() })
    }

    /// Where it listens, `http://127.0.0.1:4711`: for `MONITOR_API_URL` and
    /// `TENANT_PROFILE_API_URL`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers questions about that spelling so from now on.
    pub fn set_lookup_for(&self, spelling: &str, reply: Reply) {
        self.shared.script().lookups.for_one.insert(spelling.to_owned(), reply);
    }

    /// Answers questions about all other spellings so from now on.
    pub fn set_lookup(&self, reply: Reply) {
        self.shared.script().lookups.for_others = reply;
    }

    /// Answers changes of that tenant's profile so from now on.
    pub fn set_profile_for(&self, tenant: &str, reply: Reply) {
        self.shared.script().profiles.for_one.insert(tenant.to_owned(), reply);
    }

    /// Answers changes of all other profiles so from now on.
    pub fn set_profile(&self, reply: Reply) {
        self.shared.script().profiles.for_others = reply;
    }

    /// Answers one request so, whatever it is about: the next that nothing was said about in this
    /// way.
    pub fn reply_next(&self, reply: Reply) {
        self.shared.script().next.push_back(reply);
    }

    /// Answers everything so until it is over: `None`.
    pub fn set_outage(&self, reply: Option<Reply>) {
        self.shared.script().outage = reply;
    }

    /// All that it was asked, in the order in which it came.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.borrow().clone()
    }

    /// The subjects of all that it was asked: spellings and tenants.
    #[must_use]
    pub fn subjects(&self) -> Vec<String> {
        self.shared.asked.borrow().iter().map(|asked| asked.subject.clone()).collect()
    }

    /// Waits until it was asked so often, answered or not.
    pub async fn was_asked(&self, times: usize) {
        let mut asked = self.shared.asked.subscribe();
        // The sender lives as long as this stub.
        let _ = asked.wait_for(|asked| asked.len() >= times).await;
    }
}

/// A request as it came. Personal data, as its `Debug` is: for tests only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `GET`, `PUT`.
    pub method: String,
    /// Path and query, as they were written.
    pub target: String,
    /// The spelling or the tenant, decoded.
    pub subject: String,
    /// Names, in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// On which connection it came, from 0.
    pub connection: usize,
}

impl Asked {
    /// The first value of a header, whose name is given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn new(head: &hyper::http::request::Parts, body: &[u8], connection: usize) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = head.headers.iter();
        Self {
            method: head.method.as_str().to_owned(),
            target: head.uri.to_string(),
            subject: subject(head),
            headers: headers
                .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
                .collect(),
            body: text(body),
            connection,
        }
    }
}

/// What becomes of a request.
#[derive(Debug, Clone)]
pub struct Reply {
    fate: Fate,
    headers: HeaderMap,
    delay: Duration,
}

#[derive(Debug, Clone)]
enum Fate {
    Answer { status: StatusCode, body: Bytes },
    Cut,
    Hang,
}

impl Reply {
    /// The number is that tenant's.
    #[must_use]
    pub fn tenant(id: &str) -> Self {
        Self::json(&json!({ "tenant_id": id }).to_string())
    }

    /// A 200 with that body.
    #[must_use]
    pub fn json(body: &str) -> Self {
        Self::answer(200, body).with_header("content-type", "application/json")
    }

    /// Nothing but a status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::answer(status, "")
    }

    /// A status and a body. A status that no answer can have is a 500.
    #[must_use]
    pub fn answer(status: u16, body: impl AsRef<[u8]>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::of(Fate::Answer { status, body: Bytes::copy_from_slice(body.as_ref()) })
    }

    /// The connection is cut without an answer.
    #[must_use]
    pub fn cut() -> Self {
        Self::of(Fate::Cut)
    }

    /// Nothing happens, as long as the client waits.
    #[must_use]
    pub fn hang() -> Self {
        Self::of(Fate::Hang)
    }

    /// The same with a header more. The name is in lower case; a value that no header can have is
    /// left out.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// The same, so much later.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    fn of(fate: Fate) -> Self {
        Self { fate, headers: HeaderMap::new(), delay: Duration::ZERO }
    }

    async fn happen(self) -> Result<Response<Full<Bytes>>, Cut> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        match self.fate {
            Fate::Answer { status, body } => {
                let mut response = Response::new(Full::new(body));
                *response.status_mut() = status;
                *response.headers_mut() = self.headers;
                Ok(response)
            }
            Fate::Cut => Err(Cut),
            Fate::Hang => std::future::pending().await,
        }
    }
}

/// The connection is to be cut without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut")]
struct Cut;

struct Shared {
    script: Mutex<Script>,
    asked: watch::Sender<Vec<Asked>>,
}

/// What was said about replies. What is said later here wins.
struct Script {
    lookups: Replies,
    profiles: Replies,
    outage: Option<Reply>,
    next: VecDeque<Reply>,
}

struct Replies {
    for_others: Reply,
    for_one: HashMap<String, Reply>,
}

impl Shared {
    fn new() -> Self {
        let all = |reply| Replies { for_others: reply, for_one: HashMap::new() };
        let script = Script {
            lookups: all(Reply::status(404)),
            profiles: all(Reply::status(204)),
            outage: None,
            next: VecDeque::new(),
        };
        Self { script: Mutex::new(script), asked: watch::Sender::new(Vec::new()) }
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_in(&self, asked: Asked) -> Reply {
        let reply = self.script().reply(&asked);
        self.asked.send_modify(|all| all.push(asked));
        reply
    }
}

impl Script {
    fn reply(&mut self, asked: &Asked) -> Reply {
        let replies = if asked.method == "PUT" { &self.profiles } else { &self.lookups };
        let usual = || replies.for_one.get(&asked.subject).unwrap_or(&replies.for_others).clone();
        self.next.pop_front().or_else(|| self.outage.clone()).unwrap_or_else(usual)
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    for number in 0.. {
        let stream = accept(&listener).await;
        let connection = connection(stream, number, Arc::clone(&shared));
        tokio::spawn(stop.clone().run_until_cancelled_owned(connection));
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(_) => tokio::time::sleep(EXHAUSTED).await,
        }
    }
}

async fn connection(stream: TcpStream, number: usize, shared: Arc<Shared>) {
    // Without it a small answer can wait for 40 ms; without that it is still an answer.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| respond(&shared, request, number));
    // An error means that the connection was cut, by the caller or by us.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(
    shared: &Shared,
    request: Request<Incoming>,
    connection: usize,
) -> Result<Response<Full<Bytes>>, Cut> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    shared.take_in(Asked::new(&head, &body, connection)).happen().await
}

/// What a request is about.
fn subject(head: &hyper::http::request::Parts) -> String {
    let segment = |behind: usize| {
        let segment = head.uri.path().rsplit('/').nth(behind).unwrap_or_default();
        percent_decode_str(segment).decode_utf8_lossy().into_owned()
    };
    if head.method == Method::PUT {
        return segment(1);
    }
    let query = head.uri.query().unwrap_or_default();
    let phone = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "phone");
    phone.map_or_else(|| segment(0), |(_, phone)| phone.into_owned())
}
