drop index sms_conversations_unknown, sms_conversations_of_language,
    sms_conversations_of_workflow_type, sms_conversations_of_workflow,
    sms_conversations_of_tenant, sms_conversations_latest;
alter table sms_conversations
    drop column last_activity_at,
    drop column workflow_version,
    drop column told_language,
    drop column tenant_checked_at;
