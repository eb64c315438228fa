//! How many messages a second the store takes in, one after the other and from many callers:
//! `cargo run --release -p adapter-sqlite --example throughput [folder]`.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use adapter_sqlite::SqliteStore;
use domain::job::JobId;
use domain::message::MessageId;
use domain::ports::MessageStore;
use domain::testing::fixture::{at, inbound, sid, uuid};
use tokio::task::JoinSet;

const FOR: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    for callers in [1, 16, 64, 256] {
        let place = tempfile::tempdir_in(&folder)?;
        let store = SqliteStore::open(&place.path().join("sms.db"))?;
        store.migrate().await?;
        measure(Arc::new(store), callers).await?;
    }
    Ok(())
}

async fn measure(store: Arc<SqliteStore>, callers: u32) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut running = JoinSet::new();
    for caller in 0..callers {
        running.spawn(record(Arc::clone(&store), caller, callers, start));
    }
    let mut waits: Vec<Duration> = Vec::new();
    while let Some(done) = running.join_next().await {
        waits.extend(done??);
    }
    let took = start.elapsed().as_secs_f64();
    waits.sort_unstable();
    let calls = u32::try_from(waits.len())?;
    let place = |hundredths: usize| waits.get(waits.len() * hundredths / 100);
    println!(
        "{callers:>4} callers: {:>8.0} messages/s, median {:?}, 99 of 100 within {:?}, {:?}",
        f64::from(calls) / took,
        place(50).copied().unwrap_or_default(),
        place(99).copied().unwrap_or_default(),
        store.groups(),
    );
    Ok(())
}

/// Messages of one sender, until time is up. Only the store's part is in the loop: to parse a
/// telephone number takes longer than to store it.
async fn record(
    store: Arc<SqliteStore>,
    caller: u32,
    callers: u32,
    start: Instant,
) -> anyhow::Result<Vec<Duration>> {
    let mut text = inbound(caller, &format!("+1860555{caller:04}"));
    let mut waits = Vec::new();
    for number in (caller..).step_by(usize::try_from(callers)?) {
        if start.elapsed() > FOR {
            break;
        }
        text.id = MessageId(uuid(10_000_000 + number));
        text.lookup_job = JobId(uuid(200_000_000 + number));
        text.message.twilio_sid = sid(number);
        text.received_at = at(number);
        let asked = Instant::now();
        store.record_inbound(&text).await?;
        waits.push(asked.elapsed());
    }
    Ok(waits)
}
