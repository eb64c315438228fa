drop index sms_message_status_events_raw;
drop index sms_messages_raw;
