//! `/subscriptions`: who is told of what happens, and what each was told.

use actix_web::{HttpRequest, HttpResponse, web};
use domain::error::Invalid;
use domain::event::EventKind;
use domain::hook::HookState;
use domain::message::Direction;
use domain::notify::{Created, Draft, Edit};
use domain::ports::{HookQuery, HookView};
use domain::subscription::{
    Format, HookUrl, SigningSecret, Subscription, SubscriptionId, TenantWanted, Wants, WantsEdit,
};
use domain::timestamp::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Scope;
use crate::fields::Fields;
use crate::openapi::words;
use crate::parameters::Parameters;
use crate::{ApiError, Services};

pub(crate) const DELIVERIES_PARAMETERS: &[&str] = &["state", "limit", "cursor"];
pub(crate) const REDELIVER_PARAMETERS: &[&str] = &["since"];

/// Every field of a new subscription.
pub(crate) const FIELDS: &[&str] = &[
    "name",
    "url",
    "events",
    "all_statuses",
    "workflow_type",
    "tenant",
    "direction",
    "deliver_when_identified",
    "format",
    "secret",
];
/// Every field of a change.
pub(crate) const CHANGES: &[&str] = &[
    "name",
    "url",
    "events",
    "all_statuses",
    "workflow_type",
    "tenant",
    "direction",
    "deliver_when_identified",
    "format",
    "secret",
    "renew_secret",
    "enabled",
];

/// All subscriptions, by name.
#[derive(Serialize, ToSchema)]
#[schema(as = SubscriptionList)]
pub(crate) struct SubscriptionsBody {
    /// The subscriptions.
    subscriptions: Vec<SubscriptionBody>,
}

/// A program that is told of what happens. Its secret is not shown.
#[expect(clippy::struct_excessive_bools, reason = "each is a field of its own on the wire")]
#[derive(Serialize, ToSchema)]
#[schema(as = Subscription)]
pub(crate) struct SubscriptionBody {
    /// Our id of it.
    #[schema(format = "uuid")]
    id: String,
    /// What people call it; no two have the same.
    name: String,
    /// Where it is told.
    url: String,
    /// What it is told of.
    #[schema(schema_with = words::event_types)]
    events: Vec<&'static str>,
    /// Whether it is told also of statuses after which more is to be expected.
    all_statuses: bool,
    /// Only in conversations with this kind of workflow.
    workflow_type: Option<String>,
    /// Only in conversations whose tenant is known, or is not, when it happens.
    #[schema(schema_with = words::tenant_wanted)]
    tenant: Option<&'static str>,
    /// Only about messages that go this way.
    #[schema(schema_with = words::direction_or_null)]
    direction: Option<&'static str>,
    /// With the format `orchestrator`: whether a message of an unknown tenant is told of once
    /// somebody knows the tenant.
    deliver_when_identified: bool,
    /// In which form it is told.
    #[schema(schema_with = words::hook_format)]
    format: &'static str,
    /// Whether it is told anything.
    enabled: bool,
    /// Whether it stands in the configuration of the service, where alone it can be changed.
    configured: bool,
    /// How it is: `paused` while it failed too often in a row and is left alone, or tried again
    /// with one call.
    #[schema(schema_with = words::subscription_status)]
    status: &'static str,
    /// How often in a row it failed.
    #[schema(minimum = 0)]
    failures: u32,
    /// Since when.
    #[schema(value_type = Option<String>, format = DateTime)]
    failing_since: Option<Timestamp>,
    /// Until then it is left alone.
    #[schema(value_type = Option<String>, format = DateTime)]
    paused_until: Option<Timestamp>,
    /// Why it last failed: `http_500`, `timeout`, `connect`, `address_refused`, ...
    last_error: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A subscription that was made or changed.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedSubscription)]
pub(crate) struct ChangedBody {
    #[serde(flatten)]
    subscription: SubscriptionBody,
    /// The secret that calls are signed with, where it is new; it is not shown again.
    secret: Option<String>,
}

/// What a subscriber was told, or is to be told.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveryList)]
pub(crate) struct DeliveriesBody {
    /// The latest event first.
    deliveries: Vec<DeliveryBody>,
    /// How many were asked for, at most.
    #[schema(minimum = 1, maximum = 100)]
    limit: u32,
    /// Where the next page begins; `null` where this one is the last.
    next_cursor: Option<String>,
}

