//! One named test for each promise of [`MessageStore`](crate::ports::MessageStore).

/// Runs every promise of [`MessageStore`](crate::ports::MessageStore) against a store.
///
/// `$new` is a function without arguments whose future gives an empty store (an
/// [`Inspect`](crate::testing::Inspect)) and a guard that cleans up when it is dropped.
/// `$wait` is a function that runs such a future to its end: the runtime is the store's choice.
#[macro_export]
macro_rules! message_store_contract {
    ($new:path, $wait:path) => {
        $crate::message_store_contract!(@each $new, $wait:
            a_first_message_opens_a_conversation,
            everything_of_a_message_is_kept,
            a_repeated_webhook_changes_nothing,
            a_repeated_webhook_opens_no_conversation,
            a_repeated_webhook_may_bring_a_further_status,
            concurrent_repeats_are_one_message,
            concurrent_messages_all_count,
            one_lookup_for_a_conversation_of_an_unknown_tenant,
            no_lookup_where_the_tenant_is_known,
            a_finished_lookup_makes_room_for_another,
            last_message_at_never_moves_back,
            addresses_of_other_kinds_have_their_own_conversations,
            a_conversation_is_found_by_address_and_by_id,
            text_of_any_kind_is_kept,
            a_report_moves_the_status_up_only,
            any_order_of_reports_ends_the_same,
            the_same_report_is_kept_once,
            a_report_of_an_unknown_sid_is_parked,
            a_parked_report_is_attached_when_its_message_comes,
            a_report_does_not_change_a_message_to_us,
            a_report_does_not_move_last_message_at,
            concurrent_reports_end_at_the_highest,
            pages_give_each_message_once,
            pages_do_not_shift_when_a_message_arrives,
            a_page_beyond_the_end_is_empty,
            messages_of_one_instant_are_ordered_by_id,
            what_is_not_there_is_not_found,
            a_store_that_answers_says_so,
        );
    };
    (@each $new:path, $wait:path: $($promise:ident),+ $(,)?) => {$(
        #[test]
        fn $promise() {
            $wait(async {
            let (store, _guard) = $new().await;
            $crate::testing::promises::$promise(&store).await;
            });
        }
    )+};
}

/// The promises, one function each; they panic where a store does not keep one.
#[expect(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "these are the bodies of tests: to panic is to fail, and their names are sentences"
)]
pub mod promises {
    use futures_util::future::join_all;
    use serde_json::json;

    use crate::conversation::ConversationId;
    use crate::delivery::DeliveryStatus;
    use crate::language::{Detection, Language};
    use crate::message::{Direction, Message, MessageId};
    use crate::outbound::Moved;
    use crate::phone::{Address, Region};
    use crate::ports::{
        ConversationKey, MessageKey, NewInbound, Order, Recorded, Start, StatusRecorded,
        ThreadQuery,
    };
    use crate::tenant::TenantId;
    use crate::testing::Inspect;
    use crate::testing::fixture::{
        at, detection, inbound, message, outbound, payload, sid, sid_named, status, uuid,
    };
    use crate::text::Text;

    const TENANT: &str = "+18605550199";

    pub async fn a_first_message_opens_a_conversation(store: &impl Inspect) {
        let first = inbound(1, TENANT);
        let recorded = store.record_inbound(&first).await.unwrap();
        let Recorded::New { message, conversation, before, after, has_jobs } = recorded else {
            unreachable!("{recorded:?}")
        };
        assert_eq!((message, conversation), (first.id, first.conversation));
        assert_eq!((before.language, after.language), (Language::Unknown, Language::English));
        assert!(has_jobs, "a new conversation is looked up");

        let all = store.everything().await;
        assert_eq!(all.conversations.len(), 1);
        let opened = &all.conversations[0];
        assert_eq!(opened.id, first.conversation);
        assert_eq!(opened.phone_number_canonical.as_str(), TENANT);
        assert_eq!(opened.phone_number_original.as_str(), TENANT);
        assert_eq!(opened.language, after);
        assert_eq!(opened.last_message_at, Some(first.received_at));
        assert_eq!((opened.created_at, opened.updated_at), (first.received_at, first.received_at));
        assert_eq!(
            (&opened.tenant_id, &opened.workflow_type, &opened.workflow_id),
            (&None, &None, &None)
        );
    }

