//! Rows of `sms_events`, `sms_subscriptions` and `sms_event_deliveries`.

use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::conversation::{Conversation, ConversationId};
use domain::event::{Event, EventCursor, EventKind, EventMessage, EventUuid, NewEvent};
use domain::hook::{HookEnding, HookState};
use domain::language::Language;
use domain::message::{Direction, Message, MessageId};
use domain::ports::{HookEnd, HookView};
use domain::subscription::{
    Format, Health, HookUrl, Secrets, SigningSecret, Subscription, SubscriptionId, TenantWanted,
    Wants,
};
use domain::tenant::TenantId;
use domain::text::Text;
use domain::timestamp::Timestamp;

use super::{delivery_status, known, time, to_json, uuid};
use crate::failure::Failure;
use crate::schema::{sms_event_deliveries, sms_events, sms_subscriptions};

/// A row of `sms_events` without its place.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = sms_events, check_for_backend(Sqlite))]
#[diesel(treat_none_as_default_value = false)]
pub(crate) struct FeedRow {
    id: String,
    #[diesel(column_name = type_)]
    kind: String,
    conversation_id: String,
    message_id: Option<String>,
    direction: Option<String>,
    delivery_status: Option<String>,
    error_code: Option<String>,
    tenant_id: Option<String>,
    workflow_type: Option<String>,
    workflow_id: Option<String>,
    language_detected: String,
    previous: Option<String>,
    created_at: String,
}

impl FeedRow {
    /// An event in that conversation.
    pub(crate) fn of(event: &NewEvent, conversation: &Conversation) -> Self {
        let message = event.message.as_ref();
        let (tenant, language) = event
            .now
            .clone()
            .unwrap_or_else(|| (conversation.tenant_id.clone(), conversation.language.language));
        Self {
            id: event.id.to_string(),
            kind: event.kind.as_str().to_owned(),
            conversation_id: event.conversation.to_string(),
            message_id: message.map(|message| message.id.to_string()),
            direction: message.map(|message| message.direction.as_str().to_owned()),
            delivery_status: message.map(|message| message.status.as_str().to_owned()),
            error_code: message.and_then(|message| message.error_code.clone()),
            tenant_id: tenant.map(|tenant| tenant.to_string()),
            workflow_type: conversation.workflow_type.clone(),
            workflow_id: conversation.workflow_id.clone(),
            language_detected: language.as_str().to_owned(),
            previous: event.previous.clone(),
            created_at: event.at.to_string(),
        }
    }

    /// Whether it is to be told to that subscriber.
    pub(crate) fn is_wanted_by(&self, subscriber: &Subscription, event: &NewEvent) -> bool {
        subscriber.wants(event, self.tenant_id.is_some(), self.workflow_type.as_deref())
    }

    /// The same of one that happened long ago.
    pub(crate) fn was_wanted_by(&self, subscriber: &Subscription) -> Result<bool, Failure> {
        let event = NewEvent {
            id: EventUuid(uuid(&self.id)?),
            kind: self.kind()?,
            conversation: self.conversation()?,
            message: self.kept()?,
            now: None,
            previous: None,
            at: time(&self.created_at)?,
        };
        Ok(self.is_wanted_by(subscriber, &event))
    }

    pub(crate) fn conversation(&self) -> Result<ConversationId, Failure> {
        uuid(&self.conversation_id).map(ConversationId)
    }

    pub(crate) fn message_id(&self) -> Option<&str> {
        self.message_id.as_deref()
    }

    /// The event, in the conversation with that address, about that message.
    pub(crate) fn event(
        self,
        place: i64,
        phone_number_canonical: Text,
        content: Option<Message>,
    ) -> Result<Event, Failure> {
        let tenant = self.tenant_id.as_deref().map(TenantId::parse).transpose();
        Ok(Event {
            cursor: EventCursor { transaction: 0, place },
            id: EventUuid(uuid(&self.id)?),
            kind: self.kind()?,
            at: time(&self.created_at)?,
            conversation: self.conversation()?,
            phone_number_canonical,
            tenant_id: tenant.map_err(|_| Failure::Unreadable("tenant_id"))?,
            language: known("language", &self.language_detected, Language::from_word)?,
            message: self.kept()?,
            content,
            workflow_type: self.workflow_type,
            workflow_id: self.workflow_id,
            previous: self.previous,
        })
    }

    fn kind(&self) -> Result<EventKind, Failure> {
        known("type", &self.kind, EventKind::from_word)
    }

