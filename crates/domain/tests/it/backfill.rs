//! Backfill as a whole, on the store in memory and lists that fail as they are told.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::backfill::{Backfill, BackfillPorts, BackfillRules, ByHand, Progress, Stopped, Tally};
use domain::delivery::DeliveryStatus;
use domain::inbox::Inbox;
use domain::language::Language;
use domain::message::{Direction, Media, MessageDetail, RawPayload, Source, TwilioSid};
use domain::phone::Region;
use domain::ports::{
    Archive, MessageKey, MessageList, MessageStore, PageToken, ProviderError, ProviderMessage,
    ProviderPage, Sender, StoreError,
};
use domain::receipts::Receipts;
use domain::testing::fixture::{at, inbound, lookup_ages, message, outbound, sid};
use domain::testing::{
    CountingIds, FixedChance, FixedDetector, InMemoryStore, Inspect, NoTimer, SteppingClock,
    fixture,
};
use domain::text::Text;
use domain::timestamp::Timestamp;
use futures_util::FutureExt;

const OURS: &str = "+18605550100";
const TENANT: &str = "+18605550199";
const SERVICE: &str = "MG0123456789abcdef0123456789abcdef";
/// So many messages are on a page of these lists.
const PAGE: usize = 3;

/// Twilio's lists: pages of all messages, newest first, between failures.
#[derive(Default)]
struct Lists {
    /// The newest last.
    messages: Mutex<Vec<ProviderMessage>>,
    /// What the next requests fail with.
    failures: Mutex<VecDeque<Option<ProviderError>>>,
    asked: Mutex<Vec<(MessageList, Timestamp, Option<String>)>>,
    trouble: Mutex<Option<Trouble>>,
    pools_asked: AtomicUsize,
}

/// What does not work until it does again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// Lists are not answered.
    Lists,
    Media,
    Pools,
}

impl Lists {
    fn is_in(&self, trouble: Trouble) -> bool {
        *self.trouble.lock().unwrap() == Some(trouble)
    }

    fn trouble(&self, trouble: Option<Trouble>) {
        *self.trouble.lock().unwrap() = trouble;
    }

    fn fail(&self, failures: impl IntoIterator<Item = Option<ProviderError>>) {
        self.failures.lock().unwrap().extend(failures);
    }

    fn asked(&self) -> usize {
        std::mem::take(&mut *self.asked.lock().unwrap()).len()
    }
}

#[async_trait]
impl Archive for Lists {
    async fn list(
        &self,
        list: &MessageList,
        since: Timestamp,
        page: Option<PageToken>,
    ) -> Result<ProviderPage, ProviderError> {
        let from = page.as_ref().map(|page| page.0.clone());
        self.asked.lock().unwrap().push((list.clone(), since, from.clone()));
        if self.is_in(Trouble::Lists) {
            std::future::pending::<()>().await;
        }
        if let Some(Some(failure)) = self.failures.lock().unwrap().pop_front() {
            return Err(failure);
        }
        let messages = self.messages.lock().unwrap();
        let of_list = |one: &&ProviderMessage| match list.direction {
            Direction::Inbound => one.to.as_ref() == Some(&list.number),
            Direction::Outbound => one.from.as_ref() == Some(&list.number),
        };
        let all: Vec<_> = messages.iter().rev().filter(of_list).collect();
        let behind = match from {
            Some(sid) => all.iter().position(|one| one.sid.as_str() == sid).unwrap() + 1,
            None => 0,
        };
        let rest = all.get(behind..).unwrap();
        let shown: Vec<ProviderMessage> =
            rest.iter().take(PAGE).map(|one| (*one).clone()).collect();
        let is_over = shown.last().is_none_or(|last| last.sent_at.unwrap() < since);
        let end = shown.last().map(|last| PageToken(last.sid.to_string()));
        let next = end.filter(|_| rest.len() > PAGE && !is_over);
        Ok(ProviderPage { messages: shown, next })
    }

    async fn media_of(&self, sid: &TwilioSid) -> Result<Vec<Media>, ProviderError> {
        if self.is_in(Trouble::Media) {
            return Err(unavailable(None));
        }
        Ok(vec![Media { url: format!("https://h/{sid}"), content_type: None }])
    }

    async fn numbers_of(&self, service: &str) -> Result<Vec<Text>, ProviderError> {
        assert_eq!(service, SERVICE);
        self.pools_asked.fetch_add(1, Ordering::Relaxed);
        if self.is_in(Trouble::Pools) {
            return Err(unavailable(None));
        }
        Ok(vec![Text::new(OURS)])
    }
}

