//! A service in its world, a fault that befalls it, and what must hold afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use adapter_monitor::testing::MonitorStub;
use domain::event::{EventCursor, EventKind};
use domain::message::Direction;
use domain::outbound::SendState;
use domain::ports::EventStore;
use domain::testing::Everything;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, block_in_place};
use twilio_sim::Message;

use crate::chaos::is_full;
use crate::chaos::load::{Answers, Load};
use crate::chaos::table::Line;
use crate::database::Database;
use crate::hooks::{quick, subscribe};
use crate::sending::Stage;
use crate::service::{Service, Settings};
use crate::subscriber::{Subscriber, told};

/// A service may hold so much more than before a fault: buffers, and what the allocator keeps.
const SLACK_KIB: usize = 32 * 1024;

pub(crate) struct Scene {
    pub(crate) fault: &'static str,
    pub(crate) database: Database,
    pub(crate) stage: Stage,
    pub(crate) monitor: MonitorStub,
    pub(crate) settings: Settings,
    pub(crate) services: Vec<Service>,
    pub(crate) load: Arc<Load>,
    /// Whether the subscriber answers nothing.
    pub(crate) hangs: Arc<AtomicBool>,
    subscriber: Subscriber,
    subscription: String,
    running: Option<JoinHandle<()>>,
    /// How much memory each process had before the fault.
    before: BTreeMap<u32, usize>,
}

impl Scene {
    /// Processes on a database, a subscriber that is well, a Monitor that knows nobody.
    pub(crate) async fn set(fault: &'static str, database: Database, processes: usize) -> Self {
        Self::set_with(fault, database, processes, |settings| settings).await
    }

    pub(crate) async fn set_with(
        fault: &'static str,
        database: Database,
        processes: usize,
        more: impl FnOnce(Settings) -> Settings,
    ) -> Self {
        let stage = Stage::set(&database).await;
        let monitor = MonitorStub::start().await.unwrap();
        let settings = quick(stage.settings.clone())
            .with("TWILIO_TIMEOUT", "1s")
            .with("JOB_LEASE", "9s")
            .with("SEND_QUIET_PERIOD", "2s")
            .with("MONITOR_API_URL", &monitor.base_url());
        let settings = more(settings);
        let start = || Service::start(&settings);
        let services: Vec<_> = block_in_place(|| (0..processes).map(|_| start()).collect());
        let hangs = Arc::new(AtomicBool::new(false));
        let hung = hangs.clone();
        let answering = move |_, _: &_| (!hung.load(Ordering::Relaxed)).then_some(200);
        let subscriber = Subscriber::start(Box::new(answering)).await;
        let wish = json!({ "events": ["message.received"] });
        let made = subscribe(&services[0], "well", &subscriber.url, wish).await;
        let subscription = made["id"].as_str().unwrap().to_owned();
        let load = Load::on(&stage.relay.url, &stage.relay.url);
        let scene = Self {
            fault,
            database,
            stage,
            monitor,
            settings,
            services,
            load,
            hangs,
            subscriber,
            subscription,
            running: None,
            before: BTreeMap::new(),
        };
        scene.lead_to(0..processes);
        scene
    }

    /// Requests go to these processes.
    pub(crate) fn lead_to(&self, processes: Range<usize>) {
        let services = self.services[processes].iter();
        self.stage.relay.lead_to(services.map(|service| service.url.as_str()));
    }

    /// Waits so long, in which texts are refused: else there was no fault.
    pub(crate) async fn bites_for(&self, time: Duration) {
        let before = self.load.refused();
        tokio::time::sleep(time).await;
        assert!(self.load.refused() > before, "{}: nothing was refused", self.fault);
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, nth: usize) {
        self.services[nth].kill();
    }

    /// A process in the place of a dead one.
    pub(crate) fn start_again(&mut self, nth: usize) {
        self.services[nth] = block_in_place(|| Service::start(&self.settings));
        self.lead_to(0..self.services.len());
    }

