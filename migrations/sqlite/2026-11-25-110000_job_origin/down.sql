alter table jobs drop column traceparent;
alter table jobs drop column request_id;
