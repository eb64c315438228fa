//! Jobs that no version of ours wrote, and what is kept over a restart.

use diesel::connection::SimpleConnection;
use domain::job::{ClaimedJob, JobEnding, JobState};
use domain::ports::{
    Acceptance, Begun, JobClaim, JobQuery, JobQueue, JobRetried, JobRetry, OutboundStore,
};
use domain::testing::Inspect;
use domain::testing::fixture::{at, attempt, attempt_end, new_outbound, refused, unsent};

use adapter_sqlite::SqliteStore;

use crate::{file_in, fresh_store, strangers_connection};

const PARK: JobEnding = JobEnding::Park { error: String::new() };

fn claim(limit: u32) -> JobClaim {
    let kinds = vec!["send", "tenant_lookup", "resolve_send"];
    JobClaim { kinds, at: at(50_000), lease_until: at(60_000), limit }
}

/// A message whose send job is ours.
async fn take_in(store: &SqliteStore, number: u32, to: &str) -> ClaimedJob {
    let accepted = store.accept_outbound(&new_outbound(number, to)).await.unwrap();
    let Acceptance::New { job: Some(job), .. } = accepted else { panic!("{accepted:?}") };
    job
}

#[tokio::test]
async fn jobs_that_cannot_be_read_are_passed_over_however_many_there_are() {
    let (store, folder) = fresh_store().await;
    take_in(&store, 1, "+18605550199").await;
    let mut conn = strangers_connection(&file_in(&folder));
    for (nth, (id, kind, payload, attempts)) in [
        ("aaaaaaaa-0000-7000-8000-000000000001", "send", "no json", 0),
        ("aaaaaaaa-0000-7000-8000-000000000002", "send", "{\"message_id\": 1}", 0),
        ("aaaaaaaa-0000-7000-8000-000000000003", "send", "[]", 0),
        ("aaaaaaaa-0000-7000-8000-000000000004", "brew_coffee", "{}", 0),
        ("not an id", "send", "{}", 0),
        ("aaaaaaaa-0000-7000-8000-000000000005", "tenant_lookup", "{}", -7),
    ]
    .into_iter()
    .enumerate()
    {
        conn.batch_execute(&format!(
            "insert into jobs (id, kind, unique_key, payload, state, attempts, run_at, created_at,
                updated_at)
             values ('{id}', '{kind}', '{nth}', '{payload}', 'queued', {attempts},
                '2000-01-01T00:00:00.000000Z', '2000-01-01T00:00:00.000000Z',
                '2000-01-01T00:00:00.000000Z')"
        ))
        .unwrap();
    }
    let claimed = store.claim_jobs(&claim(2)).await.unwrap();
    let kinds: Vec<_> = claimed.iter().map(|job| job.job.kind()).collect();
    assert_eq!(kinds, ["tenant_lookup", "send"]);
    assert_eq!(store.claim_jobs(&claim(2)).await.unwrap(), []);
    conn.batch_execute("delete from jobs where id = 'not an id' or attempts < 0").unwrap();
    let waiting = JobQuery { state: Some(JobState::Queued), limit: 10, offset: 0 };
    assert_eq!(store.list_jobs(&waiting).await.unwrap().len(), 4, "an operator sees them");
}

#[tokio::test]
async fn a_message_that_was_refused_can_be_tried_again() {
    let (store, _folder) = fresh_store().await;
    let job = take_in(&store, 1, "+18605550199").await;
    for (number, outcome) in [(2, unsent()), (3, refused("21211"))] {
        store.begin_attempt(&attempt(number, &job)).await.unwrap();
        let end = attempt_end(number, &job, outcome);
        // The job is another worker's by then, who parks it.
        let ticket = domain::job::Ticket { attempt: 9, ..job.ticket };
        store.record_attempt(&domain::outbound::AttemptEnd { ticket, ..end }).await.unwrap();
    }
    assert!(store.finish_job(job.ticket, &PARK, at(10)).await.unwrap());
    let (id, expires_at) = (job.ticket.id, at(100_000));
    let retried = store.retry_job(&JobRetry { id, at: at(11), expires_at }).await.unwrap();
    assert_eq!(retried, JobRetried::Queued);
    let again = store.claim_jobs(&JobClaim { kinds: vec!["send"], ..claim(1) }).await.unwrap();
    let begun = store.begin_attempt(&attempt(50_001, &again[0])).await.unwrap();
    let Begun::As(_, outgoing) = begun else { panic!("{begun:?}") };
    assert_eq!(outgoing.attempts.len(), 3);
}

#[tokio::test]
async fn what_was_sent_and_is_to_be_done_is_there_after_a_restart() {
    let (store, folder) = fresh_store().await;
    let job = take_in(&store, 1, "+18605550101").await;
    store.begin_attempt(&attempt(2, &job)).await.unwrap();
    store.record_attempt(&attempt_end(2, &job, refused("21211"))).await.unwrap();
    let interrupted = take_in(&store, 3, "+18605550102").await;
    store.begin_attempt(&attempt(4, &interrupted)).await.unwrap();
    let before = store.everything().await;
    drop(store);
    let store = SqliteStore::open(&file_in(&folder)).unwrap();
    assert_eq!(store.everything().await, before);
    let claimed = store.claim_jobs(&claim(9)).await.unwrap();
    let sends: Vec<_> = claimed.iter().filter(|job| job.job.kind() == "send").collect();
    assert_eq!((sends.len(), sends[0].ticket.id), (1, interrupted.ticket.id));
    assert_eq!(sends[0].ticket.attempt, 2);
}
