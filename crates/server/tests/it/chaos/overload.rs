//! More than the service can follow: what it cannot take it refuses at once, and it lives on.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::chaos::link::{Link, Way};
use crate::chaos::load::{Load, TAKEN};
use crate::database::{Database, shared_server};
use crate::proof::scale;
use crate::service::{PUBLIC, Service, client};

/// What a text that cannot be taken is answered with: come again.
const REFUSED: Option<u16> = Some(503);
/// The longest that a refusal may take, and that health may.
const QUICK: Duration = Duration::from_secs(3);
/// What one process may grow by, whatever is asked of it.
const BOUND_KIB: usize = 64 * 1024;

/// The status of an answer, and how long it took.
type Answer = (Option<u16>, Duration);

#[tokio::test(flavor = "multi_thread")]
async fn four_times_what_a_slow_store_can_follow_is_refused_in_time_and_forgotten_in_seconds() {
    let link = Link::to(&shared_server()).await;
    let database = Database::postgres_at(&link.url);
    let settings = database.settings().with("DATABASE_POOL_SIZE", "1");
    let mut service = Service::start(&settings);
    let load = Load::on(&service.url, PUBLIC);
    load.recovered("before").await;
    let before = service.resident_kib();
    link.set(Way::Slow(Duration::from_millis(10)));
    let seconds = scale("OVERLOAD_SECONDS", 2);
    let health = Health::watch(&service);
    let answers = overload(&load, seconds).await;
    let (probes, slowest_probe) = health.end().await;
    let grown = service.resident_kib().saturating_sub(before);
    let taken = taken_of(&answers);
    let slowest = answers.iter().map(|(_, took)| *took).max().unwrap();
    println!(
        "overload: of {} in {seconds} s {taken} were taken, the others refused, the slowest answer \
         after {slowest:.1?}; {probes} probes, the slowest {slowest_probe:.1?}; grown by {grown} KiB",
        answers.len()
    );
    assert!(taken > 0, "nothing was taken");
    let odd: Vec<_> =
        answers.iter().filter(|(status, _)| ![TAKEN, REFUSED].contains(status)).collect();
    assert!(odd.is_empty(), "neither taken nor told to come again: {odd:?}");
    assert!(slowest < QUICK, "an answer took {slowest:?}");
    assert!(probes > 5 && slowest_probe < QUICK, "{probes} probes, {slowest_probe:?}");
    assert!(grown < BOUND_KIB, "grown by {grown} KiB");
    link.set(Way::Open);
    let recovery = load.recovered("overload").await;
    println!("overload: recovered after {recovery:.1?}");
    assert!(recovery < Duration::from_secs(5), "{recovery:?}");
    assert_eq!(service.stop(), Some(0));
    let kept = database.everything().await.messages;
    let of = |sid: &String| {
        kept.iter().filter(|kept| kept.message.twilio_sid.as_ref().unwrap().as_str() == sid).count()
    };
    let wrong: Vec<_> = load.acknowledged().into_iter().filter(|sid| of(sid) != 1).collect();
    assert!(wrong.is_empty(), "not there once: {wrong:?}");
}

/// Asks for more and more until it is four times what is taken: what became of that.
async fn overload(load: &Arc<Load>, seconds: usize) -> Vec<Answer> {
    let mut rate = 400;
    loop {
        let answers = demand(load, rate, seconds).await;
        if taken_of(&answers) * 4 <= answers.len() {
            return answers;
        }
        assert!(rate < 2000, "it follows {rate} a second: it is not slow");
        rate *= 2;
    }
}

fn taken_of(answers: &[Answer]) -> usize {
    answers.iter().filter(|(status, _)| *status == TAKEN).count()
}

/// Texts at that rate, whatever becomes of them.
async fn demand(load: &Arc<Load>, rate: usize, seconds: usize) -> Vec<Answer> {
    let begun = Instant::now();
    let mut texts = Vec::new();
    for number in 0..rate * seconds {
        let due = Duration::from_micros(u64::try_from(number * 1_000_000 / rate).unwrap());
        tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
        let load = load.clone();
        texts.push(tokio::spawn(async move {
            let asked = Instant::now();
            (load.status_of_next().await, asked.elapsed())
        }));
    }
    let mut answers = Vec::new();
    for text in texts {
        answers.push(text.await.unwrap());
    }
    answers
}

