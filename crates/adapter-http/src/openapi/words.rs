//! The schemas of fields that hold one of a few words, from the words themselves.

use domain::delivery::DeliveryStatus;
use domain::event::EventKind;
use domain::hook::HookState;
use domain::job::JobState;
use domain::outbound::{AttemptOutcome, SendState};
use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, SchemaType, Type};

use crate::error::CODES;

pub(crate) fn delivery_status() -> Object {
    one_of(&DeliveryStatus::ALL.map(DeliveryStatus::as_str))
}

pub(crate) fn direction() -> Object {
    one_of(&["inbound", "outbound"])
}

pub(crate) fn sender() -> Object {
    one_of(&["tenant", "system"])
}

pub(crate) fn language() -> Object {
    one_of(&["en", "es", "pt", "unknown"])
}

pub(crate) fn source() -> Object {
    one_of(&["webhook", "api", "backfill", "database"])
}

pub(crate) fn job_state() -> Object {
    one_of(&JobState::ALL.map(JobState::as_str))
}

pub(crate) fn event_type() -> Object {
    one_of(&EventKind::ALL.map(EventKind::as_str))
}

pub(crate) fn event_types() -> Array {
    ArrayBuilder::new().items(event_type()).build()
}

pub(crate) fn delivery_state() -> Object {
    one_of(&HookState::ALL.map(HookState::as_str))
}

pub(crate) fn hook_format() -> Object {
    one_of(&["standard", "orchestrator"])
}

pub(crate) fn subscription_status() -> Object {
    one_of(&["active", "paused", "disabled"])
}

pub(crate) fn tenant_wanted() -> Object {
    one_of_or_null(&["known", "unknown"])
}

pub(crate) fn direction_or_null() -> Object {
    one_of_or_null(&["inbound", "outbound"])
}

pub(crate) fn check() -> Object {
    one_of(&["ok", "degraded", "down", "disabled"])
}

pub(crate) fn error_code() -> Object {
    one_of(&CODES)
}

pub(crate) fn send_state() -> Object {
    one_of_or_null(&SendState::ALL.map(SendState::as_str))
}

pub(crate) fn attempt_outcome() -> Object {
    one_of_or_null(&AttemptOutcome::ALL.map(AttemptOutcome::as_str))
}

pub(crate) fn object() -> Object {
    ObjectBuilder::new().schema_type(Type::Object).build()
}

pub(crate) fn raw_webhook_data() -> Object {
    ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::Object, Type::Null])).build()
}

fn one_of(words: &[&'static str]) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.to_vec())).build()
}

fn one_of_or_null(words: &[&'static str]) -> Object {
    let words = words.iter().copied().map(Some).chain([None]);
    let type_ = SchemaType::from_iter([Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(type_).enum_values(Some(words)).build()
}
