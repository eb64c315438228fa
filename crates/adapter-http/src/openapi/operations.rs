//! What each endpoint takes and gives.

use domain::event::EventKind;
use serde_json::{Map, Value, json};

use super::examples;
use crate::access::Scope;
use crate::parameters::MAX_OFFSET;

/// What no store can be asked for.
const WITHOUT_NUL: &str = r"^[^\x00]*$";

/// The groups of endpoints.
pub(super) const TAGS: [(&str, &str); 6] = [
    ("sending", "Texts from us."),
    ("reading", "Conversations and messages."),
    ("telling", "What happens, told to other programs."),
    ("operating", "For whoever runs the service."),
    ("health", "How the service is. Needs no key."),
    ("webhooks", "What Twilio calls."),
];

/// An endpoint.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    description: &'static str,
    proof: Proof,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: Vec<(u16, Value)>,
    errors: &'static [u16],
}

/// What a request must bring.
#[derive(Clone, Copy)]
enum Proof {
    Nothing,
    Key(Scope),
    /// A key, but nothing where `APP_ENV=local`.
    KeyOutsideLocal(Scope),
    Signature,
}

/// All of them.
pub(super) fn all() -> Vec<Operation> {
    let mut all = sending();
    all.extend(conversations());
    all.extend(threads());
    all.extend(messages());
    all.extend(telling());
    all.extend(operating());
    all.extend(health());
    all.extend(webhooks());
    all
}

fn sending() -> Vec<Operation> {
    vec![
        Operation {
            method: "post",
            path: "/sms/send",
            id: "sendText",
            tag: "sending",
            summary: "Send a text.",
            description: "Takes a text in, durably, and waits some seconds for Twilio's answer. 202 \
                          means that it will be followed to its end: never ask again then. An error \
                          of 5xx other than 502 may be asked again with the same Idempotency-Key.",
            proof: Proof::Key(Scope::Send),
            parameters: vec![header(
                "Idempotency-Key",
                "Requests with the same key and the same content make one message, for a day. A key whose \
                 message was refused or given up before it was sent can be used again. Without \
                 one, a repetition is recognised by its content, unless the first was answered.",
                &json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" }),
                "rent-reminder-2026-12-T_12",
            )],
            body: Some(json_body("SendRequest", &examples::send_request())),
            answers: vec![(202, json_answer("It was taken in.", "Sent", examples::sent()))],
            errors: &[408, 409, 413, 415, 422, 502],
        },
        Operation {
            method: "post",
            path: "/messages/{id_or_sid}/cancel",
            id: "cancelText",
            tag: "sending",
            summary: "Cancel a text.",
            description: "Only while nobody has begun to send it. Cancelled twice is cancelled.",
            proof: Proof::Key(Scope::Send),
            parameters: vec![message_key()],
            body: None,
            answers: vec![(
                200,
                json_answer("It will not be sent.", "ListedMessage", examples::canceled()),
            )],
            errors: &[404, 409],
        },
    ]
}

