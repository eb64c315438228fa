-- How far Twilio's lists were read: one of what came to each of our numbers, one of what was sent
-- from it.
create table backfill_lists (
    direction text not null
        constraint backfill_lists_direction check (direction in ('inbound', 'outbound')),
    number text not null,
    -- When it was first to be read: nothing older is taken in.
    first_at timestamptz not null,
    -- Everything up to then is stored.
    watermark timestamptz not null,
    -- A part that was not read to its end: what becomes the watermark, and where to go on.
    unfinished_until timestamptz,
    next_page text,
    due_at timestamptz not null,
    -- Counts the runs: fences what they write.
    run integer not null default 0,
    -- Until then a run has it to itself; null while none does.
    lease_expires_at timestamptz,
    updated_at timestamptz not null,
    primary key (direction, number),
    constraint backfill_lists_unfinished
        check ((unfinished_until is null) = (next_page is null))
);

-- The ids that conversations had in the program that they were imported from.
create table imported_conversations (
    old_id bigint primary key,
    conversation_id uuid not null references sms_conversations (id)
);
