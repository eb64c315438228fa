//! The HTTP server: one that can also cut a connection without an answer.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use crate::account::Account;
use crate::{api, control};

/// More than any form of Twilio's.
const LONGEST_REQUEST: usize = 1 << 20;

/// How long to wait where no connection can be taken: no file descriptor is free, most likely.
const EXHAUSTED: Duration = Duration::from_millis(20);

/// A request that was read to its end.
pub(crate) struct Heard {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Bytes,
}

/// What is sent back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    content_type: &'static str,
    body: String,
}

/// The connection is to be cut without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut")]
pub(crate) struct Cut;

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    pub(crate) fn html(status: u16, body: &str) -> Self {
        Self::new(status, "text/html", body.to_owned())
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self::new(status, "application/json", String::new())
    }

    fn new(status: u16, content_type: &'static str, body: String) -> Self {
        Self { status, retry_after: None, content_type, body }
    }

    fn into_response(self) -> Response<Full<Bytes>> {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Response::new(Full::new(Bytes::from(self.body)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
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

async fn respond(
    account: Arc<Account>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Cut> {
    let request = hear(request).await.ok_or(Cut)?;
    let answer = match control::answer(&account, &request).await {
        Some(answer) => answer,
        None => api::answer(&account, &request).await?,
    };
    Ok(answer.into_response())
}

async fn hear(request: Request<Incoming>) -> Option<Heard> {
    let (head, body) = request.into_parts();
    let authorization = head.headers.get(AUTHORIZATION);
    Some(Heard {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        authorization: authorization.and_then(|value| value.to_str().ok()).map(str::to_owned),
        body: Limited::new(body, LONGEST_REQUEST).collect().await.ok()?.to_bytes(),
    })
}
