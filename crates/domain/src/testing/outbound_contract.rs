//! One named test for each promise of [`OutboundStore`](crate::ports::OutboundStore) and
//! [`JobQueue`](crate::ports::JobQueue).

/// Runs every promise of [`OutboundStore`](crate::ports::OutboundStore) and
/// [`JobQueue`](crate::ports::JobQueue) against a store.
///
/// `$new` is as for [`message_store_contract!`](crate::message_store_contract).
#[macro_export]
macro_rules! outbound_store_contract {
    ($new:path, $wait:path) => {
        $crate::outbound_store_contract!(@each $new, $wait:
            a_message_is_taken_in_with_its_conversation_job_and_key,
            a_message_goes_to_the_conversation_that_is_there,
            a_conversation_that_is_not_there_or_not_that_number_is_refused,
            a_repeated_key_joins_and_another_request_conflicts,
            concurrent_requests_with_one_key_make_one_message,
            a_guessed_repetition_joins_until_it_was_answered,
            a_key_of_a_refused_message_is_free_again,
            a_message_whose_key_was_taken_over_is_not_revived,
            a_number_of_ours_is_used_again_once_twilio_took_a_text_from_it,
            keys_of_different_callers_never_meet,
            texts_to_one_recipient_wait_for_each_other,
            an_attempt_takes_a_valid_ticket_with_a_long_enough_lease,
            a_begin_that_is_repeated_is_the_same_begin,
            a_message_is_never_attempted_twice,
            a_reclaimed_attempt_without_an_outcome_becomes_ambiguous,
            an_expired_message_is_given_up,
            an_accepted_message_has_its_sid_and_moves_its_conversation,
            a_refused_message_is_failed_with_its_code,
            an_unsent_message_is_tried_again,
            an_unsent_message_whose_job_was_taken_for_lost_is_sent_again,
            an_ambiguous_message_is_unknown_and_searched_for,
            a_report_by_our_id_settles_an_ambiguous_message,
            a_report_by_our_id_never_takes_a_second_sid,
            a_report_before_our_own_record_counts,
            a_report_that_waited_for_its_sid_is_attached,
            a_late_record_is_kept_whoever_has_the_job,
            a_given_up_message_is_overturned_by_a_report,
            a_found_message_is_taken_unless_it_is_anothers,
            a_found_message_waits_while_another_is_on_its_way,
            only_a_pending_message_is_cancelled,
            a_repetition_does_not_send_what_was_cancelled,
            a_retry_does_not_send_what_was_cancelled,
            messages_are_listed_by_what_everybody_is_told,
            status_checks_are_due_after_twelve_hours_and_three_times_more,
            a_final_message_is_not_checked,
            jobs_are_claimed_once_and_by_kind,
            concurrent_claims_never_share_a_job,
            a_lane_is_worked_in_its_order,
            an_expired_lease_is_claimed_anew_and_fences_the_old_ticket,
            a_job_ends_as_its_worker_says,
            a_job_that_goes_on_keeps_its_progress,
            a_parked_job_is_listed_and_retried,
            a_parked_send_is_retried_only_if_it_is_proven_unsent,
            a_parked_send_that_was_never_begun_is_retried,
            a_retried_send_goes_behind_those_of_its_lane,
            old_rows_are_swept,
            old_raw_payloads_are_swept_and_nothing_else_of_their_messages,
            a_job_says_what_it_follows_from,
            what_waits_is_surveyed,
            conversations_are_counted_by_tenant_and_language,
        );
    };
    (@each $new:path, $wait:path: $($promise:ident),+ $(,)?) => {$(
        #[test]
        fn $promise() {
            $wait(async {
            let (store, _guard) = $new().await;
            $crate::testing::outbound_promises::$promise(&store).await;
            });
        }
    )+};
}

/// The promises, one function each; they panic where a store does not keep one.
#[expect(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "these are the bodies of tests: to panic is to fail, and their names are sentences"
)]
pub mod outbound_promises {
    use std::collections::HashSet;
    use std::time::Duration;

    use futures_util::future::join_all;

    use crate::conversation::ConversationId;
    use crate::delivery::DeliveryStatus;
    use crate::idempotency::IdempotencyKey;
    use crate::job::{ClaimedJob, Job, JobEnding, JobState, Ticket};
    use crate::language::Language;
    use crate::message::{Direction, Message, MessageDetail, MessageId, RawPayload, TwilioSid};
    use crate::outbound::{
        AfterUnsent, AttemptOutcome, Beginning, EXPIRED, Moved, NewAttempt, Outgoing, SendState,
    };
    use crate::ports::{
        Acceptance, Adopted, AttemptRecorded, Begun, Canceled, ConversationKey, ConversationTally,
        Housekeeping, JobClaim, JobQuery, JobRetried, JobRetry, JobTally, MessageKey, MessageQuery,
        NewOutbound, NewStatusEvent, SendOutcome, StatusRecorded, Survey, Tally,
    };
    use crate::tenant::TenantId;
    use crate::testing::Inspect;
    use crate::testing::fixture::{
        accepted, ambiguous, at, attempt, attempt_end, inbound, new_outbound, refused, sid, status,
        to_conversation, unsent, uuid,
    };
    use crate::text::Text;
    use crate::timestamp::Timestamp;

    const TENANT: &str = "+18605550199";
    const LEASE: Duration = Duration::from_mins(1);
    const HOUR: u32 = 3600;

    /// Takes message `number` in and gives its job.
    async fn take_in(store: &impl Inspect, new: &NewOutbound) -> (Message, Option<ClaimedJob>) {
        match store.accept_outbound(new).await.unwrap() {
            Acceptance::New { message, job } => (*message, job),
            other => panic!("{other:?}"),
        }
    }

    /// A message whose attempt 1 is on its way, with the job in whose name it is.
    async fn in_flight(store: &impl Inspect, number: u32, to: &str) -> (Message, ClaimedJob) {
        let (message, job) = take_in(store, &new_outbound(number, to)).await;
        let job = job.unwrap();
        let begun = store.begin_attempt(&attempt(number, &job)).await.unwrap();
        assert!(matches!(begun, Begun::As(Beginning::Go, _)), "{begun:?}");
        (message, job)
    }

    async fn end(
        store: &impl Inspect,
        number: u32,
        job: &ClaimedJob,
        outcome: SendOutcome,
    ) -> AttemptRecorded {
        let end = attempt_end(number, job, outcome);
        store.record_attempt(&end).await.unwrap().unwrap()
    }

    async fn outgoing(store: &impl Inspect, message: MessageId) -> Outgoing {
        store.find_outgoing(message).await.unwrap().unwrap()
    }

    async fn detail(store: &impl Inspect, message: MessageId) -> MessageDetail {
        store.find_message(&MessageKey::Id(message)).await.unwrap().unwrap()
    }

