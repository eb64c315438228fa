drop table sms_message_status_events;
drop table sms_messages;
drop table sms_conversations;
