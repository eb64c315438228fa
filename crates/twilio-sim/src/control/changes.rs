//! Server-sent events: something has changed in the account. What, is to be asked for.

use std::time::Duration;

use futures_util::stream;
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, HeaderValue};

use crate::account::Account;
use crate::server::Answer;

/// Changes that come closer together than this are told as one.
const TOGETHER: Duration = Duration::from_millis(25);
/// A stream that says nothing for so long says that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Tells of every change from now on, beginning with the state of now.
pub(super) fn stream(account: &Account) -> Answer {
    let mut changes = account.changes.subscribe();
    changes.mark_changed();
    let pieces = stream::unfold(changes, async |mut changes| {
        let piece = match tokio::time::timeout(HEARTBEAT, changes.changed()).await {
            Ok(Ok(())) => {
                tokio::time::sleep(TOGETHER).await;
                format!("event: change\ndata: {}\n\n", *changes.borrow_and_update())
            }
            // The account is gone.
            Ok(Err(_)) => return None,
            Err(_) => ": still here\n\n".to_owned(),
        };
        Some((Ok(Bytes::from(piece)), changes))
    });
    Answer::streaming(200, HeaderValue::from_static("text/event-stream"), pieces)
        .with_header(CACHE_CONTROL, HeaderValue::from_static("no-store"))
}
