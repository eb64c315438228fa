-- Finds the payloads that KEEP_RAW_PAYLOADS lets go, the oldest first, and nothing that went already.
create index sms_messages_raw on sms_messages (created_at) where raw_webhook_data is not null;
create index sms_message_status_events_raw on sms_message_status_events (created_at)
    where raw_webhook_data is not null;
