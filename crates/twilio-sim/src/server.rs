//! The HTTP server: one that can also cut a connection without an answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::account::Account;
use crate::page::File;
use crate::{api, control, relay, visitor};

/// More than any form of Twilio's.
const LONGEST_REQUEST: usize = 1 << 20;

/// How long to wait where no connection can be taken: no file descriptor is free, most likely.
const EXHAUSTED: Duration = Duration::from_millis(20);

/// A request that was read to its end.
pub(crate) struct Heard {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Heard {
    /// A header; `None` where it is missing or no text.
    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn authorization(&self) -> Option<&str> {
        self.header(AUTHORIZATION)
    }
}

/// What is sent back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    headers: HeaderMap,
    body: Body,
}

/// A body that may be written while more of it comes. Where it breaks off, so does the connection.
type Body = UnsyncBoxBody<Bytes, Broken>;

/// The rest of a body will not come.
#[derive(Debug, thiserror::Error)]
#[error("the body breaks off")]
pub(crate) struct Broken;

/// The connection is to be cut without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut")]
pub(crate) struct Cut;

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, HeaderValue::from_static("application/json"), body.to_string())
    }

    pub(crate) fn html(status: u16, body: &str) -> Self {
        Self::new(status, HeaderValue::from_static("text/html"), body.to_owned())
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self::new(status, HeaderValue::from_static("application/json"), String::new())
    }

    pub(crate) fn new(status: u16, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        let body = Full::new(body.into()).map_err(|never: Infallible| match never {});
        Self::of(status, content_type, body.boxed_unsync())
    }

    /// An answer whose body comes piece by piece.
    pub(crate) fn streaming(
        status: u16,
        content_type: HeaderValue,
        pieces: impl Stream<Item = Result<Bytes, Broken>> + Send + 'static,
    ) -> Self {
        use futures_util::StreamExt;
        let frames = pieces.map(|piece| piece.map(Frame::data));
        Self::of(status, content_type, StreamBody::new(frames).boxed_unsync())
    }

    fn of(status: u16, content_type: HeaderValue, body: Body) -> Self {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type)]);
        Self { status, retry_after: None, headers, body }
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    fn into_response(self) -> Response<Body> {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Response::new(self.body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.extend(self.headers);
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        if status == StatusCode::UNAUTHORIZED {
            let realm = HeaderValue::from_static("Basic realm=\"Twilio API\"");
            headers.insert(WWW_AUTHENTICATE, realm);
        }
        response
    }
}

/// Serves until the account is stopped.
pub(crate) async fn serve(listener: TcpListener, account: Arc<Account>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(EXHAUSTED).await;
            continue;
        };
        let stop = account.stop.clone();
        let connection = connection(stream, Arc::clone(&account));
        tokio::spawn(stop.run_until_cancelled_owned(connection));
    }
}

async fn connection(stream: TcpStream, account: Arc<Account>) {
    // Without it a small answer can wait for 40 ms; without that it is still an answer.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| respond(Arc::clone(&account), request));
    // An error means that the connection was cut, by the caller or by us.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(account: Arc<Account>, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
    let request = hear(request).await.ok_or(Cut)?;
    let answer = match ours(&account, &request).await {
        Some(answer) => answer,
        None => api::answer(&account, &request).await?,
    };
    Ok(answer.into_response())
}

/// The answer to what Twilio does not have: the page, the controls, the way to the service. No
/// credentials are needed for them, so only this machine's own programs and pages may ask.
async fn ours(account: &Arc<Account>, request: &Heard) -> Option<Answer> {
    let wanted = Ours::find(request)?;
    if !visitor::is_from_here(&request.headers) {
        let message = "only programs and pages of this machine may ask for this";
        return Some(Answer::json(403, &json!({ "message": message })));
    }
    Some(match wanted {
        Ours::File(file) => file.answer(),
        Ours::Control(path) => control::answer(account, request, path).await,
        Ours::Service(path) => relay::answer(account.service.as_ref(), request, path).await,
    })
}

enum Ours<'a> {
    File(&'static File),
    Control(&'a str),
    Service(&'a str),
}

impl<'a> Ours<'a> {
    fn find(request: &'a Heard) -> Option<Self> {
        let file = || File::find(request).map(Self::File);
        let control = || control::path(&request.path).map(Self::Control);
        let service = || relay::path(&request.path).map(Self::Service);
        file().or_else(control).or_else(service)
    }
}

async fn hear(request: Request<Incoming>) -> Option<Heard> {
    let (head, body) = request.into_parts();
    Some(Heard {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: Limited::new(body, LONGEST_REQUEST).collect().await.ok()?.to_bytes(),
    })
}
