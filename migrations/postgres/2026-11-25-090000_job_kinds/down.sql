create index jobs_parked on jobs (updated_at, id) where state = 'parked';
drop index jobs_latest;
create index jobs_queued on jobs (run_at) where state = 'queued';
drop index jobs_due;
