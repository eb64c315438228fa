-- Everything that was said with one address.
create table sms_conversations (
    id uuid primary key,
    phone_number_canonical text not null unique,
    phone_number_original text,
    tenant_id text,
    workflow_type text,
    workflow_id text,
    language_detected text not null default 'unknown'
        constraint sms_conversations_language_detected
        check (language_detected in ('en', 'es', 'pt', 'unknown')),
    language_confidence real not null default 0
        constraint sms_conversations_language_confidence
        check (language_confidence between 0 and 1),
    -- What the language rests on: the votes so far, in thousandths.
    language_evidence jsonb not null,
    last_message_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create table sms_messages (
    id uuid primary key,
    conversation_id uuid not null references sms_conversations (id),
    direction text not null
        constraint sms_messages_direction check (direction in ('inbound', 'outbound')),
    -- Null while Twilio has not answered for a message from us.
    twilio_sid text unique,
    from_number text not null,
    to_number text not null,
    message_content text,
    delivery_status text not null
        constraint sms_messages_delivery_status
        check (delivery_status in (
            'queued', 'sending', 'sent', 'delivered', 'undelivered', 'failed',
            'receiving', 'received', 'unknown'
        )),
    error_code text,
    error_message text,
    raw_webhook_data jsonb,
    -- How we learned of it.
    source text not null
        constraint sms_messages_source
        check (source in ('webhook', 'api', 'backfill', 'database')),
    -- Pictures and files that came with it.
    media jsonb not null default '[]',
    created_at timestamptz not null,
    updated_at timestamptz not null
);

-- A page of a thread, from either end, costs the same wherever it begins.
create index sms_messages_thread on sms_messages (conversation_id, created_at, id);

create table sms_message_status_events (
    id uuid primary key,
    -- Null while nobody knows the SID: the report waits for its message.
    message_id uuid references sms_messages (id),
    twilio_sid text not null,
    -- Twilio's own word; event_status is what it means to us.
    provider_status text not null,
    event_status text not null
        constraint sms_message_status_events_event_status
        check (event_status in (
            'queued', 'sending', 'sent', 'delivered', 'undelivered', 'failed',
            'receiving', 'received', 'unknown'
        )),
    error_code text,
    raw_webhook_data jsonb,
    created_at timestamptz not null
);

-- The same report is kept once. Also finds the reports that wait for a SID.
create unique index sms_message_status_events_once
    on sms_message_status_events (twilio_sid, provider_status, coalesce(error_code, ''));

create index sms_message_status_events_of_message on sms_message_status_events (message_id);