fn conversations() -> Vec<Operation> {
    vec![
        Operation {
            method: "get",
            path: "/conversations",
            id: "listConversations",
            tag: "reading",
            summary: "List conversations.",
            description: "The latest active first: by the last message, or by the beginning of a \
                          conversation without one.",
            proof: Proof::Key(Scope::Read),
            parameters: vec![
                filter(
                    "tenant_id",
                    "Of this tenant.",
                    &json!({ "pattern": "^[A-Za-z0-9_-]{1,64}$" }),
                    "T_12",
                ),
                filter(
                    "workflow_type",
                    "With this kind of workflow.",
                    &json!({ "maxLength": 200, "pattern": WITHOUT_NUL }),
                    "rent_reminder",
                ),
                filter(
                    "workflow_id",
                    "With this workflow.",
                    &json!({ "maxLength": 200, "pattern": WITHOUT_NUL }),
                    "wf-2026-12",
                ),
                filter(
                    "language",
                    "In this language.",
                    &json!({ "enum": ["en", "es", "pt", "unknown"] }),
                    "es",
                ),
                since("Active at this time or later."),
                limit(),
                cursor("^[0-9]{1,17}_[0-9a-f]{32}$", "The next_cursor of an earlier page."),
            ],
            body: None,
            answers: vec![(
                200,
                json_answer("A page.", "ConversationList", examples::conversations()),
            )],
            errors: &[],
        },
        Operation {
            method: "get",
            path: "/conversations/{number_or_id}",
            id: "readConversation",
            tag: "reading",
            summary: "Read a conversation.",
            description: "With a page of its messages. `cursor` wins over `offset`, which wins over \
                          `page`; deep down only `cursor` works, and costs what the first page costs.",
            proof: Proof::Key(Scope::Read),
            parameters: vec![
                conversation_key(),
                filter_number(
                    "page",
                    "Which page, from 1. For old clients: at most 10000 messages are passed over.",
                    1,
                    MAX_OFFSET + 1,
                    1,
                ),
                limit(),
                offset(),
                order(),
                cursor("^[0-9]{1,17}_[0-9a-f]{32}$", "The next_cursor of an earlier page."),
            ],
            body: None,
            answers: vec![(
                200,
                with_etag(json_answer(
                    "The conversation.",
                    "ConversationThread",
                    examples::thread(),
                )),
            )],
            errors: &[404],
        },
    ]
}

fn threads() -> Vec<Operation> {
    vec![
        Operation {
            method: "patch",
            path: "/conversations/{number_or_id}",
            id: "annotateConversation",
            tag: "reading",
            summary: "Change what runs in a conversation.",
            description: "Changes workflow_type and workflow_id. With the ETag of an earlier answer as \
                          If-Match, only if nobody has changed them since; of several, one must fit.",
            proof: Proof::Key(Scope::Write),
            parameters: vec![
                conversation_key(),
                header(
                    "If-Match",
                    "The ETag of what the caller has seen.",
                    &json!({
                        "type": "string",
                        "anyOf": [{ "const": "*" }, { "pattern": "^\"[0-9]{1,9}\"(, ?\"[0-9]{1,9}\")*$" }],
                    }),
                    "*",
                ),
            ],
            body: Some(json_body("Annotation", &examples::annotation())),
            answers: vec![(
                200,
                with_etag(json_answer(
                    "The conversation as it is now.",
                    "Conversation",
                    examples::conversation(),
                )),
            )],
            errors: &[404, 408, 412, 413, 415],
        },
        Operation {
            method: "get",
            path: "/conversations/{number_or_id}/messages",
            id: "readThread",
            tag: "reading",
            summary: "Read a conversation's messages, both ways.",
            description: "Give `next_cursor` as `cursor` for the page behind this one, and \
                          `previous_cursor` for the page before it, with the same `order`.",
            proof: Proof::Key(Scope::Read),
            parameters: vec![
                conversation_key(),
                order(),
                limit(),
                cursor(
                    "^p?[0-9]{1,17}_[0-9a-f]{32}$",
                    "The next_cursor or the previous_cursor of an earlier page.",
                ),
            ],
            body: None,
            answers: vec![(200, json_answer("A page.", "ThreadPage", examples::thread_page()))],
            errors: &[404],
        },
    ]
}

fn messages() -> Vec<Operation> {
    vec![
        Operation {
            method: "get",
            path: "/messages",
            id: "listMessages",
            tag: "reading",
            summary: "List all messages.",
            description: "The latest first.",
            proof: Proof::Key(Scope::Read),
            parameters: vec![
                filter(
                    "status",
                    "That have got so far.",
                    &json!({ "enum": domain::delivery::DeliveryStatus::ALL
                        .map(domain::delivery::DeliveryStatus::as_str) }),
                    "failed",
                ),
                filter(
                    "direction",
                    "To us, or from us.",
                    &json!({ "enum": ["inbound", "outbound"] }),
                    "outbound",
                ),
                since("That came at this time or later."),
                limit(),
                cursor("^[0-9]{1,17}_[0-9a-f]{32}$", "The next_cursor of an earlier page."),
            ],
            body: None,
            answers: vec![(200, json_answer("A page.", "MessageList", examples::messages()))],
            errors: &[],
        },
        Operation {
            method: "get",
            path: "/messages/{id_or_sid}",
            id: "readMessage",
            tag: "reading",
            summary: "Read a message.",
            description: "With all that is known about it. `raw_webhook_data` needs the scope \
                          `operate` as well.",
            proof: Proof::Key(Scope::Read),
            parameters: vec![message_key()],
            body: None,
            answers: vec![(200, json_answer("The message.", "MessageDetail", examples::message()))],
            errors: &[404],
        },
    ]
}