/// One event and one subscriber.
#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct DeliveryBody {
    /// The event: `webhook-id` of the call.
    #[schema(format = "uuid")]
    event_id: String,
    /// What kind of event.
    #[serde(rename = "type")]
    #[schema(schema_with = words::event_type)]
    kind: &'static str,
    /// In which conversation.
    #[schema(format = "uuid")]
    conversation_id: String,
    /// About which message.
    #[schema(format = "uuid")]
    message_id: Option<String>,
    /// Where it stands.
    #[schema(schema_with = words::delivery_state)]
    state: &'static str,
    /// How often it was begun.
    #[schema(minimum = 0)]
    attempts: u32,
    /// The HTTP status of the last answer.
    #[schema(minimum = 100, maximum = 599)]
    status_code: Option<u16>,
    /// Why it last failed, or why it is not told: a code.
    last_error: Option<String>,
    /// Not before this time.
    #[schema(value_type = String, format = DateTime)]
    run_at: Timestamp,
    /// When the event happened.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was told or given up.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
}

/// What will be told again.
#[derive(Serialize, ToSchema)]
#[schema(as = Redelivery)]
pub(crate) struct RedeliveryBody {
    /// To whom.
    #[schema(format = "uuid")]
    id: String,
    /// How many events.
    #[schema(minimum = 0)]
    queued: u64,
}

/// Makes a subscription.
#[tracing::instrument(name = "http.subscribe", skip_all)]
pub(crate) async fn create(
    services: web::Data<Services>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    services.allow(&request, Scope::Operate)?;
    let mut fields = Fields::read(&request, payload, FIELDS).await?;
    let draft = Draft {
        name: fields.text("name")?.ok_or_else(|| missing("name"))?,
        url: fields.text("url")?.map(HookUrl::new).ok_or_else(|| missing("url"))?,
        format: format(&mut fields)?.unwrap_or(Format::Standard),
        wants: wants(&mut fields)?.applied(&Wants { kinds: vec![], ..Wants::default() }),
        secret: fields.text("secret")?.map(SigningSecret::new),
    };
    let created = services.subscriptions.create(draft).await?;
    services.dispatcher.wake();
    Ok(HttpResponse::Created().json(ChangedBody::new(created)))
}

/// All subscriptions.
#[tracing::instrument(name = "http.subscriptions", skip_all)]
pub(crate) async fn list(
    services: web::Data<Services>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    services.allow(&request, Scope::Operate)?;
    let all = services.subscriptions.list().await?;
    let subscriptions = all.into_iter().map(SubscriptionBody::new).collect();
    Ok(HttpResponse::Ok().json(SubscriptionsBody { subscriptions }))
}

/// One subscription.
#[tracing::instrument(name = "http.subscription", skip_all)]
pub(crate) async fn read(
    services: web::Data<Services>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    services.allow(&request, Scope::Operate)?;
    let subscription = services.subscriptions.read(parse(&id)?).await?;
    Ok(HttpResponse::Ok().json(SubscriptionBody::new(subscription)))
}

/// Changes one.
#[tracing::instrument(name = "http.change_subscription", skip_all)]
pub(crate) async fn change(
    services: web::Data<Services>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    services.allow(&request, Scope::Operate)?;
    let id = parse(&id)?;
    let mut fields = Fields::read(&request, payload, CHANGES).await?;
    let edit = Edit {
        name: fields.text("name")?,
        url: fields.text("url")?.map(HookUrl::new),
        format: format(&mut fields)?,
        wants: wants(&mut fields)?,
        secret: fields.text("secret")?.map(SigningSecret::new),
        renew_secret: fields.flag("renew_secret")?.unwrap_or(false),
        enabled: fields.flag("enabled")?,
    };
    let changed = services.subscriptions.change(id, edit).await?;
    services.dispatcher.wake();
    Ok(HttpResponse::Ok().json(ChangedBody::new(changed)))
}

