//! One named test for each promise of [`BackfillStore`](crate::ports::BackfillStore) and
//! [`HistoryStore`](crate::ports::HistoryStore), and for what messages found late promise.

/// Runs every promise of [`BackfillStore`](crate::ports::BackfillStore) and
/// [`HistoryStore`](crate::ports::HistoryStore) against a store; `$new` as in
/// [`message_store_contract!`](crate::message_store_contract).
#[macro_export]
macro_rules! backfill_store_contract {
    ($new:path, $wait:path) => {
        $crate::backfill_store_contract!(@each $new, $wait:
            a_list_begins_when_it_is_first_claimed,
            one_run_at_a_time_has_a_list,
            concurrent_claims_of_a_list_give_one_run,
            a_run_goes_on_where_the_last_one_ended,
            a_run_that_lost_its_list_changes_nothing,
            hastened_lists_are_due_early,
            a_wish_during_a_run_outlives_it,
            a_clock_that_was_ahead_keeps_nobody_from_a_list,
            stored_messages_are_found_by_their_sids,
            a_message_found_late_keeps_its_time,
            a_webhook_completes_a_message_found_late,
            a_message_of_a_webhook_is_never_completed,
            an_imported_conversation_is_found_by_its_old_id,
            an_imported_conversation_completes_the_one_that_is_there,
            an_old_id_leads_to_one_conversation,
            an_imported_message_is_kept_whole_and_once,
            an_imported_message_without_a_sid_is_kept_once,
            nothing_follows_from_an_import,
            a_parked_report_counts_for_an_imported_message,
            a_text_that_was_handed_over_since_is_completed,
            a_text_that_has_failed_since_is_completed,
            a_repeated_import_moves_a_status_forward_only,
            no_import_changes_a_message_to_us,
            the_latest_message_says_which_number_a_conversation_has,
            nobody_waits_for_what_is_imported,
        );
    };
    (@each $new:path, $wait:path: $($promise:ident),+ $(,)?) => {$(
        #[test]
        fn $promise() {
            $wait(async {
            let (store, _guard) = $new().await;
            $crate::testing::backfill_promises::$promise(&store).await;
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
pub mod backfill_promises {
    use futures_util::future::join_all;
    use serde_json::json;

    use crate::conversation::{Conversation, ConversationId};
    use crate::delivery::{DeliveryState, DeliveryStatus};
    use crate::event::EventKind;
    use crate::history::{HistoricConversation, HistoricMessage};
    use crate::language::{Detection, Language, LanguagePreference};
    use crate::message::{Direction, Message, MessageId, Source};
    use crate::outbound::{SendError, SendState};
    use crate::phone::{Address, Region};
    use crate::ports::{
        Imported, ListClaim, ListMark, ListProgress, ListRun, MessageKey, MessageList, NewInbound,
        PageToken, Recorded, StatusRecorded, Survey, Unfinished,
    };
    use crate::tenant::TenantId;
    use crate::testing::Inspect;
    use crate::testing::event_promises::events;
    use crate::testing::fixture::{at, detection, inbound, outbound, payload, sid, status, uuid};
    use crate::text::Text;

    const TENANT: &str = "+18605550199";
    const OURS: &str = "+18605550100";

    pub async fn a_list_begins_when_it_is_first_claimed(store: &impl Inspect) {
        let run = claim(store, Direction::Inbound, 10, 20).await.unwrap();
        let mark = ListMark { watermark: at(10), unfinished: None };
        let list = list(Direction::Inbound);
        assert_eq!(run, ListRun { list, number: 1, first_at: at(10), mark });
        let other = claim(store, Direction::Outbound, 12, 20).await.unwrap();
        assert_eq!(other.first_at, at(12), "the other direction is a list of its own");
    }

    pub async fn one_run_at_a_time_has_a_list(store: &impl Inspect) {
        let first = claim(store, Direction::Inbound, 10, 20).await.unwrap();
        assert_eq!(claim(store, Direction::Inbound, 19, 30).await, None);
        // It did not end: whoever made it is gone.
        let second = claim(store, Direction::Inbound, 20, 30).await.unwrap();
        assert_eq!((second.number, second.first_at), (2, at(10)));
        assert_eq!(second.mark, first.mark);
        // It shows that it is alive.
        let alive = ListProgress { lease_until: Some(at(60)), ..progress(second.mark.clone(), 0) };
        assert!(store.save_list(&second, &alive).await.unwrap());
        assert_eq!(claim(store, Direction::Inbound, 59, 90).await, None);
    }

    pub async fn concurrent_claims_of_a_list_give_one_run(store: &impl Inspect) {
        let claims = (0..8).map(|_| claim(store, Direction::Inbound, 10, 20));
        let runs: Vec<_> = join_all(claims).await.into_iter().flatten().collect();
        assert_eq!(runs.len(), 1);
    }

    pub async fn a_run_goes_on_where_the_last_one_ended(store: &impl Inspect) {
        let first = claim(store, Direction::Inbound, 10, 20).await.unwrap();
        let page = PageToken("Page=1&PageToken=PASM1".into());
        let unfinished = Some(Unfinished { until: at(9), page });
        let mark = ListMark { watermark: at(5), unfinished };
        assert!(store.save_list(&first, &progress(mark.clone(), 15)).await.unwrap());
        assert_eq!(claim(store, Direction::Inbound, 14, 30).await, None, "it is not due yet");
        let second = claim(store, Direction::Inbound, 15, 30).await.unwrap();
        assert_eq!((second.number, second.mark), (2, mark));
    }

    pub async fn a_run_that_lost_its_list_changes_nothing(store: &impl Inspect) {
        let first = claim(store, Direction::Inbound, 10, 20).await.unwrap();
        let second = claim(store, Direction::Inbound, 20, 30).await.unwrap();
        let further = ListMark { watermark: at(19), unfinished: None };
        assert!(!store.save_list(&first, &progress(further, 20)).await.unwrap());
        assert!(store.save_list(&second, &progress(second.mark.clone(), 40)).await.unwrap());
        // An end is an end.
        assert!(!store.save_list(&second, &progress(second.mark.clone(), 0)).await.unwrap());
        let third = claim(store, Direction::Inbound, 40, 50).await.unwrap();
        assert_eq!(third.mark.watermark, at(10));
    }

    pub async fn hastened_lists_are_due_early(store: &impl Inspect) {
        for direction in [Direction::Inbound, Direction::Outbound] {
            let run = claim(store, direction, 10, 20).await.unwrap();
            store.save_list(&run, &progress(run.mark.clone(), 300)).await.unwrap();
        }
        store.hasten_lists(at(100)).await.unwrap();
        store.hasten_lists(at(200)).await.unwrap();
        assert_eq!(claim(store, Direction::Inbound, 99, 120).await, None);
        assert!(claim(store, Direction::Inbound, 100, 120).await.is_some());
        assert!(claim(store, Direction::Outbound, 100, 120).await.is_some());
    }

    pub async fn a_wish_during_a_run_outlives_it(store: &impl Inspect) {
        let run = claim(store, Direction::Inbound, 10, 20).await.unwrap();
        store.hasten_lists(at(70)).await.unwrap();
        let alive = ListProgress { lease_until: Some(at(30)), ..progress(run.mark.clone(), 15) };
        assert!(store.save_list(&run, &alive).await.unwrap());
        assert!(store.save_list(&run, &progress(run.mark.clone(), 300)).await.unwrap());
        assert_eq!(claim(store, Direction::Inbound, 69, 80).await, None);
        // A wish that came before it began is granted by it.
        let second = claim(store, Direction::Inbound, 70, 80).await.unwrap();
        assert!(store.save_list(&second, &progress(second.mark.clone(), 300)).await.unwrap());
        assert_eq!(claim(store, Direction::Inbound, 299, 310).await, None);
        assert!(claim(store, Direction::Inbound, 300, 310).await.is_some());
    }

    pub async fn a_clock_that_was_ahead_keeps_nobody_from_a_list(store: &impl Inspect) {
        claim(store, Direction::Inbound, 4000, 4090).await.unwrap();
        assert_eq!(claim(store, Direction::Inbound, 3920, 4010).await, None, "it may be right");
        let right = claim(store, Direction::Inbound, 500, 590).await.unwrap();
        assert_eq!((right.number, right.mark.watermark), (2, at(4000)));
        assert_eq!(claim(store, Direction::Inbound, 510, 600).await, None, "it has a lease");
    }

    pub async fn stored_messages_are_found_by_their_sids(store: &impl Inspect) {
        let first = inbound(1, TENANT);
        store.record_inbound(&first).await.unwrap();
        let sent = outbound(2, first.conversation);
        store.plant_message(&sent).await;
        let mut found = store.messages_with(&[sid(2), sid(3), sid(1)]).await.unwrap();
        found.sort_by_key(|message| message.id);
        assert_eq!(found, [first.stored_in(first.conversation), sent]);
        assert_eq!(store.messages_with(&[]).await.unwrap(), []);
    }

    pub async fn a_message_found_late_keeps_its_time(store: &impl Inspect) {
        store.record_inbound(&inbound(100, TENANT)).await.unwrap();
        let mut late = missed(1, 200, 50);
        late.message.to_number = Text::new("+18605550101");
        let recorded = store.record_inbound(&late).await.unwrap();
        let Recorded::New { before, after, .. } = recorded else { unreachable!() };
        assert_eq!(before, after, "it has no vote");
        let kept = store.find_message(&MessageKey::Sid(sid(1))).await.unwrap().unwrap().message;
        assert_eq!((kept.created_at, kept.updated_at), (at(50), at(200)));
        assert_eq!(kept.source, Source::Backfill);
        let all = store.everything().await;
        assert_eq!(all.conversations[0].last_message_at, Some(at(100)));
        assert_eq!(all.conversations[0].our_number, Some(Text::new(OURS)), "the latest counts");
    }

    pub async fn a_webhook_completes_a_message_found_late(store: &impl Inspect) {
        let mut late = missed(1, 200, 50);
        late.message.media.clear();
        store.record_inbound(&late).await.unwrap();
        let conversation = store.everything().await.conversations;
        let webhook =
            NewInbound { id: MessageId(uuid(7)), received_at: at(300), ..inbound(1, TENANT) };
        let repeated = store.record_inbound(&webhook).await.unwrap();
        assert_eq!(repeated, Recorded::Duplicate { message: late.id });
        let all = store.everything().await;
        assert_eq!(all.conversations, conversation);
        let kept = &all.messages[0];
        assert_eq!(kept.raw.members()["Unheard"], json!(["of", "before"]));
        assert_eq!(kept.raw.members()["date_sent"], "some day", "the list's words stay");
        assert_eq!(kept.message.media, webhook.message.media);
        assert_eq!((kept.message.created_at, kept.message.updated_at), (at(50), at(300)));
        assert_eq!(kept.message.source, Source::Backfill);
        // Another repeat changes nothing any more.
        let again = NewInbound { received_at: at(400), ..webhook };
        store.record_inbound(&again).await.unwrap();
        assert_eq!(store.everything().await, all);
    }

    pub async fn a_message_of_a_webhook_is_never_completed(store: &impl Inspect) {
        store.record_inbound(&inbound(1, TENANT)).await.unwrap();
        let before = store.everything().await;
        let found = store.record_inbound(&missed(1, 200, 1)).await.unwrap();
        assert!(matches!(found, Recorded::Duplicate { .. }));
        assert_eq!(store.everything().await, before);
    }

    pub async fn an_imported_conversation_is_found_by_its_old_id(store: &impl Inspect) {
        let old = historic_conversation(17);
        assert_eq!(store.import_conversation(&old).await.unwrap(), Imported::New);
        assert_eq!(store.imported_conversation(17).await.unwrap(), Some(old.id));
        assert_eq!(store.imported_conversation(18).await.unwrap(), None);
        let all = store.everything().await;
        assert_eq!(all.conversations, [old.opened()]);
        assert_eq!(all.conversations[0].told_language, Some(Language::Spanish));
        let again = HistoricConversation { id: ConversationId(uuid(9)), ..old };
        assert_eq!(store.import_conversation(&again).await.unwrap(), Imported::Known);
        assert_eq!(store.everything().await, all);
    }

    pub async fn an_imported_conversation_completes_the_one_that_is_there(store: &impl Inspect) {
        let first = inbound(1, TENANT);
        store.record_inbound(&first).await.unwrap();
        let known = store.everything().await.conversations[0].clone();
        let old = historic_conversation(17);
        assert_eq!(store.import_conversation(&old).await.unwrap(), Imported::Known);
        assert_eq!(store.imported_conversation(17).await.unwrap(), Some(first.conversation));
        let completed = store.everything().await.conversations[0].clone();
        assert_eq!(completed, known.with_history(&old));
        assert_eq!(completed.tenant_id, old.tenant);
        assert_eq!(completed.language, known.language, "what is known here wins");
    }

    pub async fn an_old_id_leads_to_one_conversation(store: &impl Inspect) {
        let old = historic_conversation(17);
        store.import_conversation(&old).await.unwrap();
        let before = store.everything().await;
        let address = address("+18605550177");
        let other = HistoricConversation { id: ConversationId(uuid(9)), address, ..old.clone() };
        assert_eq!(store.import_conversation(&other).await.unwrap(), Imported::Taken);
        assert_eq!(store.imported_conversation(17).await.unwrap(), Some(old.id));
        assert_eq!(store.everything().await, before);
    }

    pub async fn an_imported_message_is_kept_whole_and_once(store: &impl Inspect) {
        store.import_conversation(&historic_conversation(17)).await.unwrap();
        let old = historic(1);
        assert_eq!(store.import_message(&old).await.unwrap(), Imported::New);
        let all = store.everything().await;
        let conversation: &Conversation = &all.conversations[0];
        assert_eq!(all.messages[0].message, old.stored_in(conversation.id));
        assert_eq!(all.messages[0].raw, old.raw);
        assert_eq!(conversation.our_number, Some(Text::new(OURS)));
        let mut again = old.clone();
        again.message.id = MessageId(uuid(8));
        assert_eq!(store.import_message(&again).await.unwrap(), Imported::Known);
        assert_eq!(store.import_message(&old).await.unwrap(), Imported::Known);
        assert_eq!(store.everything().await, all);
    }

    pub async fn an_imported_message_without_a_sid_is_kept_once(store: &impl Inspect) {
        let mut old = historic(1);
        old.message.twilio_sid = None;
        old.address = address("+18605550144");
        let imports = join_all((0..4).map(|_| store.import_message(&old))).await;
        let new = imports.iter().filter(|one| matches!(one, Ok(Imported::New))).count();
        assert_eq!(new, 1, "{imports:?}");
        let all = store.everything().await;
        assert_eq!((all.messages.len(), all.conversations.len()), (1, 1));
        assert_eq!(all.conversations[0].phone_number_canonical.as_str(), "+18605550144");
        assert_eq!(all.conversations[0].last_message_at, Some(old.message.created_at));
    }

    pub async fn nothing_follows_from_an_import(store: &impl Inspect) {
        store.import_conversation(&historic_conversation(17)).await.unwrap();
        store.import_message(&historic(1)).await.unwrap();
        assert_eq!(store.everything().await.jobs, []);
    }

    pub async fn a_parked_report_counts_for_an_imported_message(store: &impl Inspect) {
        let parked = store.record_status(&status(1, 1, "delivered", None)).await.unwrap();
        assert_eq!(parked, StatusRecorded::Parked);
        store.import_message(&historic(1)).await.unwrap();
        let all = store.everything().await;
        assert_eq!((all.parked_events.len(), all.messages[0].events.len()), (0, 1));
        assert_eq!(all.messages[0].message.delivery.status, DeliveryStatus::Delivered);
    }

    pub async fn a_text_that_was_handed_over_since_is_completed(store: &impl Inspect) {
        let early = nameless(1, SendState::Ambiguous);
        assert_eq!(store.import_message(&early).await.unwrap(), Imported::New);
        store.record_status(&status(1, 1, "delivered", None)).await.unwrap();
        let mut late = historic(1);
        late.message.updated_at = at(50);
        assert_eq!(store.import_message(&late).await.unwrap(), Imported::Completed);
        let all = store.everything().await;
        assert_eq!((all.messages.len(), all.conversations.len()), (1, 1));
        assert_eq!((all.parked_events.len(), all.messages[0].events.len()), (0, 1));
        let kept = &all.messages[0].message;
        assert_eq!((&kept.twilio_sid, kept.updated_at), (&late.message.twilio_sid, at(50)));
        assert_eq!(kept.sending, late.message.sending);
        assert_eq!(kept.delivery.status, DeliveryStatus::Delivered, "it was reported before");
        let told = events(store, 1).await;
        assert_eq!((told[0].kind, told[0].at), (EventKind::Status, at(50)));
        for again in [&late, &early] {
            assert_eq!(store.import_message(again).await.unwrap(), Imported::Known);
        }
        assert_eq!(store.everything().await, all);
        events(store, 1).await;
    }

    pub async fn a_text_that_has_failed_since_is_completed(store: &impl Inspect) {
        let (early, late) = (nameless(1, SendState::Ambiguous), nameless(1, SendState::Refused));
        store.import_message(&early).await.unwrap();
        assert_eq!(store.import_message(&late).await.unwrap(), Imported::Completed);
        let all = store.everything().await;
        assert_eq!(all.messages[0].message.sending, late.message.sending);
        for again in [&early, &late] {
            assert_eq!(store.import_message(again).await.unwrap(), Imported::Known);
        }
        assert_eq!(store.everything().await, all);
        // It was tried again there.
        assert_eq!(store.import_message(&historic(1)).await.unwrap(), Imported::Completed);
        let tried = &store.everything().await.messages[0].message;
        assert_eq!(tried.shown().status, DeliveryStatus::Sent);
    }

    pub async fn a_repeated_import_moves_a_status_forward_only(store: &impl Inspect) {
        let early = historic(1);
        let mut late = early.clone();
        late.message.delivery.status = DeliveryStatus::Delivered;
        store.import_message(&early).await.unwrap();
        let imports = join_all((0..4).map(|_| store.import_message(&late))).await;
        let completed = imports.iter().filter(|one| matches!(one, Ok(Imported::Completed))).count();
        assert_eq!(completed, 1, "{imports:?}");
        let all = store.everything().await;
        assert_eq!(all.messages[0].message.delivery.status, DeliveryStatus::Delivered);
        assert_eq!(events(store, 1).await[0].kind, EventKind::Status);
        for again in [&early, &late] {
            assert_eq!(store.import_message(again).await.unwrap(), Imported::Known);
        }
        assert_eq!(store.everything().await, all);
    }

    pub async fn no_import_changes_a_message_to_us(store: &impl Inspect) {
        store.record_inbound(&inbound(1, TENANT)).await.unwrap();
        let before = store.everything().await;
        let mut old = historic(1);
        old.message.delivery.status = DeliveryStatus::Delivered;
        assert_eq!(store.import_message(&old).await.unwrap(), Imported::Known);
        assert_eq!(store.everything().await, before);
    }

    pub async fn the_latest_message_says_which_number_a_conversation_has(store: &impl Inspect) {
        // Later than every message: a report moved it there.
        let last_message_at = Some(at(100));
        let old = HistoricConversation { last_message_at, ..historic_conversation(17) };
        store.import_conversation(&old).await.unwrap();
        for (number, ours) in [(10, "+18605550110"), (30, "+18605550130"), (20, "+18605550120")] {
            let mut old = historic(number);
            old.message.from_number = Text::new(ours);
            store.import_message(&old).await.unwrap();
        }
        let all = store.everything().await;
        assert_eq!(all.conversations[0].our_number, Some(Text::new("+18605550130")));
        assert_eq!(all.conversations[0].last_message_at, last_message_at);
    }

    pub async fn nobody_waits_for_what_is_imported(store: &impl Inspect) {
        store.import_message(&nameless(1, SendState::Ambiguous)).await.unwrap();
        let kept = &store.everything().await.messages[0].message;
        assert_eq!(kept.shown().status, DeliveryStatus::Unknown);
        assert_eq!(store.survey().await.unwrap(), Survey::default());
    }

    fn list(direction: Direction) -> MessageList {
        MessageList { direction, number: Text::new(OURS) }
    }

    async fn claim(
        store: &impl Inspect,
        direction: Direction,
        now: u32,
        lease_until: u32,
    ) -> Option<ListRun> {
        let (at, lease_until) = (at(now), at(lease_until));
        let claim = ListClaim { list: list(direction), at, lease_until };
        store.claim_list(&claim).await.unwrap()
    }

    fn progress(mark: ListMark, due: u32) -> ListProgress {
        ListProgress { mark, due_at: at(due), lease_until: None, at: at(15) }
    }

    /// A message that was said at one time and found at another.
    fn missed(number: u32, found: u32, said: u32) -> NewInbound {
        let mut missed = inbound(number, TENANT);
        missed.message.raw =
            payload(json!({ "sid": sid(number).as_str(), "date_sent": "some day" }));
        NewInbound {
            source: Source::Backfill,
            detection: Detection::UNKNOWN,
            received_at: at(found),
            sent_at: Some(at(said)),
            ..missed
        }
    }

    fn address(text: &str) -> Address {
        Address::read(&Text::new(text), Region::default())
    }

    fn historic_conversation(old_id: i64) -> HistoricConversation {
        HistoricConversation {
            id: ConversationId(uuid(500)),
            old_id,
            address: address(TENANT),
            original: Text::new("(860) 555-0199"),
            tenant: Some(TenantId::parse("T_1").unwrap()),
            language: LanguagePreference::UNKNOWN.fold(detection(Language::Spanish, 800)),
            last_message_at: Some(at(0)),
            created_at: at(0),
            updated_at: at(0),
        }
    }

    fn historic(number: u32) -> HistoricMessage {
        let conversation = ConversationId(uuid(600 + number));
        let message: Message = outbound(number, conversation);
        let mut message = Message { source: Source::Database, ..message };
        message.delivery.status = DeliveryStatus::Sent;
        let raw = payload(json!({ "MessageSid": sid(number).as_str() }));
        HistoricMessage { message, raw, address: address(TENANT), original: Text::new(TENANT) }
    }

    /// The same while the other program had no SID of it.
    fn nameless(number: u32, state: SendState) -> HistoricMessage {
        let mut old = historic(number);
        old.message.twilio_sid = None;
        old.message.delivery = DeliveryState::of(DeliveryStatus::Queued);
        if let Some(sending) = &mut old.message.sending {
            sending.state = state;
            let error = || SendError { code: "imported".into(), message: None };
            sending.error = (state == SendState::Refused).then(error);
        }
        old
    }
}
