//! A stand-in for Twilio's API: answers one reply after the other and keeps what was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use adapter_twilio::{ClientSettings, TwilioClient};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::request::{BASE, TOKEN};

pub(crate) const ACCOUNT: &str = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A whole answer, on a connection that is kept.
    Answer { status: u16, headers: &'static str, body: String },
    /// A whole answer, on a connection that is then closed without a word of warning.
    AnswerAndClose(String),
    /// The connection is closed without an answer.
    Cut,
    /// The connection is closed within the answer.
    CutWithin,
    /// Nothing, for ever.
    Silence,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::Answer { status, headers: "", body: body.to_string() }
    }

    pub(crate) fn error(status: u16, code: u32) -> Self {
        let message = "The 'To' number +18605550199 is not valid";
        Self::json(status, &serde_json::json!({"code": code, "message": message, "status": status}))
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// Which connection it came on.
    pub(crate) connection: usize,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Default)]
struct Shared {
    replies: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<Asked>>,
}

pub(crate) struct Stub {
    shared: Arc<Shared>,
    pub(crate) url: String,
}

impl Stub {
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let replies = Mutex::new(replies.into_iter().collect());
        let shared = Arc::new(Shared { replies, ..Shared::default() });
        tokio::spawn(accept(listener, shared.clone()));
        Self { shared, url }
    }

    pub(crate) fn client(&self) -> TwilioClient {
        TwilioClient::new(&settings(&self.url)).unwrap()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }
}

pub(crate) fn settings(api_url: &str) -> ClientSettings {
    ClientSettings {
        api_url: api_url.parse().unwrap(),
        ..ClientSettings::new(ACCOUNT.to_owned(), TOKEN.into(), BASE.parse().unwrap())
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    for connection in 0.. {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(serve(stream, connection, shared.clone()));
    }
}

async fn serve(stream: TcpStream, connection: usize, shared: Arc<Shared>) {
    let mut stream = BufReader::new(stream);
    while let Some(asked) = read(&mut stream, connection).await {
        shared.asked.lock().unwrap().push(asked);
        let reply = shared.replies.lock().unwrap().pop_front().unwrap();
        match reply {
            Reply::Answer { status, headers, body } => {
                write(&mut stream, status, headers, body.len(), &body).await;
            }
            Reply::AnswerAndClose(body) => {
                return write(&mut stream, 201, "", body.len(), &body).await;
            }
            Reply::Cut => return,
            Reply::CutWithin => return write(&mut stream, 201, "", 1000, "{\"sid\":\"SM1\"").await,
            Reply::Silence => std::future::pending().await,
        }
    }
}

async fn write(
    stream: &mut BufReader<TcpStream>,
    status: u16,
    headers: &str,
    length: usize,
    body: &str,
) {
    let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n{headers}\r\n");
    let _ = stream.write_all([head.as_str(), body].concat().as_bytes()).await;
}

/// `None` at the end of the connection.
async fn read(stream: &mut BufReader<TcpStream>, connection: usize) -> Option<Asked> {
    let first = line(stream).await?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    while let Some(header) = line(stream).await.filter(|header| !header.is_empty()) {
        let (name, value) = header.split_once(": ")?;
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let mut asked = Asked { method, target, headers, body: String::new(), connection };
    let length = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    asked.body = String::from_utf8(body).unwrap();
    Some(asked)
}

async fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let length = stream.read_line(&mut line).await.ok()?;
    (length > 0).then(|| line.trim_end().to_owned())
}