/// Forgets one.
#[tracing::instrument(name = "http.unsubscribe", skip_all)]
pub(crate) async fn delete(
    services: web::Data<Services>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    services.allow(&request, Scope::Operate)?;
    services.subscriptions.delete(parse(&id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// What one was told, or is to be told.
#[tracing::instrument(name = "http.deliveries", skip_all)]
pub(crate) async fn deliveries(
    services: web::Data<Services>,
    request: HttpRequest,
    id: web::Path<String>,
    parameters: web::Query<Parameters>,
) -> Result<HttpResponse, ApiError> {
    services.allow(&request, Scope::Operate)?;
    parameters.expect(DELIVERIES_PARAMETERS)?;
    let place = |text: &str| text.parse::<i64>().ok().filter(|place| *place >= 0);
    let limit = parameters.limit()?;
    let query = HookQuery {
        subscription: parse(&id)?,
        state: parameters.read(
            "state",
            HookState::from_word,
            "must be queued, running, waiting, delivered, skipped or parked",
        )?,
        before: parameters.read("cursor", place, "must be the next_cursor of an earlier page")?,
        limit: limit + 1,
    };
    let mut views = services.subscriptions.deliveries(&query).await?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = views.len() > most;
    views.truncate(most);
    let last = views.last().filter(|_| more);
    let next_cursor = last.map(|view| view.cursor.place.to_string());
    let deliveries = views.into_iter().map(DeliveryBody::new).collect();
    Ok(HttpResponse::Ok().json(DeliveriesBody { deliveries, limit, next_cursor }))
}

/// Tells one again of everything since a time.
#[tracing::instrument(name = "http.redeliver", skip_all)]
pub(crate) async fn redeliver(
    services: web::Data<Services>,
    request: HttpRequest,
    id: web::Path<String>,
    parameters: web::Query<Parameters>,
) -> Result<HttpResponse, ApiError> {
    services.allow(&request, Scope::Operate)?;
    parameters.expect(REDELIVER_PARAMETERS)?;
    let id = parse(&id)?;
    let since = parameters.time("since")?.ok_or_else(|| missing("since"))?;
    let queued = services.subscriptions.redeliver(id, since).await?;
    services.dispatcher.wake();
    Ok(HttpResponse::Accepted().json(RedeliveryBody { id: id.to_string(), queued }))
}

fn parse(id: &str) -> Result<SubscriptionId, Invalid> {
    let unreadable = || Invalid { field: "id", reason: "must be a subscription id (UUID)".into() };
    SubscriptionId::parse(id).ok_or_else(unreadable)
}

fn missing(field: &'static str) -> Invalid {
    Invalid { field, reason: "must be given".into() }
}

fn format(fields: &mut Fields) -> Result<Option<Format>, Invalid> {
    fields.word("format", Format::from_word, "must be standard or orchestrator")
}

/// What is said of what it wants.
fn wants(fields: &mut Fields) -> Result<WantsEdit, Invalid> {
    let tenant =
        |word| known_word("tenant", word, TenantWanted::from_word, "must be known or unknown");
    let direction =
        |word| known_word("direction", word, Direction::from_word, "must be inbound or outbound");
    let workflow = fields.change("workflow_type")?;
    Ok(WantsEdit {
        kinds: fields.list("events")?.map(|words| kinds(&words)).transpose()?,
        all_statuses: fields.flag("all_statuses")?,
        when_identified: fields.flag("deliver_when_identified")?,
        workflow_type: workflow.map(|name| name.filter(|name| !name.is_empty())),
        tenant: fields.change("tenant")?.map(tenant).transpose()?,
        direction: fields.change("direction")?.map(direction).transpose()?,
    })
}

fn kinds(words: &[String]) -> Result<Vec<EventKind>, Invalid> {
    let unknown = || Invalid {
        field: "events",
        reason: "must be event types such as message.received".into(),
    };
    words.iter().map(|word| EventKind::from_word(word).ok_or_else(unknown)).collect()
}

fn known_word<T>(
    field: &'static str,
    word: Option<String>,
    read: fn(&str) -> Option<T>,
    reason: &'static str,
) -> Result<Option<T>, Invalid> {
    let read = |word: String| read(&word).ok_or(Invalid { field, reason: reason.into() });
    word.map(read).transpose()
}

impl SubscriptionBody {
    fn new(of: Subscription) -> Self {
        let status = match (of.enabled, of.health.is_paused()) {
            (false, _) => "disabled",
            (true, true) => "paused",
            (true, false) => "active",
        };
        Self {
            id: of.id.to_string(),
            name: of.name,
            url: of.url.expose().to_owned(),
            events: of.wants.kinds.iter().map(|kind| kind.as_str()).collect(),
            all_statuses: of.wants.all_statuses,
            workflow_type: of.wants.workflow_type,
            tenant: of.wants.tenant.map(TenantWanted::as_str),
            direction: of.wants.direction.map(Direction::as_str),
            deliver_when_identified: of.wants.when_identified,
            format: of.format.as_str(),
            enabled: of.enabled,
            configured: of.configured,
            status,
            failures: of.health.failures,
            failing_since: of.health.failing_since,
            paused_until: of.health.paused_until,
            last_error: of.health.last_error,
            created_at: of.created_at,
            updated_at: of.updated_at,
        }
    }
}

impl ChangedBody {
    fn new(created: Created) -> Self {
        Self {
            subscription: SubscriptionBody::new(created.subscription),
            secret: created.secret.map(|secret| secret.expose().to_owned()),
        }
    }
}

impl DeliveryBody {
    fn new(view: HookView) -> Self {
        Self {
            event_id: view.event.to_string(),
            kind: view.kind.as_str(),
            conversation_id: view.conversation.to_string(),
            message_id: view.message.map(|id| id.to_string()),
            state: view.state.as_str(),
            attempts: view.attempts,
            status_code: view.status_code,
            last_error: view.last_error,
            run_at: view.run_at,
            created_at: view.created_at,
            finished_at: view.finished_at,
        }
    }
}
