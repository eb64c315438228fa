create table jobs (
    id text not null primary key,
    kind text not null,
    unique_key text not null,
    payload text not null,
    state text not null
        check (state in ('queued', 'running', 'parked', 'done')),
    attempts integer not null default 0,
    run_at text not null,
    lease_expires_at text,
    last_error text,
    created_at text not null,
    updated_at text not null,
    finished_at text
) strict;

-- Of the unfinished jobs for a thing there is one.
create unique index jobs_unfinished on jobs (unique_key) where state <> 'done';

create index jobs_waiting on jobs (run_at) where state = 'queued';