fn telling() -> Vec<Operation> {
    let mut all = vec![stream()];
    all.extend(subscriptions());
    all.extend(deliveries());
    all
}

fn stream() -> Operation {
    let types = EventKind::ALL.map(EventKind::as_str);
    let types = format!("^({0})(,({0}))*$", types.join("|").replace('.', "\\."));
    Operation {
        method: "get",
        path: "/events",
        id: "streamEvents",
        tag: "telling",
        summary: "Follow what happens.",
        description: "Server-sent events, as a browser's `EventSource` reads them: every event, also \
                      each status on the way. Their `id` given as `Last-Event-ID` goes on behind it; \
                      without, and where it is ahead of the stream because the database was restored, the \
                      stream begins now. The answer does not end by itself.",
        proof: Proof::Key(Scope::Read),
        parameters: vec![
            filter(
                "types",
                "Of these types only.",
                &json!({ "pattern": types }),
                "message.received,message.status",
            ),
            query(
                "conversation_id",
                "In this conversation only.",
                &json!({ "type": "string", "format": "uuid" }),
                examples::ID,
            ),
            filter(
                "phone",
                "In the conversation with this number only.",
                &json!({}),
                "+18605550199",
            ),
            filter(
                "tenant_id",
                "In conversations of this tenant only.",
                &json!({ "pattern": "^[A-Za-z0-9_-]{1,64}$" }),
                "T_12",
            ),
            filter(
                "direction",
                "About messages to us, or from us, only.",
                &json!({ "enum": ["inbound", "outbound"] }),
                "inbound",
            ),
            filter(
                "last_event_id",
                "As the header Last-Event-ID, for who cannot set one.",
                &json!({ "pattern": "^[0-9]{1,18}-[0-9]{1,18}$" }),
                "0-0",
            ),
            header(
                "Last-Event-ID",
                "The id of the event that was seen last.",
                &json!({ "type": "string", "pattern": "^[0-9]{1,18}-[0-9]{1,18}$" }),
                "0-0",
            ),
        ],
        body: None,
        answers: vec![(
            200,
            answer(
                "The events.",
                "text/event-stream",
                &json!({ "type": "string" }),
                examples::stream(),
            ),
        )],
        errors: &[],
    }
}

fn subscriptions() -> Vec<Operation> {
    vec![
        Operation {
            method: "get",
            path: "/subscriptions",
            id: "listSubscriptions",
            tag: "telling",
            summary: "List subscriptions.",
            description: "By name. Their secrets are not shown.",
            proof: Proof::Key(Scope::Operate),
            parameters: vec![],
            body: None,
            answers: vec![(
                200,
                json_answer("All of them.", "SubscriptionList", examples::subscriptions()),
            )],
            errors: &[],
        },
        Operation {
            method: "post",
            path: "/subscriptions",
            id: "subscribe",
            tag: "telling",
            summary: "Subscribe.",
            description: "The URL is called for everything that happens from now on: see \
                          `webhooks`. The secret is shown this once.",
            proof: Proof::Key(Scope::Operate),
            parameters: vec![],
            body: Some(json_body("NewSubscription", &examples::new_subscription())),
            answers: vec![(
                201,
                json_answer("It is made.", "ChangedSubscription", examples::new_secret()),
            )],
            errors: &[408, 409, 413, 415],
        },
        Operation {
            method: "get",
            path: "/subscriptions/{id}",
            id: "readSubscription",
            tag: "telling",
            summary: "Read a subscription.",
            description: "And how the subscriber is doing.",
            proof: Proof::Key(Scope::Operate),
            parameters: vec![subscription_id()],
            body: None,
            answers: vec![(
                200,
                json_answer("The subscription.", "Subscription", examples::subscription()),
            )],
            errors: &[404],
        },
        Operation {
            method: "patch",
            path: "/subscriptions/{id}",
            id: "changeSubscription",
            tag: "telling",
            summary: "Change a subscription.",
            description: "Other processes follow within a second.",
            proof: Proof::Key(Scope::Operate),
            parameters: vec![subscription_id()],
            body: Some(json_body("SubscriptionChange", &examples::subscription_change())),
            answers: vec![(
                200,
                json_answer("As it is now.", "ChangedSubscription", examples::new_secret()),
            )],
            errors: &[404, 408, 409, 413, 415],
        },
        Operation {
            method: "delete",
            path: "/subscriptions/{id}",
            id: "unsubscribe",
            tag: "telling",
            summary: "Unsubscribe.",
            description: "What the subscriber was still to be told is forgotten.",
            proof: Proof::Key(Scope::Operate),
            parameters: vec![subscription_id()],
            body: None,
            answers: vec![(204, json!({ "description": "It is forgotten." }))],
            errors: &[404, 409],
        },
    ]
}

