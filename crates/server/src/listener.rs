//! The socket that requests come in by, and how it is closed without losing any.
//!
//! A listening socket that is closed resets the connections that wait in its queue, and a proxy has
//! sent requests on them already. So first nobody new is let in: the beginnings of connections (SYN) are
//! dropped, while those that have begun are completed and accepted. Whoever was dropped knocks again a
//! second later and is refused properly, so that a proxy takes another process.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::Context;

/// For so long connections that have begun are accepted.
const COMPLETION: Duration = Duration::from_millis(250);

/// A second handle of the listening socket.
pub(crate) struct Door(TcpListener);

impl Door {
    pub(crate) fn of(listener: &TcpListener) -> anyhow::Result<Self> {
        Ok(Self(listener.try_clone().context("the listening socket cannot be shared")?))
    }

    /// Lets nobody new in; comes back once those who were on their way are in. Then the socket may be
    /// closed.
    pub(crate) async fn shut(&self) {
        if let Err(error) = drop_beginnings(&self.0) {
            // Some sandboxes cannot. What is lost then is what waits at the very moment of closing.
            tracing::debug!(%error, "connections cannot be held off before the socket is closed");
            return;
        }
        tokio::time::sleep(COMPLETION).await;
    }
}

/// A packet filter of the socket's own: of the TCP header's flags, SYN without ACK is dropped.
#[cfg(target_os = "linux")]
fn drop_beginnings(listener: &TcpListener) -> std::io::Result<()> {
    use socket2::{SockFilter, SockRef};

    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    SockRef::from(listener).attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

#[cfg(not(target_os = "linux"))]
fn drop_beginnings(_: &TcpListener) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn who_is_in_the_queue_is_served_and_who_comes_later_is_not_let_in() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let early = TcpStream::connect(address).unwrap();
        Door::of(&listener).unwrap().shut().await;
        let late = TcpStream::connect_timeout(&address, Duration::from_millis(300));
        assert!(late.is_err(), "nobody new is let in");
        let (_, accepted) = listener.accept().unwrap();
        assert_eq!(accepted, early.local_addr().unwrap());
        drop(listener);
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}