struct World {
    store: Arc<InMemoryStore>,
    lists: Arc<Lists>,
    clock: Arc<SteppingClock>,
    backfill: Backfill,
}

impl World {
    /// At 10,000 seconds, with 60 s of grace, 600 s of overlap and 300 s between reads.
    fn new() -> Self {
        Self::with_senders(&[OURS])
    }

    fn with_senders(senders: &[&str]) -> Self {
        let store = Arc::new(InMemoryStore::default());
        let lists = Arc::new(Lists::default());
        let clock = Arc::new(SteppingClock::standing(at(10_000)));
        let ids = Arc::new(CountingIds::default());
        let detector = FixedDetector(fixture::detection(Language::Spanish, 900));
        let inbox = Inbox::new(
            store.clone(),
            Arc::new(detector),
            clock.clone(),
            ids.clone(),
            Some(lookup_ages()),
        );
        let ports = BackfillPorts {
            store: store.clone(),
            history: store.clone(),
            archive: lists.clone(),
            inbox,
            receipts: Receipts::new(store.clone(), clock.clone(), ids.clone()),
            clock: clock.clone(),
            timer: Arc::new(NoTimer),
            ids,
            chance: Arc::new(FixedChance::default()),
        };
        let rules = BackfillRules {
            interval: Duration::from_mins(5),
            overlap: Duration::from_mins(10),
            grace: Duration::from_mins(1),
            region: Region::default(),
        };
        let senders = senders.iter().map(|text| Sender::read(text)).collect();
        Self { store, lists, clock, backfill: Backfill::new(ports, rules, senders) }
    }

    /// The service has run once, then was away for a while.
    async fn back_after(seconds: u64) -> Self {
        let world = Self::new();
        world.run().await;
        world.clock.advance(Duration::from_secs(seconds));
        world.lists.asked();
        world
    }

    /// Twilio has a message, received or sent at that second.
    fn has(&self, listed: ProviderMessage) {
        self.lists.messages.lock().unwrap().push(listed);
    }

    async fn run(&self) -> Tally {
        self.try_run().await.unwrap()
    }

    async fn try_run(&self) -> Result<Tally, StoreError> {
        let mut found = Tally::default();
        self.backfill.run_due(&mut found).await.map(|()| found)
    }

    async fn find(&self, number: u32) -> Option<MessageDetail> {
        self.store.find_message(&MessageKey::Sid(sid(number))).await.unwrap()
    }
}

fn received(number: u32, second: u32) -> ProviderMessage {
    ProviderMessage {
        sid: sid(number),
        status: "received".into(),
        error_code: None,
        error_message: None,
        inbound: true,
        from: Some(Text::new(TENANT)),
        to: Some(Text::new(OURS)),
        body: Some(Text::new(format!("text {number}"))),
        num_media: 0,
        created_at: Some(at(second)),
        sent_at: Some(at(second)),
        raw: RawPayload::default(),
    }
}

fn sent(number: u32, second: u32, status: &str) -> ProviderMessage {
    let (from, to) = (Some(Text::new(OURS)), Some(Text::new(TENANT)));
    ProviderMessage { inbound: false, from, to, status: status.into(), ..received(number, second) }
}

fn unavailable(retry_after: Option<u64>) -> ProviderError {
    let retry_after = retry_after.map(Duration::from_secs);
    ProviderError::Unavailable { retry_after, source: "away".into() }
}

#[futures_test::test]
async fn what_came_while_we_were_away_is_taken_in_once_and_in_order() {
    let world = World::back_after(3600).await;
    for number in 1..=20 {
        world.has(received(number, 11_000 + number / 2));
    }
    let tally = world.run().await;
    assert_eq!((tally.listed, tally.missed), (20, 20));
    let all = world.store.everything().await;
    let texts: Vec<_> = {
        let mut messages: Vec<_> = all.messages.iter().map(|one| &one.message).collect();
        messages.sort_by_key(|message| (message.created_at, message.id));
        messages.iter().map(|one| one.content.clone().unwrap().as_str().to_owned()).collect()
    };
    let expected: Vec<_> = (1..=20).map(|number| format!("text {number}")).collect();
    assert_eq!(texts, expected, "also within one of Twilio's seconds");
    assert!(all.messages.iter().all(|one| one.message.source == Source::Backfill));
    assert_eq!(all.conversations[0].language.language, Language::Unknown, "old texts do not vote");
    world.clock.advance(Duration::from_mins(5));
    assert_eq!(world.run().await.missed, 0);
    assert_eq!(world.store.everything().await.messages, all.messages);
}

