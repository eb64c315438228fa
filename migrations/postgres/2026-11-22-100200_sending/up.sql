-- Messages from us: our own view of them beside Twilio's words, each request to hand one over, and
-- the keys by which a repeated request is known.
alter table sms_conversations
    -- As it was last used in it, in either direction.
    add column our_number text;

alter table sms_messages
    -- Null for a message to us.
    add column send_state text
        constraint sms_messages_send_state
        check (send_state in (
            'pending', 'in_flight', 'accepted', 'refused', 'ambiguous', 'not_sent'
        )),
    add column send_error_code text,
    add column send_error_message text,
    add column send_expires_at timestamptz,
    -- How often Twilio was asked what became of it, and when it is to be asked next.
    add column status_checks smallint not null default 0,
    add column next_check_at timestamptz,
    -- What everybody is told: Twilio's word, unless we know better or nothing.
    add column shown_status text not null generated always as (
        case send_state
            when 'ambiguous' then 'unknown'
            when 'refused' then 'failed'
            when 'not_sent' then 'failed'
            else delivery_status
        end
    ) stored;

create index sms_messages_latest on sms_messages (created_at, id);
-- Nearly all messages to us are received: they need no place in it.
create index sms_messages_shown on sms_messages (shown_status, created_at, id)
    where shown_status <> 'received';
create index sms_messages_checks on sms_messages (next_check_at) where next_check_at is not null;
-- Whether another message of a conversation is on its way.
create index sms_messages_in_flight on sms_messages (conversation_id)
    where send_state = 'in_flight';

-- Housekeeping of the reports that no message ever came for.
create index sms_message_status_events_parked on sms_message_status_events (created_at)
    where message_id is null;

create table sms_send_attempts (
    id uuid primary key,
    message_id uuid not null references sms_messages (id),
    number integer not null,
    started_at timestamptz not null,
    -- When the request surely was over.
    deadline timestamptz not null,
    finished_at timestamptz,
    -- Null while the request runs, or where the process died in it.
    outcome text
        constraint sms_send_attempts_outcome
        check (outcome in ('accepted', 'refused', 'unsent', 'ambiguous')),
    status_code integer,
    error_code text
);

-- The database itself forbids a double send: one attempt for a message that is not proven unsent.
create unique index sms_send_attempts_one on sms_send_attempts (message_id)
    where outcome is null or outcome in ('accepted', 'ambiguous');
create unique index sms_send_attempts_number on sms_send_attempts (message_id, number);

create table idempotency_keys (
    -- The name of the caller's API key.
    caller text not null,
    key text not null,
    request_hash text not null,
    message_id uuid not null references sms_messages (id),
    created_at timestamptz not null,
    -- When the caller was told 2xx.
    answered_at timestamptz,
    primary key (caller, key)
);

create index idempotency_keys_message on idempotency_keys (message_id);
create index idempotency_keys_created on idempotency_keys (created_at);

alter table jobs
    -- How often in a row it failed.
    add column failures integer not null default 0,
    -- Jobs of one lane run one after the other, by place.
    add column lane uuid,
    add column place bigint not null generated always as identity;

create index jobs_lane on jobs (lane, place) where state in ('queued', 'running');
create index jobs_leases on jobs (lease_expires_at) where state = 'running';
create index jobs_parked on jobs (updated_at, id) where state = 'parked';
create index jobs_finished on jobs (finished_at) where state in ('done', 'parked');
