//! Whose number it is, on the store in memory and a Monitor that does as it is told.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::conversation::{Conversation, ConversationId};
use domain::identify::{Identified, Identify, IdentifyPorts, LookupRules, Told};
use domain::job::{ClaimedJob, Job, JobId};
use domain::language::Language;
use domain::origin::Origin;
use domain::phone::Region;
use domain::ports::{
    Clock, ConversationKey, ConversationStore, DirectoryError, JobClaim, JobQueue, LookupResult,
    MessageStore, MockTenantDirectory, MockTenantProfiles, ProfileAnswer, TenantDirectory,
    TenantMatch, TenantProfiles,
};
use domain::tenant::TenantId;
use domain::testing::fixture::{at, detection, inbound, uuid};
use domain::testing::{CountingIds, FixedChance, InMemoryStore, Inspect, SteppingClock};

use crate::at_once;

struct World {
    store: Arc<InMemoryStore>,
    clock: Arc<SteppingClock>,
    identify: Identify,
}

fn world(directory: Option<MockTenantDirectory>, profiles: Option<MockTenantProfiles>) -> World {
    let store = Arc::new(InMemoryStore::default());
    let clock = Arc::new(SteppingClock::standing(at(100)));
    let ports = IdentifyPorts {
        messages: store.clone(),
        conversations: store.clone(),
        queue: store.clone(),
        directory: directory.map(|mock| -> Arc<dyn TenantDirectory> { Arc::new(mock) }),
        profiles: profiles.map(|mock| -> Arc<dyn TenantProfiles> { Arc::new(mock) }),
        clock: clock.clone(),
        ids: Arc::new(CountingIds::default()),
        chance: Arc::new(FixedChance(0)),
    };
    let rules = LookupRules { region: Region::default(), unknown_for: Duration::from_hours(24) };
    World { store, clock, identify: Identify::new(ports, rules) }
}

impl World {
    async fn text(&self) -> ConversationId {
        let mut new = inbound(1, "+1 (860) 555-0199");
        new.detection = detection(Language::Spanish, 990);
        self.store.record_inbound(&new).await.unwrap();
        new.conversation
    }

    async fn next(&self, kind: &'static str) -> Option<ClaimedJob> {
        let now = self.clock.now();
        let lease_until = now.after(Duration::from_mins(3));
        let claim = JobClaim { kinds: vec![kind], at: now, lease_until, limit: 1 };
        self.store.claim_jobs(&claim).await.unwrap().pop()
    }

    async fn look_up(&self, conversation: ConversationId) -> Identified {
        let job = self.next("tenant_lookup").await.unwrap();
        self.identify.look_up(&job, conversation).await.unwrap()
    }

    async fn tell(&self) -> Told {
        let job = self.next("tell_language").await.unwrap();
        let Job::TellLanguage { conversation, .. } = job.job else { panic!("{job:?}") };
        self.identify.tell_language(&job, conversation).await.unwrap()
    }

    async fn conversation(&self, id: ConversationId) -> Conversation {
        self.store.find_conversation(&ConversationKey::Id(id)).await.unwrap().unwrap()
    }
}

fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).unwrap()
}

fn away() -> DirectoryError {
    DirectoryError::Unavailable { retry_after: None, source: "away".into() }
}

#[futures_test::test]
async fn spellings_are_asked_for_in_order_until_one_is_known() {
    let mut directory = MockTenantDirectory::new();
    let mut order = mockall::Sequence::new();
    for (spelling, answer) in [
        ("+1 (860) 555-0199", TenantMatch::Nobody),
        ("+18605550199", TenantMatch::Nobody),
        ("18605550199", TenantMatch::Tenant(tenant("T_1"))),
    ] {
        directory
            .expect_look_up()
            .withf(move |asked| asked.as_str() == spelling)
            .once()
            .in_sequence(&mut order)
            .return_once(move |_| Ok(answer));
    }
    let world = world(Some(directory), None);
    let id = world.text().await;
    assert_eq!(world.look_up(id).await, Identified::Found);
    assert_eq!(world.conversation(id).await.tenant_id, Some(tenant("T_1")));
    assert_eq!(world.next("tenant_lookup").await, None);
}

#[futures_test::test]
async fn a_number_of_several_tenants_belongs_to_none_and_is_not_asked_for_further() {
    let mut directory = MockTenantDirectory::new();
    directory.expect_look_up().once().return_once(|_| Ok(TenantMatch::Ambiguous));
    let world = world(Some(directory), None);
    let id = world.text().await;
    assert_eq!(world.look_up(id).await, Identified::Ambiguous);
    let known = world.conversation(id).await;
    assert_eq!((known.tenant_id, known.tenant_checked_at), (None, Some(at(100))));
}

