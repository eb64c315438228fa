//! Conversations of one tenant, under everything at once.

use std::future::Future;
use std::pin::Pin;

use adapter_postgres::PgStore;
use domain::conversation::{Conversation, ConversationId};
use domain::job::{JobEnding, JobId, JobState};
use domain::language::{Detection, Language};
use domain::origin::Origin;
use domain::ports::{
    Annotation, ConversationKey, ConversationStore, JobClaim, JobQueue, JobRetry, LookupResult,
    MessageStore, OutboundStore, Reconciliation, StoreError,
};
use domain::tenant::TenantId;
use domain::testing::Inspect;
use domain::testing::fixture::{at, detection, inbound, new_outbound, to_conversation, uuid};
use futures_util::future::join_all;

use crate::database::{Schema, fresh_store, store};

/// A conversation that is opened by a text in that language.
async fn open(store: &PgStore, number: u32, said: Detection) -> ConversationId {
    let mut new = inbound(number, &address(number));
    new.detection = said;
    store.record_inbound(&new).await.unwrap();
    new.conversation
}

fn address(number: u32) -> String {
    format!("+1860555{number:04}")
}

fn lookup(conversation: ConversationId, tenant: &str, number: u32) -> LookupResult {
    let tenant = Some(TenantId::parse(tenant).unwrap());
    let language_job = JobId(uuid(95_000_000 + number));
    let (at, origin) = (at(number), Origin::default());
    LookupResult { conversation, tenant, is_ambiguous: false, at, language_job, origin }
}

async fn language(store: &PgStore, id: ConversationId) -> Language {
    let found = store.find_conversation(&ConversationKey::Id(id)).await.unwrap();
    found.map(|found: Conversation| found.language.language).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_that_joins_while_a_language_is_carried_is_not_passed_over() {
    let (store, _schema) = fresh_store().await;
    for round in 0..40 {
        let (first, tenant) = (round * 10 + 1, format!("T_{round}"));
        let sure = open(&store, first, detection(Language::Spanish, 990)).await;
        // Whoever joins looks at this one, which was active last.
        let silent = open(&store, first + 5, Detection::UNKNOWN).await;
        let joining = open(&store, first + 1, Detection::UNKNOWN).await;
        store.record_lookup(&lookup(silent, &tenant, first)).await.unwrap();
        // Its language became known elsewhere after it had joined.
        store.plant_tenant(sure, &TenantId::parse(&tenant).unwrap()).await;
        let join = lookup(joining, &tenant, first + 2);
        let (carried, joined) =
            tokio::join!(store.carry_language(sure, at(first)), store.record_lookup(&join));
        assert!(carried.unwrap().is_some() && joined.unwrap().is_some());
        for id in [silent, joining] {
            assert_eq!(language(&store, id).await, Language::Spanish, "round {round}");
        }
    }
}

type Call<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + 'a>>;

/// Two calls that wait for each other would be told so by the server, as a failure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_the_conversations_of_a_tenant_no_two_calls_wait_for_each_other() {
    let schema = Schema::unused();
    let mut settings = schema.settings();
    settings.pool_size = 24;
    let store = store(&settings).await;
    let languages = [Language::English, Language::Spanish, Language::Portuguese];
    let mut all = Vec::new();
    for number in 1..=12 {
        let id = open(&store, number, Detection::UNKNOWN).await;
        all.push((number, id));
    }
    for round in 1..=25_u32 {
        store.finish_jobs().await;
        let mut calls: Vec<Call<'_>> = Vec::new();
        for (number, id) in all.iter().copied() {
            let turn = round * 100 + number;
            let said = detection(languages[usize::try_from(turn % 3).unwrap()], 990);
            calls.extend(about_conversation(&store, turn, number, id, said));
        }
        for nth in 0..3 {
            calls.push(Box::pin(reconcile(&store, round * 1000 + nth * 20)));
        }
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
    let known = store.everything().await.conversations;
    assert_eq!(known.len(), all.len());
    assert_eq!(known.iter().filter(|known| known.tenant_id.is_some()).count(), 8);
}

fn about_conversation(
    store: &PgStore,
    turn: u32,
    number: u32,
    id: ConversationId,
    said: Detection,
) -> Vec<Call<'_>> {
    let mut found = lookup(id, if turn.is_multiple_of(7) { "T_2" } else { "T_1" }, turn);
    // Nobody knows the last four, whose lookups are reconciled.
    found.tenant = found.tenant.filter(|_| number <= 8);
    vec![
        Box::pin(async move {
            let mut new = inbound(turn * 10, &address(number));
            new.detection = said;
            store.record_inbound(&new).await.map(drop)
        }),
        Box::pin(async move {
            let new = to_conversation(new_outbound(turn * 10, ""), id);
            store.accept_outbound(&new).await.map(drop)
        }),
        Box::pin(async move { store.carry_language(id, at(turn)).await.map(drop) }),
        Box::pin(async move { store.record_lookup(&found).await.map(drop) }),
        Box::pin(async move {
            let tenant = TenantId::parse("T_1").unwrap();
            store.mark_language_told(id, &tenant, said.language).await.map(drop)
        }),
        Box::pin(async move {
            let change = Annotation {
                key: ConversationKey::Id(id),
                workflow_type: Some(Some(format!("w{turn}"))),
                workflow_id: None,
                if_versions: None,
                at: at(turn),
            };
            store.annotate_conversation(&change).await.map(drop)
        }),
    ]
}

async fn reconcile(store: &PgStore, first: u32) -> Result<(), StoreError> {
    let jobs = (first..first + 10).map(|number| JobId(uuid(97_000_000 + number))).collect();
    let due = Reconciliation { at: at(first), looked_up_before: at(900_000), jobs };
    store.reconcile_lookups(&due).await.map(drop)
}

#[tokio::test]
async fn a_language_that_could_not_be_told_is_told_again_behind_later_news() {
    let (store, _schema) = fresh_store().await;
    let id = open(&store, 1, detection(Language::Spanish, 990)).await;
    store.record_lookup(&lookup(id, "T_1", 5)).await.unwrap();
    let claim = |second| JobClaim {
        kinds: vec!["tell_language"],
        at: at(second),
        lease_until: at(second + 60),
        limit: 10,
    };
    let spanish = store.claim_jobs(&claim(10)).await.unwrap();
    let park = JobEnding::Park { error: "why".into() };
    assert!(store.finish_job(spanish[0].ticket, &park, at(11)).await.unwrap());
    let mut new = inbound(12, &address(1));
    new.detection = detection(Language::English, 990);
    store.record_inbound(&new).await.unwrap();
    let retry = JobRetry { id: spanish[0].ticket.id, at: at(13), expires_at: at(900) };
    store.retry_job(&retry).await.unwrap();

    let english = store.claim_jobs(&claim(20)).await.unwrap();
    assert_eq!(english.len(), 1, "one of a lane at a time");
    assert_ne!(english[0].job, spanish[0].job);
    let done = JobEnding::Done;
    assert!(store.finish_job(english[0].ticket, &done, at(21)).await.unwrap());
    let again = store.claim_jobs(&claim(22)).await.unwrap();
    assert_eq!(again[0].job, spanish[0].job);
    let parked = store.everything().await.jobs;
    assert!(parked.iter().all(|job| job.state != JobState::Parked.as_str()));
}
