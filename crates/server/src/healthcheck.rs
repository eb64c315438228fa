//! `sms-foundation health`: asks the running service on this machine whether it lives.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

/// A service that lives answers at once.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks the service that listens there.
pub(crate) fn run(address: Option<(String, u16)>) -> ExitCode {
    let lives = address.is_some_and(|(host, port)| answers(reachable(&host), port));
    if lives { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whoever listens everywhere listens here.
fn reachable(host: &str) -> &str {
    match host {
        "0.0.0.0" => "127.0.0.1",
        "::" | "[::]" => "::1",
        host => host,
    }
}

/// Whether `GET /health/live` is answered 200.
fn answers(host: &str, port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let address = (host, port).to_socket_addrs()?.next();
        let address = address.ok_or(std::io::ErrorKind::AddrNotAvailable)?;
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let request = "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes())?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}