#[futures_test::test]
async fn a_directory_that_is_away_is_asked_again_in_minutes_then_in_hours() {
    let mut directory = MockTenantDirectory::new();
    directory.expect_look_up().returning(|_| Err(away()));
    let world = world(Some(directory), None);
    let id = world.text().await;
    let mut waits = Vec::new();
    for _ in 0..10 {
        assert_eq!(world.look_up(id).await, Identified::Later);
        let jobs = world.store.everything().await.jobs;
        let wait = jobs[0].run_at.since(world.clock.now());
        waits.push(wait.as_secs());
        world.clock.advance(wait);
    }
    assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
    assert_eq!(world.conversation(id).await.tenant_checked_at, None);
}

#[futures_test::test]
async fn a_profile_is_told_the_language_that_it_is_when_the_job_runs_and_once() {
    let mut directory = MockTenantDirectory::new();
    directory.expect_look_up().return_once(|_| Ok(TenantMatch::Tenant(tenant("T_1"))));
    let mut profiles = MockTenantProfiles::new();
    profiles
        .expect_set_language()
        .withf(|of, language| *of == tenant("T_1") && *language == Language::English)
        .once()
        .return_once(|_, _| Ok(ProfileAnswer::Kept));
    let world = world(Some(directory), Some(profiles));
    let id = world.text().await;
    world.look_up(id).await;
    // Spanish is news; before that is told it is English.
    let mut english = inbound(2, "+18605550199");
    english.detection = detection(Language::English, 990);
    world.store.record_inbound(&english).await.unwrap();
    assert_eq!(world.tell().await, Told::Done);
    assert_eq!(world.tell().await, Told::Nothing);
    assert_eq!(world.conversation(id).await.told_language, Some(Language::English));
    assert_eq!(world.next("tell_language").await, None);
}

#[futures_test::test]
async fn a_profile_that_is_away_is_told_later_and_one_that_is_not_there_never() {
    let mut directory = MockTenantDirectory::new();
    directory.expect_look_up().return_once(|_| Ok(TenantMatch::Tenant(tenant("T_1"))));
    let mut profiles = MockTenantProfiles::new();
    let mut order = mockall::Sequence::new();
    profiles.expect_set_language().once().in_sequence(&mut order).return_once(|_, _| Err(away()));
    profiles
        .expect_set_language()
        .once()
        .in_sequence(&mut order)
        .return_once(|_, _| Ok(ProfileAnswer::NoSuchTenant));
    let world = world(Some(directory), Some(profiles));
    let id = world.text().await;
    world.look_up(id).await;
    assert_eq!(world.tell().await, Told::Later);
    assert_eq!(world.next("tell_language").await, None);
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(world.tell().await, Told::Done);
    world.clock.advance(Duration::from_hours(24));
    assert_eq!(world.next("tell_language").await, None);
}

#[futures_test::test]
async fn a_tenant_that_the_number_came_to_while_another_was_told_is_told_too() {
    let mut directory = MockTenantDirectory::new();
    directory.expect_look_up().return_once(|_| Ok(TenantMatch::Tenant(tenant("T_1"))));
    let store: Arc<OnceLock<Arc<InMemoryStore>>> = Arc::default();
    let (known, mut order) = (store.clone(), mockall::Sequence::new());
    let mut profiles = MockTenantProfiles::new();
    profiles
        .expect_set_language()
        .withf(|of, _| *of == tenant("T_1"))
        .once()
        .in_sequence(&mut order)
        .return_once(move |_, _| {
            let store = known.get().unwrap();
            let conversation = ConversationId(uuid(20_000_001));
            let (at, language_job) = (at(101), JobId(uuid(1)));
            let (tenant, is_ambiguous) = (Some(tenant("T_2")), false);
            let origin = Origin::default();
            let moved =
                LookupResult { conversation, tenant, is_ambiguous, at, language_job, origin };
            at_once(store.record_lookup(&moved)).unwrap();
            Ok(ProfileAnswer::Kept)
        });
    profiles
        .expect_set_language()
        .withf(|of, language| *of == tenant("T_2") && *language == Language::Spanish)
        .once()
        .in_sequence(&mut order)
        .return_once(|_, _| Ok(ProfileAnswer::Kept));
    let world = world(Some(directory), Some(profiles));
    store.set(world.store.clone()).unwrap_or_else(|_| panic!("set once"));
    let id = world.text().await;
    world.look_up(id).await;
    assert_eq!(world.tell().await, Told::Later);
    assert_eq!(world.conversation(id).await.told_language, None);
    assert_eq!(world.tell().await, Told::Done);
    assert_eq!(world.conversation(id).await.told_language, Some(Language::Spanish));
}