    pub async fn everything_of_a_message_is_kept(store: &impl Inspect) {
        let first = inbound(1, TENANT);
        store.record_inbound(&first).await.unwrap();
        let kept = store.find_message(&MessageKey::Sid(sid(1))).await.unwrap().unwrap();
        assert_eq!(kept.message, first.stored_in(first.conversation));
        assert_eq!(kept.raw, first.message.raw);
        assert_eq!(kept.events, []);
        let by_id = store.find_message(&MessageKey::Id(first.id)).await.unwrap().unwrap();
        assert_eq!(by_id, kept);
    }

    pub async fn a_repeated_webhook_changes_nothing(store: &impl Inspect) {
        let first = store.record_inbound(&inbound(1, TENANT)).await.unwrap();
        let before = store.everything().await;
        let mut again = inbound(2, TENANT);
        again.message = message(sid(1), TENANT, "Otro texto");
        again.detection = detection(Language::Spanish, 1000);
        let repeated = store.record_inbound(&again).await.unwrap();
        assert_eq!(repeated, Recorded::Duplicate { message: first.message() });
        assert_eq!(store.everything().await, before);
    }

    pub async fn a_repeated_webhook_opens_no_conversation(store: &impl Inspect) {
        store.record_inbound(&inbound(1, TENANT)).await.unwrap();
        let before = store.everything().await;
        let mut again = inbound(2, "+18605550177");
        again.message.twilio_sid = sid(1);
        store.record_inbound(&again).await.unwrap();
        assert_eq!(store.everything().await, before);
    }

    pub async fn a_repeated_webhook_may_bring_a_further_status(store: &impl Inspect) {
        let mut early = inbound(1, TENANT);
        early.message.status = DeliveryStatus::Receiving;
        store.record_inbound(&early).await.unwrap();
        store.record_inbound(&inbound_again(2, 1)).await.unwrap();
        assert_eq!(status_of(store, early.id).await, "received");
        let mut late = inbound_again(3, 1);
        late.message.status = DeliveryStatus::Receiving;
        store.record_inbound(&late).await.unwrap();
        assert_eq!(status_of(store, early.id).await, "received");
    }

    pub async fn concurrent_repeats_are_one_message(store: &impl Inspect) {
        let repeats: Vec<_> = (1..=16).map(|number| inbound_again(number, 7)).collect();
        let recorded = join_all(repeats.iter().map(|repeat| store.record_inbound(repeat))).await;
        let recorded: Vec<_> = recorded.into_iter().map(Result::unwrap).collect();
        let new = |recorded: &&Recorded| matches!(recorded, Recorded::New { .. });
        assert_eq!(recorded.iter().filter(new).count(), 1);
        assert!(recorded.iter().all(|each| each.message() == recorded[0].message()));
        let all = store.everything().await;
        assert_eq!((all.conversations.len(), all.messages.len(), all.jobs.len()), (1, 1, 1));
        assert_eq!(all.conversations[0].language.evidence.votes, 1);
    }

    pub async fn concurrent_messages_all_count(store: &impl Inspect) {
        let texts: Vec<_> = (1..=24)
            .map(|number| {
                let sender = if number % 2 == 0 { "+18605550101" } else { "+18605550102" };
                inbound(number, sender)
            })
            .collect();
        for recorded in join_all(texts.iter().map(|text| store.record_inbound(text))).await {
            assert!(matches!(recorded.unwrap(), Recorded::New { .. }));
        }
        let all = store.everything().await;
        assert_eq!((all.conversations.len(), all.messages.len(), all.jobs.len()), (2, 24, 2));
        for conversation in all.conversations {
            assert_eq!(conversation.language.evidence.votes, 12);
            assert!(conversation.last_message_at >= Some(at(23)));
        }
    }

