//! A Twilio that answers each request to send with what it was told to answer.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(crate) struct ScriptedTwilio {
    pub(crate) url: String,
    answer: Arc<Mutex<Value>>,
    task: JoinHandle<()>,
}

impl ScriptedTwilio {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer: Arc<Mutex<Value>> = Arc::default();
        let known = answer.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, known.clone()));
            }
        });
        Self { url, answer, task }
    }

    /// From now on messages get that SID and that status.
    pub(crate) fn answers(&self, sid: &str, status: &str) {
        *self.answer.lock().unwrap() = json!({ "sid": sid, "status": status });
    }
}

impl Drop for ScriptedTwilio {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers one request of each connection and closes it.
async fn converse(mut stream: TcpStream, answer: Arc<Mutex<Value>>) {
    let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
    while !is_whole(&request) {
        match stream.read(&mut chunk).await {
            Ok(read @ 1..) => request.extend_from_slice(&chunk[..read]),
            _ => return,
        }
    }
    let body = answer.lock().unwrap().to_string();
    let head = format!(
        "HTTP/1.1 201 CREATED\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all((head + &body).as_bytes()).await;
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
    });
    body.len() >= length.unwrap_or(0)
}
