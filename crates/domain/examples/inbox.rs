//! The inbox on the store in memory: three people write, one text comes twice.
//!
//! `cargo run -p domain --features testing --example inbox`

use std::sync::Arc;

use domain::inbox::Inbox;
use domain::language::{Confidence, Detection, Language};
use domain::phone::{Region, masked};
use domain::ports::{LanguageDetector, Order, Recorded, Start, ThreadQuery};
use domain::testing::{CountingIds, InMemoryStore, SteppingClock, fixture};
use domain::threads::Threads;

/// Knows one Spanish word.
struct Greetings;

impl LanguageDetector for Greetings {
    fn detect(&self, text: &str) -> Detection {
        let language = if text.contains("Hola") { Language::Spanish } else { Language::English };
        Detection { language, confidence: Confidence::from_thousandths(800) }
    }
}

fn main() -> Result<(), domain::error::Error> {
    futures_executor::block_on(run())
}

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn run() -> Result<(), domain::error::Error> {
    let store = Arc::new(InMemoryStore::default());
    let (clock, ids) = (Arc::new(SteppingClock::default()), Arc::new(CountingIds::default()));
    let ages = Some(fixture::lookup_ages());
    let inbox = Inbox::new(store.clone(), Arc::new(Greetings), clock.clone(), ids, ages);

    for (number, from, body) in [
        (1, "+18605550199", "My sink is leaking"),
        (2, "+18605550142", "Hola, no hay luz en el pasillo"),
        (3, "whatsapp:+18605550199", "Hello from another channel"),
        (1, "+18605550199", "My sink is leaking"),
    ] {
        let text = fixture::message(fixture::sid(number), from, body);
        match inbox.receive(text).await? {
            Recorded::New { after, .. } => {
                println!("{}: new, prefers {}", masked(from), after.language.as_str());
            }
            Recorded::Duplicate { .. } => println!("{}: we have it already", masked(from)),
        }
    }

    let threads = Threads::new(&store, clock, Region::default());
    let newest = ThreadQuery { order: Order::NewestFirst, start: Start::Offset(0), limit: 20 };
    let (_, page) = threads.conversation("(860) 555-0199", &newest).await?;
    println!("the first one's conversation has {} message(s)", page.total);
    Ok(())
}