    pub async fn one_lookup_for_a_conversation_of_an_unknown_tenant(store: &impl Inspect) {
        let first = inbound(1, TENANT);
        store.record_inbound(&first).await.unwrap();
        store.record_inbound(&inbound(2, TENANT)).await.unwrap();
        let jobs = store.everything().await.jobs;
        assert_eq!(jobs.len(), 1);
        assert_eq!(jobs[0].id, first.lookup_job);
        assert_eq!(jobs[0].kind, "tenant_lookup");
        assert_eq!(jobs[0].unique_key, format!("tenant_lookup:{}", first.conversation));
        assert_eq!(jobs[0].payload, json!({ "conversation_id": first.conversation.0 }));
        assert_eq!((jobs[0].state.as_str(), jobs[0].run_at), ("queued", first.received_at));
    }

    pub async fn no_lookup_where_the_tenant_is_known(store: &impl Inspect) {
        let first = inbound(1, TENANT);
        store.record_inbound(&first).await.unwrap();
        store.finish_jobs().await;
        let tenant = TenantId::parse("T_12").unwrap();
        store.plant_tenant(first.conversation, &tenant).await;
        let recorded = store.record_inbound(&inbound(2, TENANT)).await.unwrap();
        let all = store.everything().await;
        let has_jobs = matches!(recorded, Recorded::New { has_jobs: true, .. });
        assert_eq!(has_jobs, all.jobs.len() > 1, "it says so where jobs follow");
        let lookups = all.jobs.iter().filter(|job| job.kind == "tenant_lookup");
        assert_eq!(lookups.count(), 1);
        assert_eq!(all.conversations[0].tenant_id, Some(tenant));
    }

    pub async fn a_finished_lookup_makes_room_for_another(store: &impl Inspect) {
        store.record_inbound(&inbound(1, TENANT)).await.unwrap();
        store.finish_jobs().await;
        store.record_inbound(&inbound(2, TENANT)).await.unwrap();
        let jobs = store.everything().await.jobs;
        let states: Vec<_> = jobs.iter().map(|job| job.state.as_str()).collect();
        assert_eq!(states, ["done", "queued"]);
    }

    pub async fn last_message_at_never_moves_back(store: &impl Inspect) {
        store.record_inbound(&inbound(9, TENANT)).await.unwrap();
        store.record_inbound(&inbound(3, TENANT)).await.unwrap();
        let conversation = &store.everything().await.conversations[0];
        assert_eq!(conversation.last_message_at, Some(at(9)));
        assert_eq!(conversation.updated_at, at(9));
    }

    pub async fn addresses_of_other_kinds_have_their_own_conversations(store: &impl Inspect) {
        let senders = [TENANT, "whatsapp:+18605550199", "12345", "+12345", "RENT2024", ""];
        for (number, sender) in (1..).zip(senders) {
            store.record_inbound(&inbound(number, sender)).await.unwrap();
        }
        let all = store.everything().await;
        let canonical: Vec<_> =
            all.conversations.iter().map(|known| known.phone_number_canonical.as_str()).collect();
        assert_eq!(canonical, senders);
    }

    pub async fn a_conversation_is_found_by_address_and_by_id(store: &impl Inspect) {
        let first = inbound(1, "(860) 555-0199");
        store.record_inbound(&first).await.unwrap();
        let expected = store.everything().await.conversations.remove(0);
        assert_eq!(expected.phone_number_original.as_str(), "(860) 555-0199");
        let address = Address::read(&Text::new(TENANT), Region::default());
        for key in [ConversationKey::Id(first.conversation), ConversationKey::Address(address)] {
            let found = store.find_conversation(&key).await.unwrap();
            assert_eq!(found, Some(expected.clone()));
        }
    }

    pub async fn text_of_any_kind_is_kept(store: &impl Inspect) {
        let texts = [
            "\u{1F600}".repeat(1600),
            "\u{202E}abc\u{202C} \u{200F}".to_owned(),
            "line\r\nline\ttab \\ \" ' ; -- $1 %s".to_owned(),
            "\u{FFFD}\u{10FFFF}\u{1}\u{7F}".to_owned(),
            "nul\0nul".to_owned(),
            String::new(),
        ];
        for (number, text) in (1..).zip(&texts) {
            let mut odd = inbound(number, TENANT);
            odd.message = message(sid(number), TENANT, text);
            store.record_inbound(&odd).await.unwrap();
            let kept = store.find_message(&MessageKey::Id(odd.id)).await.unwrap().unwrap();
            assert_eq!(kept.message.content, Some(Text::new(text.clone())));
            assert_eq!(kept.raw, odd.message.raw);
        }
        let mut silent = inbound(100, TENANT);
        silent.message.body = None;
        silent.message.media = Vec::new();
        silent.detection = Detection::UNKNOWN;
        store.record_inbound(&silent).await.unwrap();
        let kept = store.find_message(&MessageKey::Id(silent.id)).await.unwrap().unwrap();
        assert_eq!((kept.message.content, kept.message.media), (None, Vec::new()));
    }