/// A world in which the profile is told so often, and the tenant texts in that language meanwhile.
fn world_that_texts_while_a_profile_is_told(said: Vec<(Language, Option<Language>)>) -> World {
    let mut directory = MockTenantDirectory::new();
    directory.expect_look_up().return_once(|_| Ok(TenantMatch::Tenant(tenant("T_1"))));
    let store: Arc<OnceLock<Arc<InMemoryStore>>> = Arc::default();
    let mut profiles = MockTenantProfiles::new();
    let mut order = mockall::Sequence::new();
    for (number, (told, meanwhile)) in (50..).zip(said) {
        let known = store.clone();
        profiles
            .expect_set_language()
            .withf(move |_, language| *language == told)
            .once()
            .in_sequence(&mut order)
            .return_once(move |_, _| {
                if let Some(language) = meanwhile {
                    let mut new = inbound(number, "+18605550199");
                    new.detection = detection(language, 990);
                    at_once(known.get().unwrap().record_inbound(&new)).unwrap();
                }
                Ok(ProfileAnswer::Kept)
            });
    }
    let world = world(Some(directory), Some(profiles));
    store.set(world.store.clone()).unwrap_or_else(|_| panic!("set once"));
    world
}

#[futures_test::test]
async fn a_change_back_while_a_profile_is_told_is_told_too() {
    use Language::{English, Spanish};
    let world = world_that_texts_while_a_profile_is_told(vec![
        (Spanish, None),
        // Spanish again: at that moment it is what the profile says.
        (English, Some(Spanish)),
        (Spanish, None),
    ]);
    let id = world.text().await;
    world.look_up(id).await;
    assert_eq!(world.tell().await, Told::Done);
    let mut english = inbound(2, "+18605550199");
    english.detection = detection(English, 990);
    world.store.record_inbound(&english).await.unwrap();
    assert_eq!(world.tell().await, Told::Later);
    assert_eq!(world.tell().await, Told::Done);
    assert_eq!(world.conversation(id).await.told_language, Some(Spanish));
    assert_eq!(world.next("tell_language").await, None);
}

#[futures_test::test]
async fn a_language_that_is_no_longer_sure_when_the_job_runs_is_not_told() {
    let mut directory = MockTenantDirectory::new();
    directory.expect_look_up().return_once(|_| Ok(TenantMatch::Tenant(tenant("T_1"))));
    let world = world(Some(directory), Some(MockTenantProfiles::new()));
    let id = world.text().await;
    world.look_up(id).await;
    for number in 2..5 {
        let mut doubtful = inbound(number, "+18605550199");
        doubtful.detection = detection(Language::English, 300);
        world.store.record_inbound(&doubtful).await.unwrap();
    }
    assert!(world.conversation(id).await.language.confidence.thousandths() < 700);
    assert_eq!(world.tell().await, Told::Nothing);
}

#[futures_test::test]
async fn without_profiles_a_language_is_carried_once_and_no_text_writes_a_job_again() {
    let mut directory = MockTenantDirectory::new();
    directory.expect_look_up().return_once(|_| Ok(TenantMatch::Tenant(tenant("T_1"))));
    let world = world(Some(directory), None);
    let id = world.text().await;
    world.look_up(id).await;
    assert_eq!(world.tell().await, Told::Done);
    let mut again = inbound(2, "+18605550199");
    again.detection = detection(Language::Spanish, 990);
    world.store.record_inbound(&again).await.unwrap();
    assert_eq!(world.next("tell_language").await, None);
}

#[futures_test::test]
async fn a_number_that_nobody_knew_is_reconciled_after_its_time() {
    let mut directory = MockTenantDirectory::new();
    directory.expect_look_up().returning(|_| Ok(TenantMatch::Nobody));
    let world = world(Some(directory), None);
    let id = world.text().await;
    assert_eq!(world.look_up(id).await, Identified::Nobody);
    assert_eq!(world.identify.reconcile().await.unwrap(), 0);
    world.clock.advance(Duration::from_hours(25));
    assert_eq!(world.identify.reconcile().await.unwrap(), 1);
    assert_eq!(world.identify.reconcile().await.unwrap(), 0, "it is being looked up");
    assert_eq!(world.look_up(id).await, Identified::Nobody);
}
