-- What of each kind is due next: jobs of one kind that wait, however many, are not in the way of
-- another's.
create index jobs_due on jobs (kind, run_at, place) where state = 'queued';
drop index jobs_waiting;
-- What an operator sees of each state, the latest changed first.
create index jobs_latest on jobs (state, updated_at, id);
drop index jobs_parked;
