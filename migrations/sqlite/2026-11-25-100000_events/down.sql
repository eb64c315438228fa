drop table sms_event_deliveries;
drop table sms_subscriptions;
drop table sms_events;
