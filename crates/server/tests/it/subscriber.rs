//! A program that is told of what happens: keeps what it was told, and answers as it is asked to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a call is answered with; `None`: nothing, while the caller waits.
pub(crate) type Answering = Box<dyn Fn(usize, &Call) -> Option<u16> + Send + Sync>;

/// A call that came.
#[derive(Clone)]
pub(crate) struct Call {
    /// The headers, their names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) text: String,
    pub(crate) body: Value,
    /// What it was answered with.
    pub(crate) answered: Option<u16>,
}

impl Call {
    pub(crate) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    /// What the event is about.
    pub(crate) fn data(&self, name: &str) -> &str {
        self.body["data"][name].as_str().unwrap()
    }

    pub(crate) fn message(&self) -> &str {
        self.body["data"]["message"]["id"].as_str().unwrap()
    }
}

/// The calls that were answered 200.
pub(crate) fn told(calls: &[Call]) -> impl Iterator<Item = &Call> {
    calls.iter().filter(|call| call.answered == Some(200))
}

/// The program, until it is dropped.
pub(crate) struct Subscriber {
    pub(crate) url: String,
    calls: Arc<Mutex<Vec<Call>>>,
    task: JoinHandle<()>,
}

impl Subscriber {
    /// Answers each call as `answering` says, which is told how many came before.
    pub(crate) async fn start(answering: Answering) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let (kept, answering) = (calls.clone(), Arc::new(answering));
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                tokio::spawn(converse(stream, kept.clone(), answering.clone()));
            }
        });
        Self { url, calls, task }
    }

    /// One that always answers that.
    pub(crate) async fn answering(status: u16) -> Self {
        Self::start(Box::new(move |_, _| Some(status))).await
    }

    /// What came, in the order of its coming.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// Waits until so many calls were answered with 2xx.
    pub(crate) async fn until_told(&self, count: usize) {
        let told = |call: &&Call| call.answered.is_some_and(|status| status < 300);
        for _ in 0..3000 {
            if self.calls.lock().unwrap().iter().filter(told).count() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited in vain for {count} calls, {} came", self.calls().len());
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(mut stream: TcpStream, calls: Arc<Mutex<Vec<Call>>>, answering: Arc<Answering>) {
    let mut read = Vec::new();
    loop {
        let Some(mut call) = next_call(&mut stream, &mut read).await else { return };
        let answer = {
            let mut calls = calls.lock().unwrap();
            call.answered = answering(calls.len(), &call);
            calls.push(call.clone());
            call.answered
        };
        let Some(status) = answer else {
            tokio::time::sleep(Duration::from_mins(5)).await;
            return;
        };
        let answer = format!("HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn next_call(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<Call> {
    loop {
        if let Some((call, length)) = parse(read) {
            read.drain(..length);
            return Some(call);
        }
        if stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
    }
}

/// A whole request at the beginning of `read`, and how long it is.
fn parse(read: &[u8]) -> Option<(Call, usize)> {
    let head = read.windows(4).position(|end| end == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&read[..head]).unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_lowercase(), value.trim().to_owned()))
    };
    let headers: BTreeMap<_, _> = text.lines().skip(1).filter_map(header).collect();
    let length: usize = headers["content-length"].parse().unwrap();
    let body = read.get(head + 4..head + 4 + length)?;
    let text = String::from_utf8(body.to_vec()).unwrap();
    let body = serde_json::from_str(&text).unwrap();
    Some((Call { headers, text, body, answered: None }, head + 4 + length))
}