#[futures_test::test]
async fn what_was_before_the_first_start_is_not_ours() {
    let world = World::new();
    for (number, second) in [(1, 500), (2, 9_999), (3, 10_000), (4, 10_001)] {
        world.has(received(number, second));
    }
    assert_eq!(world.run().await, Tally::default());
    world.clock.advance(Duration::from_secs(400));
    assert_eq!(world.run().await.missed, 2);
    assert!(world.find(3).await.is_some() && world.find(2).await.is_none());
}

#[futures_test::test]
async fn a_young_message_is_left_to_its_webhook() {
    let world = World::back_after(1000).await;
    world.has(received(1, 10_940));
    world.has(received(2, 10_941));
    assert_eq!(world.run().await.missed, 1);
    world.store.record_inbound(&inbound(2, TENANT)).await.unwrap();
    world.clock.advance(Duration::from_mins(5));
    assert_eq!(world.run().await.missed, 0);
    assert_eq!(world.find(2).await.unwrap().message.source, Source::Webhook);
}

#[futures_test::test]
async fn a_list_that_is_late_is_caught_by_the_overlap() {
    let world = World::back_after(1000).await;
    world.run().await;
    world.clock.advance(Duration::from_mins(5));
    // The watermark is at 10,940 by now.
    world.has(received(1, 10_345));
    world.has(received(2, 10_335));
    assert_eq!(world.run().await.missed, 1);
    assert!(world.find(1).await.is_some());
}

#[futures_test::test]
async fn a_status_that_no_callback_brought_is_taken_over_and_nothing_of_others() {
    let world = World::back_after(1000).await;
    let first = inbound(9, TENANT);
    world.store.record_inbound(&first).await.unwrap();
    for number in 1..=3 {
        world.store.plant_message(&outbound(number, first.conversation)).await;
    }
    world.has(sent(1, 10_500, "delivered"));
    world.has(sent(2, 10_500, "queued"));
    let failed = Some("30003".to_owned());
    world.has(ProviderMessage { error_code: failed, ..sent(3, 10_501, "undelivered") });
    world.has(sent(4, 10_502, "delivered"));
    let tally = world.run().await;
    assert_eq!((tally.statuses, tally.foreign, tally.missed), (2, 1, 0));
    let status = async |number| world.find(number).await.unwrap().message.delivery;
    assert_eq!(status(1).await.status, DeliveryStatus::Delivered);
    assert_eq!(status(2).await.status, DeliveryStatus::Queued);
    assert_eq!(status(3).await.error_code.as_deref(), Some("30003"));
    assert!(world.find(4).await.is_none(), "another program sent it");
    world.clock.advance(Duration::from_mins(5));
    assert_eq!(world.run().await.statuses, 0, "what is known is not reported again");
}

#[futures_test::test]
async fn receipts_of_what_was_sent_long_before_an_outage_are_found_after_it() {
    let world = World::back_after(3000).await;
    let first = inbound(9, TENANT);
    world.store.record_inbound(&first).await.unwrap();
    world.store.plant_message(&outbound(1, first.conversation)).await;
    world.has(sent(1, 10_100, "sent"));
    assert_eq!(world.run().await.statuses, 1);
    world.lists.messages.lock().unwrap()[0].status = "delivered".into();
    world.clock.advance(Duration::from_mins(5));
    assert_eq!(world.run().await.statuses, 0, "it is left to its callback");
    world.clock.advance(Duration::from_mins(12));
    assert_eq!(world.run().await.statuses, 1);
}

#[futures_test::test]
async fn a_busy_twilio_is_asked_when_it_said_and_where_we_were() {
    let world = World::back_after(3600).await;
    for number in 1..=9 {
        world.has(received(number, 11_000 + number));
    }
    world.lists.fail([None, Some(unavailable(Some(120))), Some(unavailable(None))]);
    assert_eq!(world.run().await.missed, 3, "what was read is not thrown away");
    assert_eq!(world.lists.asked(), 3);
    world.clock.advance(Duration::from_secs(119));
    world.run().await;
    let directions = |asked: Vec<(MessageList, _, _)>| {
        asked.iter().map(|(list, ..)| list.direction).collect::<Vec<_>>()
    };
    let asked = std::mem::take(&mut *world.lists.asked.lock().unwrap());
    assert_eq!(directions(asked), [Direction::Outbound], "that one was told nothing");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.run().await.missed, 6);
    let (_, _, from) = world.lists.asked.lock().unwrap()[0].clone();
    assert_eq!(from, Some(sid(7).to_string()));
}

