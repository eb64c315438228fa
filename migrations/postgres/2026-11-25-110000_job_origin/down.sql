alter table jobs
    drop column traceparent,
    drop column request_id;
