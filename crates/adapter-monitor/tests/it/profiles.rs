//! What the tenant profiles are told, and what is made of their answers.

use adapter_monitor::testing::Reply;
use adapter_monitor::{Patience, ProfileClient, ProfileSettings};
use domain::language::Language;
use domain::ports::{ProfileAnswer, TenantProfiles};
use domain::tenant::TenantId;

use crate::wire::{HASTY, QUICK, base, nowhere, profiles, stub, told};

async fn tell(client: &ProfileClient, language: Language) -> String {
    match client.set_language(&TenantId::parse("T_1-x").unwrap(), language).await {
        Ok(ProfileAnswer::Kept) => "kept".to_owned(),
        Ok(ProfileAnswer::NoSuchTenant) => "no such tenant".to_owned(),
        Err(error) => told(&error),
    }
}

/// What telling brings, and after how many requests, where the profiles always reply so.
async fn check(reply: Reply, patience: Patience, expected: &str, requests: usize) {
    let stub = stub().await;
    stub.set_profile(reply.clone());
    let client = profiles(&stub.base_url(), patience);
    assert_eq!(tell(&client, Language::Spanish).await, expected, "{reply:?}");
    assert_eq!(stub.asked().len(), requests, "{reply:?}");
}

#[tokio::test]
async fn a_language_is_put_into_the_tenants_profile() {
    let stub = stub().await;
    let base_url = base(&format!("{}/profile-api", stub.base_url()));
    let api_key = Some("k3y-of-ours".into());
    let settings = ProfileSettings { api_key, ..ProfileSettings::new(base_url) };
    let client = ProfileClient::new(&settings).unwrap();
    let languages = [Language::English, Language::Spanish, Language::Portuguese];
    for language in languages {
        assert_eq!(tell(&client, language).await, "kept");
    }
    let asked = stub.asked();
    let bodies: Vec<_> = asked.iter().map(|one| one.body.as_str()).collect();
    assert_eq!(bodies, [r#"{"language":"en"}"#, r#"{"language":"es"}"#, r#"{"language":"pt"}"#]);
    for one in &asked {
        assert_eq!(one.method, "PUT");
        assert_eq!(one.target, "/profile-api/tenants/T_1-x/language");
        assert_eq!(one.subject, "T_1-x");
        assert_eq!(one.header("content-type"), Some("application/json"));
        assert_eq!(one.header("authorization"), Some("Bearer k3y-of-ours"));
    }
}

#[tokio::test]
async fn an_unknown_language_is_never_told() {
    let stub = stub().await;
    assert_eq!(tell(&profiles(&stub.base_url(), QUICK), Language::Unknown).await, "rejected");
    assert_eq!(stub.asked(), []);
}

#[tokio::test]
async fn what_is_answered_with_200_or_204_is_kept() {
    check(Reply::status(200), QUICK, "kept", 1).await;
    check(Reply::json("not even JSON"), QUICK, "kept", 1).await;
    check(Reply::status(204), QUICK, "kept", 1).await;
}

#[tokio::test]
async fn a_404_means_that_there_is_no_such_tenant() {
    check(Reply::status(404), QUICK, "no such tenant", 1).await;
}

#[tokio::test]
async fn trouble_that_passes_is_waited_for_and_then_unavailable() {
    for status in [408, 429, 500, 503] {
        check(Reply::status(status), QUICK, "unavailable", 4).await;
    }
    check(Reply::cut(), QUICK, "unavailable", 4).await;
    check(Reply::hang(), HASTY, "unavailable", 4).await;
    let wait = Reply::status(503).with_header("retry-after", "60");
    check(wait, QUICK, "unavailable for 60s", 1).await;
    assert_eq!(tell(&profiles(&nowhere().await, QUICK), Language::English).await, "unavailable");
}

#[tokio::test]
async fn any_other_answer_is_unavailable_at_once() {
    for status in [201, 202, 301, 400, 401, 403, 409, 422] {
        check(Reply::status(status), QUICK, "unavailable", 1).await;
    }
}

#[tokio::test]
async fn one_tenant_can_be_unknown_while_others_are_kept() {
    let stub = stub().await;
    stub.set_profile_for("T_1-x", Reply::status(404));
    let client = profiles(&stub.base_url(), QUICK);
    assert_eq!(tell(&client, Language::English).await, "no such tenant");
    let other = TenantId::parse("T2").unwrap();
    assert_eq!(client.set_language(&other, Language::English).await.unwrap(), ProfileAnswer::Kept);
}
