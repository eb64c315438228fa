//! The load: requests written to keep-alive connections, each when the last was answered. One
//! thread, because it shares its processors with what it measures.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// What the load saw.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// How many requests were answered.
    pub(crate) requests: u32,
    /// For how long.
    pub(crate) took: Duration,
    /// How long each answer took, in microseconds, the shortest first.
    waits: Vec<u32>,
}

impl Seen {
    pub(crate) fn of(took: Duration, mut waits: Vec<u32>) -> Result<Self> {
        ensure!(!waits.is_empty(), "nothing was answered");
        waits.sort_unstable();
        Ok(Self { requests: u32::try_from(waits.len())?, took, waits })
    }

    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        f64::from(self.requests) / self.took.as_secs_f64()
    }

    /// The time, in milliseconds, within which so many of a hundred were answered.
    pub(crate) fn within(&self, hundredths: usize) -> f64 {
        let place = (self.waits.len() * hundredths / 100).min(self.waits.len() - 1);
        self.waits.get(place).map_or(f64::NAN, |micros| f64::from(*micros) / 1000.0)
    }
}

/// Sends the requests over so many connections until the time is over, or all are sent.
pub(crate) fn run(
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    connections: usize,
    time: Duration,
) -> Result<Seen> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, send_all(address, requests, connections, time))
}

async fn send_all(
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    connections: usize,
    time: Duration,
) -> Result<Seen> {
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let requests = Rc::new(RefCell::new(requests.into_iter()));
    let start = Instant::now();
    let tasks = streams.into_iter().map(|stream| {
        let requests = Rc::clone(&requests);
        let next = move || requests.borrow_mut().next().filter(|_| start.elapsed() < time);
        tokio::task::spawn_local(send(stream, next))
    });
    let tasks: Vec<_> = tasks.collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await??);
    }
    Seen::of(start.elapsed(), waits)
}

async fn send(mut stream: TcpStream, next: impl Fn() -> Option<Vec<u8>>) -> Result<Vec<u32>> {
    let mut waits = Vec::new();
    let mut buffer = Vec::with_capacity(64 * 1024);
    while let Some(request) = next() {
        let start = Instant::now();
        stream.write_all(&request).await?;
        read_answer(&mut stream, &mut buffer).await?;
        waits.push(u32::try_from(start.elapsed().as_micros())?);
    }
    Ok(waits)
}

/// Reads one answer, which must be a success.
async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    loop {
        ensure!(stream.read_buf(buffer).await? > 0, "the service hung up");
        let Some(length) = length_of(buffer)? else {
            continue;
        };
        if buffer.len() >= length {
            return Ok(());
        }
    }
}

/// How long the answer is with its head; `None` where the head is not all there yet.
fn length_of(answer: &[u8]) -> Result<Option<usize>> {
    let Some(head) = answer.windows(4).position(|end| end == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(answer.get(..head).unwrap_or_default())?;
    let status = text.get(9..12).context("no HTTP answer")?;
    if !status.starts_with('2') {
        bail!("answered {status}");
    }
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    Ok(Some(head + 4 + length.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_as_long_as_its_head_says() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel";
        assert_eq!(length_of(answer).unwrap(), Some(43));
        assert_eq!(length_of(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap(), Some(27));
        assert_eq!(length_of(b"HTTP/1.1 200 OK\r\ncontent").unwrap(), None);
        assert!(length_of(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").is_err());
    }

    #[test]
    fn percentiles_are_of_all_answers() {
        let seen = Seen::of(Duration::from_secs(2), (1..=1000).rev().collect()).unwrap();
        assert!((seen.rate() - 500.0).abs() < 1e-9);
        assert!((seen.within(50) - 0.501).abs() < 1e-9);
        assert!((seen.within(99) - 0.991).abs() < 1e-9);
    }
}