fn deliveries() -> Vec<Operation> {
    let states = domain::hook::HookState::ALL.map(domain::hook::HookState::as_str);
    vec![
        Operation {
            method: "get",
            path: "/subscriptions/{id}/deliveries",
            id: "listDeliveries",
            tag: "telling",
            summary: "List what a subscriber was told.",
            description: "Or is to be told; the latest event first.",
            proof: Proof::Key(Scope::Operate),
            parameters: vec![
                subscription_id(),
                filter("state", "That stand there.", &json!({ "enum": states }), "parked"),
                limit(),
                filter(
                    "cursor",
                    "The next_cursor of an earlier page.",
                    &json!({ "pattern": "^[0-9]{1,18}$" }),
                    "1795",
                ),
            ],
            body: None,
            answers: vec![(200, json_answer("A page.", "DeliveryList", examples::deliveries()))],
            errors: &[404],
        },
        Operation {
            method: "post",
            path: "/subscriptions/{id}/redeliver",
            id: "redeliver",
            tag: "telling",
            summary: "Tell a subscriber again.",
            description: "Of every event since a time that the subscription wants: those that were \
                          given up, those that it was told, and those from before it was made.",
            proof: Proof::Key(Scope::Operate),
            parameters: vec![subscription_id(), {
                let mut since = since("Events of this time or later.");
                since["required"] = json!(true);
                since
            }],
            body: None,
            answers: vec![(
                202,
                json_answer("It will be told.", "Redelivery", examples::redelivery()),
            )],
            errors: &[404, 409],
        },
    ]
}

fn subscription_id() -> Value {
    path(
        "id",
        "The subscription's id.",
        &json!({ "type": "string", "format": "uuid" }),
        examples::ID,
    )
}

/// What subscribers are called with.
pub(super) fn calls() -> Value {
    let call = |id: &str, summary: &str, description: &str, schema: &str, example: Value| {
        let signature = [
            ("webhook-id", "The event's id: who gets it twice knows it by that."),
            ("webhook-timestamp", "When the call was made, in seconds since 1970."),
            ("webhook-signature", "`v1,` and the signature; several, for several secrets."),
        ];
        let signature = signature.map(|(name, description)| {
            json!({
                "name": name, "in": "header", "required": true, "description": description,
                "schema": { "type": "string" },
            })
        });
        json!({ "post": {
            "operationId": id,
            "tags": ["telling"],
            "summary": summary,
            "description": description,
            "security": [],
            "parameters": signature,
            "requestBody": json_body(schema, &example),
            "responses": {
                "2XX": { "description": "The subscriber has it. Its body is not looked at." },
                "4XX": { "description": "It is told again later. After 410 nothing more is told." },
                "5XX": { "description": "It is told again later, for a day." },
            },
        } })
    };
    let mut calls = Map::new();
    for kind in EventKind::ALL {
        let (id, summary, schema) = told(kind);
        let told = call(id, summary, SIGNED, schema, examples::event(kind));
        calls.insert(kind.as_str().to_owned(), told);
    }
    let orchestrator = call(
        "tellOrchestrator",
        "Somebody texted us, in the orchestrator's form.",
        "For subscriptions with the format `orchestrator`. Told once: again only where the call \
         surely was not begun, or after 429 and 503.",
        "OrchestratorHook",
        examples::orchestrator_hook(),
    );
    calls.insert("orchestrator".to_owned(), orchestrator);
    Value::Object(calls)
}