#[futures_test::test]
async fn a_place_in_a_list_that_twilio_forgot_begins_the_part_anew() {
    let world = World::back_after(3600).await;
    for number in 1..=5 {
        world.has(received(number, 11_000 + number));
    }
    world.lists.fail([None, Some(unavailable(None))]);
    assert_eq!(world.run().await.missed, 3);
    world.clock.advance(Duration::from_mins(1));
    world.lists.fail([Some(ProviderError::Rejected("no such page".into()))]);
    assert_eq!(world.run().await.missed, 0);
    world.clock.advance(Duration::from_mins(5));
    assert_eq!(world.run().await.missed, 2);
}

#[futures_test::test]
async fn a_long_list_is_read_in_several_runs() {
    let world = World::back_after(3600).await;
    for number in 1..=100 {
        world.has(received(number, 11_000 + number));
    }
    assert_eq!(world.run().await.missed, 60);
    assert_eq!(world.lists.asked(), 21, "20 pages, and one of what was sent");
    assert_eq!(world.run().await.missed, 40, "it goes on at once");
    assert_eq!(world.run().await, Tally::default());
}

#[futures_test::test]
async fn two_processes_do_not_read_one_list() {
    let world = World::back_after(3600).await;
    world.has(received(1, 11_000));
    let (one, other) = futures_util::future::join(world.run(), world.run()).await;
    assert_eq!((one.missed, other.missed), (1, 0));
}

#[futures_test::test]
async fn a_list_in_whose_reading_a_process_stopped_is_given_back() {
    let world = World::back_after(3600).await;
    world.has(received(1, 11_000));
    let mut found = Tally::default();
    {
        let mut reading = pin!(world.backfill.run_due(&mut found));
        world.lists.trouble(Some(Trouble::Lists));
        assert!((&mut reading).now_or_never().is_none());
    }
    world.lists.trouble(None);
    world.backfill.give_back().await.unwrap();
    assert_eq!(world.run().await.missed, 1);
    world.backfill.give_back().await.unwrap();
}

#[futures_test::test]
async fn a_clock_that_was_ahead_leaves_no_gap() {
    let world = World::new();
    world.clock.advance(Duration::from_hours(1));
    world.run().await;
    world.clock.set(at(10_030));
    world.run().await;
    world.has(received(1, 11_000));
    world.clock.set(at(12_000));
    assert_eq!(world.run().await.missed, 1);
    world.has(received(2, 11_800));
    world.clock.set(at(12_400));
    assert_eq!(world.run().await.missed, 1, "the overlap");
}

#[futures_test::test]
async fn a_text_waits_for_its_pictures_for_an_hour_at_most() {
    let world = World::back_after(2000).await;
    world.has(ProviderMessage { num_media: 1, ..received(1, 11_000) });
    world.lists.trouble(Some(Trouble::Media));
    assert_eq!(world.run().await.missed, 0);
    world.clock.advance(Duration::from_mins(61));
    assert_eq!(world.run().await.missed, 1);
    assert_eq!(world.find(1).await.unwrap().message.media, []);
}

#[futures_test::test]
async fn pictures_come_with_a_message() {
    let world = World::back_after(1000).await;
    world.has(ProviderMessage { num_media: 1, ..received(1, 10_500) });
    world.run().await;
    let media = world.find(1).await.unwrap().message.media;
    assert_eq!(media[0].url, format!("https://h/{}", sid(1)));
}

#[futures_test::test]
async fn a_burst_of_refusals_lets_the_lists_be_read_early_and_late_enough() {
    let world = World::back_after(300).await;
    world.run().await;
    world.has(received(1, 10_310));
    world.clock.advance(Duration::from_secs(11));
    for expected in [false, false, true, false] {
        assert_eq!(world.backfill.webhook_refused().await.unwrap(), expected);
    }
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(world.run().await, Tally::default(), "its webhook may still come");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.run().await.missed, 1);
}

