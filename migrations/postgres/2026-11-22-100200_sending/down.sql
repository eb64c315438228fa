drop index jobs_finished, jobs_parked, jobs_leases, jobs_lane;
alter table jobs drop column place, drop column lane, drop column failures;
drop table idempotency_keys;
drop table sms_send_attempts;
drop index sms_message_status_events_parked;
drop index sms_messages_in_flight, sms_messages_checks, sms_messages_shown, sms_messages_latest;
alter table sms_messages
    drop column shown_status,
    drop column next_check_at,
    drop column status_checks,
    drop column send_expires_at,
    drop column send_error_message,
    drop column send_error_code,
    drop column send_state;
alter table sms_conversations drop column our_number;
