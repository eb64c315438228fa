-- Work that must happen later and must not be forgotten.
create table jobs (
    id uuid primary key,
    kind text not null,
    -- Names the thing to do.
    unique_key text not null,
    payload jsonb not null,
    state text not null
        constraint jobs_state check (state in ('queued', 'running', 'parked', 'done')),
    attempts integer not null default 0,
    -- Not before this time.
    run_at timestamptz not null,
    -- Until then the worker that claimed it has it to itself.
    lease_expires_at timestamptz,
    last_error text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    finished_at timestamptz
);

-- Of two unfinished jobs with the same key only one exists.
create unique index jobs_unfinished on jobs (unique_key) where state <> 'done';

-- What is due next.
create index jobs_queued on jobs (run_at) where state = 'queued';
