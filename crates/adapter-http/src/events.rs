//! `GET /events`: everything that happens, as server-sent events (HTML standard, section 9.2).

use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::conversation::ConversationId;
use domain::error::{Invalid, causes};
use domain::event::{Event, EventCursor, EventFilter, EventKind};
use domain::message::Direction;
use domain::tenant::TenantId;
use domain::text::Text;
use futures_util::stream;
use tokio::time::Instant;

use crate::access::Scope;
use crate::parameters::Parameters;
use crate::tail::Listener;
use crate::views::EventBody;
use crate::{ApiError, Services};

/// So often something is sent: proxies close what rests, and who has left is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// After so long a browser comes back, in milliseconds.
const RETRY_MILLIS: u32 = 2000;
/// So many events are in the memory of one listener at most.
const PAGE: u32 = 64;

pub(crate) const PARAMETERS: &[&str] =
    &["types", "conversation_id", "phone", "tenant_id", "direction", "last_event_id"];

/// A comment, for whoever looks why something is missing.
const AHEAD: &str = ": the id that was given is ahead of this stream, which begins now\n";

const CURSOR: &str = "must be the id of an event of this stream";

/// An event as it is told: JSON in one line.
#[must_use]
pub fn spell_event(event: &Event) -> String {
    // Strings and numbers: there is nothing in it that JSON cannot hold.
    serde_json::to_string(&EventBody::new(event)).unwrap_or_default()
}

/// Everything that happens from now on, or from behind the event that the caller saw last.
#[tracing::instrument(name = "http.events", skip_all)]
pub(crate) async fn read(
    services: web::Data<Services>,
    request: HttpRequest,
    parameters: web::Query<Parameters>,
) -> Result<HttpResponse, ApiError> {
    services.allow(&request, Scope::Read)?;
    parameters.expect(PARAMETERS)?;
    let filter = filter_of(&services, &parameters)?;
    let seen = last_seen(&request, &parameters)?;
    let too_many = || ApiError::Unavailable("too many listen to this process".into());
    let listener = services.events.listen().ok_or_else(too_many)?;
    let now = services.events.now().await?;
    // Ahead of the stream: the database was restored, and until it gets there again nothing would come.
    let is_ahead = seen.is_some_and(|seen| seen > now);
    let cursor = seen.map_or(now, |seen| seen.min(now));
    let greeting = Some(greet(cursor, is_ahead));
    let told = Told { listener, cursor, filter, greeting, silent_since: Instant::now() };
    let pieces = stream::unfold(told, |mut told| async {
        let piece = told.next().await?;
        told.silent_since = Instant::now();
        Some((Ok::<_, actix_web::Error>(web::Bytes::from(piece)), told))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store, no-transform"))
        // nginx would wait for more.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(pieces))
}

/// The id without data is remembered, and nothing is told.
fn greet(cursor: EventCursor, is_ahead: bool) -> String {
    let restored = if is_ahead { AHEAD } else { "" };
    format!("{restored}retry: {RETRY_MILLIS}\nid: {cursor}\n\n")
}

/// Somebody who listens, and how far they have been told.
struct Told {
    listener: Listener,
    cursor: EventCursor,
    filter: EventFilter,
    /// What is said first, until it is said.
    greeting: Option<String>,
    silent_since: Instant,
}

impl Told {
    /// The next piece of the answer; `None` where it ends, and the caller comes back by itself.
    async fn next(&mut self) -> Option<String> {
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting);
        }
        loop {
            if self.listener.is_closed() {
                return None;
            }
            let events = self.listener.behind(self.cursor, PAGE).await;
            let events = events.inspect_err(|error| {
                tracing::warn!(error = causes(error), "a stream breaks off");
            });
            let events = events.ok()?;
            let Some(last) = events.last() else {
                let rest = HEARTBEAT.saturating_sub(self.silent_since.elapsed());
                if self.listener.wait(rest).await {
                    continue;
                }
                return Some(self.still_here());
            };
            self.cursor = last.cursor;
            let wanted = events.iter().filter(|event| self.filter.passes(event));
            let frames: String = wanted.map(|event| frame(event)).collect();
            if !frames.is_empty() {
                return Some(frames);
            }
            // However much happens that this listener does not want.
            if self.silent_since.elapsed() >= HEARTBEAT {
                return Some(self.still_here());
            }
        }
    }

    fn still_here(&self) -> String {
        format!(": still here\nid: {}\n\n", self.cursor)
    }
}

fn frame(event: &Event) -> String {
    let (id, kind, data) = (event.cursor, event.kind.as_str(), spell_event(event));
    format!("id: {id}\nevent: {kind}\ndata: {data}\n\n")
}

/// The event that the caller saw last: a browser that comes back sends the header, who cannot set
/// one gives the parameter.
fn last_seen(
    request: &HttpRequest,
    parameters: &Parameters,
) -> Result<Option<EventCursor>, Invalid> {
    let wrong = || Invalid { field: "Last-Event-ID", reason: CURSOR.into() };
    if let Some(header) = request.headers().get("last-event-id").filter(|id| !id.is_empty()) {
        let cursor = header.to_str().ok().and_then(|text| text.trim().parse().ok());
        return cursor.map(Some).ok_or_else(wrong);
    }
    parameters.read("last_event_id", |text| text.parse().ok(), CURSOR)
}

fn filter_of(services: &Services, parameters: &Parameters) -> Result<EventFilter, Invalid> {
    let kinds = |text: &str| text.split(',').map(str::trim).map(EventKind::from_word).collect();
    let address = |text: &str| Some(services.threads.canonical(text));
    let phone: Option<Text> = parameters.read("phone", address, "must be a number")?;
    Ok(EventFilter {
        kinds: parameters
            .read(
                "types",
                kinds,
                "must be event types such as message.received, separated by commas",
            )?
            .unwrap_or_default(),
        conversation: parameters.read(
            "conversation_id",
            ConversationId::parse,
            "must be a conversation id (UUID)",
        )?,
        phone_number_canonical: phone,
        tenant: parameters.read(
            "tenant_id",
            |text| TenantId::parse(text).ok(),
            "must be 1 to 64 letters, digits, '-' or '_'",
        )?,
        direction: parameters.read(
            "direction",
            Direction::from_word,
            "must be inbound or outbound",
        )?,
    })
}