const SIGNED: &str = "Signed as the Standard Webhooks specification says. At least once, and of one \
                      conversation in order.";

/// The id of the call, what it is about, and its schema.
fn told(kind: EventKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        EventKind::Received => ("tellReceived", "Somebody texted us.", "MessageEvent"),
        EventKind::Sent => ("tellSent", "Twilio took a text from us.", "MessageEvent"),
        EventKind::Status => (
            "tellStatus",
            "A text is delivered, undelivered or failed; with `all_statuses`, every step.",
            "MessageEvent",
        ),
        EventKind::Identified => {
            ("tellIdentified", "A conversation got a tenant, or another one.", "IdentifiedEvent")
        }
        EventKind::LanguageChanged => {
            ("tellLanguage", "A conversation is in another language.", "LanguageChangedEvent")
        }
    }
}

fn operating() -> Vec<Operation> {
    let state = &json!({ "enum": ["parked", "queued", "running", "done"] });
    vec![
        Operation {
            method: "get",
            path: "/jobs",
            id: "listJobs",
            tag: "operating",
            summary: "List jobs.",
            description: "The latest changed first. A parked one has been given up, and waits for you.",
            proof: Proof::Key(Scope::Operate),
            parameters: vec![
                filter("state", "That stand there.", state, "parked"),
                limit(),
                offset(),
            ],
            body: None,
            answers: vec![(200, json_answer("A page.", "JobList", examples::jobs()))],
            errors: &[],
        },
        Operation {
            method: "post",
            path: "/jobs/{id}/retry",
            id: "retryJob",
            tag: "operating",
            summary: "Queue a parked job again.",
            description: "But for one whose message may have been sent: that is never sent again.",
            proof: Proof::Key(Scope::Operate),
            parameters: vec![path(
                "id",
                "The job's id.",
                &json!({ "type": "string", "format": "uuid" }),
                examples::ID,
            )],
            body: None,
            answers: vec![(202, json_answer("It will run.", "JobQueued", examples::queued()))],
            errors: &[404, 409],
        },
        Operation {
            method: "get",
            path: "/metrics",
            id: "readMetrics",
            tag: "operating",
            summary: "Read what was counted.",
            description: "In Prometheus' text format.",
            proof: Proof::KeyOutsideLocal(Scope::Operate),
            parameters: vec![],
            body: None,
            answers: vec![(
                200,
                answer(
                    "The metrics.",
                    "text/plain",
                    &json!({ "type": "string" }),
                    "sms_webhooks_total 1",
                ),
            )],
            errors: &[],
        },
        Operation {
            method: "get",
            path: "/openapi.json",
            id: "readOpenapi",
            tag: "operating",
            summary: "Read this document.",
            description: "`/docs` shows it to people.",
            proof: Proof::Nothing,
            parameters: vec![],
            body: None,
            answers: vec![(
                200,
                answer(
                    "This document.",
                    "application/json",
                    &json!({
                        "type": "object",
                        "properties": {
                            "openapi": { "type": "string" },
                            "info": { "type": "object" },
                            "paths": { "type": "object" },
                        },
                        "required": ["openapi", "info", "paths"],
                    }),
                    json!({ "openapi": "3.1.0", "info": { "title": "SMS Foundation" }, "paths": {} }),
                ),
            )],
            errors: &[],
        },
    ]
}

