//! A service that is told of the status of its messages.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use adapter_twilio::form::Form;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A service that keeps what it is told.
pub(crate) struct Service {
    pub(crate) base_url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    answers: Arc<AtomicU16>,
}

/// A status callback.
#[derive(Clone)]
pub(crate) struct Heard {
    pub(crate) target: String,
    pub(crate) signature: String,
    pub(crate) body: String,
}

impl Heard {
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        Form::parse(self.body.as_bytes()).text(name).map(String::from)
    }
}

impl Service {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let answers = Arc::new(AtomicU16::new(204));
        let (ears, status) = (Arc::clone(&heard), Arc::clone(&answers));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(hear(stream, Arc::clone(&ears), Arc::clone(&status)));
            }
        });
        Self { base_url, heard, answers }
    }

    /// Where it wants to be told.
    pub(crate) fn callback(&self) -> String {
        format!("{}/webhook/twilio/status?message_id=0197&x=a%20b", self.base_url)
    }

    /// From now on it answers with that HTTP status.
    pub(crate) fn answer(&self, status: u16) {
        self.answers.store(status, Ordering::SeqCst);
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// The statuses it was told of, in the order in which it was.
    pub(crate) fn statuses(&self) -> Vec<String> {
        self.heard().iter().map(|heard| heard.field("MessageStatus").unwrap()).collect()
    }
}

async fn hear(mut stream: TcpStream, ears: Arc<Mutex<Vec<Heard>>>, status: Arc<AtomicU16>) {
    let mut text = String::new();
    let heard = loop {
        let mut chunk = [0; 4096];
        let length = stream.read(&mut chunk).await.unwrap();
        assert_ne!(length, 0, "the callback has an end");
        text.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
        if let Some(heard) = whole(&text) {
            break heard;
        }
    };
    ears.lock().unwrap().push(heard);
    let status = status.load(Ordering::SeqCst);
    let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
}

/// The request, once all of it is there.
fn whole(text: &str) -> Option<Heard> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let header = |name: &str| {
        let named = |line: &&str| line.to_ascii_lowercase().starts_with(&format!("{name}:"));
        let line = head.lines().find(named).unwrap();
        line.split_once(':').unwrap().1.trim().to_owned()
    };
    let length: usize = header("content-length").parse().unwrap();
    let target = head.split(' ').nth(1).unwrap().to_owned();
    let signature = header("x-twilio-signature");
    (body.len() == length).then(|| Heard { target, signature, body: body.to_owned() })
}