    pub async fn a_report_moves_the_status_up_only(store: &impl Inspect) {
        let sent = planted(store, 2).await;
        let mut before = sent.shown().status;
        for (number, word, error, expected) in [
            (1, "sending", None, ("sending", None)),
            (2, "queued", None, ("sending", None)),
            (3, "carrier_accepted", None, ("sending", None)),
            (4, "", None, ("sending", None)),
            (5, "failed", Some("30008"), ("failed", Some("30008"))),
            (6, "undelivered", Some("30003"), ("undelivered", Some("30003"))),
            (7, "undelivered", None, ("undelivered", Some("30003"))),
            (8, "delivered", Some("30003"), ("delivered", None)),
            (9, "failed", Some("30008"), ("delivered", None)),
        ] {
            let event = status(number, 2, word, error);
            let recorded = store.record_status(&event).await.unwrap();
            let stored = stored(store, sent.id).await;
            let now = (stored.delivery.status.as_str(), stored.delivery.error_code.as_deref());
            assert_eq!(now, expected, "after {word:?}");
            let delivery = stored.delivery.clone();
            let moved = (before != stored.shown().status)
                .then_some(Moved { to: stored.shown().status, created_at: sent.created_at });
            before = stored.shown().status;
            let message = sent.id;
            assert_eq!(
                recorded,
                StatusRecorded::Applied { message, delivery, overturned: false, moved }
            );
        }
        let events = store.find_message(&MessageKey::Id(sent.id)).await.unwrap().unwrap().events;
        let words: Vec<_> = events.iter().map(|event| event.provider_status.as_str()).collect();
        let all = ["sending", "queued", "carrier_accepted", "", "failed", "undelivered"];
        assert_eq!(words[..6], all);
        assert_eq!(words.len(), 9 - 1, "the second failed report is the first one again");
        assert_eq!(events[0], status(1, 2, "sending", None).stored_for(Some(sent.id)));
    }

    pub async fn any_order_of_reports_ends_the_same(store: &impl Inspect) {
        let reports = [("sent", None), ("undelivered", Some("30003")), ("failed", Some("30008"))];
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        for (nth, order) in (1..).zip(orders) {
            let sent = planted(store, nth * 100).await;
            for (step, report) in (1..).zip(order) {
                let (word, error) = reports[report];
                let event = status(nth * 100 + step, nth * 100, word, error);
                store.record_status(&event).await.unwrap();
            }
            let delivery = stored(store, sent.id).await.delivery;
            assert_eq!(delivery.status, DeliveryStatus::Undelivered);
            assert_eq!(delivery.error_code.as_deref(), Some("30003"));
        }
    }

    pub async fn the_same_report_is_kept_once(store: &impl Inspect) {
        let sent = planted(store, 2).await;
        store.record_status(&status(1, 2, "failed", Some("30008"))).await.unwrap();
        let before = store.everything().await;
        store.record_status(&status(2, 2, "failed", Some("30008"))).await.unwrap();
        assert_eq!(store.everything().await, before);
        store.record_status(&status(3, 2, "failed", Some("30007"))).await.unwrap();
        let kept = store.find_message(&MessageKey::Id(sent.id)).await.unwrap().unwrap();
        assert_eq!(kept.events.len(), 2);
        store.record_status(&status(4, 900, "sent", None)).await.unwrap();
        store.record_status(&status(5, 900, "sent", None)).await.unwrap();
        assert_eq!(store.everything().await.parked_events.len(), 1);
    }

