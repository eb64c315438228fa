-- Ids are UUIDs in lower-case hyphenated text, times are UTC text of fixed width
-- (2026-11-22T09:44:51.000123Z), so both sort as what they stand for; JSON is text.

create table sms_conversations (
    id text not null primary key,
    phone_number_canonical text not null unique,
    phone_number_original text,
    tenant_id text,
    workflow_type text,
    workflow_id text,
    language_detected text not null default 'unknown'
        check (language_detected in ('en', 'es', 'pt', 'unknown')),
    language_confidence real not null default 0
        check (language_confidence between 0 and 1),
    language_evidence text not null,
    last_message_at text,
    created_at text not null,
    updated_at text not null
) strict;

create table sms_messages (
    id text not null primary key,
    conversation_id text not null references sms_conversations (id),
    direction text not null
        check (direction in ('inbound', 'outbound')),
    twilio_sid text unique,
    from_number text not null,
    to_number text not null,
    message_content text,
    media text not null default '[]',
    delivery_status text not null
        check (delivery_status in ('queued', 'sending', 'sent', 'delivered', 'undelivered',
            'failed', 'receiving', 'received', 'unknown')),
    error_code text,
    error_message text,
    raw_webhook_data text,
    source text not null
        check (source in ('webhook', 'api', 'backfill', 'database')),
    created_at text not null,
    updated_at text not null
) strict;

create index sms_messages_thread on sms_messages (conversation_id, created_at, id);

create table sms_message_status_events (
    id text not null primary key,
    message_id text references sms_messages (id),
    twilio_sid text not null,
    provider_status text not null,
    event_status text not null
        check (event_status in ('queued', 'sending', 'sent', 'delivered', 'undelivered',
            'failed', 'receiving', 'received', 'unknown')),
    error_code text,
    raw_webhook_data text,
    created_at text not null
) strict;

-- The same report is kept once.
create unique index sms_message_status_events_report
    on sms_message_status_events (twilio_sid, provider_status, coalesce(error_code, ''));

create index sms_message_status_events_message on sms_message_status_events (message_id);