fn health() -> Vec<Operation> {
    let check = |path, id, summary, description, schema, good: Value, bad: Option<Value>| {
        let mut answers = vec![(200, json_answer("It is.", schema, good))];
        answers.extend(bad.map(|bad| (503, json_answer("It is not.", schema, bad))));
        Operation {
            method: "get",
            path,
            id,
            tag: "health",
            summary,
            description,
            proof: Proof::Nothing,
            parameters: vec![],
            body: None,
            answers,
            errors: &[],
        }
    };
    vec![
        check(
            "/health",
            "readHealth",
            "Whether the service works.",
            "200: it does. 503: the database is down. What else it needs may be degraded.",
            "Health",
            examples::health(true),
            Some(examples::health(false)),
        ),
        check(
            "/health/live",
            "readLiveness",
            "Whether the process answers.",
            "Where it does not, restart it.",
            "Alive",
            json!({ "ok": true }),
            None,
        ),
        check(
            "/health/ready",
            "readReadiness",
            "Whether requests may come.",
            "Not before the tables are up to date, nor while the service stops.",
            "Alive",
            json!({ "ok": true }),
            Some(json!({ "ok": false })),
        ),
    ]
}

fn webhooks() -> Vec<Operation> {
    let twiml = json!({ "type": "string" });
    vec![
        Operation {
            method: "post",
            path: "/webhook/twilio/sms",
            id: "receiveText",
            tag: "webhooks",
            summary: "Somebody texted us.",
            description: "200 means that it is stored. A repetition changes nothing.",
            proof: Proof::Signature,
            parameters: vec![],
            body: Some(form_body("InboundWebhook", &examples::inbound_webhook())),
            answers: vec![(
                200,
                answer("It is stored.", "text/xml", &twiml, "<Response></Response>"),
            )],
            errors: &[400, 408, 413, 415],
        },
        Operation {
            method: "post",
            path: "/webhook/twilio/status",
            id: "receiveStatus",
            tag: "webhooks",
            summary: "A message got further.",
            description: "Any order and any repetition of the same reports ends the same.",
            proof: Proof::Signature,
            parameters: vec![query(
                "message_id",
                "Our id of the message, which we gave Twilio with it.",
                &json!({ "type": "string", "format": "uuid" }),
                examples::ID,
            )],
            body: Some(form_body("StatusWebhook", &examples::status_webhook())),
            answers: vec![(204, json!({ "description": "It is stored, or not ours." }))],
            errors: &[400, 408, 413, 415],
        },
    ]
}

impl Operation {
    /// The endpoint as the document has it.
    pub(super) fn describe(&self) -> Value {
        let mut described = json!({
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "description": self.proof.describe(self.description),
            "security": self.proof.security(),
            "responses": self.responses(),
        });
        if !self.parameters.is_empty() {
            described["parameters"] = json!(self.parameters);
        }
        if let Some(body) = &self.body {
            described["requestBody"] = body.clone();
        }
        described
    }

    fn responses(&self) -> Value {
        let given =
            self.answers.iter().map(|(status, answer)| (status.to_string(), answer.clone()));
        let errors = self.proof.errors().iter().chain(self.errors);
        let errors = errors.map(|status| {
            let reference = format!("#/components/responses/{}", name_of(*status));
            (status.to_string(), json!({ "$ref": reference }))
        });
        Value::Object(errors.chain(given).collect())
    }
}

impl Proof {
    fn describe(self, description: &str) -> String {
        match self {
            Self::Key(scope) => format!("{description}\n\nScope: `{}`.", scope.as_str()),
            Self::KeyOutsideLocal(scope) => {
                format!("{description}\n\nScope: `{}`; open in `local`.", scope.as_str())
            }
            Self::Nothing | Self::Signature => description.to_owned(),
        }
    }

    fn security(self) -> Value {
        match self {
            Self::Nothing => json!([]),
            Self::Key(_) => json!([{ "key": [] }]),
            Self::KeyOutsideLocal(_) => json!([{ "key": [] }, {}]),
            Self::Signature => json!([{ "signature": [] }]),
        }
    }

    /// What can go wrong whatever is asked for.
    fn errors(self) -> &'static [u16] {
        match self {
            Self::Nothing => &[400],
            Self::Key(_) | Self::KeyOutsideLocal(_) => &[400, 401, 403, 429, 500, 503],
            Self::Signature => &[403, 500, 503],
        }
    }
}

