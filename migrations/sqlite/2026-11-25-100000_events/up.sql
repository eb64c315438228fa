-- What happened, as other programs are told of it. What can change later (status, tenant, workflow,
-- language) is kept as it was then; the rest is read from the message and the conversation.
create table sms_events (
    -- One writer: rows become visible in this order. No number is given twice.
    place integer primary key autoincrement,
    id text not null,
    type text not null
        check (type in ('message.received', 'message.sent', 'message.status',
            'conversation.identified', 'conversation.language_changed')),
    conversation_id text not null,
    message_id text,
    direction text check (direction in ('inbound', 'outbound')),
    delivery_status text,
    error_code text,
    tenant_id text,
    workflow_type text,
    workflow_id text,
    language_detected text not null,
    -- The tenant or the language before.
    previous text,
    created_at text not null
) strict;

create table sms_subscriptions (
    id text not null primary key,
    name text not null unique,
    url text not null,
    -- A JSON array.
    events text not null,
    all_statuses integer not null,
    workflow_type text,
    tenant text check (tenant in ('known', 'unknown')),
    direction text check (direction in ('inbound', 'outbound')),
    when_identified integer not null,
    format text not null check (format in ('standard', 'orchestrator')),
    secret text not null,
    -- Used too until then, while the subscriber changes over.
    previous_secret text,
    previous_secret_until text,
    enabled integer not null,
    configured integer not null,
    -- In a row.
    failures integer not null default 0,
    failing_since text,
    -- Left alone until then.
    paused_until text,
    last_error text,
    created_at text not null,
    updated_at text not null
) strict;

-- What a subscriber is to be told, or was. A queue of its own: a subscriber that is dead for a day
-- does not stand in the way of texts.
create table sms_event_deliveries (
    subscription_id text not null references sms_subscriptions (id) on delete cascade,
    place integer not null,
    conversation_id text not null,
    state text not null
        check (state in ('queued', 'running', 'waiting', 'delivered', 'skipped', 'parked')),
    attempts integer not null default 0,
    -- In a row.
    failures integer not null default 0,
    -- Since when it is tried.
    since text not null,
    run_at text not null,
    lease_expires_at text,
    status_code integer,
    last_error text,
    finished_at text,
    primary key (subscription_id, place)
) strict;

create index sms_event_deliveries_queued on sms_event_deliveries (subscription_id, run_at, place)
    where state = 'queued';
create index sms_event_deliveries_leases on sms_event_deliveries (subscription_id, lease_expires_at)
    where state = 'running';
-- Of a conversation one after the other.
create index sms_event_deliveries_lane on sms_event_deliveries (subscription_id, conversation_id, place)
    where state in ('queued', 'running');
create index sms_event_deliveries_waiting on sms_event_deliveries (conversation_id)
    where state = 'waiting';
create index sms_event_deliveries_parked on sms_event_deliveries (subscription_id, place)
    where state = 'parked';
create index sms_event_deliveries_finished on sms_event_deliveries (finished_at)
    where state in ('delivered', 'skipped');
