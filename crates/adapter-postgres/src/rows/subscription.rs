//! Subscriptions.

use diesel::prelude::*;
use domain::event::EventKind;
use domain::message::Direction;
use domain::subscription::{
    Format, Health, HookUrl, Secrets, SigningSecret, Subscription, SubscriptionId, TenantWanted,
    Wants,
};
use domain::timestamp::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{UnreadableRow, count, direction, event_kind, stored_count};
use crate::schema::sms_subscriptions;

/// A row of `sms_subscriptions`.
#[expect(clippy::struct_excessive_bools, reason = "each is a column of its own")]
#[derive(Insertable, AsChangeset, Queryable, Selectable)]
#[diesel(table_name = sms_subscriptions, check_for_backend(diesel::pg::Pg))]
#[diesel(treat_none_as_null = true, treat_none_as_default_value = false)]
pub(crate) struct SubscriptionRow {
    id: Uuid,
    name: String,
    url: String,
    events: Vec<String>,
    all_statuses: bool,
    workflow_type: Option<String>,
    tenant: Option<String>,
    direction: Option<String>,
    when_identified: bool,
    format: String,
    secret: String,
    previous_secret: Option<String>,
    previous_secret_until: Option<OffsetDateTime>,
    enabled: bool,
    configured: bool,
    #[diesel(embed)]
    health: HealthRow,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

/// How a subscriber is doing.
#[derive(Insertable, AsChangeset, Queryable, Selectable)]
#[diesel(table_name = sms_subscriptions, check_for_backend(diesel::pg::Pg))]
#[diesel(treat_none_as_null = true, treat_none_as_default_value = false)]
pub(crate) struct HealthRow {
    failures: i32,
    failing_since: Option<OffsetDateTime>,
    paused_until: Option<OffsetDateTime>,
    last_error: Option<String>,
}

impl From<&Subscription> for SubscriptionRow {
    fn from(of: &Subscription) -> Self {
        let word = |kind: &EventKind| kind.as_str().to_owned();
        let previous = of.secrets.previous.as_ref();
        Self {
            id: of.id.0,
            name: of.name.clone(),
            url: of.url.expose().to_owned(),
            events: of.wants.kinds.iter().map(word).collect(),
            all_statuses: of.wants.all_statuses,
            workflow_type: of.wants.workflow_type.clone(),
            tenant: of.wants.tenant.map(|tenant| tenant.as_str().to_owned()),
            direction: of.wants.direction.map(|direction| direction.as_str().to_owned()),
            when_identified: of.wants.when_identified,
            format: of.format.as_str().to_owned(),
            secret: of.secrets.current.expose().to_owned(),
            previous_secret: previous.map(|(secret, _)| secret.expose().to_owned()),
            previous_secret_until: previous.map(|(_, until)| (*until).into()),
            enabled: of.enabled,
            configured: of.configured,
            health: HealthRow::from(&of.health),
            created_at: of.created_at.into(),
            updated_at: of.updated_at.into(),
        }
    }
}

impl TryFrom<SubscriptionRow> for Subscription {
    type Error = UnreadableRow;

    fn try_from(row: SubscriptionRow) -> Result<Self, UnreadableRow> {
        let kinds = row.events.iter().map(|word| event_kind(word));
        let tenant = |word: &str| TenantWanted::from_word(word).ok_or(UnreadableRow("tenant"));
        let way: Option<Direction> = row.direction.as_deref().map(direction).transpose()?;
        let previous = row.previous_secret.map(SigningSecret::new);
        Ok(Self {
            id: SubscriptionId(row.id),
            name: row.name,
            url: HookUrl::new(row.url),
            wants: Wants {
                kinds: kinds.collect::<Result<_, _>>()?,
                all_statuses: row.all_statuses,
                workflow_type: row.workflow_type,
                tenant: row.tenant.as_deref().map(tenant).transpose()?,
                direction: way,
                when_identified: row.when_identified,
            },
            format: Format::from_word(&row.format).ok_or(UnreadableRow("format"))?,
            secrets: Secrets {
                current: SigningSecret::new(row.secret),
                previous: previous.zip(row.previous_secret_until.map(Timestamp::from)),
            },
            enabled: row.enabled,
            configured: row.configured,
            health: row.health.try_into()?,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        })
    }
}

impl From<&Health> for HealthRow {
    fn from(health: &Health) -> Self {
        Self {
            failures: stored_count(health.failures),
            failing_since: health.failing_since.map(Into::into),
            paused_until: health.paused_until.map(Into::into),
            last_error: health.last_error.clone(),
        }
    }
}

impl TryFrom<HealthRow> for Health {
    type Error = UnreadableRow;

    fn try_from(row: HealthRow) -> Result<Self, UnreadableRow> {
        Ok(Self {
            failures: count("failures", row.failures)?,
            failing_since: row.failing_since.map(Timestamp::from),
            paused_until: row.paused_until.map(Timestamp::from),
            last_error: row.last_error,
        })
    }
}