    /// Lets people text and callers send, and looks how the service is before the fault.
    pub(crate) async fn begin(&mut self) {
        self.running = Some(tokio::spawn(self.load.clone().run()));
        self.load.is_under_way(self.fault).await;
        let kib = |service: &Service| (service.pid(), service.resident_kib());
        self.before = self.services.iter().map(kib).collect();
    }

    /// The fault is over, and nothing more is done for the service: it recovers, and nothing was
    /// lost, doubled or left lying.
    pub(crate) async fn end(mut self) -> Line {
        let recovery = self.load.recovered(self.fault).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        self.load.end();
        self.running.take().unwrap().await.unwrap();
        self.settle().await;
        for service in &self.services {
            if let Some(before) = self.before.get(&service.pid()) {
                let now = service.resident_kib();
                assert!(now < before + SLACK_KIB, "{}: {before} KiB, then {now}", self.fault);
            }
            assert!(!service.log().iter().any(|line| line.contains("panicked")), "{}", self.fault);
        }
        for service in &mut self.services {
            assert_eq!(block_in_place(|| service.stop()), Some(0), "{}", self.fault);
        }
        let store = self.database.open();
        let kept = store.everything().await;
        let received = self.received(&kept, &*store).await;
        let line = self.count(&kept, &received, recovery);
        assert_eq!((line.lost, line.doubled), (0, 0), "{}: lost, doubled", self.fault);
        line
    }

