//! The network between the service and its database, which can be cut, stalled and slowed.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

/// What becomes of what is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// Connections are closed, new ones too.
    Cut,
    /// Nothing comes through; nobody hangs up.
    Stalled,
    /// Each piece of at most 4 KiB takes so long.
    Slow(Duration),
}

/// A way through this process to a server, until it is dropped.
pub(crate) struct Link {
    /// The server's address, by this way.
    pub(crate) url: String,
    way: watch::Sender<Way>,
    task: JoinHandle<()>,
}

impl Link {
    pub(crate) async fn to(server: &str) -> Self {
        let mut url: Url = server.parse().unwrap();
        let target = (url.host_str().unwrap().to_owned(), url.port().unwrap_or(5432));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let (way, seen) = watch::channel(Way::Open);
        let task = tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                if *seen.borrow() != Way::Cut {
                    tokio::spawn(join(client, target.clone(), seen.clone()));
                }
            }
        });
        Self { url: url.into(), way, task }
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn join(client: TcpStream, target: (String, u16), way: watch::Receiver<Way>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    // Where one direction ends, the other does.
    tokio::select! {
        _ = pump(from_client, to_server, way.clone()) => {}
        _ = pump(from_server, to_client, way) => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut way: watch::Receiver<Way>,
) -> Option<()> {
    let (mut piece, mut cut) = ([0; 4096], way.clone());
    loop {
        let read = tokio::select! {
            read = from.read(&mut piece) => read.ok().filter(|read| *read > 0)?,
            _ = cut.wait_for(|way| *way == Way::Cut) => return None,
        };
        let now = *way.wait_for(|way| *way != Way::Stalled).await.ok()?;
        match now {
            Way::Cut => return None,
            Way::Slow(wait) => tokio::time::sleep(wait).await,
            Way::Open | Way::Stalled => {}
        }
        to.write_all(&piece[..read]).await.ok()?;
    }
}
