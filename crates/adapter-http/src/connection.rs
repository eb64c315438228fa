//! Whether a client is still there while it waits.
//!
//! actix-http keeps a handler running when its client closes the connection: that looks like a
//! client that has merely finished speaking. (`h1_allow_half_closed(false)` would drop the handler,
//! and with it the webhook that it is writing down.) So the socket is asked.

use std::any::Any;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, LazyLock};

use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream as AsyncTcpStream;

/// Whether a handle can be taken of a socket whose number is known. Where it cannot (an old kernel, a
/// container without the right) each connection has a second handle from its beginning.
static LATER: LazyLock<bool> =
    LazyLock::new(|| handle_of(std::io::stderr().as_fd().as_raw_fd()).is_some());

/// How many file descriptors a connection costs.
#[must_use]
pub fn descriptors_for_each_connection() -> u64 {
    if *LATER { 1 } else { 2 }
}

/// For `HttpServer::on_connect`: remembers the connection's socket, so that `POST /sms/send` can see
/// whether its caller has gone.
pub fn on_connect(connection: &dyn Any, extensions: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<AsyncTcpStream>() else {
        return;
    };
    if *LATER {
        extensions.insert(Socket::Number(stream.as_raw_fd()));
        return;
    }
    match stream.as_fd().try_clone_to_owned() {
        Ok(socket) => {
            extensions.insert(Socket::Handle(Arc::new(Peer(TcpStream::from(socket)))));
        }
        Err(error) => tracing::warn!(%error, "whether this client leaves will not be seen"),
    }
}

/// How the socket of a connection is found.
enum Socket {
    /// It is this one as long as the connection has a request.
    Number(RawFd),
    Handle(Arc<Peer>),
}

#[cfg(target_os = "linux")]
fn handle_of(number: RawFd) -> Option<OwnedFd> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

    let ourselves = pidfd_open(getpid(), PidfdFlags::empty()).ok()?;
    pidfd_getfd(ourselves, number, PidfdGetfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn handle_of(_: RawFd) -> Option<OwnedFd> {
    None
}

/// The other end of a connection.
pub(crate) struct Peer(TcpStream);

impl Peer {
    /// Who made the request; `None` where the server does not keep it.
    pub(crate) fn of(request: &HttpRequest) -> Option<Arc<Self>> {
        match request.conn_data::<Socket>()? {
            Socket::Number(number) => {
                handle_of(*number).map(|socket| Arc::new(Self(TcpStream::from(socket))))
            }
            Socket::Handle(peer) => Some(peer.clone()),
        }
    }

    /// Whether it may still read an answer. One that has closed its sending side counts as gone.
    pub(crate) fn is_there(&self) -> bool {
        // The socket does not block: its handle shares that with the one that the server reads.
        match self.0.peek(&mut [0]) {
            Ok(bytes) => bytes > 0,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }
}
