//! One named test for each promise of [`ConversationStore`](crate::ports::ConversationStore).

/// Runs every promise of [`ConversationStore`](crate::ports::ConversationStore) against a store.
///
/// `$new` is as for [`message_store_contract!`](crate::message_store_contract).
#[macro_export]
macro_rules! conversation_store_contract {
    ($new:path, $wait:path) => {
        $crate::conversation_store_contract!(@each $new, $wait:
            conversations_are_listed_by_their_last_activity,
            a_list_is_narrowed_by_tenant_workflow_language_and_time,
            pages_of_conversations_give_each_once,
            a_workflow_is_changed_and_counted,
            a_change_of_an_outdated_version_changes_nothing,
            concurrent_changes_of_one_version_happen_once,
            a_tenant_is_kept_and_not_looked_up_again_for_a_time,
            a_number_that_nobody_knows_is_looked_up_again_after_a_time,
            a_tenant_is_not_forgotten_when_nobody_is_named,
            a_number_that_several_tenants_claim_by_now_belongs_to_none,
            a_conversation_takes_the_language_of_its_tenant,
            a_sure_language_is_told_once,
            a_language_is_carried_to_the_others_of_a_tenant,
            a_profile_is_told_once_for_all_conversations_of_a_tenant,
            whoever_joins_a_tenant_looks_past_those_whose_language_is_unknown,
            a_text_that_tells_no_language_is_no_news,
            nothing_is_looked_up_where_nobody_can_be_asked,
            old_lookups_are_reconciled_in_batches,
        );
    };
    (@each $new:path, $wait:path: $($promise:ident),+ $(,)?) => {$(
        #[test]
        fn $promise() {
            $wait(async {
            let (store, _guard) = $new().await;
            $crate::testing::conversation_promises::$promise(&store).await;
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
pub mod conversation_promises {
    use std::time::Duration;

    use futures_util::future::join_all;

    use crate::conversation::{Conversation, ConversationId};
    use crate::job::{JobId, JobState};
    use crate::language::{Detection, Language, LanguagePreference};
    use crate::origin::Origin;
    use crate::ports::{
        Annotated, Annotation, Carried, ConversationKey, ConversationPage, ConversationQuery,
        LanguageTaken, LookupKept, LookupResult, Reconciliation,
    };
    use crate::tenant::TenantId;
    use crate::testing::Inspect;
    use crate::testing::fixture::{at, detection, inbound, lookup_ages, new_outbound, uuid};
    use crate::timestamp::Timestamp;

    const DAY: Duration = Duration::from_hours(24);

    /// A conversation that `number` opens, whose last activity is that many seconds after the
    /// morning.
    async fn open(store: &impl Inspect, number: u32) -> ConversationId {
        let new = inbound(number, &format!("+1860555{number:04}"));
        store.record_inbound(&new).await.unwrap();
        new.conversation
    }

    /// The same with a text in that language.
    async fn open_in(store: &impl Inspect, number: u32, said: Detection) -> ConversationId {
        let mut new = inbound(number, &format!("+1860555{number:04}"));
        new.detection = said;
        store.record_inbound(&new).await.unwrap();
        new.conversation
    }

    async fn conversation(store: &impl Inspect, id: ConversationId) -> Conversation {
        store.find_conversation(&ConversationKey::Id(id)).await.unwrap().unwrap()
    }

    fn lookup(conversation: ConversationId, tenant: Option<&str>, at: Timestamp) -> LookupResult {
        let tenant = tenant.map(|id| TenantId::parse(id).unwrap());
        // The same conversation has at most one such job that is not done.
        let language_job =
            JobId(uuid(95_000_000 + u32::try_from(at.as_micros() % 99_991).unwrap()));
        let origin = Origin::default();
        LookupResult { conversation, tenant, is_ambiguous: false, at, language_job, origin }
    }

    async fn identify(store: &impl Inspect, id: ConversationId, tenant: &str, at: Timestamp) {
        store.record_lookup(&lookup(id, Some(tenant), at)).await.unwrap().unwrap();
    }

    async fn jobs_of(store: &impl Inspect, kind: &str) -> Vec<String> {
        let jobs = store.everything().await.jobs;
        let open = |state: &str| state != JobState::Done.as_str();
        jobs.into_iter()
            .filter(|row| row.kind == kind && open(&row.state))
            .map(|row| row.unique_key)
            .collect()
    }

    async fn list(store: &impl Inspect, query: ConversationQuery) -> ConversationPage {
        store
            .list_conversations(&ConversationQuery { limit: query.limit.max(1), ..query })
            .await
            .unwrap()
    }

    fn ids(page: &ConversationPage) -> Vec<ConversationId> {
        page.conversations.iter().map(|conversation| conversation.id).collect()
    }

    fn all() -> ConversationQuery {
        ConversationQuery { limit: 100, ..ConversationQuery::default() }
    }

    fn annotation(id: ConversationId, workflow: &str, if_version: Option<u32>) -> Annotation {
        Annotation {
            key: ConversationKey::Id(id),
            workflow_type: Some(Some(workflow.to_owned())),
            workflow_id: None,
            if_versions: if_version.map(|version| vec![version]),
            at: at(500),
        }
    }

    pub async fn conversations_are_listed_by_their_last_activity(store: &impl Inspect) {
        assert_eq!(list(store, all()).await, ConversationPage::default());
        let first = open(store, 1).await;
        let second = open(store, 2).await;
        let mut again = inbound(3, "+18605550001");
        again.received_at = at(30);
        store.record_inbound(&again).await.unwrap();
        // Nothing was said in it yet: it is as old as its beginning.
        let third = new_outbound(20, "+18605550020");
        store.accept_outbound(&third).await.unwrap();
        let page = list(store, all()).await;
        assert_eq!(ids(&page), [first, third.conversation, second]);
        assert_eq!(page.next, None);
        assert_eq!(page.conversations[0], conversation(store, first).await);
    }

    pub async fn a_list_is_narrowed_by_tenant_workflow_language_and_time(store: &impl Inspect) {
        let one = open(store, 1).await;
        let two = open_in(store, 2, detection(Language::Spanish, 950)).await;
        identify(store, one, "T_1", at(10)).await;
        store.annotate_conversation(&annotation(two, "collections", None)).await.unwrap();
        let id = Annotation {
            workflow_type: None,
            workflow_id: Some(Some("w7".into())),
            ..annotation(two, "", None)
        };
        store.annotate_conversation(&id).await.unwrap();
        let text = |text: &str| Some(text.to_owned());
        let tenant = |id: &str| Some(TenantId::parse(id).unwrap());
        for (query, expected) in [
            (ConversationQuery { tenant: tenant("T_1"), ..all() }, vec![one]),
            (ConversationQuery { tenant: tenant("T_2"), ..all() }, vec![]),
            (ConversationQuery { workflow_type: text("collections"), ..all() }, vec![two]),
            (ConversationQuery { workflow_id: text("w7"), ..all() }, vec![two]),
            (ConversationQuery { workflow_id: text("w8"), ..all() }, vec![]),
            (ConversationQuery { language: Some(Language::Spanish), ..all() }, vec![two]),
            (ConversationQuery { language: Some(Language::English), ..all() }, vec![one]),
            (ConversationQuery { since: Some(at(2)), ..all() }, vec![two]),
            (ConversationQuery { since: Some(at(1)), ..all() }, vec![two, one]),
        ] {
            assert_eq!(ids(&list(store, query.clone()).await), expected, "{query:?}");
        }
    }

    pub async fn pages_of_conversations_give_each_once(store: &impl Inspect) {
        let mut opened = Vec::new();
        for number in 1..=7 {
            let mut new = inbound(number, &format!("+1860555{number:04}"));
            // Some were active at the same instant.
            new.received_at = at(number / 3);
            store.record_inbound(&new).await.unwrap();
            opened.push((at(number / 3), new.conversation));
        }
        opened.sort_unstable_by_key(|place| std::cmp::Reverse(*place));
        let expected: Vec<_> = opened.into_iter().map(|(_, id)| id).collect();
        let (mut seen, mut behind) = (Vec::new(), None);
        loop {
            let page = list(store, ConversationQuery { limit: 2, behind, ..all() }).await;
            assert!(page.conversations.len() <= 2);
            seen.extend(ids(&page));
            behind = page.next;
            if behind.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected);
    }

    pub async fn a_workflow_is_changed_and_counted(store: &impl Inspect) {
        let id = open(store, 1).await;
        let before = conversation(store, id).await;
        assert_eq!(before.workflow_version, 0);
        let changed = store.annotate_conversation(&annotation(id, "leasing", Some(0))).await;
        let Annotated::Done(changed) = changed.unwrap() else { panic!("nobody else changed it") };
        assert_eq!(changed.workflow_type.as_deref(), Some("leasing"));
        assert_eq!((changed.workflow_version, changed.updated_at), (1, at(500)));
        assert_eq!(changed.last_message_at, before.last_message_at);
        assert_eq!(conversation(store, id).await, *changed);
        let same = store.annotate_conversation(&annotation(id, "leasing", None)).await.unwrap();
        assert_eq!(same, Annotated::Done(changed));
        let empty = Annotation { workflow_type: Some(None), ..annotation(id, "", None) };
        let Annotated::Done(emptied) = store.annotate_conversation(&empty).await.unwrap() else {
            panic!("no version was asked for")
        };
        assert_eq!((emptied.workflow_type, emptied.workflow_version), (None, 2));
        let nobody = annotation(ConversationId(uuid(99)), "x", None);
        assert_eq!(store.annotate_conversation(&nobody).await.unwrap(), Annotated::NotFound);
    }

    pub async fn a_change_of_an_outdated_version_changes_nothing(store: &impl Inspect) {
        let id = open(store, 1).await;
        store.annotate_conversation(&annotation(id, "leasing", None)).await.unwrap();
        let before = conversation(store, id).await;
        let late = store.annotate_conversation(&annotation(id, "other", Some(0))).await.unwrap();
        assert_eq!(late, Annotated::Outdated(Box::new(before.clone())));
        assert_eq!(conversation(store, id).await, before);
    }

    pub async fn concurrent_changes_of_one_version_happen_once(store: &impl Inspect) {
        let id = open(store, 1).await;
        let changes: Vec<_> =
            (0..8).map(|number| annotation(id, &format!("w{number}"), Some(0))).collect();
        let done = join_all(changes.iter().map(|change| store.annotate_conversation(change))).await;
        let done = done.into_iter().filter(|done| matches!(done, Ok(Annotated::Done(_)))).count();
        assert_eq!(done, 1);
        assert_eq!(conversation(store, id).await.workflow_version, 1);
    }

    pub async fn a_tenant_is_kept_and_not_looked_up_again_for_a_time(store: &impl Inspect) {
        let id = open(store, 1).await;
        store.finish_jobs().await;
        let kept = store.record_lookup(&lookup(id, Some("T_1"), at(10))).await.unwrap();
        let tenant = TenantId::parse("T_1").unwrap();
        assert_eq!(
            kept,
            Some(LookupKept { before: None, after: Some(tenant.clone()), taken: None })
        );
        let known = conversation(store, id).await;
        assert_eq!((known.tenant_id, known.tenant_checked_at), (Some(tenant), Some(at(10))));
        let mut soon = inbound(2, "+18605550001");
        soon.received_at = at(9).after(lookup_ages().tenant);
        store.record_inbound(&soon).await.unwrap();
        assert_eq!(jobs_of(store, "tenant_lookup").await.len(), 0);
        let mut late = inbound(3, "+18605550001");
        late.received_at = at(10).after(lookup_ages().tenant);
        store.record_inbound(&late).await.unwrap();
        assert_eq!(jobs_of(store, "tenant_lookup").await, [format!("tenant_lookup:{id}")]);
        let nobody = lookup(ConversationId(uuid(99)), None, at(10));
        assert_eq!(store.record_lookup(&nobody).await.unwrap(), None);
    }

    pub async fn a_number_that_nobody_knows_is_looked_up_again_after_a_time(store: &impl Inspect) {
        let id = open(store, 1).await;
        store.finish_jobs().await;
        let kept = store.record_lookup(&lookup(id, None, at(10))).await.unwrap();
        assert_eq!(kept, Some(LookupKept { before: None, after: None, taken: None }));
        for (number, received_at, due) in
            [(2, at(9).after(DAY), 0), (3, at(10).after(DAY), 1), (4, at(11).after(DAY), 1)]
        {
            let mut new = inbound(number, "+18605550001");
            new.received_at = received_at;
            store.record_inbound(&new).await.unwrap();
            assert_eq!(jobs_of(store, "tenant_lookup").await.len(), due, "{number}");
        }
    }

    pub async fn a_tenant_is_not_forgotten_when_nobody_is_named(store: &impl Inspect) {
        let id = open(store, 1).await;
        identify(store, id, "T_1", at(10)).await;
        store.record_lookup(&lookup(id, None, at(20))).await.unwrap();
        let known = conversation(store, id).await;
        assert_eq!(known.tenant_id, Some(TenantId::parse("T_1").unwrap()));
        assert_eq!(known.tenant_checked_at, Some(at(20)));
        let changed = store.record_lookup(&lookup(id, Some("T_2"), at(30))).await.unwrap().unwrap();
        assert_eq!(changed.before, Some(TenantId::parse("T_1").unwrap()));
        assert_eq!(changed.after, Some(TenantId::parse("T_2").unwrap()));
    }

    pub async fn a_number_that_several_tenants_claim_by_now_belongs_to_none(store: &impl Inspect) {
        let id = open_in(store, 1, detection(Language::Spanish, 990)).await;
        identify(store, id, "T_1", at(10)).await;
        let tenant = TenantId::parse("T_1").unwrap();
        store.mark_language_told(id, &tenant, Language::Spanish).await.unwrap();
        let several = LookupResult { is_ambiguous: true, ..lookup(id, None, at(20)) };
        let kept = store.record_lookup(&several).await.unwrap().unwrap();
        assert_eq!(kept, LookupKept { before: Some(tenant), after: None, taken: None });
        let known = conversation(store, id).await;
        assert_eq!((known.tenant_id, known.tenant_checked_at), (None, Some(at(20))));
        assert_eq!(known.told_language, None);
    }

    pub async fn a_conversation_takes_the_language_of_its_tenant(store: &impl Inspect) {
        let known = open_in(store, 1, detection(Language::Spanish, 950)).await;
        identify(store, known, "T_1", at(5)).await;
        let silent = open_in(store, 2, Detection::UNKNOWN).await;
        let weak = open_in(store, 3, detection(Language::English, 300)).await;
        let sure = open_in(store, 4, detection(Language::Portuguese, 990)).await;
        for (nth, id) in (10..).zip([silent, weak, sure]) {
            identify(store, id, "T_1", at(nth)).await;
        }
        for (id, language) in
            [(silent, Language::Spanish), (weak, Language::Spanish), (sure, Language::Portuguese)]
        {
            assert_eq!(conversation(store, id).await.language.language, language);
        }
    }

    pub async fn a_sure_language_is_told_once(store: &impl Inspect) {
        let id = open_in(store, 1, detection(Language::Spanish, 990)).await;
        assert_eq!(jobs_of(store, "tell_language").await.len(), 0, "nobody to tell");
        identify(store, id, "T_1", at(5)).await;
        assert_eq!(jobs_of(store, "tell_language").await, [format!("tell_language:{id}:es")]);
        store.finish_jobs().await;
        let [ours, other] = ["T_1", "T_2"].map(|id| TenantId::parse(id).unwrap());
        let before = conversation(store, id).await;
        let told = store.mark_language_told(id, &other, Language::Spanish).await.unwrap();
        assert_eq!(told, None);
        assert_eq!(conversation(store, id).await, before, "another tenant was told");
        let told = store.mark_language_told(id, &ours, Language::Spanish).await.unwrap().unwrap();
        assert_eq!(told.told_language, Some(Language::Spanish));
        assert_eq!(conversation(store, id).await, told);
        let say = async |number, language, thousandths| {
            let mut new = inbound(number, "+18605550001");
            new.detection = detection(language, thousandths);
            store.record_inbound(&new).await.unwrap();
            jobs_of(store, "tell_language").await
        };
        assert_eq!(say(2, Language::Spanish, 990).await.len(), 0);
        assert_eq!(say(3, Language::English, 200).await.len(), 0, "one weak word");
        assert_eq!(say(4, Language::English, 990).await, [format!("tell_language:{id}:en")]);
    }

    pub async fn a_language_is_carried_to_the_others_of_a_tenant(store: &impl Inspect) {
        let one = open_in(store, 1, Detection::UNKNOWN).await;
        let other = open_in(store, 2, Detection::UNKNOWN).await;
        let stranger = open_in(store, 3, Detection::UNKNOWN).await;
        identify(store, one, "T_1", at(5)).await;
        identify(store, other, "T_1", at(6)).await;
        identify(store, stranger, "T_2", at(7)).await;
        let mut new = inbound(4, "+18605550001");
        new.detection = detection(Language::Spanish, 990);
        store.record_inbound(&new).await.unwrap();
        let carried = store.carry_language(one, at(10)).await.unwrap().unwrap();
        let known = conversation(store, one).await;
        assert_eq!(conversation(store, other).await.language, known.language);
        let before = LanguagePreference::UNKNOWN;
        let taken = vec![LanguageTaken { conversation: other, before, after: known.language }];
        assert_eq!(carried, Carried { conversation: known, taken });
        let again = store.carry_language(one, at(11)).await.unwrap().unwrap();
        assert_eq!(again.taken, []);
        assert_eq!(conversation(store, stranger).await.language.language, Language::Unknown);
        let nobody = store.carry_language(ConversationId(uuid(99)), at(10)).await.unwrap();
        assert_eq!(nobody, None);
    }

    pub async fn a_profile_is_told_once_for_all_conversations_of_a_tenant(store: &impl Inspect) {
        let tenant = TenantId::parse("T_1").unwrap();
        let one = open_in(store, 1, detection(Language::Spanish, 990)).await;
        let other = open_in(store, 2, detection(Language::Spanish, 990)).await;
        identify(store, one, "T_1", at(5)).await;
        identify(store, other, "T_1", at(6)).await;
        let say = async |number, to, language| {
            store.finish_jobs().await;
            let mut new = inbound(number, to);
            new.detection = detection(language, 990);
            store.record_inbound(&new).await.unwrap();
            jobs_of(store, "tell_language").await
        };
        store.mark_language_told(one, &tenant, Language::Spanish).await.unwrap();
        let told = conversation(store, other).await.told_language;
        assert_eq!(told, Some(Language::Spanish), "the profile is the tenant's");
        assert_eq!(say(3, "+18605550002", Language::Spanish).await.len(), 0);
        let news = say(4, "+18605550002", Language::English).await;
        assert_eq!(news, [format!("tell_language:{other}:en")]);
        store.mark_language_told(other, &tenant, Language::English).await.unwrap();
        // What the first was told once is not what the profile says now.
        let news = say(5, "+18605550001", Language::Spanish).await;
        assert_eq!(news, [format!("tell_language:{one}:es")]);
        store.mark_language_told(one, &tenant, Language::Spanish).await.unwrap();
        let joining = open_in(store, 6, detection(Language::Spanish, 990)).await;
        store.finish_jobs().await;
        identify(store, joining, "T_1", at(7)).await;
        assert_eq!(jobs_of(store, "tell_language").await.len(), 0, "it says so already");
    }

    pub async fn whoever_joins_a_tenant_looks_past_those_whose_language_is_unknown(
        store: &impl Inspect,
    ) {
        let spanish = open_in(store, 1, detection(Language::Spanish, 950)).await;
        let silent = open_in(store, 2, Detection::UNKNOWN).await;
        // Both join before anything is carried; the silent one was active last.
        identify(store, silent, "T_1", at(5)).await;
        identify(store, spanish, "T_1", at(6)).await;
        let joining = open_in(store, 3, Detection::UNKNOWN).await;
        let found = lookup(joining, Some("T_1"), at(7));
        let kept = store.record_lookup(&found).await.unwrap().unwrap();
        let after = conversation(store, spanish).await.language;
        let before = LanguagePreference::UNKNOWN;
        assert_eq!(kept.taken, Some(LanguageTaken { conversation: joining, before, after }));
        assert_eq!(conversation(store, joining).await.language, after);
    }

    pub async fn a_text_that_tells_no_language_is_no_news(store: &impl Inspect) {
        let tenant = TenantId::parse("T_1").unwrap();
        let id = open_in(store, 1, detection(Language::Spanish, 990)).await;
        identify(store, id, "T_1", at(5)).await;
        store.mark_language_told(id, &tenant, Language::English).await.unwrap();
        store.finish_jobs().await;
        let mut new = inbound(2, "+18605550001");
        new.detection = Detection::UNKNOWN;
        store.record_inbound(&new).await.unwrap();
        store.accept_outbound(&new_outbound(3, "+18605550001")).await.unwrap();
        assert_eq!(jobs_of(store, "tell_language").await.len(), 0);
    }

    pub async fn nothing_is_looked_up_where_nobody_can_be_asked(store: &impl Inspect) {
        let mut new = inbound(1, "+18605550001");
        new.lookup_ages = None;
        store.record_inbound(&new).await.unwrap();
        let mut out = new_outbound(2, "+18605550002");
        out.lookup_ages = None;
        store.accept_outbound(&out).await.unwrap();
        assert_eq!(jobs_of(store, "tenant_lookup").await.len(), 0);
        let jobs = [JobId(uuid(1)), JobId(uuid(2))].to_vec();
        let due = Reconciliation { at: at(100), looked_up_before: at(90), jobs };
        assert_eq!(store.reconcile_lookups(&due).await.unwrap(), 2, "they are found later");
    }

    pub async fn old_lookups_are_reconciled_in_batches(store: &impl Inspect) {
        let mut opened = Vec::new();
        for number in 1..=5 {
            opened.push(open(store, number).await);
        }
        store.finish_jobs().await;
        identify(store, opened[0], "T_1", at(10)).await;
        store.finish_jobs().await;
        for (nth, id) in opened.iter().enumerate().skip(1) {
            let asked = at(20 - u32::try_from(nth).unwrap());
            store.record_lookup(&lookup(*id, None, asked)).await.unwrap();
        }
        let reconcile = async |before, first: u32, count: u32| {
            let jobs = (first..first + count).map(|number| JobId(uuid(number))).collect();
            let due = Reconciliation { at: at(100), looked_up_before: before, jobs };
            store.reconcile_lookups(&due).await.unwrap()
        };
        assert_eq!(reconcile(at(16), 1, 10).await, 0, "nobody has waited so long");
        assert_eq!(reconcile(at(19), 1, 2).await, 2);
        let mut keys = jobs_of(store, "tenant_lookup").await;
        keys.sort_unstable();
        let mut expected: Vec<_> =
            [opened[4], opened[3]].map(|id| format!("tenant_lookup:{id}")).to_vec();
        expected.sort_unstable();
        assert_eq!(keys, expected, "the longest waiting first");
        assert_eq!(reconcile(at(99), 11, 10).await, 2, "the others are being looked up");
        assert_eq!(reconcile(at(99), 31, 10).await, 0);
    }
}
