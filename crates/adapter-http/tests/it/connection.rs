//! Callers that go away, over real connections.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, middleware};
use adapter_http::{Services, configure, envelope, on_connect};
use domain::ports::MockMessageStore;
use domain::testing::{InMemoryStore, Inspect};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::provider::{FakeProvider, accept};
use crate::service::{gate, sending, services};

const BODY: &str = r#"{"to": "+18605550199", "body": "Hello"}"#;

struct Server {
    address: SocketAddr,
    handle: ServerHandle,
}

impl Server {
    fn start(services: Services) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let app = move || {
            App::new()
                .wrap(middleware::from_fn(envelope))
                .configure(|config| configure(config, &services))
        };
        let server = HttpServer::new(app)
            .on_connect(on_connect)
            .workers(1)
            .disable_signals()
            .listen(listener)
            .unwrap()
            .run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { address, handle }
    }

    async fn ask(&self, head: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let length = body.len();
        // Without a key, this machine is answered under its own name only.
        let head = format!("{head}\r\nhost: localhost\r\nconnection: close");
        let head = format!("{head}\r\ncontent-length: {length}");
        let request = format!("{head}\r\ncontent-type: application/json\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn send(&self) -> TcpStream {
        self.ask("POST /sms/send HTTP/1.1", BODY).await
    }
}

async fn answer(mut stream: TcpStream) -> (String, Value) {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), serde_json::from_str(body).unwrap())
}

async fn until(condition: impl AsyncFn() -> bool) {
    while !condition().await {
        tokio::task::yield_now().await;
    }
}

/// Sends, does that to the connection while Twilio thinks about it, and then asks for the same
/// again. Gives how many texts Twilio has got.
async fn texts_when_the_caller(acts: impl AsyncFnOnce(TcpStream, &dyn Fn())) -> u32 {
    let (store, provider) =
        (Arc::new(InMemoryStore::default()), Arc::new(FakeProvider::silent(accept)));
    let server = Server::start(sending(&store, provider.clone()));
    let first = server.send().await;
    until(async || provider.orders() == 1).await;
    acts(first, &|| provider.let_answer(1)).await;
    until(async || store.everything().await.messages[0].message.twilio_sid.is_some()).await;
    provider.let_answer(1);
    let (status, _) = answer(server.send().await).await;
    assert_eq!(status, "HTTP/1.1 202 Accepted");
    server.handle.stop(true).await;
    provider.orders()
}

#[actix_web::test]
async fn a_caller_that_stays_has_been_told() {
    let texts = texts_when_the_caller(async |stream: TcpStream, go_on: &dyn Fn()| {
        go_on();
        let (status, body) = answer(stream).await;
        assert_eq!(status, "HTTP/1.1 202 Accepted");
        assert!(body["twilio_sid"].is_string());
    });
    assert_eq!(texts.await, 2, "the same again is another text");
}

#[actix_web::test]
async fn a_caller_that_goes_away_has_not_been_told() {
    let texts = texts_when_the_caller(async |stream: TcpStream, go_on: &dyn Fn()| {
        drop(stream);
        go_on();
    });
    assert_eq!(texts.await, 1, "the same again is the same text");
}

#[actix_web::test]
async fn a_caller_that_breaks_off_has_not_been_told() {
    let texts = texts_when_the_caller(async |stream: TcpStream, go_on: &dyn Fn()| {
        stream.set_zero_linger().unwrap();
        drop(stream);
        go_on();
    });
    assert_eq!(texts.await, 1, "the same again is the same text");
}

#[actix_web::test]
async fn a_caller_that_only_stops_speaking_is_answered() {
    let texts = texts_when_the_caller(async |mut stream: TcpStream, go_on: &dyn Fn()| {
        stream.shutdown().await.unwrap();
        go_on();
        assert_eq!(answer(stream).await.0, "HTTP/1.1 202 Accepted");
    });
    assert_eq!(texts.await, 1, "to be sure, it counts as gone");
}

#[actix_web::test]
async fn a_panic_is_answered_over_the_wire() {
    let server = Server::start(services(Arc::new(MockMessageStore::new()), gate()));
    let (status, body) = answer(server.ask("GET /messages/SM1 HTTP/1.1", "").await).await;
    assert_eq!(status, "HTTP/1.1 500 Internal Server Error");
    assert_eq!(body["error"]["code"], "sms.internal");
    server.handle.stop(true).await;
}
