//! An address that stays while services behind it come and go, as a load balancer's does.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Passes connections on to one after the other of the services behind it.
pub(crate) struct Relay {
    pub(crate) url: String,
    targets: Arc<Mutex<Vec<SocketAddr>>>,
    task: JoinHandle<()>,
}

impl Relay {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let targets: Arc<Mutex<Vec<SocketAddr>>> = Arc::default();
        let known = targets.clone();
        let next = AtomicUsize::new(0);
        let task = tokio::spawn(async move {
            loop {
                let Ok((mut client, _)) = listener.accept().await else { continue };
                let target = {
                    let known = known.lock().unwrap();
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    (!known.is_empty()).then(|| known[turn % known.len()])
                };
                let Some(target) = target else { continue };
                tokio::spawn(async move {
                    if let Ok(mut service) = TcpStream::connect(target).await {
                        let _ = copy_bidirectional(&mut client, &mut service).await;
                    }
                });
            }
        });
        Self { url, targets, task }
    }

    /// New connections go to these services.
    pub(crate) fn lead_to<'a>(&self, urls: impl IntoIterator<Item = &'a str>) {
        let address = |url: &str| url.strip_prefix("http://").unwrap().parse().unwrap();
        *self.targets.lock().unwrap() = urls.into_iter().map(address).collect();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}
