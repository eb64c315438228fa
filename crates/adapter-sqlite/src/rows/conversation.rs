//! Rows of `sms_conversations`.

use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::conversation::{Conversation, ConversationId};
use domain::language::{Confidence, Language, LanguagePreference};
use domain::tenant::TenantId;
use domain::text::Text;

use super::{known, time, to_json, uuid};
use crate::failure::Failure;
use crate::schema::sms_conversations;

/// A row of `sms_conversations`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = sms_conversations, check_for_backend(Sqlite))]
#[diesel(treat_none_as_default_value = false)]
pub(crate) struct ConversationRow {
    id: String,
    phone_number_canonical: String,
    phone_number_original: Option<String>,
    #[diesel(embed)]
    tenant: TenantColumns,
    #[diesel(embed)]
    said: SaidColumns,
    created_at: String,
}

/// What a further message changes, in either direction, in a row of `sms_conversations`.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = sms_conversations, check_for_backend(Sqlite))]
#[diesel(treat_none_as_default_value = false, treat_none_as_null = true)]
pub(crate) struct SaidColumns {
    language_detected: String,
    language_confidence: f32,
    language_evidence: String,
    workflow_type: Option<String>,
    workflow_id: Option<String>,
    workflow_version: i64,
    our_number: Option<String>,
    last_message_at: Option<String>,
    updated_at: String,
}

/// What we and others learn of its tenant, in a row of `sms_conversations`.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = sms_conversations, check_for_backend(Sqlite))]
#[diesel(treat_none_as_default_value = false, treat_none_as_null = true)]
pub(crate) struct TenantColumns {
    tenant_id: Option<String>,
    tenant_checked_at: Option<String>,
    told_language: Option<String>,
}

impl TryFrom<&Conversation> for ConversationRow {
    type Error = Failure;

    fn try_from(conversation: &Conversation) -> Result<Self, Failure> {
        let original = conversation.phone_number_original.as_str();
        Ok(Self {
            id: conversation.id.to_string(),
            phone_number_canonical: conversation.phone_number_canonical.as_str().to_owned(),
            phone_number_original: Some(original.to_owned()),
            tenant: TenantColumns::from(conversation),
            said: SaidColumns::try_from(conversation)?,
            created_at: conversation.created_at.to_string(),
        })
    }
}

impl TryFrom<&Conversation> for SaidColumns {
    type Error = Failure;

    fn try_from(conversation: &Conversation) -> Result<Self, Failure> {
        let language = &conversation.language;
        Ok(Self {
            language_detected: language.language.as_str().to_owned(),
            language_confidence: language.confidence.fraction(),
            language_evidence: to_json(&language.evidence)?,
            workflow_type: conversation.workflow_type.clone(),
            workflow_id: conversation.workflow_id.clone(),
            workflow_version: conversation.workflow_version.into(),
            our_number: conversation.our_number.as_ref().map(|text| text.as_str().to_owned()),
            last_message_at: conversation.last_message_at.map(|at| at.to_string()),
            updated_at: conversation.updated_at.to_string(),
        })
    }
}

impl From<&Conversation> for TenantColumns {
    fn from(conversation: &Conversation) -> Self {
        let told = conversation.told_language;
        Self {
            tenant_id: conversation.tenant_id.as_ref().map(ToString::to_string),
            tenant_checked_at: conversation.tenant_checked_at.map(|at| at.to_string()),
            told_language: told.map(|language| language.as_str().to_owned()),
        }
    }
}

impl TryFrom<ConversationRow> for Conversation {
    type Error = Failure;

    fn try_from(row: ConversationRow) -> Result<Self, Failure> {
        let (said, tenant) = (row.said, row.tenant);
        let told = |word: &str| known("told_language", word, Language::from_word);
        let version = u32::try_from(said.workflow_version);
        let canonical = Text::new(row.phone_number_canonical);
        let original = row.phone_number_original.map(Text::new);
        Ok(Self {
            id: ConversationId(uuid(&row.id)?),
            phone_number_original: original.unwrap_or_else(|| canonical.clone()),
            phone_number_canonical: canonical,
            tenant_id: (tenant.tenant_id.as_deref())
                .map(TenantId::parse)
                .transpose()
                .map_err(|_| Failure::Unreadable("tenant_id"))?,
            workflow_type: said.workflow_type,
            workflow_id: said.workflow_id,
            workflow_version: version.map_err(|_| Failure::Unreadable("workflow_version"))?,
            tenant_checked_at: tenant.tenant_checked_at.as_deref().map(time).transpose()?,
            told_language: tenant.told_language.as_deref().map(told).transpose()?,
            language: LanguagePreference {
                language: known("language_detected", &said.language_detected, Language::from_word)?,
                confidence: confidence(said.language_confidence)?,
                evidence: serde_json::from_str(&said.language_evidence)
                    .map_err(|_| Failure::Unreadable("language_evidence"))?,
            },
            our_number: said.our_number.map(Text::new),
            last_message_at: said.last_message_at.as_deref().map(time).transpose()?,
            created_at: time(&row.created_at)?,
            updated_at: time(&said.updated_at)?,
        })
    }
}

/// A fraction back in thousandths; its decimal text is the one way to an integer that checks.
fn confidence(fraction: f32) -> Result<Confidence, Failure> {
    format!("{:.0}", fraction * 1000.0)
        .parse()
        .map(Confidence::from_thousandths)
        .map_err(|_| Failure::Unreadable("language_confidence"))
}
