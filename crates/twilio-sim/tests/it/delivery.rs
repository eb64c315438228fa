//! What goes over the wire and what comes back.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use twilio_sim::{Answer, Builder, DeliveryError, InboundText, LocalTwilio};

/// A server for one request: its address, and what it was sent once it has answered.
fn server(answer: &'static str) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"ApiVersion=2010-04-01") {
            let mut chunk = [0; 4096];
            let length = stream.read(&mut chunk).unwrap();
            heard.extend(chunk.into_iter().take(length));
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(heard).unwrap()
    });
    (address, served)
}

fn twilio() -> Builder {
    LocalTwilio::builder("local-development-token")
}

async fn deliver(twilio: Builder, address: SocketAddr) -> Result<Answer, DeliveryError> {
    let twilio = twilio.build().unwrap();
    let text = InboundText::new("+18605550199", "+18605550100").body("Hola");
    let url = format!("http://{address}/webhook/twilio/sms");
    twilio.deliver(&twilio.request(&url, &text.fields())).await
}

#[tokio::test]
async fn a_signed_form_is_posted_and_the_answer_is_read() {
    let (address, served) = server(
        "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: 11\r\n\r\n<Response/>",
    );
    let answer = deliver(twilio(), address).await.unwrap();
    assert!(answer.is_success());
    assert_eq!(answer.content_type.as_deref(), Some("text/xml"));
    assert_eq!(answer.body, "<Response/>");
    let heard = served.join().unwrap();
    assert!(heard.starts_with("POST /webhook/twilio/sms HTTP/1.1\r\n"));
    assert!(heard.contains("x-twilio-signature: "));
    assert!(heard.contains("content-type: application/x-www-form-urlencoded; charset=UTF-8"));
    assert!(heard.contains("&Body=Hola&"));
}

#[tokio::test]
async fn a_redirect_is_shown_and_not_followed() {
    let (address, _) =
        server("HTTP/1.1 301 Moved\r\nlocation: http://h/\r\ncontent-length: 0\r\n\r\n");
    let answer = deliver(twilio(), address).await.unwrap();
    assert!(!answer.is_success());
    assert_eq!(answer.location.as_deref(), Some("http://h/"));
}

#[tokio::test]
async fn a_service_that_is_not_running_is_recognised() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = deliver(twilio(), address).await.unwrap_err();
    assert!(matches!(error, DeliveryError::NotRunning(_)), "{error:?}");
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_waited_for_only_so_long() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let impatient = twilio().timeout(Duration::from_millis(50));
    let error = deliver(impatient, address).await.unwrap_err();
    assert!(matches!(error, DeliveryError::TimedOut(_)), "{error:?}");
}