#[futures_test::test]
async fn the_lists_are_read_when_a_process_starts_and_once_more_after_the_grace() {
    let world = World::back_after(1000).await;
    world.run().await;
    world.has(received(1, 10_990));
    world.has(received(2, 11_000));
    world.clock.advance(Duration::from_secs(50));
    assert_eq!(world.run().await, Tally::default());
    world.backfill.begin().await.unwrap();
    assert_eq!(world.run().await.missed, 1);
    world.backfill.look_again().await.unwrap();
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(world.run().await, Tally::default());
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.run().await.missed, 1);
}

#[futures_test::test]
async fn the_numbers_of_a_messaging_service_are_asked_for() {
    let world = World::with_senders(&[SERVICE, OURS]);
    world.run().await;
    assert_eq!(world.lists.asked(), 0, "the first watermark is the first start");
    world.clock.advance(Duration::from_secs(400));
    world.has(received(1, 10_100));
    assert_eq!(world.run().await.missed, 1);
    assert_eq!(world.lists.asked(), 2, "each number once");
}

#[futures_test::test]
async fn a_messaging_service_that_does_not_answer_holds_no_other_number_up() {
    let world = World::with_senders(&[SERVICE, "(860) 555-0100"]);
    world.lists.trouble(Some(Trouble::Pools));
    world.run().await;
    world.run().await;
    assert_eq!(world.lists.pools_asked.load(Ordering::Relaxed), 1, "not at each look");
    world.clock.advance(Duration::from_secs(400));
    world.has(received(1, 10_100));
    assert_eq!(world.run().await.missed, 1);

    let wanted = ByHand { since: at(0), numbers: Vec::new(), include_sent: false, dry_run: false };
    let stopped = world.backfill.by_hand(&wanted, &mut |_| {}).await;
    assert!(matches!(stopped, Err(Stopped::Provider(_))), "it would have left something out");
    world.lists.trouble(None);
    let wanted = ByHand { numbers: vec![Text::new("+18605550199")], ..wanted };
    let stopped = world.backfill.by_hand(&wanted, &mut |_| {}).await;
    assert!(matches!(stopped, Err(Stopped::NotOurs { nth: 1 })));
    let wanted = ByHand { numbers: vec![Text::new("860-555-0100")], ..wanted };
    assert_eq!(world.backfill.by_hand(&wanted, &mut |_| {}).await.unwrap().listed, 1);
}

#[futures_test::test]
async fn a_backfill_by_hand_reads_back_to_its_time_and_moves_no_watermark() {
    let world = World::new();
    world.run().await;
    for number in 1..=9 {
        world.has(received(number, 1000 * number));
        world.has(sent(100 + number, 1000 * number, "delivered"));
    }
    let mut told: Vec<Progress> = Vec::new();
    let wanted = ByHand { since: at(3000), numbers: Vec::new(), include_sent: true, dry_run: true };
    let tally = world.backfill.by_hand(&wanted, &mut |one| told.push(one.clone())).await.unwrap();
    assert_eq!((tally.listed, tally.missed, tally.foreign), (14, 7, 7));
    assert!(world.store.everything().await.messages.is_empty(), "it was to count only");
    assert_eq!(told[0].back_to, Some(at(7000)));

    world.clock.advance(Duration::from_hours(48));
    world.lists.fail([Some(unavailable(Some(5))), None, Some(unavailable(None))]);
    let wanted = ByHand { dry_run: false, ..wanted };
    let tally = world.backfill.by_hand(&wanted, &mut |_| {}).await.unwrap();
    assert_eq!((tally.missed, tally.foreign), (7, 7));
    let kept = world.find(105).await.unwrap().message;
    assert_eq!((kept.direction, kept.source), (Direction::Outbound, Source::Backfill));
    assert_eq!(kept.shown().status, DeliveryStatus::Delivered);
    assert!(world.find(2).await.is_none());
    let again = world.backfill.by_hand(&wanted, &mut |_| {}).await.unwrap();
    assert_eq!((again.listed, again.missed, again.foreign), (14, 0, 0));
}

#[futures_test::test]
async fn a_webhook_that_comes_after_all_completes_what_was_found() {
    let world = World::back_after(1000).await;
    world.has(received(1, 10_500));
    world.run().await;
    let late = domain::ports::NewInbound {
        message: message(sid(1), TENANT, "text 1"),
        ..inbound(1, TENANT)
    };
    world.store.record_inbound(&late).await.unwrap();
    let kept = world.find(1).await.unwrap();
    assert!(kept.raw.members().contains_key("MessageSid"));
    assert_eq!(kept.message.created_at, at(10_500));
}
