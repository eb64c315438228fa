//! The whole service: made from its settings, run until it is told to stop.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, middleware, web};
use adapter_http::{Access, ApiError, Health, Scope, Services, configure, envelope, get};
use anyhow::Context;
use domain::phone::Region;
use socket2::SockRef;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{Environment, Settings};
use crate::database::{Database, MigrationFailure};
use crate::descriptors;
use crate::listener::Door;
use crate::metered::{Watch, measure_database, measure_process};
use crate::parts::Parts;
use crate::telemetry::Telemetry;

/// What is left of the time to stop when calls to Twilio are cut short, to record that.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// What is left of it when the last of the telemetry is sent.
const FAREWELL: Duration = Duration::from_secs(1);
/// For so long no request must have run before the process ends: what was answered is on its way then,
/// and who kept a connection has seen that it is closed.
const QUIET: Duration = Duration::from_millis(250);
/// Longer than load balancers keep a connection to us (Google's: 600 s): it is theirs to close. Closed
/// by us, it might be just then that they send a request.
const KEEP_ALIVE: Duration = Duration::from_secs(620);
/// So many connections may wait to be taken, or as many as the system allows (`net.core.somaxconn`). A
/// burst overflows the usual 128, and whoever is dropped there knocks again after a second.
const BACKLOG: i32 = 4096;
/// How long to wait before asking a database again that did not answer at start.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Runs the service until SIGTERM or Ctrl-C.
pub(crate) async fn serve(settings: Settings, telemetry: Telemetry) -> anyhow::Result<()> {
    warn_of_dangers(&settings);
    warm_up(&settings);
    measure_process();
    let database = Database::open(&settings.database)?;
    measure_database(&database);
    let listener = listen(&settings)?;
    let mut stop_signal = StopSignal::listen()?;
    let prepared = tokio::select! {
        prepared = prepare(&database, &settings) => prepared?,
        () = stop_signal.received() => return Ok(()),
    };
    let hurry = CancellationToken::new();
    let parts = Parts::make(&settings, &database, &hurry)?;
    announce(&settings, listener.local_addr()?);
    let door = Door::of(&listener)?;
    let server = start(listener, &parts.services, telemetry.clone(), &settings)?;
    let (handle, running) = (server.handle(), tokio::spawn(server));
    let stores = database.stores();
    let watch = Watch::new(stores.surveyor, stores.clock);

    tokio::select! {
        ended = work(&database, prepared, &parts, &watch, &settings) => ended?,
        ended = running => ended?.context("the HTTP server failed")?,
        () = stop_signal.received() => {}
    }
    stop(&parts, &handle, door, &hurry, &settings).await;
    telemetry.flush(FAREWELL.min(settings.shutdown_grace / 8)).await;
    Ok(())
}

/// Brings the tables up to date and stops.
pub(crate) async fn migrate(settings: &Settings) -> anyhow::Result<()> {
    let database = Database::open(&settings.database)?;
    report_migrations(&database.migrate().await.map_err(MigrationFailure::into_error)?);
    Ok(())
}

/// Brings the tables up to date where that is wanted, and sets the clock; `false` where the database does
/// not answer yet. What is wrong with the way there is an error, and explains the rest.
async fn prepare(database: &Database, settings: &Settings) -> anyhow::Result<bool> {
    let up_to_date = async {
        let is_migrated = !settings.migrate_on_start || migrated(database).await?;
        Ok(is_migrated && database.set_clock().await)
    };
    // Side by side, because both wait for the database.
    let (way, up_to_date): (_, anyhow::Result<bool>) =
        tokio::join!(database.check_way(), up_to_date);
    way?;
    up_to_date
}

fn listen(settings: &Settings) -> anyhow::Result<TcpListener> {
    let address = (settings.host.as_str(), settings.port);
    let listener = TcpListener::bind(address).with_context(|| {
        format!("cannot listen on HOST={} PORT={}", settings.host, settings.port)
    })?;
    SockRef::from(&listener).listen(BACKLOG).context("cannot listen")?;
    Ok(listener)
}

fn start(
    listener: TcpListener,
    services: &Services,
    telemetry: Telemetry,
    settings: &Settings,
) -> anyhow::Result<Server> {
    let metrics = Metrics { telemetry, open: settings.environment == Environment::Local };
    let services = services.clone();
    let grace = settings.shutdown_grace.as_secs().max(1);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(metrics.clone()))
            .service(get("/metrics", web::get().to(metrics_page)))
            .wrap(middleware::from_fn(envelope))
            .configure(|config| configure(config, &services))
    });
    let server = server
        .on_connect(adapter_http::on_connect)
        .max_connections(descriptors::connections_for_each_thread())
        .keep_alive(KEEP_ALIVE)
        .disable_signals()
        .shutdown_timeout(grace)
        .listen(listener)
        .context("cannot listen")?;
    Ok(server.run())
}

/// What `/metrics` shows.
#[derive(Clone)]
struct Metrics {
    telemetry: Telemetry,
    /// Whether anybody may see it.
    open: bool,
}

async fn metrics_page(
    metrics: web::Data<Metrics>,
    services: web::Data<Services>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    if !metrics.open {
        services.allow(&request, Scope::Operate)?;
    }
    let page = metrics.telemetry.page().map_err(|error| ApiError::Internal(error.into()))?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(page))
}

