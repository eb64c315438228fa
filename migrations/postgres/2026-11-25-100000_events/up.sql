-- What happened, as other programs are told of it. What can change later (status, tenant, workflow,
-- language) is kept as it was then; the rest is read from the message and the conversation.
create table sms_events (
    -- Rows become visible in the order of commits. Whoever reads only those of transactions before
    -- which none is open any more, in this order, misses none. xid8 has a cast by way of text only.
    transaction bigint not null default (pg_current_xact_id()::text::bigint),
    place bigint not null generated always as identity,
    id uuid not null,
    type text not null
        constraint sms_events_type
        check (type in (
            'message.received', 'message.sent', 'message.status',
            'conversation.identified', 'conversation.language_changed'
        )),
    conversation_id uuid not null,
    message_id uuid,
    direction text
        constraint sms_events_direction check (direction in ('inbound', 'outbound')),
    delivery_status text,
    error_code text,
    -- Whether more is to be expected of the message: a status on its way.
    is_passing boolean not null,
    tenant_id text,
    workflow_type text,
    workflow_id text,
    language_detected text not null,
    -- The tenant or the language before.
    previous text,
    created_at timestamptz not null,
    primary key (transaction, place)
);

-- Rows are written in the order of time, nearly.
create index sms_events_time on sms_events using brin (created_at);

create table sms_subscriptions (
    id uuid primary key,
    name text not null unique,
    url text not null,
    events text[] not null,
    all_statuses boolean not null,
    workflow_type text,
    tenant text
        constraint sms_subscriptions_tenant check (tenant in ('known', 'unknown')),
    direction text
        constraint sms_subscriptions_direction check (direction in ('inbound', 'outbound')),
    when_identified boolean not null,
    format text not null
        constraint sms_subscriptions_format check (format in ('standard', 'orchestrator')),
    secret text not null,
    -- Used too until then, while the subscriber changes over.
    previous_secret text,
    previous_secret_until timestamptz,
    enabled boolean not null,
    configured boolean not null,
    -- In a row.
    failures integer not null default 0,
    failing_since timestamptz,
    -- Left alone until then.
    paused_until timestamptz,
    last_error text,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

-- What a subscriber is to be told, or was. A queue of its own: a subscriber that is dead for a day
-- does not stand in the way of texts.
create table sms_event_deliveries (
    subscription_id uuid not null references sms_subscriptions (id) on delete cascade,
    transaction bigint not null,
    place bigint not null,
    conversation_id uuid not null,
    state text not null
        constraint sms_event_deliveries_state
        check (state in ('queued', 'running', 'waiting', 'delivered', 'skipped', 'parked')),
    attempts integer not null default 0,
    -- In a row.
    failures integer not null default 0,
    -- Since when it is tried.
    since timestamptz not null,
    run_at timestamptz not null,
    lease_expires_at timestamptz,
    status_code integer,
    last_error text,
    finished_at timestamptz,
    primary key (subscription_id, place)
);

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
