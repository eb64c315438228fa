//! The whole service: made from its settings, run until it is told to stop.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, middleware, web};
use adapter_http::{Access, ApiError, Health, Scope, Services, configure, envelope};
use adapter_language::NgramDetector;
use adapter_twilio::{GateSettings, TwilioGate};
use anyhow::Context;
use domain::inbox::Inbox;
use domain::phone::Region;
use domain::ports::{Clock, IdSource};
use domain::receipts::Receipts;
use domain::threads::Threads;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Environment, Settings};
use crate::database::{Database, MigrationFailure};
use crate::ports::{SystemClock, UuidV7};
use crate::telemetry::Metrics;

/// How long to wait before asking a database again that did not answer at start.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Runs the service until SIGTERM or Ctrl-C.
pub(crate) async fn serve(settings: Settings) -> anyhow::Result<()> {
    warn_of_dangers(&settings);
    warm_up(&settings);
    let metrics = Metrics::start()?;
    let database = Database::open(&settings.database)?;
    let listener = listen(&settings)?;
    let migrated = !settings.migrate_on_start || migrated(&database).await?;
    let services = services(&settings, &database);
    announce(&settings, listener.local_addr()?);
    let server = start(listener, &services, metrics, &settings)?;
    let (handle, running) = (server.handle(), tokio::spawn(server));

    tokio::select! {
        ready = make_ready(&database, migrated, &services.health) => {
            ready?;
            told_to_stop().await;
        }
        () = told_to_stop() => {}
    }
    stop(&services.health, &handle, settings.shutdown_grace).await;
    running.await?.context("the HTTP server failed")
}

/// Brings the tables up to date and stops.
pub(crate) async fn migrate(settings: &Settings) -> anyhow::Result<()> {
    let database = Database::open(&settings.database)?;
    report_migrations(&database.migrate().await.map_err(MigrationFailure::into_error)?);
    Ok(())
}

fn services(settings: &Settings, database: &Database) -> Services {
    let store = database.store();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdSource> = Arc::new(UuidV7);
    let detector = Arc::new(NgramDetector);
    let gate = TwilioGate::new(GateSettings {
        auth_token: settings.twilio.auth_token.clone().unwrap_or_default(),
        auth_token_secondary: settings.twilio.auth_token_secondary.clone(),
        account_sid: settings.twilio.account_sid.clone(),
        public_urls: settings.public_urls.clone(),
        region: settings.region,
    });
    let prefixes = settings.public_urls.prefixes();
    Services {
        gate: Arc::new(gate),
        webhook_prefixes: prefixes.into_iter().map(str::to_owned).collect(),
        inbox: Inbox::new(store.clone(), detector, clock.clone(), ids.clone()),
        receipts: Receipts::new(store.clone(), clock.clone(), ids.clone()),
        threads: Threads::new(store.clone(), settings.region),
        access: settings.access.clone(),
        health: Health::new(settings.version.clone(), store, clock.clone()),
        clock,
        ids,
    }
}

fn listen(settings: &Settings) -> anyhow::Result<TcpListener> {
    let address = (settings.host.as_str(), settings.port);
    TcpListener::bind(address)
        .with_context(|| format!("cannot listen on HOST={} PORT={}", settings.host, settings.port))
}

fn start(
    listener: TcpListener,
    services: &Services,
    metrics: Metrics,
    settings: &Settings,
) -> anyhow::Result<Server> {
    let services = services.clone();
    let grace = settings.shutdown_grace.as_secs().max(1);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(metrics.clone()))
            .route("/metrics", web::get().to(metrics_page))
            .wrap(middleware::from_fn(envelope))
            .configure(|config| configure(config, &services))
    });
    let server = server
        .disable_signals()
        .shutdown_timeout(grace)
        .listen(listener)
        .context("cannot listen")?;
    Ok(server.run())
}

async fn metrics_page(
    metrics: web::Data<Metrics>,
    services: web::Data<Services>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    services.access.check(&request, Scope::Operate)?;
    let page = metrics.page().map_err(|error| ApiError::Internal(error.into()))?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(page))
}

/// Lets requests come once the tables are up to date. Until then they are answered 503.
async fn make_ready(database: &Database, up_to_date: bool, health: &Health) -> anyhow::Result<()> {
    let mut ready = up_to_date;
    while !ready {
        tokio::time::sleep(RETRY_PAUSE).await;
        ready = migrated(database).await?;
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
    if settings.twilio.auth_token.is_none() && settings.twilio.auth_token_secondary.is_none() {
        tracing::warn!("TWILIO_AUTH_TOKEN is not set: every webhook will be refused");
    }
    if matches!(settings.access, Access::Open) && settings.environment != Environment::Local {
        tracing::warn!("API_AUTH=off: everybody who reaches this service can read all texts");
    }
}

async fn told_to_stop() {
    let stream = |kind| signal(kind).inspect_err(|error| tracing::error!(%error, "no signals"));
    let (Ok(mut term), Ok(mut int)) =
        (stream(SignalKind::terminate()), stream(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

/// Says that it is no longer ready, lets running requests finish, and stops.
async fn stop(health: &Health, handle: &ServerHandle, grace: Duration) {
    tracing::info!("stopping");
    health.set_ready(false);
    if tokio::time::timeout(grace, handle.stop(true)).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
    tracing::info!("stopped");
}