/// Somebody who asks again and again whether the service lives.
struct Health {
    over: Arc<AtomicBool>,
    asking: JoinHandle<(usize, Duration)>,
}

impl Health {
    fn watch(service: &Service) -> Self {
        let (over, url) =
            (Arc::new(AtomicBool::new(false)), format!("{}/health/live", service.url));
        let ended = over.clone();
        let asking = tokio::spawn(async move {
            let (client, mut probes, mut slowest) = (client(), 0, Duration::ZERO);
            while !ended.load(Ordering::Relaxed) {
                let asked = Instant::now();
                assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
                (probes, slowest) = (probes + 1, slowest.max(asked.elapsed()));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            (probes, slowest)
        });
        Self { over, asking }
    }

    /// How often it was asked, and how long the slowest answer took.
    async fn end(self) -> (usize, Duration) {
        self.over.store(true, Ordering::Relaxed);
        self.asking.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_and_clients_of_a_byte_a_second_hold_nobody_up() {
    let (idle, dripping) = (scale("IDLE_CONNECTIONS", 1000), scale("DRIPPING_CLIENTS", 100));
    let database = Database::sqlite();
    let mut service = Service::start(&database.settings());
    let address = service.url.strip_prefix("http://").unwrap().to_owned();
    let load = Load::on(&service.url, PUBLIC);
    load.recovered("before").await;
    let (files, before) = (service.open_files(), service.resident_kib());
    let connect = |_| TcpStream::connect(&address).unwrap();
    let mut held = Vec::new();
    // No faster than they are taken: what the system has no room for it would let in seconds later,
    // when the first were sent away already.
    while held.len() < idle {
        held.extend((0..500.min(idle - held.len())).map(connect));
        let taken = files + held.len();
        service.wait_for("connections to be taken", || service.open_files() >= taken);
    }
    let slow: Vec<_> = (0..dripping).map(connect).collect();
    let dripped = Arc::new(AtomicUsize::new(0));
    let drips = std::thread::spawn({
        let dripped = dripped.clone();
        move || drip(slow, &dripped)
    });
    let (begun, mut slowest) = (Instant::now(), Duration::ZERO);
    while begun.elapsed() < Duration::from_secs(3) {
        let asked = Instant::now();
        assert!(load.text_next().await, "refused: {:?}", service.log().last());
        slowest = slowest.max(asked.elapsed());
    }
    let grown = service.resident_kib().saturating_sub(before);
    println!(
        "idle: {idle} connections, {dripping} clients that wrote {} bytes: the slowest text took \
         {slowest:.1?}, grown by {grown} KiB",
        dripped.load(Ordering::Relaxed)
    );
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert!(grown < BOUND_KIB + idle * 16, "grown by {grown} KiB");
    drop(held);
    drips.join().unwrap();
    assert!(dripped.load(Ordering::Relaxed) > dripping);
    service.wait_for("the connections to be gone", || service.open_files() < files + 20);
    assert_eq!(service.stop(), Some(0));
}

/// Writes a byte a second to each until the service has sent all away.
fn drip(mut clients: Vec<TcpStream>, dripped: &AtomicUsize) {
    let request = b"POST /webhook/twilio/sms HTTP/1.1\r\nHost: sms.example.com\r\n";
    let patience = Instant::now() + Duration::from_secs(30);
    for byte in request.iter().cycle() {
        clients.retain_mut(|client| client.write_all(&[*byte]).is_ok());
        if clients.is_empty() {
            return;
        }
        dripped.fetch_add(clients.len(), Ordering::Relaxed);
        assert!(Instant::now() < patience, "{} are still served", clients.len());
        std::thread::sleep(Duration::from_secs(1));
    }
}
