-- Which request a job follows from, and where it belongs in that request's trace.
alter table jobs
    add column request_id text,
    add column traceparent text;