    pub async fn a_report_of_an_unknown_sid_is_parked(store: &impl Inspect) {
        planted(store, 2).await;
        let before = store.everything().await;
        let event = status(1, 3, "delivered", None);
        assert_eq!(store.record_status(&event).await.unwrap(), StatusRecorded::Parked);
        let after = store.everything().await;
        assert_eq!(after.parked_events, [event.stored_for(None)]);
        assert_eq!(after.messages, before.messages);
        assert_eq!(after.conversations, before.conversations);
    }

    pub async fn a_parked_report_is_attached_when_its_message_comes(store: &impl Inspect) {
        let early = status(1, 1, "delivered", None);
        store.record_status(&early).await.unwrap();
        store.record_status(&status(2, 5, "sent", None)).await.unwrap();
        let message = inbound(1, TENANT);
        store.record_inbound(&message).await.unwrap();
        let all = store.everything().await;
        assert_eq!(all.messages[0].events, [early.stored_for(Some(message.id))]);
        assert_eq!(all.messages[0].message.delivery.status, DeliveryStatus::Received);
        assert_eq!(all.parked_events.len(), 1);
    }

    pub async fn a_report_does_not_change_a_message_to_us(store: &impl Inspect) {
        let message = inbound(1, TENANT);
        store.record_inbound(&message).await.unwrap();
        let before = stored(store, message.id).await;
        let event = status(1, 1, "failed", Some("30008"));
        let recorded = store.record_status(&event).await.unwrap();
        let delivery = before.delivery.clone();
        assert_eq!(
            recorded,
            StatusRecorded::Applied {
                message: message.id,
                delivery,
                overturned: false,
                moved: None
            }
        );
        assert_eq!(stored(store, message.id).await, before);
    }

    pub async fn a_report_does_not_move_last_message_at(store: &impl Inspect) {
        planted(store, 2).await;
        let before = store.everything().await.conversations;
        store.record_status(&status(60, 2, "delivered", None)).await.unwrap();
        assert_eq!(store.everything().await.conversations, before);
    }

    pub async fn concurrent_reports_end_at_the_highest(store: &impl Inspect) {
        let sent = planted(store, 2).await;
        let words = ["sending", "sent", "delivered", "failed", "queued", "sent", "delivered"];
        let events: Vec<_> =
            (1..).zip(words).map(|(number, word)| status(number, 2, word, None)).collect();
        for recorded in join_all(events.iter().map(|event| store.record_status(event))).await {
            recorded.unwrap();
        }
        let kept = store.find_message(&MessageKey::Id(sent.id)).await.unwrap().unwrap();
        assert_eq!(kept.message.delivery.status, DeliveryStatus::Delivered);
        assert_eq!(kept.events.len(), 5);
    }

    pub async fn pages_give_each_message_once(store: &impl Inspect) {
        let thread = thread_of(store, 25).await;
        for order in [Order::NewestFirst, Order::OldestFirst] {
            let mut expected = thread.clone();
            if order == Order::NewestFirst {
                expected.reverse();
            }
            let mut seen = Vec::new();
            let mut start = Start::Offset(0);
            loop {
                let query = ThreadQuery { order, start, limit: 10 };
                let page = store.read_thread(conversation_of(1), &query).await.unwrap();
                assert_eq!(page.total, 25);
                seen.extend(page.messages.iter().map(|message| message.id));
                let Some(next) = page.next else { break };
                start = Start::Behind(next);
            }
            assert_eq!(seen, expected);
            let query = ThreadQuery { order, start: Start::Offset(20), limit: 10 };
            let page = store.read_thread(conversation_of(1), &query).await.unwrap();
            let last: Vec<_> = page.messages.iter().map(|message| message.id).collect();
            assert_eq!((last, page.next), (expected[20..].to_vec(), None));
        }
    }

    pub async fn pages_do_not_shift_when_a_message_arrives(store: &impl Inspect) {
        let thread = thread_of(store, 6).await;
        let query = |start| ThreadQuery { order: Order::NewestFirst, start, limit: 3 };
        let first = store.read_thread(conversation_of(1), &query(Start::Offset(0))).await.unwrap();
        store.record_inbound(&inbound(50, TENANT)).await.unwrap();
        let start = Start::Behind(first.next.unwrap());
        let second = store.read_thread(conversation_of(1), &query(start)).await.unwrap();
        let ids: Vec<_> = second.messages.iter().map(|message| message.id).collect();
        assert_eq!(ids, [thread[2], thread[1], thread[0]]);
        assert_eq!(second.next, None);
    }

