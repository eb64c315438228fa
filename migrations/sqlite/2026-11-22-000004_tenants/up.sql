-- Conversations: when the Collections Monitor was last asked, what the tenant's profile was last
-- told, which version of the workflow this is, and the order in which they are listed.
alter table sms_conversations add column tenant_checked_at text;
alter table sms_conversations add column told_language text
    check (told_language in ('en', 'es', 'pt'));
alter table sms_conversations add column workflow_version integer not null default 0;
alter table sms_conversations add column last_activity_at text not null
    generated always as (coalesce(last_message_at, created_at)) virtual;

create index sms_conversations_latest on sms_conversations (last_activity_at, id);
create index sms_conversations_of_tenant on sms_conversations (tenant_id, last_activity_at, id)
    where tenant_id is not null;
create index sms_conversations_of_workflow
    on sms_conversations (workflow_id, last_activity_at, id) where workflow_id is not null;
create index sms_conversations_of_workflow_type
    on sms_conversations (workflow_type, last_activity_at, id) where workflow_type is not null;
create index sms_conversations_of_language
    on sms_conversations (language_detected, last_activity_at, id);
-- Whose lookup is due again.
create index sms_conversations_unknown
    on sms_conversations (coalesce(tenant_checked_at, created_at), id) where tenant_id is null;
