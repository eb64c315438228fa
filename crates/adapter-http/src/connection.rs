//! Whether a client is still there while it waits.
//!
//! actix-http keeps a handler running when its client closes the connection: that looks like a
//! client that has merely finished speaking. (`h1_allow_half_closed(false)` would drop the handler,
//! and with it the webhook that it is writing down.) So the socket is asked.

use std::any::Any;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream as AsyncTcpStream;

/// For `HttpServer::on_connect`: keeps a second handle of the connection's socket, so that
/// `POST /sms/send` can see whether its caller has gone. Costs a file descriptor for each
/// connection.
pub fn on_connect(connection: &dyn Any, extensions: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<AsyncTcpStream>() else {
        return;
    };
    match stream.as_fd().try_clone_to_owned() {
        Ok(socket) => {
            extensions.insert(Arc::new(Peer(TcpStream::from(socket))));
        }
        Err(error) => tracing::warn!(%error, "whether this client leaves will not be seen"),
    }
}

/// The other end of a connection.
pub(crate) struct Peer(TcpStream);

impl Peer {
    /// Who made the request; `None` where the server does not keep it.
    pub(crate) fn of(request: &HttpRequest) -> Option<Arc<Self>> {
        request.conn_data::<Arc<Self>>().cloned()
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