    /// Waits until every send, job and event has come to its end.
    async fn settle(&self) {
        let patience = Instant::now() + Duration::from_mins(1);
        let mut quiet = 0;
        while quiet < 2 {
            let open = self.open().await;
            quiet = if open.is_empty() { quiet + 1 } else { 0 };
            assert!(Instant::now() < patience, "{}: stuck: {open:?}", self.fault);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// What is not at its end.
    async fn open(&self) -> Vec<Value> {
        let mut open = Vec::new();
        let deliveries = format!("/subscriptions/{}/deliveries", self.subscription);
        for (path, states) in [
            ("/jobs?state", &["queued", "running"][..]),
            ("/messages?status", &["queued", "unknown"]),
            (&format!("{deliveries}?state"), &["queued", "running", "waiting"]),
        ] {
            for state in states {
                let (status, page) =
                    self.services[0].get(&format!("{path}={state}&limit=100")).await;
                let lists = page.as_object().filter(|_| status == 200).unwrap().values();
                let rows = lists.filter_map(Value::as_array).flatten();
                // Twilio may say `queued` of a message about which no callback has come.
                let rows = rows.filter(|row| !row["twilio_sid"].is_string());
                let left = |row: &&Value| row["kind"].as_str().is_some_and(|of| is_left(of, state));
                open.extend(rows.filter(|row| !left(row)).cloned());
            }
        }
        open
    }

    /// What the stream of events says was received. Nothing is read beyond the oldest open transaction,
    /// and another scene on the same server may have one open: so the stream has some time to tell of
    /// each text that is kept.
    async fn received(&self, kept: &Everything, store: &dyn EventStore) -> Vec<(String, String)> {
        let patience = Instant::now() + Duration::from_secs(30);
        let texts = inbound(kept).count();
        loop {
            let received = received(store).await;
            if received.len() >= texts || Instant::now() > patience {
                return received;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn count(&self, kept: &Everything, received: &[(String, String)], recovery: Duration) -> Line {
        for job in &kept.jobs {
            let is_fine = job.state == "done" || is_left(&job.kind, &job.state);
            assert!(is_fine, "{}: {job:?}", self.fault);
        }
        let (acknowledged, answered) = (self.load.acknowledged(), self.load.answered());
        let mut line = Line {
            times: 1,
            texts: acknowledged.len(),
            sends: answered.len(),
            recovery,
            ..Line::default()
        };
        let sids = inbound(kept).map(|text| text.twilio_sid.clone().unwrap().to_string());
        let texts = times(sids);
        line.doubled += surplus(&texts);
        let missing = acknowledged.iter().filter(|sid| !texts.contains_key(*sid));
        line.lost += self.count_lost("a text that was taken", missing);
        // One event for each text that is kept, and the subscriber knows each.
        let events = times(received.iter().map(|(sid, _)| sid.clone()));
        line.doubled += surplus(&events);
        let missing = texts.keys().filter(|sid| !events.contains_key(*sid));
        line.lost += self.count_lost("the event of", missing);
        let told: BTreeSet<_> =
            told(&self.subscriber.calls()).map(|call| call.id().to_owned()).collect();
        let untold = received.iter().filter(|(_, event)| !told.contains(event));
        line.lost += self.count_lost("what the subscriber is told", untold);
        self.count_sends(kept, &answered, &mut line);
        line
    }

    /// Each send that was answered is there and at its end, and what Twilio has made we know.
    fn count_sends(&self, kept: &Everything, answered: &Answers, line: &mut Line) {
        let made = self.stage.twilio.messages();
        line.doubled += surplus(&times(made.iter().map(|made| made.body.clone())));
        let (mut known, mut accepted) = (BTreeSet::new(), BTreeMap::new());
        for kept in &kept.messages {
            let Some(sending) = &kept.message.sending else { continue };
            let body = kept.message.content.as_ref().unwrap().as_str();
            match (sending.state, &kept.message.twilio_sid) {
                (SendState::Accepted, Some(sid)) => drop(accepted.insert(sid.as_str(), body)),
                (SendState::Refused | SendState::NotSent, None) => {
                    assert!(sending.error.is_some(), "{}: {body} is not explained", self.fault);
                }
                (state, sid) => panic!("{}: {body} is {state:?}, {sid:?}", self.fault),
            }
            known.insert(body);
        }
        let is_known = |made: &&Message| accepted.get(made.sid.as_str()) == Some(&&*made.body);
        let unknown = made.iter().filter(|made| !is_known(made));
        line.lost += self.count_lost("what Twilio has made", unknown);
        for (body, (status, answer)) in answered {
            assert!([202, 422, 502].contains(status), "{}: {status} {answer}", self.fault);
            let missing = Some(body).filter(|body| !known.contains(body.as_str()));
            line.lost += self.count_lost("a send that was answered", missing.into_iter());
        }
    }

    /// How many these are, each told of.
    fn count_lost(&self, what: &str, lost: impl Iterator<Item = impl Debug>) -> usize {
        lost.inspect(|lost| println!("{}: lost: {what} {lost:?}", self.fault)).count()
    }
}

fn inbound(kept: &Everything) -> impl Iterator<Item = &domain::message::Message> {
    let messages = kept.messages.iter().map(|kept| &kept.message);
    messages.filter(|message| message.direction == Direction::Inbound)
}

/// Of each text that an event says was received: its SID and the event.
async fn received(store: &dyn EventStore) -> Vec<(String, String)> {
    let (mut behind, mut received) = (EventCursor::default(), Vec::new());
    loop {
        let page = store.read_events(behind, 1000).await.unwrap();
        let Some(last) = page.last() else { return received };
        behind = last.cursor;
        let texts = page.iter().filter(|event| event.kind == EventKind::Received);
        received.extend(texts.map(|event| {
            let content = event.content.as_ref().unwrap();
            (content.twilio_sid.as_ref().unwrap().to_string(), event.id.to_string())
        }));
    }
}

/// Whether the ordinary tests leave a job in that state to `make chaos`: what is asked and told of
/// tenants has the longest lease, 36 s.
fn is_left(kind: &str, state: &str) -> bool {
    !is_full() && matches!((kind, state), ("tenant_lookup" | "tell_language", "running"))
}

fn times(of: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for one in of {
        *times.entry(one).or_insert(0) += 1;
    }
    times
}

fn surplus(times: &BTreeMap<String, usize>) -> usize {
    times.values().map(|count| count - 1).sum()
}
