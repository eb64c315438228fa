//! Conversations.

use diesel::dsl::{AsSelect, SqlTypeOf};
use diesel::pg::Pg;
use diesel::prelude::*;
use domain::conversation::{Conversation, ConversationId};
use domain::language::{Confidence, Language, LanguagePreference};
use domain::tenant::TenantId;
use domain::text::Text;
use domain::timestamp::Timestamp;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{UnreadableRow, count, json, stored_count};
use crate::schema::sms_conversations;

/// A row of `sms_conversations`.
#[derive(Insertable, AsChangeset, Queryable, Selectable)]
#[diesel(table_name = sms_conversations, check_for_backend(Pg))]
#[diesel(treat_none_as_null = true, treat_none_as_default_value = false)]
pub(crate) struct ConversationRow {
    id: Uuid,
    phone_number_canonical: String,
    phone_number_original: Option<String>,
    tenant_id: Option<String>,
    workflow_type: Option<String>,
    workflow_id: Option<String>,
    workflow_version: i32,
    tenant_checked_at: Option<OffsetDateTime>,
    language_detected: String,
    language_confidence: f32,
    language_evidence: Value,
    told_language: Option<String>,
    last_message_at: Option<OffsetDateTime>,
    our_number: Option<String>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

/// What such a row is selected from.
pub(crate) type ConversationColumns = SqlTypeOf<AsSelect<ConversationRow, Pg>>;

impl ConversationRow {
    pub(crate) fn of(conversation: &Conversation) -> QueryResult<Self> {
        let text = |text: &Text| text.as_str().to_owned();
        let word = |language: Language| language.as_str().to_owned();
        Ok(Self {
            id: conversation.id.0,
            phone_number_canonical: text(&conversation.phone_number_canonical),
            phone_number_original: Some(text(&conversation.phone_number_original)),
            tenant_id: conversation.tenant_id.as_ref().map(TenantId::to_string),
            workflow_type: conversation.workflow_type.clone(),
            workflow_id: conversation.workflow_id.clone(),
            workflow_version: stored_count(conversation.workflow_version),
            tenant_checked_at: conversation.tenant_checked_at.map(Into::into),
            language_detected: word(conversation.language.language),
            language_confidence: conversation.language.confidence.fraction(),
            language_evidence: json(&conversation.language.evidence)?,
            told_language: conversation.told_language.map(word),
            last_message_at: conversation.last_message_at.map(Into::into),
            our_number: conversation.our_number.as_ref().map(text),
            created_at: conversation.created_at.into(),
            updated_at: conversation.updated_at.into(),
        })
    }
}

impl TryFrom<ConversationRow> for Conversation {
    type Error = UnreadableRow;

    fn try_from(row: ConversationRow) -> Result<Self, UnreadableRow> {
        let preference = LanguagePreference {
            language: language("language_detected", &row.language_detected)?,
            confidence: confidence(row.language_confidence),
            evidence: serde_json::from_value(row.language_evidence)
                .map_err(|_| UnreadableRow("language_evidence"))?,
        };
        let tenant_id = row.tenant_id.as_deref().map(TenantId::parse).transpose();
        let told = row.told_language.as_deref().map(|word| language("told_language", word));
        let canonical = Text::new(row.phone_number_canonical);
        let original = row.phone_number_original.map(Text::new);
        Ok(Self {
            id: ConversationId(row.id),
            // Another program may not have kept the spelling.
            phone_number_original: original.unwrap_or_else(|| canonical.clone()),
            phone_number_canonical: canonical,
            tenant_id: tenant_id.map_err(|_| UnreadableRow("tenant_id"))?,
            workflow_type: row.workflow_type,
            workflow_id: row.workflow_id,
            workflow_version: count("workflow_version", row.workflow_version)?,
            tenant_checked_at: row.tenant_checked_at.map(Timestamp::from),
            language: preference,
            told_language: told.transpose()?,
            our_number: row.our_number.map(Text::new),
            last_message_at: row.last_message_at.map(Timestamp::from),
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        })
    }
}

/// All conversations of some rows.
pub(crate) fn read_conversations(rows: Vec<ConversationRow>) -> QueryResult<Vec<Conversation>> {
    let conversations = rows.into_iter().map(Conversation::try_from);
    Ok(conversations.collect::<Result<_, UnreadableRow>>()?)
}

fn language(column: &'static str, word: &str) -> Result<Language, UnreadableRow> {
    Language::from_word(word).ok_or(UnreadableRow(column))
}

/// The confidence whose fraction is in a column of type `real`.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number between 0 and 1000 fits"
)]
fn confidence(fraction: f32) -> Confidence {
    Confidence::from_thousandths((fraction * 1000.0).round().clamp(0.0, 1000.0) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_confidence_is_read_back_as_it_was_written() {
        for thousandths in 0..=1000 {
            let written = Confidence::from_thousandths(thousandths);
            assert_eq!(confidence(written.fraction()), written);
        }
    }
}