    fn kept(&self) -> Result<Option<EventMessage>, Failure> {
        let (Some(id), Some(direction), Some(status)) =
            (&self.message_id, &self.direction, &self.delivery_status)
        else {
            return Ok(None);
        };
        Ok(Some(EventMessage {
            id: MessageId(uuid(id)?),
            direction: known("direction", direction, Direction::from_word)?,
            status: delivery_status(status)?,
            error_code: self.error_code.clone(),
        }))
    }
}

/// A row of `sms_event_deliveries`.
#[derive(Queryable, QueryableByName, Selectable, Insertable)]
#[diesel(table_name = sms_event_deliveries, check_for_backend(Sqlite))]
#[diesel(treat_none_as_default_value = false)]
pub(crate) struct HookRow {
    subscription_id: String,
    pub(crate) place: i64,
    conversation_id: String,
    state: String,
    attempts: i64,
    failures: i64,
    since: String,
    run_at: String,
    lease_expires_at: Option<String>,
    status_code: Option<i64>,
    last_error: Option<String>,
    finished_at: Option<String>,
}

/// What the end of a hold, or telling again, changes in such a row.
#[derive(AsChangeset)]
#[diesel(table_name = sms_event_deliveries, treat_none_as_null = true)]
pub(crate) struct HookChange {
    state: &'static str,
    failures: i64,
    since: String,
    run_at: String,
    lease_expires_at: Option<String>,
    status_code: Option<i64>,
    last_error: Option<String>,
    finished_at: Option<String>,
}

impl HookRow {
    /// Waiting for its turn.
    pub(crate) fn queued(
        subscription: SubscriptionId,
        place: i64,
        conversation: ConversationId,
        at: Timestamp,
    ) -> Self {
        Self {
            subscription_id: subscription.to_string(),
            place,
            conversation_id: conversation.to_string(),
            state: HookState::Queued.as_str().to_owned(),
            attempts: 0,
            failures: 0,
            since: at.to_string(),
            run_at: at.to_string(),
            lease_expires_at: None,
            status_code: None,
            last_error: None,
            finished_at: None,
        }
    }

    pub(crate) fn state(&self) -> Result<HookState, Failure> {
        known("state", &self.state, HookState::from_word)
    }

    pub(crate) fn is_unfinished(&self) -> Result<bool, Failure> {
        Ok(matches!(self.state()?, HookState::Queued | HookState::Running))
    }

    pub(crate) fn attempts(&self) -> Result<u32, Failure> {
        self.attempts.try_into().map_err(|_| Failure::Unreadable("attempts"))
    }

    pub(crate) fn failures(&self) -> Result<u32, Failure> {
        self.failures.try_into().map_err(|_| Failure::Unreadable("failures"))
    }

    pub(crate) fn since(&self) -> Result<Timestamp, Failure> {
        time(&self.since)
    }

    /// After a worker has had it.
    pub(crate) fn ended(&self, end: &HookEnd) -> HookChange {
        let (failures, run_at) = match &end.ending {
            HookEnding::Retry { run_at, .. } => (self.failures + 1, run_at.to_string()),
            _ => (self.failures, self.run_at.clone()),
        };
        let state = end.ending.state();
        let is_finished =
            matches!(state, HookState::Delivered | HookState::Skipped | HookState::Parked);
        HookChange {
            state: state.as_str(),
            failures,
            since: self.since.clone(),
            run_at,
            lease_expires_at: None,
            status_code: end.status_code.map(i64::from).or(self.status_code),
            last_error: end.ending.error().map(str::to_owned).or_else(|| self.last_error.clone()),
            finished_at: is_finished.then(|| end.at.to_string()),
        }
    }

    /// To be told again.
    pub(crate) fn again(&self, at: Timestamp) -> HookChange {
        HookChange {
            state: HookState::Queued.as_str(),
            failures: 0,
            since: at.to_string(),
            run_at: at.to_string(),
            lease_expires_at: None,
            status_code: self.status_code,
            last_error: self.last_error.clone(),
            finished_at: None,
        }
    }

