//! Messages from us, under everything at once.

use std::future::Future;
use std::pin::Pin;

use adapter_postgres::PgStore;
use domain::conversation::ConversationId;
use domain::idempotency::IdempotencyKey;
use domain::job::{ClaimedJob, JobEnding, JobId};
use domain::message::MessageId;
use domain::ports::{
    Acceptance, Begun, Housekeeping, JobClaim, JobQueue, JobRetry, MessageKey, MessageStore,
    NewStatusEvent, OutboundStore, StoreError,
};
use domain::testing::Inspect;
use domain::testing::fixture::{
    accepted, ambiguous, at, attempt, attempt_end, inbound, new_outbound, sid, status, unsent, uuid,
};
use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio_postgres::error::SqlState;

use crate::database::{Schema, fresh_store, store};

const TENANT: &str = "+18605550199";

async fn take_in(store: &PgStore, number: u32, to: &str) -> (MessageId, Option<ClaimedJob>) {
    match store.accept_outbound(&new_outbound(number, to)).await.unwrap() {
        Acceptance::New { message, job } => (message.id, job),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_that_get_the_same_request_make_one_message() {
    let (one, schema) = fresh_store().await;
    let other = PgStore::new(&schema.settings(), Handle::current()).unwrap();
    for round in 0..10 {
        // Also where the conversation is opened by it, and where the key was another's before.
        let requests: Vec<_> = (1..=8)
            .map(|nth| {
                let mut new = new_outbound(round * 100 + nth, &format!("+1860555019{}", round / 2));
                new.idempotency.key = IdempotencyKey::Given(format!("key {}", round % 3));
                new.idempotency.keep = std::time::Duration::from_secs(50);
                new.idempotency.request_hash = format!("hash {round}");
                new
            })
            .collect();
        let asked = requests.iter().enumerate().map(|(nth, new)| {
            if nth % 2 == 0 { one.accept_outbound(new) } else { other.accept_outbound(new) }
        });
        let answers = join_all(asked).await;
        let new = answers.iter().filter(|answer| matches!(answer, Ok(Acceptance::New { .. })));
        assert_eq!(new.count(), 1, "{answers:?}");
        let joined = answers.iter().filter(|answer| matches!(answer, Ok(Acceptance::Joined(_))));
        assert_eq!(joined.count(), 7, "{answers:?}");
    }
    assert_eq!(one.everything().await.messages.len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_workers_with_one_job_only_one_makes_the_attempt() {
    let (one, schema) = fresh_store().await;
    let other = PgStore::new(&schema.settings(), Handle::current()).unwrap();
    for number in (0..400).step_by(20) {
        let (_, job) = take_in(&one, number, &format!("+1860555{number:04}")).await;
        let job = job.unwrap();
        let (mine, theirs) = (attempt(number, &job), attempt(number + 1, &job));
        let (mine, theirs) = tokio::join!(one.begin_attempt(&mine), other.begin_attempt(&theirs));
        let goes = |begun: &Result<Begun, StoreError>| match begun.as_ref().unwrap() {
            Begun::As(domain::outbound::Beginning::Go, _) => true,
            Begun::As(domain::outbound::Beginning::Doubtful, _) => false,
            other => panic!("{other:?}"),
        };
        assert!(goes(&mine) ^ goes(&theirs), "{mine:?} and {theirs:?}");
    }
}

#[tokio::test]
async fn the_database_itself_forbids_a_second_send() {
    let (store, schema) = fresh_store().await;
    let outsider = schema.outsider().await;
    let (MessageId(message), _) = take_in(&store, 1, TENANT).await;
    let attempt = |number: u32, outcome: &str| {
        format!(
            "insert into sms_send_attempts (id, message_id, number, started_at, deadline, outcome)
             values (gen_random_uuid(), '{message}', {number}, now(), now(), {outcome})"
        )
    };
    for (number, proven) in [(1, "'unsent'"), (2, "'refused'"), (3, "'unsent'")] {
        outsider.batch_execute(&attempt(number, proven)).await.unwrap();
    }
    for first in ["null", "'ambiguous'", "'accepted'"] {
        outsider.batch_execute(&attempt(4, first)).await.unwrap();
        for second in ["null", "'ambiguous'", "'accepted'"] {
            let error = outsider.batch_execute(&attempt(5, second)).await.unwrap_err();
            assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION), "{first} then {second}");
        }
        outsider.batch_execute("delete from sms_send_attempts where number = 4").await.unwrap();
    }
}

type Call<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + 'a>>;

/// Two calls that wait for each other would be told so by the server, as a failure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_at_once_no_two_calls_wait_for_each_other() {
    let schema = Schema::unused();
    let mut settings = schema.settings();
    settings.pool_size = 24;
    let store = store(&settings).await;
    for round in 0..30 {
        let mut jobs = Vec::new();
        for nth in 0..3 {
            let number = round * 1000 + nth * 20;
            let to = format!("+186055{:03}{:02}", nth % 2, round);
            let (message, job) = take_in(&store, number, &to).await;
            jobs.push((number, message, job));
        }
        let mut calls: Vec<Call<'_>> = Vec::new();
        for (number, message, job) in &jobs {
            if let Some(job) = job {
                store.begin_attempt(&attempt(*number, job)).await.unwrap();
                calls.extend(about_attempt(&store, *number, job));
            }
            calls.extend(about_message(&store, *number, *message));
        }
        calls.extend(about_everything(&store, round * 1000 + 500));
        // In an order that mixes them.
        let mut place = round;
        calls.sort_by_cached_key(|_| {
            place = (place * 211 + 17) % 1009;
            place
        });
        for done in join_all(calls).await {
            done.unwrap();
        }
    }
}

fn about_attempt<'a>(store: &'a PgStore, number: u32, job: &'a ClaimedJob) -> Vec<Call<'a>> {
    let outcome = match number / 1000 % 3 {
        0 => accepted(number),
        1 => ambiguous(),
        _ => unsent(),
    };
    let mut calls: Vec<Call<'_>> = Vec::new();
    calls.push(Box::pin(async move {
        let mut end = attempt_end(number, job, outcome);
        end.attended = true;
        store.record_attempt(&end).await.map(drop)
    }));
    calls.push(Box::pin(async move {
        let again = attempt(number + 7, job);
        store.begin_attempt(&again).await.map(drop)
    }));
    calls.push(Box::pin(async move {
        let park = JobEnding::Park { error: "why".into() };
        store.finish_job(job.ticket, &park, at(number)).await.map(drop)
    }));
    calls.push(Box::pin(async move {
        let retry = JobRetry { id: job.ticket.id, at: at(number), expires_at: at(number + 900) };
        store.retry_job(&retry).await.map(drop)
    }));
    calls
}

fn about_message(store: &PgStore, number: u32, message: MessageId) -> Vec<Call<'_>> {
    let report = move |nth: u32, word: &str| -> NewStatusEvent {
        let mut event = status(number + nth, number, word, None);
        event.report.message = Some(message);
        event
    };
    let sid_of = MessageKey::Sid(sid(number));
    let mut calls: Vec<Call<'_>> = Vec::new();
    for (nth, word) in [(1, "sent"), (2, "delivered"), (3, "failed")] {
        calls
            .push(Box::pin(async move { store.record_status(&report(nth, word)).await.map(drop) }));
    }
    calls.push(Box::pin(async move { store.adopt_found(&report(4, "sent")).await.map(drop) }));
    calls.push(Box::pin(async move { store.conclude_not_sent(message, at(9)).await.map(drop) }));
    calls.push(Box::pin(async move { store.mark_answered(message, at(9)).await }));
    calls.push(Box::pin(async move { store.finish_status_check(message, at(9)).await }));
    calls.push(Box::pin(async move { store.cancel_outbound(&sid_of, at(9)).await.map(drop) }));
    calls.push(Box::pin(async move {
        store.cancel_outbound(&MessageKey::Id(message), at(9)).await.map(drop)
    }));
    // The same request again, and another one.
    for other in [number, number + 3] {
        calls.push(Box::pin(async move {
            let mut new = new_outbound(other, TENANT);
            new.id = MessageId(uuid(90_000_000 + other));
            new.conversation = ConversationId(uuid(91_000_000 + other));
            new.send_job = JobId(uuid(92_000_000 + other));
            new.idempotency.key = IdempotencyKey::Given(format!("key {}", number % 100));
            store.accept_outbound(&new).await.map(drop)
        }));
    }
    calls
}

fn about_everything(store: &PgStore, number: u32) -> Vec<Call<'_>> {
    let later = at(number + 100_000);
    let mut calls: Vec<Call<'_>> = Vec::new();
    for nth in 0..4 {
        calls.push(Box::pin(async move {
            let kinds = vec!["send", "resolve_send", "tenant_lookup"];
            let claim = JobClaim { kinds, at: later, lease_until: later, limit: 5 };
            store.claim_jobs(&claim).await.map(drop)
        }));
        calls.push(Box::pin(
            async move { store.claim_status_checks(later, later, 5).await.map(drop) },
        ));
        calls.push(Box::pin(async move {
            let text = inbound(number + nth, &format!("+1860555019{}", nth % 3));
            store.record_inbound(&text).await.map(drop)
        }));
    }
    calls.push(Box::pin(async move {
        let what = Housekeeping {
            done_jobs: later,
            parked_jobs: later,
            idempotency_keys: later,
            parked_events: later,
            raw_payloads: Some(later),
            limit: 7,
        };
        store.housekeep(&what).await.map(drop)
    }));
    calls
}
