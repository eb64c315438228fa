//! The tables, as `migrations/postgres` makes them.

diesel::table! {
    sms_conversations (id) {
        id -> Uuid,
        phone_number_canonical -> Text,
        phone_number_original -> Nullable<Text>,
        tenant_id -> Nullable<Text>,
        workflow_type -> Nullable<Text>,
        workflow_id -> Nullable<Text>,
        workflow_version -> Int4,
        tenant_checked_at -> Nullable<Timestamptz>,
        language_detected -> Text,
        language_confidence -> Float4,
        language_evidence -> Jsonb,
        told_language -> Nullable<Text>,
        last_message_at -> Nullable<Timestamptz>,
        our_number -> Nullable<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        // Made by the database from two others: never written.
        last_activity_at -> Timestamptz,
    }
}

diesel::table! {
    sms_messages (id) {
        id -> Uuid,
        conversation_id -> Uuid,
        direction -> Text,
        twilio_sid -> Nullable<Text>,
        from_number -> Text,
        to_number -> Text,
        message_content -> Nullable<Text>,
        delivery_status -> Text,
        error_code -> Nullable<Text>,
        error_message -> Nullable<Text>,
        raw_webhook_data -> Nullable<Jsonb>,
        source -> Text,
        media -> Jsonb,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        send_state -> Nullable<Text>,
        send_error_code -> Nullable<Text>,
        send_error_message -> Nullable<Text>,
        send_expires_at -> Nullable<Timestamptz>,
        status_checks -> Int2,
        next_check_at -> Nullable<Timestamptz>,
        // Made by the database from two others: never written.
        shown_status -> Text,
    }
}

diesel::table! {
    sms_message_status_events (id) {
        id -> Uuid,
        message_id -> Nullable<Uuid>,
        twilio_sid -> Text,
        provider_status -> Text,
        event_status -> Text,
        error_code -> Nullable<Text>,
        raw_webhook_data -> Nullable<Jsonb>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    sms_send_attempts (id) {
        id -> Uuid,
        message_id -> Uuid,
        number -> Int4,
        started_at -> Timestamptz,
        deadline -> Timestamptz,
        finished_at -> Nullable<Timestamptz>,
        outcome -> Nullable<Text>,
        status_code -> Nullable<Int4>,
        error_code -> Nullable<Text>,
    }
}

diesel::table! {
    idempotency_keys (caller, key) {
        caller -> Text,
        key -> Text,
        request_hash -> Text,
        message_id -> Uuid,
        created_at -> Timestamptz,
        answered_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    jobs (id) {
        id -> Uuid,
        kind -> Text,
        unique_key -> Text,
        payload -> Jsonb,
        state -> Text,
        attempts -> Int4,
        run_at -> Timestamptz,
        lease_expires_at -> Nullable<Timestamptz>,
        last_error -> Nullable<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        finished_at -> Nullable<Timestamptz>,
        failures -> Int4,
        lane -> Nullable<Uuid>,
        // Made by the database, each later than all before: never written, only renewed.
        place -> Int8,
        request_id -> Nullable<Text>,
        traceparent -> Nullable<Text>,
    }
}

// Read and written by statements of its own (`feed`, `hooks`): `sms_events`, `sms_event_deliveries`.
diesel::table! {
    sms_subscriptions (id) {
        id -> Uuid,
        name -> Text,
        url -> Text,
        events -> Array<Text>,
        all_statuses -> Bool,
        workflow_type -> Nullable<Text>,
        tenant -> Nullable<Text>,
        direction -> Nullable<Text>,
        when_identified -> Bool,
        format -> Text,
        secret -> Text,
        previous_secret -> Nullable<Text>,
        previous_secret_until -> Nullable<Timestamptz>,
        enabled -> Bool,
        configured -> Bool,
        failures -> Int4,
        failing_since -> Nullable<Timestamptz>,
        paused_until -> Nullable<Timestamptz>,
        last_error -> Nullable<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::joinable!(idempotency_keys -> sms_messages (message_id));
diesel::allow_tables_to_appear_in_same_query!(
    idempotency_keys,
    jobs,
    sms_conversations,
    sms_message_status_events,
    sms_messages,
    sms_send_attempts,
);
