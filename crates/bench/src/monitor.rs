//! A Collections Monitor that knows a tenant for every number, at once.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::Result;

/// Answers for ever, each connection in a thread of its own; gives its address.
pub(crate) fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    Ok(address)
}

/// A lookup is one packet: who reads anything is asked something.
fn answer(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        let body = format!("{{\"tenant_id\": \"T{}\"}}", digits(buffer.get(..read)));
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// The digits of the request line, which are those of the number: a tenant of its own for each.
fn digits(request: Option<&[u8]>) -> String {
    let line = request.unwrap_or_default().split(|byte| *byte == b'\r').next().unwrap_or_default();
    let path = line.strip_suffix(b" HTTP/1.1").unwrap_or(line);
    path.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| char::from(*byte)).collect()
}