    pub async fn a_page_beyond_the_end_is_empty(store: &impl Inspect) {
        thread_of(store, 3).await;
        let query =
            ThreadQuery { order: Order::NewestFirst, start: Start::Offset(1_000_000), limit: 10 };
        let page = store.read_thread(conversation_of(1), &query).await.unwrap();
        assert_eq!((page.messages, page.total, page.next), (Vec::new(), 3, None));
    }

    pub async fn messages_of_one_instant_are_ordered_by_id(store: &impl Inspect) {
        for number in [3, 1, 4, 2] {
            let mut same_instant = inbound(number, TENANT);
            same_instant.received_at = at(0);
            store.record_inbound(&same_instant).await.unwrap();
        }
        let conversation = store.everything().await.conversations[0].id;
        let mut seen = Vec::new();
        let mut start = Start::Offset(0);
        for _ in 0..4 {
            let query = ThreadQuery { order: Order::OldestFirst, start, limit: 1 };
            let page = store.read_thread(conversation, &query).await.unwrap();
            seen.extend(page.messages.iter().map(|message| message.id));
            if let Some(next) = page.next {
                start = Start::Behind(next);
            }
        }
        let ids: Vec<_> = (1..=4).map(|number| inbound(number, TENANT).id).collect();
        assert_eq!(seen, ids);
    }

    pub async fn what_is_not_there_is_not_found(store: &impl Inspect) {
        thread_of(store, 1).await;
        let nobody = MessageId(uuid(999));
        assert_eq!(store.find_message(&MessageKey::Id(nobody)).await.unwrap(), None);
        let odd = sid_named("nothing-of-ours");
        assert_eq!(store.find_message(&MessageKey::Sid(odd)).await.unwrap(), None);
        let nowhere = ConversationId(uuid(999));
        let found = store.find_conversation(&ConversationKey::Id(nowhere)).await.unwrap();
        assert_eq!(found, None);
        let stranger = Address::read(&Text::new("+18605550111"), Region::default());
        let found = store.find_conversation(&ConversationKey::Address(stranger)).await.unwrap();
        assert_eq!(found, None);
        let query = ThreadQuery { order: Order::NewestFirst, start: Start::Offset(0), limit: 5 };
        let page = store.read_thread(nowhere, &query).await.unwrap();
        assert_eq!((page.messages, page.total), (Vec::new(), 0));
    }

    pub async fn a_store_that_answers_says_so(store: &impl Inspect) {
        store.check().await.unwrap();
    }

    /// A message with other ids but the SID of number `same`.
    fn inbound_again(number: u32, same: u32) -> NewInbound {
        let mut again = inbound(number, TENANT);
        again.message.twilio_sid = sid(same);
        again.message.raw = payload(json!({ "MessageSid": sid(same).as_str() }));
        again
    }

    fn conversation_of(number: u32) -> ConversationId {
        inbound(number, TENANT).conversation
    }

    /// A conversation with one message to us (number 1) and one from us.
    async fn planted(store: &impl Inspect, number: u32) -> Message {
        store.record_inbound(&inbound(1, TENANT)).await.unwrap();
        let sent = outbound(number, conversation_of(1));
        assert_eq!(sent.direction, Direction::Outbound);
        store.plant_message(&sent).await;
        sent
    }

    /// A thread of `length` messages, oldest first.
    async fn thread_of(store: &impl Inspect, length: u32) -> Vec<MessageId> {
        let mut thread = Vec::new();
        for number in 1..=length {
            let text = inbound(number, TENANT);
            store.record_inbound(&text).await.unwrap();
            thread.push(text.id);
        }
        thread
    }

    async fn stored(store: &impl Inspect, id: MessageId) -> Message {
        store.find_message(&MessageKey::Id(id)).await.unwrap().unwrap().message
    }

    async fn status_of(store: &impl Inspect, id: MessageId) -> &'static str {
        stored(store, id).await.delivery.status.as_str()
    }
}