/// The errors, by the name of their status.
pub(super) fn errors() -> Value {
    let mut errors = Map::new();
    for (status, description, code, message, details) in examples::errors() {
        let example = examples::error(code, message, details);
        let mut error = json_answer(description, "Error", example);
        match status {
            401 => error["headers"]["WWW-Authenticate"] = text_header("What to send."),
            429 | 503 => error["headers"]["Retry-After"] = text_header("After so many seconds."),
            _ => {}
        }
        errors.insert(name_of(status).to_owned(), error);
    }
    Value::Object(errors)
}

fn name_of(status: u16) -> &'static str {
    match status {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        408 => "SlowBody",
        409 => "Conflict",
        412 => "Outdated",
        413 => "TooLarge",
        415 => "UnsupportedMediaType",
        422 => "Refused",
        429 => "TooManyRequests",
        502 => "NotSent",
        503 => "Unavailable",
        _ => "Internal",
    }
}

fn answer(description: &str, media: &str, schema: &Value, example: impl Into<Value>) -> Value {
    let example: Value = example.into();
    json!({
        "description": description,
        "content": { media: { "schema": schema, "example": example } },
    })
}

fn json_answer(description: &str, schema: &str, example: Value) -> Value {
    answer(description, "application/json", &reference(schema), example)
}

fn with_etag(mut answer: Value) -> Value {
    answer["headers"]["ETag"] =
        text_header("The version of workflow_type and workflow_id, for If-Match.");
    answer
}

fn text_header(description: &str) -> Value {
    json!({ "description": description, "schema": { "type": "string" } })
}

fn json_body(schema: &str, example: &Value) -> Value {
    body("application/json", schema, example)
}

fn form_body(schema: &str, example: &Value) -> Value {
    body("application/x-www-form-urlencoded", schema, example)
}

fn body(media: &str, schema: &str, example: &Value) -> Value {
    json!({
        "required": true,
        "content": { media: { "schema": reference(schema), "example": example } },
    })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn conversation_key() -> Value {
    path(
        "number_or_id",
        "The number, however it is written (`+18605550199`, `(860) 555-0199`), or the \
         conversation's id.",
        &json!({ "type": "string", "minLength": 1 }),
        "+18605550199",
    )
}

fn message_key() -> Value {
    path(
        "id_or_sid",
        "Our id of the message, or Twilio's.",
        &json!({ "type": "string", "pattern": "^[0-9A-Za-z-]{1,64}$" }),
        examples::ID,
    )
}

fn limit() -> Value {
    filter_number("limit", "How many, at most.", 1, 100, 20)
}

fn offset() -> Value {
    filter_number("offset", "How many are passed over.", 0, MAX_OFFSET, 0)
}

fn order() -> Value {
    filter(
        "order",
        "Newest first, or oldest first.",
        &json!({ "enum": ["asc", "desc"], "default": "desc" }),
        "desc",
    )
}

fn since(description: &str) -> Value {
    let schema = json!({ "type": "string", "format": "date-time" });
    query("since", description, &schema, "2026-11-22T09:30:00Z")
}

fn cursor(pattern: &str, description: &str) -> Value {
    filter(
        "cursor",
        description,
        &json!({ "pattern": pattern }),
        "1795340000000001_0195f2a07c1e70008000000000000001",
    )
}

fn filter(name: &str, description: &str, schema: &Value, example: &str) -> Value {
    let mut schema = schema.clone();
    schema["type"] = json!("string");
    query(name, description, &schema, example)
}

fn filter_number(name: &str, description: &str, least: u32, most: u32, default: u32) -> Value {
    let schema =
        json!({ "type": "integer", "minimum": least, "maximum": most, "default": default });
    query(name, description, &schema, default)
}

fn query(name: &str, description: &str, schema: &Value, example: impl Into<Value>) -> Value {
    let example: Value = example.into();
    json!({
        "name": name, "in": "query", "description": description, "schema": schema,
        "example": example,
    })
}

fn header(name: &str, description: &str, schema: &Value, example: &str) -> Value {
    json!({
        "name": name, "in": "header", "description": description, "schema": schema,
        "example": example,
    })
}

fn path(name: &str, description: &str, schema: &Value, example: &str) -> Value {
    json!({
        "name": name, "in": "path", "required": true, "description": description,
        "schema": schema, "example": example,
    })
}