/// Lets requests come and the worker work once the tables are up to date; until then requests are
/// answered 503. Comes back only for a failure that waiting does not mend.
async fn work(
    database: &Database,
    prepared: bool,
    parts: &Parts,
    watch: &Watch,
    settings: &Settings,
) -> anyhow::Result<()> {
    make_ready(database, prepared, &parts.services.health, settings).await?;
    tokio::join!(
        parts.crew.run(),
        parts.services.events.run(),
        configure_hooks(parts, settings),
        watch.run(settings.survey_interval),
    );
    std::future::pending().await
}

/// Makes the subscriptions be as the configuration says; tries until the store answers.
async fn configure_hooks(parts: &Parts, settings: &Settings) {
    let Some(drafts) = &settings.hooks.subscriptions else {
        return;
    };
    while let Err(error) = parts.services.subscriptions.reconcile(drafts.clone()).await {
        tracing::error!(error = format!("{:#}", anyhow::Error::from(error)), "not subscribed");
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Until the database is prepared.
async fn make_ready(
    database: &Database,
    prepared: bool,
    health: &Health,
    settings: &Settings,
) -> anyhow::Result<()> {
    let mut ready = prepared;
    while !ready {
        tokio::time::sleep(RETRY_PAUSE).await;
        ready = prepare(database, settings).await?;
    }
    health.set_ready(true);
    tracing::info!("ready");
    Ok(())
}

/// Brings the tables up to date; `false` where the database does not answer yet.
async fn migrated(database: &Database) -> anyhow::Result<bool> {
    match database.migrate().await {
        Ok(applied) => {
            report_migrations(&applied);
            Ok(true)
        }
        Err(MigrationFailure::Later(error)) => {
            tracing::error!(error = format!("{error:#}"), "the database does not answer yet");
            Ok(false)
        }
        Err(failure @ MigrationFailure::Never(_)) => Err(failure.into_error()),
    }
}

fn report_migrations(applied: &[String]) {
    for migration in applied {
        tracing::info!(migration, "applied");
    }
    if applied.is_empty() {
        tracing::info!("the tables are up to date");
    }
}

/// Abroad most numbers need the metadata of all countries: 0.1 s that the first text need not
/// wait for. In North America hardly any does, and they would take 5 MiB for nothing.
fn warm_up(settings: &Settings) {
    if settings.region != Region::default() {
        std::thread::spawn(domain::phone::warm_up);
    }
}

fn announce(settings: &Settings, address: SocketAddr) {
    tracing::info!(
        %address,
        environment = %settings.environment,
        version = settings.version,
        public_url = settings.public_urls.canonical(),
        "listening"
    );
}

fn warn_of_dangers(settings: &Settings) {
    for warning in &settings.warnings {
        tracing::warn!(warning, "is a setting misspelt?");
    }
    if settings.twilio.auth_token.is_none() && settings.twilio.auth_token_secondary.is_none() {
        tracing::warn!("TWILIO_AUTH_TOKEN is not set: every webhook will be refused");
    }
    if settings.twilio.account_sid.is_none() || settings.sending.senders.is_empty() {
        tracing::warn!(
            "TWILIO_ACCOUNT_SID and TWILIO_PHONE_NUMBER are needed to send: nothing is sent"
        );
    }
    match settings.access {
        Access::Open => {
            tracing::warn!("API_AUTH=off: everybody who reaches this service can read all texts");
        }
        Access::Closed => tracing::warn!(
            "no API_KEYS, and PUBLIC_BASE_URL is not this machine: the API answers nobody"
        ),
        Access::Loopback | Access::Keys(_) => {}
    }
}

/// SIGTERM and Ctrl-C. Listened to from the start: as the first process of a container nobody else would.
struct StopSignal {
    term: Signal,
    int: Signal,
}

impl StopSignal {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be listened to");
        Ok(Self { term: listen(SignalKind::terminate())?, int: listen(SignalKind::interrupt())? })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}

/// Says that it is no longer ready and goes on for a moment, so that whoever sends requests here
/// notices; then takes no more, and lets running requests and jobs finish. Calls to Twilio are cut
/// short when only [`LAST_WORDS`] of the time is left.
async fn stop(
    parts: &Parts,
    http: &ServerHandle,
    door: Door,
    hurry: &CancellationToken,
    settings: &Settings,
) {
    let (begun, grace) = (Instant::now(), settings.shutdown_grace);
    let left = |reserve: Duration| grace.saturating_sub(begun.elapsed() + reserve);
    let farewell = FAREWELL.min(grace / 8);
    tracing::info!("stopping");
    parts.services.health.set_ready(false);
    parts.services.traffic.leave();
    tokio::time::sleep(settings.shutdown_delay.min(grace / 2)).await;
    parts.crew.stop_claiming();
    parts.services.events.close();
    door.shut().await;
    drop(door);
    // Told now, and not waited for: connections that nobody uses stay open for long.
    drop(http.stop(true));
    let finished = async {
        tokio::join!(parts.services.traffic.quiet(QUIET), parts.crew.finished());
    };
    tokio::pin!(finished);
    let patience = left(farewell + LAST_WORDS.min(grace / 2));
    if tokio::time::timeout(patience, &mut finished).await.is_err() {
        tracing::warn!("calls to Twilio are cut short: what they came to is not known");
        hurry.cancel();
        if tokio::time::timeout(left(farewell), finished).await.is_err() {
            tracing::warn!("some requests or jobs did not finish in time");
        }
    }
    tracing::info!("stopped");
}
