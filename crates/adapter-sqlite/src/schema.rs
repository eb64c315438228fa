//! The tables, as the migrations in `migrations/sqlite` make them.

diesel::table! {
    sms_conversations (id) {
        id -> Text,
        phone_number_canonical -> Text,
        phone_number_original -> Nullable<Text>,
        tenant_id -> Nullable<Text>,
        workflow_type -> Nullable<Text>,
        workflow_id -> Nullable<Text>,
        language_detected -> Text,
        language_confidence -> Float,
        language_evidence -> Text,
        last_message_at -> Nullable<Text>,
        created_at -> Text,
        updated_at -> Text,
        our_number -> Nullable<Text>,
        tenant_checked_at -> Nullable<Text>,
        told_language -> Nullable<Text>,
        workflow_version -> BigInt,
        last_activity_at -> Text,
    }
}

diesel::table! {
    sms_messages (id) {
        id -> Text,
        conversation_id -> Text,
        direction -> Text,
        twilio_sid -> Nullable<Text>,
        from_number -> Text,
        to_number -> Text,
        message_content -> Nullable<Text>,
        media -> Text,
        delivery_status -> Text,
        error_code -> Nullable<Text>,
        error_message -> Nullable<Text>,
        raw_webhook_data -> Nullable<Text>,
        source -> Text,
        created_at -> Text,
        updated_at -> Text,
        send_state -> Nullable<Text>,
        send_error_code -> Nullable<Text>,
        send_error_message -> Nullable<Text>,
        send_expires_at -> Nullable<Text>,
        status_checks -> BigInt,
        next_check_at -> Nullable<Text>,
        shown_status -> Text,
    }
}

diesel::table! {
    sms_message_status_events (id) {
        id -> Text,
        message_id -> Nullable<Text>,
        twilio_sid -> Text,
        provider_status -> Text,
        event_status -> Text,
        error_code -> Nullable<Text>,
        raw_webhook_data -> Nullable<Text>,
        created_at -> Text,
    }
}

diesel::table! {
    jobs (id) {
        id -> Text,
        kind -> Text,
        unique_key -> Text,
        payload -> Text,
        state -> Text,
        attempts -> BigInt,
        run_at -> Text,
        lease_expires_at -> Nullable<Text>,
        last_error -> Nullable<Text>,
        created_at -> Text,
        updated_at -> Text,
        finished_at -> Nullable<Text>,
        failures -> BigInt,
        lane -> Nullable<Text>,
        place -> BigInt,
        request_id -> Nullable<Text>,
        traceparent -> Nullable<Text>,
    }
}

diesel::table! {
    sms_events (place) {
        place -> BigInt,
        id -> Text,
        #[sql_name = "type"]
        type_ -> Text,
        conversation_id -> Text,
        message_id -> Nullable<Text>,
        direction -> Nullable<Text>,
        delivery_status -> Nullable<Text>,
        error_code -> Nullable<Text>,
        tenant_id -> Nullable<Text>,
        workflow_type -> Nullable<Text>,
        workflow_id -> Nullable<Text>,
        language_detected -> Text,
        previous -> Nullable<Text>,
        created_at -> Text,
    }
}

diesel::table! {
    sms_subscriptions (id) {
        id -> Text,
        name -> Text,
        url -> Text,
        events -> Text,
        all_statuses -> Bool,
        workflow_type -> Nullable<Text>,
        tenant -> Nullable<Text>,
        direction -> Nullable<Text>,
        when_identified -> Bool,
        format -> Text,
        secret -> Text,
        previous_secret -> Nullable<Text>,
        previous_secret_until -> Nullable<Text>,
        enabled -> Bool,
        configured -> Bool,
        failures -> BigInt,
        failing_since -> Nullable<Text>,
        paused_until -> Nullable<Text>,
        last_error -> Nullable<Text>,
        created_at -> Text,
        updated_at -> Text,
    }
}

diesel::table! {
    sms_event_deliveries (subscription_id, place) {
        subscription_id -> Text,
        place -> BigInt,
        conversation_id -> Text,
        state -> Text,
        attempts -> BigInt,
        failures -> BigInt,
        since -> Text,
        run_at -> Text,
        lease_expires_at -> Nullable<Text>,
        status_code -> Nullable<BigInt>,
        last_error -> Nullable<Text>,
        finished_at -> Nullable<Text>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(sms_events, sms_event_deliveries);

diesel::table! {
    sms_send_attempts (id) {
        id -> Text,
        message_id -> Text,
        number -> BigInt,
        started_at -> Text,
        deadline -> Text,
        finished_at -> Nullable<Text>,
        outcome -> Nullable<Text>,
        status_code -> Nullable<BigInt>,
        error_code -> Nullable<Text>,
    }
}

diesel::table! {
    idempotency_keys (caller, key) {
        caller -> Text,
        key -> Text,
        request_hash -> Text,
        message_id -> Text,
        created_at -> Text,
        answered_at -> Nullable<Text>,
    }
}