    /// What an operator sees of it.
    pub(crate) fn view(&self, event: &FeedRow) -> Result<HookView, Failure> {
        let message = event.message_id.as_deref().map(uuid).transpose()?;
        let status_code = self.status_code.map(u16::try_from).transpose();
        Ok(HookView {
            cursor: EventCursor { transaction: 0, place: self.place },
            event: EventUuid(uuid(&event.id)?),
            kind: event.kind()?,
            conversation: event.conversation()?,
            message: message.map(MessageId),
            state: self.state()?,
            attempts: self.attempts()?,
            status_code: status_code.map_err(|_| Failure::Unreadable("status_code"))?,
            last_error: self.last_error.clone(),
            run_at: time(&self.run_at)?,
            created_at: time(&event.created_at)?,
            finished_at: self.finished_at.as_deref().map(time).transpose()?,
        })
    }
}

/// A row of `sms_subscriptions`.
#[expect(clippy::struct_excessive_bools, reason = "each is a column of its own")]
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = sms_subscriptions, check_for_backend(Sqlite))]
#[diesel(treat_none_as_default_value = false, treat_none_as_null = true)]
pub(crate) struct SubscriptionRow {
    id: String,
    name: String,
    url: String,
    events: String,
    all_statuses: bool,
    workflow_type: Option<String>,
    tenant: Option<String>,
    direction: Option<String>,
    when_identified: bool,
    format: String,
    secret: String,
    previous_secret: Option<String>,
    previous_secret_until: Option<String>,
    enabled: bool,
    configured: bool,
    failures: i64,
    failing_since: Option<String>,
    paused_until: Option<String>,
    last_error: Option<String>,
    created_at: String,
    updated_at: String,
}

impl TryFrom<&Subscription> for SubscriptionRow {
    type Error = Failure;

    fn try_from(of: &Subscription) -> Result<Self, Failure> {
        let words: Vec<_> = of.wants.kinds.iter().map(|kind| kind.as_str()).collect();
        let previous = of.secrets.previous.as_ref();
        Ok(Self {
            id: of.id.to_string(),
            name: of.name.clone(),
            url: of.url.expose().to_owned(),
            events: to_json(&words)?,
            all_statuses: of.wants.all_statuses,
            workflow_type: of.wants.workflow_type.clone(),
            tenant: of.wants.tenant.map(|tenant| tenant.as_str().to_owned()),
            direction: of.wants.direction.map(|direction| direction.as_str().to_owned()),
            when_identified: of.wants.when_identified,
            format: of.format.as_str().to_owned(),
            secret: of.secrets.current.expose().to_owned(),
            previous_secret: previous.map(|(secret, _)| secret.expose().to_owned()),
            previous_secret_until: previous.map(|(_, until)| until.to_string()),
            enabled: of.enabled,
            configured: of.configured,
            failures: of.health.failures.into(),
            failing_since: of.health.failing_since.map(|at| at.to_string()),
            paused_until: of.health.paused_until.map(|at| at.to_string()),
            last_error: of.health.last_error.clone(),
            created_at: of.created_at.to_string(),
            updated_at: of.updated_at.to_string(),
        })
    }
}

impl TryFrom<SubscriptionRow> for Subscription {
    type Error = Failure;

    fn try_from(row: SubscriptionRow) -> Result<Self, Failure> {
        let words: Vec<String> =
            serde_json::from_str(&row.events).map_err(|_| Failure::Unreadable("events"))?;
        let kinds = words.iter().map(|word| known("type", word, EventKind::from_word));
        let tenant = |word: &str| known("tenant", word, TenantWanted::from_word);
        let direction = |word: &str| known("direction", word, Direction::from_word);
        let until = row.previous_secret_until.as_deref().map(time).transpose()?;
        Ok(Self {
            id: SubscriptionId(uuid(&row.id)?),
            name: row.name,
            url: HookUrl::new(row.url),
            wants: Wants {
                kinds: kinds.collect::<Result<_, _>>()?,
                all_statuses: row.all_statuses,
                workflow_type: row.workflow_type,
                tenant: row.tenant.as_deref().map(tenant).transpose()?,
                direction: row.direction.as_deref().map(direction).transpose()?,
                when_identified: row.when_identified,
            },
            format: known("format", &row.format, Format::from_word)?,
            secrets: Secrets {
                current: SigningSecret::new(row.secret),
                previous: row.previous_secret.map(SigningSecret::new).zip(until),
            },
            enabled: row.enabled,
            configured: row.configured,
            health: Health {
                failures: row.failures.try_into().map_err(|_| Failure::Unreadable("failures"))?,
                failing_since: row.failing_since.as_deref().map(time).transpose()?,
                paused_until: row.paused_until.as_deref().map(time).transpose()?,
                last_error: row.last_error,
            },
            created_at: time(&row.created_at)?,
            updated_at: time(&row.updated_at)?,
        })
    }
}
