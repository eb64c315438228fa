//! What the Monitor can answer, row by row: wire contracts, section 4.

use std::time::Duration;

use adapter_monitor::testing::Reply;
use adapter_monitor::{MonitorSettings, Patience};
use domain::ports::TenantDirectory;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::wire::{HASTY, PHONE, QUICK, client, look_up, monitor, nowhere, settings, stub, told};

/// What a lookup brings, and after how many requests, where the Monitor always replies so.
async fn check(reply: Reply, expected: &str, requests: usize) {
    check_with(QUICK, reply, expected, requests).await;
}

async fn check_with(patience: Patience, reply: Reply, expected: &str, requests: usize) {
    let stub = stub().await;
    stub.set_lookup(reply.clone());
    let settings = MonitorSettings { patience, ..settings(&stub.base_url()) };
    assert_eq!(look_up(&client(&settings), PHONE).await, expected, "{reply:?}");
    assert_eq!(stub.asked().len(), requests, "{reply:?}");
}

#[tokio::test]
async fn a_tenant_id_is_a_match() {
    check(Reply::tenant("T1"), "tenant T1", 1).await;
    check(Reply::json(r#"{"tenant_id": 18446744073709551617}"#), "tenant 18446744073709551617", 1)
        .await;
    check(Reply::json(r#"[{"tenant_id": 7}, {"tenant_id": "7"}]"#), "tenant 7", 1).await;
    check(Reply::answer(200, r#"{"tenant_id": "no-content-type"}"#), "tenant no-content-type", 1)
        .await;
}

#[tokio::test]
async fn no_id_204_and_404_are_nobody() {
    for body in [r#"{"tenant_id": null}"#, r#"{"tenant_id": ""}"#, "{}", "null", "[]", ""] {
        check(Reply::json(body), "nobody", 1).await;
    }
    check(Reply::status(204), "nobody", 1).await;
    check(Reply::status(404), "nobody", 1).await;
    check(Reply::answer(404, "<html>no such page</html>"), "nobody", 1).await;
}

#[tokio::test]
async fn several_tenants_are_ambiguous() {
    check(Reply::json(r#"[{"tenant_id": 1}, {"tenant_id": 2}]"#), "ambiguous", 1).await;
    check(Reply::json(r#"{"tenants": [{"tenant_id": 1}, {"tenant_id": 2}]}"#), "ambiguous", 1)
        .await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_rejected_at_once() {
    for body in [r#"{"tenant_id": "a b"}"#, r#"{"tenant_id": true}"#, "<html>", "{", "5"] {
        check(Reply::json(body), "rejected", 1).await;
    }
    check(Reply::answer(200, vec![b' '; 300 << 10]), "rejected", 1).await;
}

#[tokio::test]
async fn a_refusal_is_rejected_at_once() {
    for status in [400, 401, 403, 405, 410, 422, 451, 201, 202, 206] {
        check(Reply::status(status), "rejected", 1).await;
    }
}

#[tokio::test]
async fn a_redirect_is_rejected_and_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        check(
            Reply::status(status).with_header("location", "/tenants/lookup?phone=1"),
            "rejected",
            1,
        )
        .await;
    }
}

#[tokio::test]
async fn trouble_that_passes_is_waited_for_four_times_and_then_unavailable() {
    for status in [408, 429, 500, 502, 503, 504, 599] {
        check(Reply::status(status), "unavailable", 4).await;
    }
    check(Reply::cut(), "unavailable", 4).await;
    check_with(HASTY, Reply::hang(), "unavailable", 4).await;
}

#[tokio::test]
async fn trouble_that_has_passed_is_forgotten() {
    for trouble in [Reply::status(503), Reply::status(429), Reply::cut(), Reply::hang()] {
        let stub = stub().await;
        stub.set_lookup(Reply::tenant("T1"));
        stub.reply_next(trouble.clone());
        let settings = MonitorSettings {
            patience: Patience { read_timeout: Duration::from_millis(500), ..QUICK },
            ..settings(&stub.base_url())
        };
        assert_eq!(look_up(&client(&settings), PHONE).await, "tenant T1", "{trouble:?}");
        assert_eq!(stub.asked().len(), 2, "{trouble:?}");
    }
}

#[tokio::test]
async fn a_monitor_that_is_not_there_is_unavailable() {
    let client = client(&settings(&nowhere().await));
    assert_eq!(look_up(&client, PHONE).await, "unavailable");
}

#[tokio::test]
async fn a_monitor_that_takes_no_connection_is_unavailable() {
    let (full, _others) = full_port().await;
    let patience = Patience {
        connect_timeout: Duration::from_millis(50),
        read_timeout: Duration::from_hours(1),
        ..QUICK
    };
    let settings = MonitorSettings { patience, ..settings(&full) };
    assert_eq!(look_up(&client(&settings), PHONE).await, "unavailable");
}

/// A port at which so many wait already that nobody else is let in.
async fn full_port() -> (String, (TcpListener, Vec<TcpStream>)) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    let patience = Duration::from_millis(200);
    while let Ok(Ok(stream)) = timeout(patience, TcpStream::connect(address)).await {
        waiting.push(stream);
    }
    (format!("http://{address}"), (listener, waiting))
}

#[tokio::test]
async fn a_monitor_that_asks_for_no_wait_is_asked_again() {
    let stub = stub().await;
    stub.set_lookup(Reply::tenant("T1"));
    stub.reply_next(Reply::status(429).with_header("retry-after", "0"));
    assert_eq!(look_up(&monitor(&stub), PHONE).await, "tenant T1");
}

#[tokio::test]
async fn a_long_wait_that_the_monitor_asks_for_is_passed_on() {
    for status in [429, 503] {
        let stub = stub().await;
        stub.set_lookup(Reply::status(status).with_header("retry-after", "120"));
        assert_eq!(look_up(&monitor(&stub), PHONE).await, "unavailable for 120s");
        assert_eq!(stub.asked().len(), 1, "it asked us to wait: {status}");
    }
    let stub = stub().await;
    let date = "Thu, 24 Aug 2023 05:01:45 GMT";
    let later = "Thu, 24 Aug 2023 05:06:45 GMT";
    let reply = Reply::status(503).with_header("date", date).with_header("retry-after", later);
    stub.set_lookup(reply);
    assert_eq!(look_up(&monitor(&stub), PHONE).await, "unavailable for 300s");
}

#[tokio::test]
async fn an_answer_that_ends_too_soon_is_unavailable() {
    let url =
        monitor_that_writes("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"tenant_id\"", 0).await;
    assert_eq!(look_up(&client(&settings(&url)), PHONE).await, "unavailable");
    let url = monitor_that_writes("no HTTP at all\r\n\r\n", 0).await;
    assert_eq!(look_up(&client(&settings(&url)), PHONE).await, "unavailable");
}

#[tokio::test]
async fn an_answer_that_never_ends_is_unavailable() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n";
    let url = monitor_that_writes(head, 99_999_999).await;
    let patience = Patience {
        connect_timeout: Duration::from_millis(100),
        read_timeout: Duration::from_millis(100),
        attempts: 2,
        ..QUICK
    };
    let settings = MonitorSettings { patience, ..settings(&url) };
    assert_eq!(look_up(&client(&settings), PHONE).await, "unavailable");
}

/// Answers every request with that text and then, every 10 ms, with a blank more.
async fn monitor_that_writes(text: &'static str, blanks: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let mut alive = stream.write_all(text.as_bytes()).await.is_ok();
                let mut pace = tokio::time::interval(Duration::from_millis(10));
                for _ in 0..blanks {
                    pace.tick().await;
                    alive = alive && stream.write_all(b" ").await.is_ok();
                    if !alive {
                        return;
                    }
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn any_answer_but_a_5xx_shows_that_the_monitor_is_alive() {
    let stub = stub().await;
    for status in [200, 204, 302, 401, 404, 429] {
        stub.reply_next(Reply::status(status));
        assert!(monitor(&stub).check().await.is_ok(), "{status}");
    }
    for status in [500, 503] {
        stub.reply_next(Reply::status(status).with_header("retry-after", "7"));
        let error = monitor(&stub).check().await.unwrap_err();
        assert_eq!(told(&error), "unavailable for 7s", "{status}");
    }
    let asked = stub.asked();
    assert_eq!(asked.len(), 8, "one request for one check");
    assert!(asked.iter().all(|one| (one.method.as_str(), one.target.as_str()) == ("GET", "/")));
}

#[tokio::test]
async fn a_monitor_that_does_not_answer_a_check_is_not_alive() {
    let stub = stub().await;
    for trouble in [Reply::cut(), Reply::hang()] {
        stub.reply_next(trouble);
        let settings = MonitorSettings { patience: HASTY, ..settings(&stub.base_url()) };
        assert_eq!(told(&client(&settings).check().await.unwrap_err()), "unavailable");
    }
    assert_eq!(stub.asked().len(), 2, "one request for one check");
    let nobody = client(&settings(&nowhere().await));
    assert_eq!(told(&nobody.check().await.unwrap_err()), "unavailable");
}
