//! The orchestrator's inbound hook (wire contracts, section 5).

use std::collections::BTreeMap;

use domain::event::{Event, EventKind};
use domain::message::{Media, Message};
use domain::tenant::TenantId;
use serde::Serialize;

/// The longest content that it takes, in characters.
const LONGEST: usize = 1600;

/// What it is told.
#[derive(Serialize)]
struct InboundForm<'a> {
    tenant_id: &'a str,
    phone_number: &'a str,
    content: String,
    conversation_id: String,
    timestamp: String,
    direction: &'static str,
}

/// The event in its form; why not, where it would refuse it.
pub(crate) fn spell(event: &Event, tenant: Option<&TenantId>) -> Result<String, &'static str> {
    let (EventKind::Received, Some(message)) = (event.kind, &event.content) else {
        return Err("other_event");
    };
    let tenant = tenant.ok_or("no_tenant")?;
    let phone_number = event.phone_number_canonical.as_str();
    if !phone_number.starts_with('+') {
        return Err("no_phone_number");
    }
    let form = InboundForm {
        tenant_id: tenant.as_str(),
        phone_number,
        content: content(message),
        conversation_id: event.conversation.to_string(),
        // When it was said: one that was found late was said long ago.
        timestamp: message.created_at.to_string(),
        direction: "inbound",
    };
    serde_json::to_string(&form).map_err(|_| "other_event")
}

/// What was written; for media without a text what came instead.
fn content(message: &Message) -> String {
    let text = message.content.as_ref().map(domain::text::Text::as_str).unwrap_or_default();
    if !text.trim().is_empty() {
        return text.chars().take(LONGEST).collect();
    }
    if message.media.is_empty() {
        return "[empty message]".to_owned();
    }
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for media in &message.media {
        *kinds.entry(kind(media)).or_default() += 1;
    }
    let kinds: Vec<_> = kinds.iter().map(|(kind, count)| format!("{kind} x{count}")).collect();
    let placeholder = format!("[media: {}]", kinds.join(", "));
    placeholder.chars().take(LONGEST).collect()
}

fn kind(media: &Media) -> &str {
    media.content_type.as_deref().unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::testing::fixture;
    use domain::text::Text;

    fn check(body: Option<&str>, media: &[Option<&str>], expected: &str) {
        let mut message = fixture::inbound(1, "+18605550199")
            .stored_in(domain::conversation::ConversationId(fixture::uuid(1)));
        message.content = body.map(Text::new);
        let media = media.iter().map(|kind| Media {
            url: "https://api.twilio.com/media/1".into(),
            content_type: kind.map(str::to_owned),
        });
        message.media = media.collect();
        assert_eq!(content(&message), expected);
    }

    #[test]
    fn content_is_never_empty_and_never_too_long() {
        check(Some("Hello"), &[], "Hello");
        check(Some(" Hello "), &[Some("image/png")], " Hello ");
        check(None, &[Some("image/jpeg")], "[media: image/jpeg x1]");
        check(
            Some("  "),
            &[Some("image/jpeg"), None, Some("image/jpeg")],
            "[media: image/jpeg x2, unknown x1]",
        );
        check(None, &[], "[empty message]");
        check(Some(&"\u{1f600}".repeat(1700)), &[], &"\u{1f600}".repeat(1600));
    }
}