    async fn shown(store: &impl Inspect, message: MessageId) -> &'static str {
        detail(store, message).await.message.shown().status.as_str()
    }

    async fn job_state(store: &impl Inspect, job: &ClaimedJob) -> String {
        let jobs = store.everything().await.jobs;
        jobs.into_iter().find(|row| row.id == job.ticket.id).unwrap().state
    }

    async fn claim(store: &impl Inspect, seconds: u32, limit: u32) -> Vec<ClaimedJob> {
        let now = at(seconds);
        let kinds = vec!["send", "resolve_send", "tenant_lookup"];
        let claim = JobClaim { kinds, at: now, lease_until: now.after(LEASE), limit };
        store.claim_jobs(&claim).await.unwrap()
    }

    async fn claim_sends(store: &impl Inspect, now: Timestamp, limit: u32) -> Vec<ClaimedJob> {
        let kinds = vec!["send"];
        let claim = JobClaim { kinds, at: now, lease_until: now.after(LEASE), limit };
        store.claim_jobs(&claim).await.unwrap()
    }

    /// A report by our id, of SID number `of`.
    fn report(number: u32, of: u32, message: MessageId, word: &str) -> NewStatusEvent {
        let mut event = status(number, of, word, None);
        event.report.message = Some(message);
        event
    }

    pub async fn a_message_is_taken_in_with_its_conversation_job_and_key(store: &impl Inspect) {
        let new = new_outbound(1, TENANT);
        let (message, job) = take_in(store, &new).await;
        let job = job.unwrap();
        assert_eq!((message.id, message.direction), (new.id, Direction::Outbound));
        assert_eq!(message.from_number.as_str(), "+18605550100");
        assert_eq!(message.to_number.as_str(), TENANT);
        assert_eq!(message.content, new.body);
        assert_eq!(message.shown().status, DeliveryStatus::Queued);
        assert_eq!((job.ticket.id, job.ticket.attempt), (new.send_job, 1));
        assert_eq!(job.lease_until, new.lease_until);

        let all = store.everything().await;
        assert_eq!((all.conversations.len(), all.messages.len()), (1, 1));
        assert_eq!(all.messages[0].message, message);
        assert_eq!(all.messages[0].attempts, []);
        let conversation = &all.conversations[0];
        assert_eq!(conversation.id, new.conversation);
        assert_eq!(conversation.phone_number_canonical.as_str(), TENANT);
        assert_eq!(conversation.our_number, Some(message.from_number.clone()));
        assert_eq!(conversation.workflow_type.as_deref(), Some("collections"));
        assert_eq!(conversation.last_message_at, None, "nothing was sent yet");
        let kinds: HashSet<_> = all.jobs.iter().map(|job| job.kind.as_str()).collect();
        assert_eq!(kinds, HashSet::from(["send", "tenant_lookup"]));
        let send = all.jobs.iter().find(|row| row.id == new.send_job).unwrap();
        assert_eq!((send.state.as_str(), send.attempts), ("running", 1));
        assert_eq!(send.lease_expires_at, Some(new.lease_until));
        assert_eq!(outgoing(store, new.id).await, Outgoing { message, attempts: vec![] });
    }

    pub async fn a_message_goes_to_the_conversation_that_is_there(store: &impl Inspect) {
        let mut first = inbound(1, TENANT);
        first.message.to_number = Text::new("+18605550101");
        store.record_inbound(&first).await.unwrap();
        let (by_number, _) = take_in(store, &new_outbound(2, "(860) 555-0199")).await;
        assert_eq!(by_number.conversation, first.conversation);
        assert_eq!(by_number.from_number.as_str(), "+18605550101", "as it was last used");
        let new = to_conversation(new_outbound(3, TENANT), first.conversation);
        let (by_id, job) = take_in(store, &new).await;
        assert_eq!(by_id.conversation, first.conversation);
        assert_eq!(by_id.to_number.as_str(), TENANT);
        assert_eq!(job, None, "another comes first");
        assert_eq!(store.everything().await.conversations.len(), 1);
    }

    pub async fn a_conversation_that_is_not_there_or_not_that_number_is_refused(
        store: &impl Inspect,
    ) {
        let first = inbound(1, TENANT);
        store.record_inbound(&first).await.unwrap();
        let before = store.everything().await;
        let nobody = to_conversation(new_outbound(2, TENANT), ConversationId(uuid(99)));
        let mut other = new_outbound(3, "+18605550177");
        other.recipient.conversation = Some(first.conversation);
        for (new, expected) in
            [(nobody, Acceptance::NoConversation), (other, Acceptance::OtherNumber)]
        {
            assert_eq!(store.accept_outbound(&new).await.unwrap(), expected);
        }
        assert_eq!(store.everything().await, before);
    }

    pub async fn a_repeated_key_joins_and_another_request_conflicts(store: &impl Inspect) {
        let keyed = |number, hash: &str| {
            let mut new = new_outbound(number, TENANT);
            new.idempotency.key = IdempotencyKey::Given("k1".into());
            new.idempotency.request_hash = hash.into();
            new
        };
        let (first, _) = take_in(store, &keyed(1, "aa")).await;
        store.mark_answered(first.id, at(2)).await.unwrap();
        let before = store.everything().await;
        let again = store.accept_outbound(&keyed(2, "aa")).await.unwrap();
        let Acceptance::Joined(joined) = again else { panic!("{again:?}") };
        assert_eq!(joined.message, first);
        let other = store.accept_outbound(&keyed(3, "bb")).await.unwrap();
        assert_eq!(other, Acceptance::Conflict { existing: first.id });
        assert_eq!(store.everything().await, before);
        let mut late = keyed(4, "bb");
        late.accepted_at = at(1).after(late.idempotency.keep);
        take_in(store, &late).await;
    }

    pub async fn concurrent_requests_with_one_key_make_one_message(store: &impl Inspect) {
        let requests: Vec<_> = (1..=12)
            .map(|number| {
                let mut new = new_outbound(number, TENANT);
                new.idempotency.key = IdempotencyKey::Given("k1".into());
                new.idempotency.request_hash = "aa".into();
                new
            })
            .collect();
        let answers = join_all(requests.iter().map(|new| store.accept_outbound(new))).await;
        let mut made = HashSet::new();
        let mut new = 0;
        for answer in answers {
            match answer.unwrap() {
                Acceptance::New { message, .. } => {
                    new += 1;
                    made.insert(message.id)
                }
                Acceptance::Joined(outgoing) => made.insert(outgoing.message.id),
                other => panic!("{other:?}"),
            };
        }
        assert_eq!((new, made.len()), (1, 1));
        assert_eq!(store.everything().await.messages.len(), 1);
    }

    pub async fn a_guessed_repetition_joins_until_it_was_answered(store: &impl Inspect) {
        let guessed = |number| {
            let mut new = new_outbound(number, TENANT);
            new.idempotency.request_hash = "same".into();
            new
        };
        let (first, job) = take_in(store, &guessed(1)).await;
        let job = job.unwrap();
        let joined = |answer: Acceptance| match answer {
            Acceptance::Joined(outgoing) => outgoing.message.id,
            other => panic!("{other:?}"),
        };
        assert_eq!(joined(store.accept_outbound(&guessed(2)).await.unwrap()), first.id);
        store.begin_attempt(&attempt(1, &job)).await.unwrap();
        end(store, 1, &job, accepted(1)).await;
        assert_eq!(joined(store.accept_outbound(&guessed(3)).await.unwrap()), first.id);
        store.mark_answered(first.id, at(4)).await.unwrap();
        let (second, job) = take_in(store, &guessed(5)).await;
        let job = job.unwrap();
        store.begin_attempt(&attempt(5, &job)).await.unwrap();
        let mut told = attempt_end(5, &job, accepted(5));
        told.attended = true;
        store.record_attempt(&told).await.unwrap();
        let (third, _) = take_in(store, &guessed(6)).await;
        assert_eq!(HashSet::from([first.id, second.id, third.id]).len(), 3);
    }

    pub async fn a_key_of_a_refused_message_is_free_again(store: &impl Inspect) {
        let keyed = |number| {
            let mut new = new_outbound(number, TENANT);
            new.idempotency.key = IdempotencyKey::Given("k1".into());
            new
        };
        let (first, job) = take_in(store, &keyed(1)).await;
        let job = job.unwrap();
        store.begin_attempt(&attempt(1, &job)).await.unwrap();
        end(store, 1, &job, refused("21610")).await;
        let (second, _) = take_in(store, &keyed(2)).await;
        assert_ne!(first.id, second.id);
        let Acceptance::Conflict { existing } = store.accept_outbound(&keyed(3)).await.unwrap()
        else {
            panic!("the key belongs to the second request now")
        };
        assert_eq!(existing, second.id);
    }

    pub async fn a_message_whose_key_was_taken_over_is_not_revived(store: &impl Inspect) {
        let keyed = |number| {
            let mut new = new_outbound(number, TENANT);
            new.idempotency.key = IdempotencyKey::Given("k1".into());
            new
        };
        let (_, job) = take_in(store, &keyed(1)).await;
        let job = job.unwrap();
        store.begin_attempt(&attempt(1, &job)).await.unwrap();
        let mut last = attempt_end(1, &job, unsent());
        last.if_unsent = AfterUnsent::GiveUp(EXPIRED);
        store.record_attempt(&last).await.unwrap();
        assert_eq!(job_state(store, &job).await, "parked");
        take_in(store, &keyed(2)).await;
        let retry = JobRetry { id: job.ticket.id, at: at(30), expires_at: at(9000) };
        assert_eq!(store.retry_job(&retry).await.unwrap(), JobRetried::NotParked);
        assert_eq!(job_state(store, &job).await, "done");
    }

    pub async fn a_number_of_ours_is_used_again_once_twilio_took_a_text_from_it(
        store: &impl Inspect,
    ) {
        store.record_inbound(&inbound(1, TENANT)).await.unwrap();
        let from = |number, ours: &str| {
            let mut new = new_outbound(number, TENANT);
            new.from = Some(Text::new(ours));
            new
        };
        let used = async || {
            let conversation = store.everything().await.conversations.remove(0);
            conversation.our_number.map(|number| number.as_str().to_owned())
        };
        let before = used().await;
        let (_, job) = take_in(store, &from(2, "+18605550101")).await;
        let job = job.unwrap();
        store.begin_attempt(&attempt(2, &job)).await.unwrap();
        end(store, 2, &job, refused("21606")).await;
        assert_eq!(used().await, before, "it was refused");
        let (_, job) = take_in(store, &from(3, "+18605550101")).await;
        let job = job.unwrap();
        store.begin_attempt(&attempt(3, &job)).await.unwrap();
        end(store, 3, &job, accepted(3)).await;
        assert_eq!(used().await.as_deref(), Some("+18605550101"));
    }

    pub async fn keys_of_different_callers_never_meet(store: &impl Inspect) {
        for (number, caller) in [(1, "a"), (2, "b")] {
            let mut new = new_outbound(number, TENANT);
            new.idempotency.caller = caller.into();
            new.idempotency.key = IdempotencyKey::Given("k1".into());
            take_in(store, &new).await;
        }
        assert_eq!(store.everything().await.messages.len(), 2);
    }

    pub async fn texts_to_one_recipient_wait_for_each_other(store: &impl Inspect) {
        let (_, first) = take_in(store, &new_outbound(1, TENANT)).await;
        let (second, none) = take_in(store, &new_outbound(2, TENANT)).await;
        let (_, other) = take_in(store, &new_outbound(3, "+18605550177")).await;
        assert!(first.is_some() && none.is_none() && other.is_some());
        assert_eq!(claim_sends(store, at(5), 10).await, []);
        let first = first.unwrap();
        store.begin_attempt(&attempt(1, &first)).await.unwrap();
        end(store, 1, &first, ambiguous()).await;
        let next = claim_sends(store, at(5), 10).await;
        assert_eq!(next.len(), 1);
        let conversation = second.conversation;
        assert_eq!(next[0].job, Job::Send { message: second.id, conversation });
    }

    pub async fn an_attempt_takes_a_valid_ticket_with_a_long_enough_lease(store: &impl Inspect) {
        let (message, job) = take_in(store, &new_outbound(1, TENANT)).await;
        let job = job.unwrap();
        let before = store.everything().await;
        let good = attempt(1, &job);
        let older = Ticket { attempt: 2, ..job.ticket };
        for wrong in [
            NewAttempt { ticket: older, ..good.clone() },
            NewAttempt {
                deadline: job.lease_until.after(Duration::from_micros(1)),
                ..good.clone()
            },
        ] {
            assert_eq!(store.begin_attempt(&wrong).await.unwrap(), Begun::Lost);
        }
        assert_eq!(store.everything().await, before);
        let Begun::As(Beginning::Go, now) = store.begin_attempt(&good).await.unwrap() else {
            panic!("the ticket is good")
        };
        assert_eq!(now.state(), SendState::InFlight);
        assert_eq!(now.attempts.len(), 1);
        assert_eq!((now.attempts[0].number, now.attempts[0].outcome), (1, None));
        assert_eq!(now.attempts[0].deadline, good.deadline);
        assert_eq!(outgoing(store, message.id).await, *now);
        assert_eq!(shown(store, message.id).await, "queued");
    }

    pub async fn a_begin_that_is_repeated_is_the_same_begin(store: &impl Inspect) {
        let (_, job) = in_flight(store, 1, TENANT).await;
        let before = store.everything().await;
        let begun = store.begin_attempt(&attempt(1, &job)).await.unwrap();
        let Begun::As(Beginning::Go, now) = begun else { panic!("{begun:?}") };
        assert_eq!((now.state(), now.attempts.len()), (SendState::InFlight, 1));
        assert_eq!(store.everything().await, before);
    }

    pub async fn a_message_is_never_attempted_twice(store: &impl Inspect) {
        let (message, job) = in_flight(store, 1, TENANT).await;
        end(store, 1, &job, accepted(1)).await;
        let late = claim(store, 2 * HOUR, 10).await;
        assert!(late.iter().all(|job| job.job.kind() != "send"), "the job is done: {late:?}");
        let again = NewAttempt { id: crate::outbound::AttemptId(uuid(77)), ..attempt(1, &job) };
        assert_eq!(store.begin_attempt(&again).await.unwrap(), Begun::Lost);
        assert_eq!(outgoing(store, message.id).await.attempts.len(), 1);
    }

    pub async fn a_reclaimed_attempt_without_an_outcome_becomes_ambiguous(store: &impl Inspect) {
        let (message, job) = in_flight(store, 1, TENANT).await;
        let later = job.lease_until.after(Duration::from_secs(1));
        let again = claim_sends(store, later, 10).await;
        assert_eq!((again.len(), again[0].ticket.attempt), (1, 2));
        let mut new = attempt(2, &again[0]);
        (new.at, new.deadline) = (later, later);
        let begun = store.begin_attempt(&new).await.unwrap();
        let Begun::As(Beginning::Doubtful, now) = begun else { panic!("{begun:?}") };
        assert_eq!(now.state(), SendState::Ambiguous);
        assert_eq!(now.attempts.len(), 1);
        assert_eq!(now.attempts[0].outcome, Some(AttemptOutcome::Ambiguous));
        assert_eq!(shown(store, message.id).await, "unknown");
        assert_eq!(job_state(store, &job).await, "done");
        let jobs = store.everything().await.jobs;
        let search = jobs.iter().find(|row| row.kind == "resolve_send").unwrap();
        assert_eq!(search.unique_key, format!("resolve_send:{}", message.id));
    }

    pub async fn an_expired_message_is_given_up(store: &impl Inspect) {
        let new = new_outbound(1, TENANT);
        let (message, job) = take_in(store, &new).await;
        let job = job.unwrap();
        let mut late = attempt(1, &job);
        (late.at, late.deadline) = (new.expires_at, job.lease_until);
        let begun = store.begin_attempt(&late).await.unwrap();
        assert!(matches!(begun, Begun::As(Beginning::Expired, _)), "{begun:?}");
        let now = outgoing(store, message.id).await;
        assert_eq!((now.state(), now.attempts.len()), (SendState::NotSent, 0));
        let told = now.message.shown();
        assert_eq!(told.status, DeliveryStatus::Failed);
        assert_eq!(told.error_code.as_deref(), Some(EXPIRED));
        assert_eq!(job_state(store, &job).await, "parked");
    }

    pub async fn an_accepted_message_has_its_sid_and_moves_its_conversation(store: &impl Inspect) {
        let (message, job) = in_flight(store, 1, TENANT).await;
        let recorded = end(store, 1, &job, accepted(1)).await;
        assert!(!recorded.overturned);
        let now = outgoing(store, message.id).await;
        assert_eq!(recorded.outgoing, now);
        assert_eq!(now.state(), SendState::Accepted);
        assert_eq!(now.message.twilio_sid, Some(sid(1)));
        assert_eq!(now.attempts[0].outcome, Some(AttemptOutcome::Accepted));
        assert_eq!(job_state(store, &job).await, "done");
        let key = ConversationKey::Id(message.conversation);
        let conversation = store.find_conversation(&key).await.unwrap().unwrap();
        assert_eq!(
            conversation.last_message_at,
            Some(attempt(1, &job).at),
            "when it was handed over"
        );
    }

    pub async fn a_refused_message_is_failed_with_its_code(store: &impl Inspect) {
        let (message, job) = in_flight(store, 1, TENANT).await;
        end(store, 1, &job, refused("21610")).await;
        let kept = detail(store, message.id).await;
        let told = kept.message.shown();
        assert_eq!(
            (told.status, told.error_code.as_deref()),
            (DeliveryStatus::Failed, Some("21610"))
        );
        assert_eq!(told.error_message.as_deref(), Some("what it means"));
        assert_eq!(kept.attempts[0].outcome, Some(AttemptOutcome::Refused));
        assert_eq!(kept.attempts[0].status_code, Some(400));
        assert_eq!(kept.attempts[0].error_code.as_deref(), Some("21610"));
        assert_eq!(job_state(store, &job).await, "done");
    }

    pub async fn an_unsent_message_is_tried_again(store: &impl Inspect) {
        let (message, job) = in_flight(store, 1, TENANT).await;
        let mut busy = attempt_end(1, &job, unsent());
        busy.if_unsent = AfterUnsent::RetryAt(at(30));
        store.record_attempt(&busy).await.unwrap();
        let now = outgoing(store, message.id).await;
        assert_eq!(now.state(), SendState::Pending);
        assert_eq!(shown(store, message.id).await, "queued");
        assert_eq!(claim_sends(store, at(29), 10).await, []);
        let again = claim_sends(store, at(30), 10).await;
        assert_eq!((again[0].ticket.attempt, again[0].failures), (2, 1));
        let mut second = attempt(2, &again[0]);
        (second.at, second.deadline) = (at(30), at(45));
        let begun = store.begin_attempt(&second).await.unwrap();
        let Begun::As(Beginning::Go, now) = begun else { panic!("{begun:?}") };
        assert_eq!((now.attempts.len(), now.attempts[1].number), (2, 2));
        let mut last = attempt_end(2, &again[0], unsent());
        last.if_unsent = AfterUnsent::GiveUp(EXPIRED);
        store.record_attempt(&last).await.unwrap();
        let now = outgoing(store, message.id).await;
        assert_eq!(now.state(), SendState::NotSent);
        assert!(now.is_proven_unsent());
        let parked = store.everything().await.jobs;
        let parked = parked.iter().find(|row| row.kind == "send").unwrap();
        assert_eq!(
            (parked.state.as_str(), parked.last_error.as_deref()),
            ("parked", Some("expired: 20429"))
        );
    }

    pub async fn an_unsent_message_whose_job_was_taken_for_lost_is_sent_again(
        store: &impl Inspect,
    ) {
        let (message, job) = in_flight(store, 1, TENANT).await;
        let later = job.lease_until.after(Duration::from_secs(1));
        let again = claim_sends(store, later, 10).await;
        let mut other = attempt(2, &again[0]);
        (other.at, other.deadline) = (later, later);
        store.begin_attempt(&other).await.unwrap();
        assert_eq!(outgoing(store, message.id).await.state(), SendState::Ambiguous);
        let mut late = attempt_end(1, &job, unsent());
        (late.at, late.if_unsent) = (later, AfterUnsent::RetryAt(later));
        store.record_attempt(&late).await.unwrap();
        assert_eq!(outgoing(store, message.id).await.state(), SendState::Pending);
        let next = claim_sends(store, later, 10).await;
        let conversation = message.conversation;
        assert_eq!(next.len(), 1);
        assert_eq!(next[0].job, Job::Send { message: message.id, conversation });
    }

    pub async fn an_ambiguous_message_is_unknown_and_searched_for(store: &impl Inspect) {
        let (message, job) = in_flight(store, 1, TENANT).await;
        end(store, 1, &job, ambiguous()).await;
        assert_eq!(shown(store, message.id).await, "unknown");
        assert_eq!(job_state(store, &job).await, "done");
        let found = claim(store, 5, 10).await;
        let search = found.iter().find(|job| job.job.kind() == "resolve_send").unwrap();
        assert_eq!(search.job, Job::ResolveSend { message: message.id, looks: 0 });
        assert!(store.conclude_not_sent(message.id, at(1000)).await.unwrap());
        assert!(!store.conclude_not_sent(message.id, at(1001)).await.unwrap());
        let told = detail(store, message.id).await.message.shown();
        assert_eq!(
            (told.status, told.error_code.as_deref()),
            (DeliveryStatus::Failed, Some("not_sent"))
        );
        assert!(!outgoing(store, message.id).await.is_proven_unsent());
    }

    pub async fn a_report_by_our_id_settles_an_ambiguous_message(store: &impl Inspect) {
        let (message, job) = in_flight(store, 1, TENANT).await;
        end(store, 1, &job, ambiguous()).await;
        let recorded = store.record_status(&report(2, 7, message.id, "sent")).await.unwrap();
        let StatusRecorded::Applied { message: applied, overturned, .. } = recorded else {
            panic!("{recorded:?}")
        };
        assert_eq!((applied, overturned), (message.id, false));
        let kept = detail(store, message.id).await;
        assert_eq!(kept.message.twilio_sid, Some(sid(7)));
        assert_eq!(kept.message.shown().status, DeliveryStatus::Sent);
        assert_eq!(kept.attempts[0].outcome, Some(AttemptOutcome::Accepted));
        assert_eq!((kept.events.len(), kept.events[0].message), (1, Some(message.id)));
        assert!(!store.conclude_not_sent(message.id, at(1000)).await.unwrap());
    }

    pub async fn a_report_by_our_id_never_takes_a_second_sid(store: &impl Inspect) {
        let (message, job) = in_flight(store, 1, TENANT).await;
        end(store, 1, &job, accepted(1)).await;
        let before = outgoing(store, message.id).await;
        let other = store.record_status(&report(2, 7, message.id, "delivered")).await.unwrap();
        assert_eq!(other, StatusRecorded::Parked);
        let nobody = MessageId(uuid(99));
        let unknown = store.record_status(&report(3, 8, nobody, "delivered")).await.unwrap();
        assert_eq!(unknown, StatusRecorded::Parked);
        let to_us = inbound(4, "+18605550177");
        store.record_inbound(&to_us).await.unwrap();
        let inbound = store.record_status(&report(5, 9, to_us.id, "delivered")).await.unwrap();
        assert_eq!(inbound, StatusRecorded::Parked);
        assert_eq!(outgoing(store, message.id).await, before);
        assert_eq!(store.everything().await.parked_events.len(), 3);
    }

    pub async fn a_report_before_our_own_record_counts(store: &impl Inspect) {
        for (number, outcome) in [(1, accepted(1)), (2, ambiguous()), (3, unsent())] {
            let to = format!("+1860555011{number}");
            let (message, job) = in_flight(store, number, &to).await;
            store.record_status(&report(number, number, message.id, "delivered")).await.unwrap();
            end(store, number, &job, outcome).await;
            let now = outgoing(store, message.id).await;
            assert_eq!(now.state(), SendState::Accepted);
            assert_eq!(now.attempts[0].outcome, Some(AttemptOutcome::Accepted));
            assert_eq!(shown(store, message.id).await, "delivered");
            assert_eq!(job_state(store, &job).await, "done");
        }
    }

    pub async fn a_report_that_waited_for_its_sid_is_attached(store: &impl Inspect) {
        let (message, job) = in_flight(store, 1, TENANT).await;
        store.record_status(&status(2, 1, "undelivered", Some("30003"))).await.unwrap();
        store.record_status(&status(3, 1, "sent", None)).await.unwrap();
        end(store, 1, &job, accepted(1)).await;
        let kept = detail(store, message.id).await;
        assert_eq!(kept.events.len(), 2);
        let told = kept.message.shown();
        assert_eq!(
            (told.status.as_str(), told.error_code.as_deref()),
            ("undelivered", Some("30003"))
        );
        assert_eq!(store.everything().await.parked_events, []);
    }

    pub async fn a_late_record_is_kept_whoever_has_the_job(store: &impl Inspect) {
        let (message, job) = in_flight(store, 1, TENANT).await;
        let later = job.lease_until.after(Duration::from_secs(1));
        let again = claim_sends(store, later, 10).await;
        let mut new = attempt(2, &again[0]);
        (new.at, new.deadline) = (later, later);
        store.begin_attempt(&new).await.unwrap();
        assert_eq!(shown(store, message.id).await, "unknown");
        end(store, 1, &job, accepted(1)).await;
        let now = outgoing(store, message.id).await;
        assert_eq!((now.state(), now.message.twilio_sid), (SendState::Accepted, Some(sid(1))));
    }

    pub async fn a_given_up_message_is_overturned_by_a_report(store: &impl Inspect) {
        let (message, job) = in_flight(store, 1, TENANT).await;
        end(store, 1, &job, ambiguous()).await;
        store.conclude_not_sent(message.id, at(1000)).await.unwrap();
        let recorded = store.record_status(&report(2, 7, message.id, "sent")).await.unwrap();
        assert!(matches!(recorded, StatusRecorded::Applied { overturned: true, .. }));
        let told = detail(store, message.id).await.message.shown();
        assert_eq!((told.status.as_str(), told.error_code), ("sent", None));
        let again = store.record_status(&report(3, 7, message.id, "delivered")).await.unwrap();
        assert!(matches!(again, StatusRecorded::Applied { overturned: false, .. }));
    }

    pub async fn a_found_message_is_taken_unless_it_is_anothers(store: &impl Inspect) {
        let (first, job) = in_flight(store, 1, TENANT).await;
        end(store, 1, &job, accepted(1)).await;
        let (second, job) = in_flight(store, 2, TENANT).await;
        end(store, 2, &job, ambiguous()).await;
        let before = outgoing(store, first.id).await;
        let anothers = store.adopt_found(&report(3, 1, second.id, "delivered")).await.unwrap();
        assert_eq!(anothers, Adopted::NotIt);
        assert_eq!(outgoing(store, first.id).await, before);
        let found = store.adopt_found(&report(4, 2, second.id, "sent")).await.unwrap();
        let moved = Moved { to: DeliveryStatus::Sent, created_at: second.created_at };
        assert_eq!(found, Adopted::Taken { overturned: false, moved: Some(moved) });
        assert_eq!(shown(store, second.id).await, "sent");
        let twice = store.adopt_found(&report(5, 3, second.id, "sent")).await.unwrap();
        assert_eq!(twice, Adopted::NotIt);
    }

    pub async fn a_found_message_waits_while_another_is_on_its_way(store: &impl Inspect) {
        let (first, job) = in_flight(store, 1, TENANT).await;
        end(store, 1, &job, ambiguous()).await;
        let (_, second) = in_flight(store, 2, TENANT).await;
        let found = report(3, 7, first.id, "sent");
        assert_eq!(store.adopt_found(&found).await.unwrap(), Adopted::Wait);
        assert_eq!(shown(store, first.id).await, "unknown");
        end(store, 2, &second, accepted(8)).await;
        let taken = store.adopt_found(&found).await.unwrap();
        assert!(matches!(taken, Adopted::Taken { overturned: false, moved: Some(_) }));
    }

    pub async fn only_a_pending_message_is_cancelled(store: &impl Inspect) {
        let (message, job) = take_in(store, &new_outbound(1, TENANT)).await;
        let job = job.unwrap();
        let key = MessageKey::Id(message.id);
        let Canceled::Done(done) = store.cancel_outbound(&key, at(3)).await.unwrap() else {
            panic!("nothing was sent yet")
        };
        let told = done.shown();
        assert_eq!(
            (told.status.as_str(), told.error_code.as_deref()),
            ("failed", Some("canceled"))
        );
        assert_eq!(job_state(store, &job).await, "done");
        assert_eq!(store.begin_attempt(&attempt(1, &job)).await.unwrap(), Begun::Lost);
        let again = store.cancel_outbound(&key, at(4)).await.unwrap();
        assert_eq!(again, Canceled::TooLate(done));

        let (sent, _) = in_flight(store, 2, "+18605550177").await;
        let late = store.cancel_outbound(&MessageKey::Id(sent.id), at(3)).await.unwrap();
        assert!(matches!(late, Canceled::TooLate(_)));
        let nobody = MessageKey::Id(MessageId(uuid(99)));
        assert_eq!(store.cancel_outbound(&nobody, at(5)).await.unwrap(), Canceled::NotFound);
    }

    pub async fn a_repetition_does_not_send_what_was_cancelled(store: &impl Inspect) {
        let keyed = |number| {
            let mut new = new_outbound(number, TENANT);
            new.idempotency.key = IdempotencyKey::Given("k1".into());
            new.idempotency.request_hash = "aa".into();
            new
        };
        let (message, _) = take_in(store, &keyed(1)).await;
        store.cancel_outbound(&MessageKey::Id(message.id), at(3)).await.unwrap();
        let Acceptance::Joined(known) = store.accept_outbound(&keyed(2)).await.unwrap() else {
            panic!("it would be sent")
        };
        assert_eq!(known.message.id, message.id);
    }

    pub async fn a_retry_does_not_send_what_was_cancelled(store: &impl Inspect) {
        let (message, job) = take_in(store, &new_outbound(1, TENANT)).await;
        let job = job.unwrap();
        let park = JobEnding::Park { error: "restored".into() };
        store.finish_job(job.ticket, &park, at(2)).await.unwrap();
        let key = MessageKey::Id(message.id);
        assert!(matches!(store.cancel_outbound(&key, at(3)).await.unwrap(), Canceled::Done(_)));
        assert_eq!(job_state(store, &job).await, "done", "nobody is asked about it");
        assert_eq!(outgoing(store, message.id).await.revive(at(4), at(90)), None);
    }

    pub async fn messages_are_listed_by_what_everybody_is_told(store: &impl Inspect) {
        store.record_inbound(&inbound(1, TENANT)).await.unwrap();
        for (number, outcome) in
            [(2, accepted(2)), (3, ambiguous()), (4, refused("21610")), (5, refused("21211"))]
        {
            let (_, job) = in_flight(store, number, &format!("+1860555011{number}")).await;
            end(store, number, &job, outcome).await;
        }
        let list = async |status, since, limit, behind| {
            let query = MessageQuery { status, direction: None, since, behind, limit };
            store.list_messages(&query).await.unwrap()
        };
        let ids = |page: &crate::ports::MessagePage| {
            page.messages.iter().map(|message| message.created_at).collect::<Vec<_>>()
        };
        let all = list(None, None, 10, None).await;
        assert_eq!(ids(&all), [at(5), at(4), at(3), at(2), at(1)]);
        assert_eq!(all.next, None);
        let failed = list(Some(DeliveryStatus::Failed), None, 1, None).await;
        assert_eq!(ids(&failed), [at(5)]);
        let rest = list(Some(DeliveryStatus::Failed), None, 1, failed.next).await;
        assert_eq!((ids(&rest), rest.next), (vec![at(4)], None));
        let unknown = list(Some(DeliveryStatus::Unknown), None, 10, None).await;
        assert_eq!(ids(&unknown), [at(3)]);
        let received = list(Some(DeliveryStatus::Received), None, 10, None).await;
        assert_eq!(ids(&received), [at(1)]);
        let recent = list(Some(DeliveryStatus::Failed), Some(at(5)), 10, None).await;
        assert_eq!(ids(&recent), [at(5)]);
        let query = MessageQuery {
            status: None,
            direction: Some(Direction::Inbound),
            since: None,
            behind: None,
            limit: 10,
        };
        assert_eq!(ids(&store.list_messages(&query).await.unwrap()), [at(1)]);
    }

    pub async fn status_checks_are_due_after_twelve_hours_and_three_times_more(
        store: &impl Inspect,
    ) {
        let (message, job) = in_flight(store, 1, TENANT).await;
        end(store, 1, &job, accepted(1)).await;
        let due = async |now: u32| {
            let (now, again) = (at(now), at(now + 900));
            store.claim_status_checks(now, again, 10).await.unwrap()
        };
        let checked: [(MessageId, TwilioSid); 1] = [(message.id, sid(1))];
        let mut now = 1 + 12 * HOUR;
        assert_eq!(due(now - 1).await, []);
        for _ in 0..4 {
            assert_eq!(due(now).await, checked);
            assert_eq!(due(now + 1).await, [], "claimed");
            assert_eq!(due(now + 900).await, checked, "whoever claimed it has died");
            store.finish_status_check(message.id, at(now)).await.unwrap();
            assert_eq!(due(now + 24 * HOUR - 1).await, []);
            now += 24 * HOUR;
        }
        assert_eq!(due(now + 1000 * HOUR).await, []);
    }

    pub async fn a_final_message_is_not_checked(store: &impl Inspect) {
        let (_, job) = in_flight(store, 1, TENANT).await;
        end(store, 1, &job, accepted(1)).await;
        store.record_status(&status(2, 1, "delivered", None)).await.unwrap();
        let due = store.claim_status_checks(at(99 * HOUR), at(100 * HOUR), 10).await.unwrap();
        assert_eq!(due, []);
    }

    pub async fn jobs_are_claimed_once_and_by_kind(store: &impl Inspect) {
        let first = inbound(1, TENANT);
        store.record_inbound(&first).await.unwrap();
        assert_eq!(claim_sends(store, at(5), 10).await, []);
        assert_eq!(claim(store, 0, 10).await, [], "its time has not come");
        let claimed = claim(store, 1, 10).await;
        assert_eq!(claimed.len(), 1);
        let conversation = first.conversation;
        assert_eq!(claimed[0].job, Job::TenantLookup { conversation });
        assert_eq!(claimed[0].ticket, Ticket { id: first.lookup_job, attempt: 1 });
        assert_eq!((claimed[0].failures, claimed[0].lease_until), (0, at(1).after(LEASE)));
        assert_eq!(claim(store, 2, 10).await, []);
    }

    pub async fn concurrent_claims_never_share_a_job(store: &impl Inspect) {
        for number in 0..40 {
            store.record_inbound(&inbound(number, &format!("+1860555{number:04}"))).await.unwrap();
        }
        let claims = join_all((0..8).map(|_| claim(store, 100, 10))).await;
        let claimed: Vec<_> = claims.into_iter().flatten().map(|job| job.ticket.id).collect();
        let different: HashSet<_> = claimed.iter().collect();
        assert_eq!(different.len(), claimed.len());
        let rest = claim(store, 100, 100).await;
        assert_eq!(claimed.len() + rest.len(), 40);
    }

    pub async fn a_lane_is_worked_in_its_order(store: &impl Inspect) {
        let (_, first) = take_in(store, &new_outbound(1, TENANT)).await;
        let mut expected = Vec::new();
        for number in 2..=4 {
            expected.push(take_in(store, &new_outbound(number, TENANT)).await.0.id);
        }
        let done = JobEnding::Done;
        assert!(store.finish_job(first.unwrap().ticket, &done, at(5)).await.unwrap());
        let mut order = Vec::new();
        for _ in 0..3 {
            let claimed = claim_sends(store, at(10), 10).await;
            assert_eq!(claimed.len(), 1, "one at a time");
            let Job::Send { message, .. } = claimed[0].job else { panic!() };
            order.push(message);
            // One that waits for another attempt still comes before those behind it.
            let run_at = at(10);
            let retry = JobEnding::Retry { run_at, error: "busy".into() };
            assert!(store.finish_job(claimed[0].ticket, &retry, at(10)).await.unwrap());
            let again = claim_sends(store, at(10), 10).await;
            assert_eq!(again.len(), 1);
            assert_eq!(again[0].job, claimed[0].job);
            assert!(store.finish_job(again[0].ticket, &done, at(10)).await.unwrap());
        }
        assert_eq!(order, expected);
    }

    pub async fn an_expired_lease_is_claimed_anew_and_fences_the_old_ticket(store: &impl Inspect) {
        store.record_inbound(&inbound(1, TENANT)).await.unwrap();
        let first = claim(store, 1, 10).await;
        assert_eq!(claim(store, 60, 10).await, []);
        let second = claim(store, 61, 10).await;
        assert_eq!((second.len(), second[0].ticket.attempt), (1, 2));
        let done = JobEnding::Done;
        assert!(!store.finish_job(first[0].ticket, &done, at(62)).await.unwrap());
        assert_eq!(job_state(store, &second[0]).await, "running");
        assert!(store.finish_job(second[0].ticket, &done, at(62)).await.unwrap());
        assert!(!store.finish_job(second[0].ticket, &done, at(63)).await.unwrap());
        assert_eq!(job_state(store, &second[0]).await, "done");
    }

    pub async fn a_job_ends_as_its_worker_says(store: &impl Inspect) {
        store.record_inbound(&inbound(1, TENANT)).await.unwrap();
        let row = async || store.everything().await.jobs.remove(0);
        let job = claim(store, 1, 1).await.remove(0);
        let retry = JobEnding::Retry { run_at: at(20), error: "timeout".into() };
        store.finish_job(job.ticket, &retry, at(2)).await.unwrap();
        let kept = row().await;
        assert_eq!((kept.state.as_str(), kept.run_at, kept.failures), ("queued", at(20), 1));
        assert_eq!((kept.last_error.as_deref(), kept.lease_expires_at), (Some("timeout"), None));

        let job = claim(store, 20, 1).await.remove(0);
        assert_eq!(job.failures, 1);
        let release = JobEnding::Release { run_at: at(21) };
        store.finish_job(job.ticket, &release, at(21)).await.unwrap();
        let kept = row().await;
        assert_eq!((kept.state.as_str(), kept.run_at, kept.failures), ("queued", at(21), 1));

        let job = claim(store, 21, 1).await.remove(0);
        let park = JobEnding::Park { error: "no_such_thing".into() };
        store.finish_job(job.ticket, &park, at(22)).await.unwrap();
        let kept = row().await;
        assert_eq!((kept.state.as_str(), kept.attempts), ("parked", 3));
        assert_eq!(kept.last_error.as_deref(), Some("no_such_thing"));
        assert_eq!(claim(store, 9999, 10).await, []);
    }

    pub async fn a_job_that_goes_on_keeps_its_progress(store: &impl Inspect) {
        let (message, job) = in_flight(store, 1, TENANT).await;
        end(store, 1, &job, ambiguous()).await;
        let searches = async |seconds| {
            let found = claim(store, seconds, 10).await;
            found.into_iter().find(|job| job.job.kind() == "resolve_send")
        };
        let search = searches(5).await.unwrap();
        let retry = JobEnding::Retry { run_at: at(6), error: "away".into() };
        store.finish_job(search.ticket, &retry, at(5)).await.unwrap();
        let search = searches(6).await.unwrap();
        assert_eq!(search.failures, 1);
        let further = Job::ResolveSend { message: message.id, looks: 2 };
        let go_on = JobEnding::Continue { job: further, run_at: at(50) };
        store.finish_job(search.ticket, &go_on, at(6)).await.unwrap();
        assert_eq!(searches(49).await, None);
        let search = searches(50).await.unwrap();
        assert_eq!((search.job, search.failures), (further, 0));
    }

    pub async fn a_parked_job_is_listed_and_retried(store: &impl Inspect) {
        store.record_inbound(&inbound(1, TENANT)).await.unwrap();
        let job = claim(store, 1, 1).await.remove(0);
        let id = job.ticket.id;
        let retry = JobRetry { id, at: at(30), expires_at: at(90) };
        assert_eq!(store.retry_job(&retry).await.unwrap(), JobRetried::NotParked);
        let park = JobEnding::Park { error: "gave_up".into() };
        store.finish_job(job.ticket, &park, at(2)).await.unwrap();
        let list = async |state| {
            let query = JobQuery { state: Some(state), limit: 10, offset: 0 };
            store.list_jobs(&query).await.unwrap()
        };
        let parked = list(JobState::Parked).await;
        assert_eq!(parked.len(), 1);
        assert_eq!((parked[0].id, parked[0].kind.as_str()), (id, "tenant_lookup"));
        assert_eq!((parked[0].state, parked[0].attempts), (JobState::Parked, 1));
        assert_eq!(parked[0].last_error.as_deref(), Some("gave_up"));
        assert_eq!(parked[0].updated_at, at(2));
        assert_eq!(store.retry_job(&retry).await.unwrap(), JobRetried::Queued);
        assert_eq!(list(JobState::Parked).await, []);
        assert_eq!(claim(store, 30, 1).await.len(), 1);
        let nobody = JobRetry { id: crate::job::JobId(uuid(99)), ..retry };
        assert_eq!(store.retry_job(&nobody).await.unwrap(), JobRetried::NotFound);
    }

    pub async fn a_parked_send_is_retried_only_if_it_is_proven_unsent(store: &impl Inspect) {
        let (unsent_one, job) = in_flight(store, 1, TENANT).await;
        let mut last = attempt_end(1, &job, unsent());
        last.if_unsent = AfterUnsent::GiveUp(EXPIRED);
        store.record_attempt(&last).await.unwrap();
        let retry = JobRetry { id: job.ticket.id, at: at(30), expires_at: at(9000) };
        assert_eq!(store.retry_job(&retry).await.unwrap(), JobRetried::Queued);
        let now = outgoing(store, unsent_one.id).await;
        assert_eq!(now.state(), SendState::Pending);
        assert_eq!(now.message.sending.unwrap().expires_at, at(9000));
        assert_eq!(claim_sends(store, at(30), 10).await.len(), 1);

        let (doubtful, job) = in_flight(store, 2, "+18605550177").await;
        let park = JobEnding::Park { error: "an accident".into() };
        store.finish_job(job.ticket, &park, at(3)).await.unwrap();
        let before = outgoing(store, doubtful.id).await;
        let retry = JobRetry { id: job.ticket.id, ..retry };
        assert_eq!(store.retry_job(&retry).await.unwrap(), JobRetried::MaybeSent);
        assert_eq!(outgoing(store, doubtful.id).await, before);
    }

    pub async fn a_parked_send_that_was_never_begun_is_retried(store: &impl Inspect) {
        let (message, job) = take_in(store, &new_outbound(1, TENANT)).await;
        let job = job.unwrap();
        let park = JobEnding::Park { error: "the store rejected the operation".into() };
        store.finish_job(job.ticket, &park, at(3)).await.unwrap();
        let retry = JobRetry { id: job.ticket.id, at: at(30), expires_at: at(9000) };
        assert_eq!(store.retry_job(&retry).await.unwrap(), JobRetried::Queued);
        let now = outgoing(store, message.id).await;
        assert_eq!((now.state(), now.attempts.len()), (SendState::Pending, 0));
        assert_eq!(claim_sends(store, at(30), 10).await.len(), 1);
    }

    pub async fn a_retried_send_goes_behind_those_of_its_lane(store: &impl Inspect) {
        let (first, job) = in_flight(store, 1, TENANT).await;
        let mut last = attempt_end(1, &job, unsent());
        last.if_unsent = AfterUnsent::GiveUp(EXPIRED);
        store.record_attempt(&last).await.unwrap();
        let (_, second) = in_flight(store, 2, TENANT).await;
        let retry = JobRetry { id: job.ticket.id, at: at(3), expires_at: at(9000) };
        assert_eq!(store.retry_job(&retry).await.unwrap(), JobRetried::Queued);
        assert_eq!(claim_sends(store, at(5), 10).await, [], "one is on its way");
        end(store, 2, &second, accepted(2)).await;
        let claimed = claim_sends(store, at(5), 10).await;
        assert_eq!(claimed.len(), 1);
        let conversation = first.conversation;
        assert_eq!(claimed[0].job, Job::Send { message: first.id, conversation });
    }

    pub async fn old_rows_are_swept(store: &impl Inspect) {
        let (_, job) = in_flight(store, 1, TENANT).await;
        end(store, 1, &job, accepted(1)).await;
        store.record_status(&status(2, 50, "sent", None)).await.unwrap();
        let lookups = claim(store, 3, 10).await;
        let park = JobEnding::Park { error: "gave_up".into() };
        store.finish_job(lookups[0].ticket, &park, at(4)).await.unwrap();
        let keep = Housekeeping {
            done_jobs: at(0),
            parked_jobs: at(0),
            idempotency_keys: at(0),
            parked_events: at(0),
            raw_payloads: None,
            limit: 100,
        };
        let swept = store.housekeep(&keep).await.unwrap();
        assert_eq!(swept, crate::ports::Swept::default());
        let end = at(100);
        let sweep = Housekeeping {
            done_jobs: end,
            parked_jobs: end,
            idempotency_keys: end,
            parked_events: end,
            raw_payloads: None,
            limit: 1,
        };
        let swept = store.housekeep(&sweep).await.unwrap();
        assert_eq!((swept.jobs, swept.idempotency_keys, swept.parked_events), (1, 1, 1));
        let swept = store.housekeep(&sweep).await.unwrap();
        assert_eq!((swept.jobs, swept.idempotency_keys, swept.parked_events), (1, 0, 0));
        let all = store.everything().await;
        assert_eq!((all.jobs.len(), all.parked_events.len(), all.messages.len()), (0, 0, 1));
    }

    pub async fn old_raw_payloads_are_swept_and_nothing_else_of_their_messages(
        store: &impl Inspect,
    ) {
        for number in 1..=3 {
            store.record_inbound(&inbound(number, TENANT)).await.unwrap();
        }
        // Reports of a message that is known, and of one that is not.
        store.record_status(&status(2, 3, "received", None)).await.unwrap();
        store.record_status(&status(3, 50, "sent", None)).await.unwrap();
        let before = store.everything().await;
        let sweep = |raw_payloads| Housekeeping {
            done_jobs: at(0),
            parked_jobs: at(0),
            idempotency_keys: at(0),
            parked_events: at(0),
            raw_payloads,
            limit: 1,
        };
        for kept in [None, Some(at(1))] {
            assert_eq!(store.housekeep(&sweep(kept)).await.unwrap().raw_payloads, 0);
            assert_eq!(store.everything().await, before);
        }

        // Of two old messages and one old report each sweep takes the oldest of each kind.
        let old = sweep(Some(at(3)));
        assert_eq!(store.housekeep(&old).await.unwrap().raw_payloads, 2);
        assert_eq!(raws(&store.everything().await.messages), [false, true, true]);
        assert_eq!(store.housekeep(&old).await.unwrap().raw_payloads, 1);
        assert_eq!(store.housekeep(&old).await.unwrap().raw_payloads, 0);
        let mut after = store.everything().await;
        assert_eq!(raws(&after.messages), [false, false, true]);
        assert_eq!(after.messages[2].events[0].raw, RawPayload::default());
        assert_ne!(after.parked_events[0].raw, RawPayload::default(), "it is not that old");

        for (message, whole) in after.messages.iter_mut().zip(&before.messages) {
            message.raw.clone_from(&whole.raw);
            for (event, whole) in message.events.iter_mut().zip(&whole.events) {
                event.raw.clone_from(&whole.raw);
            }
        }
        assert_eq!(after, before, "nothing else has changed");
    }

    /// Whether each message still has its raw payload.
    fn raws(messages: &[MessageDetail]) -> Vec<bool> {
        messages.iter().map(|message| message.raw != RawPayload::default()).collect()
    }

    pub async fn a_job_says_what_it_follows_from(store: &impl Inspect) {
        let text = inbound(1, TENANT);
        store.record_inbound(&text).await.unwrap();
        let lookup = claim(store, 10, 1).await.remove(0);
        assert_eq!(lookup.origin, text.origin);
        let new = new_outbound(2, "+18605550188");
        let (_, job) = in_flight(store, 2, "+18605550188").await;
        assert_eq!(job.origin, new.origin);
        let ended = end(store, 2, &job, ambiguous()).await;
        assert_eq!(ended.moved.map(|moved| moved.to), Some(DeliveryStatus::Unknown));
        let jobs = store.everything().await.jobs;
        for job in jobs.iter().filter(|job| job.id != lookup.ticket.id) {
            assert_eq!(job.origin, new.origin, "{}", job.kind);
        }
        assert!(jobs.iter().any(|job| job.kind == "resolve_send"), "{jobs:?}");
    }

    pub async fn what_waits_is_surveyed(store: &impl Inspect) {
        assert_eq!(store.survey().await.unwrap(), Survey::default());
        store.record_inbound(&inbound(1, TENANT)).await.unwrap();
        store.record_inbound(&inbound(2, "+18605550188")).await.unwrap();
        let (_, job) = in_flight(store, 4, "+18605550177").await;
        end(store, 4, &job, ambiguous()).await;
        for number in [8, 7] {
            store.record_status(&status(number, number, "sent", None)).await.unwrap();
        }
        let parked = claim(store, 2, 1).await.remove(0);
        let park = JobEnding::Park { error: "no use".into() };
        store.finish_job(parked.ticket, &park, at(9)).await.unwrap();
        let tally = |count, oldest| Tally { count, oldest: Some(at(oldest)) };
        let jobs = |kind: &str, state, tally| JobTally { kind: kind.into(), state, tally };
        let survey = store.survey().await.unwrap();
        assert_eq!(survey.ambiguous, tally(1, 5));
        assert_eq!(survey.parked_events, tally(2, 7));
        assert_eq!(
            survey.jobs,
            [
                jobs("resolve_send", JobState::Queued, tally(1, 6)),
                jobs("tenant_lookup", JobState::Parked, tally(1, 9)),
                jobs("tenant_lookup", JobState::Queued, tally(2, 2)),
            ]
        );
    }

    pub async fn conversations_are_counted_by_tenant_and_language(store: &impl Inspect) {
        assert_eq!(store.census().await.unwrap(), []);
        for number in 1..=3 {
            let new = inbound(number, &format!("+1860555{number:04}"));
            store.record_inbound(&new).await.unwrap();
        }
        take_in(store, &new_outbound(4, "+18605550177")).await;
        store.plant_tenant(inbound(2, TENANT).conversation, &TenantId::parse("T_1").unwrap()).await;
        let of = |has_tenant, language, count| ConversationTally { has_tenant, language, count };
        let census = store.census().await.unwrap();
        assert_eq!(
            census,
            [
                of(false, Language::English, 2),
                of(false, Language::Unknown, 1),
                of(true, Language::English, 1),
            ]
        );
    }
}
