alter table sms_conversations add column our_number text;

alter table sms_messages add column send_state text
    check (send_state in ('pending', 'in_flight', 'accepted', 'refused', 'ambiguous', 'not_sent'));
alter table sms_messages add column send_error_code text;
alter table sms_messages add column send_error_message text;
alter table sms_messages add column send_expires_at text;
alter table sms_messages add column status_checks integer not null default 0;
alter table sms_messages add column next_check_at text;
-- What everybody is told: Twilio's word, unless we know better or nothing.
alter table sms_messages add column shown_status text not null generated always as (
    case send_state
        when 'ambiguous' then 'unknown'
        when 'refused' then 'failed'
        when 'not_sent' then 'failed'
        else delivery_status
    end
) virtual;

create index sms_messages_latest on sms_messages (created_at, id);
-- Nearly all messages to us are received: nobody seeks them by that, and they need no place in it.
create index sms_messages_shown on sms_messages (shown_status, created_at, id)
    where shown_status <> 'received';
create index sms_messages_checks on sms_messages (next_check_at) where next_check_at is not null;
create index sms_messages_in_flight on sms_messages (conversation_id)
    where send_state = 'in_flight';

create index sms_message_status_events_parked on sms_message_status_events (created_at)
    where message_id is null;

create table sms_send_attempts (
    id text not null primary key,
    message_id text not null references sms_messages (id),
    number integer not null,
    started_at text not null,
    deadline text not null,
    finished_at text,
    outcome text check (outcome in ('accepted', 'refused', 'unsent', 'ambiguous')),
    status_code integer,
    error_code text
) strict;

-- The database itself forbids a double send: one attempt for a message that is not proven unsent.
create unique index sms_send_attempts_one on sms_send_attempts (message_id)
    where outcome is null or outcome in ('accepted', 'ambiguous');
create unique index sms_send_attempts_number on sms_send_attempts (message_id, number);

create table idempotency_keys (
    caller text not null,
    key text not null,
    request_hash text not null,
    message_id text not null references sms_messages (id),
    created_at text not null,
    answered_at text,
    primary key (caller, key)
) strict;

create index idempotency_keys_message on idempotency_keys (message_id);
create index idempotency_keys_created on idempotency_keys (created_at);

alter table jobs add column failures integer not null default 0;
-- Jobs of one lane run one after the other, by place: one more than the last one's.
alter table jobs add column lane text;
alter table jobs add column place integer not null default 0;

create index jobs_place on jobs (place);
create index jobs_lane on jobs (lane, place) where state in ('queued', 'running');
create index jobs_leases on jobs (lease_expires_at) where state = 'running';
create index jobs_parked on jobs (updated_at, id) where state = 'parked';
create index jobs_finished on jobs (finished_at) where state in ('done', 'parked');
