//! The parts of the service, made from its settings and wired together.

use std::sync::Arc;

use adapter_http::{EventTail, Health, Limits, Probe, Services, Traffic};
use adapter_language::NgramDetector;
use adapter_monitor::{MonitorClient, MonitorSettings, ProfileClient, ProfileSettings};
use adapter_twilio::{ClientSettings, GateSettings, TwilioClient, TwilioGate};
use anyhow::Context;
use domain::backfill::{Backfill, BackfillPorts};
use domain::backlog::Backlog;
use domain::error::causes;
use domain::identify::{Identify, IdentifyPorts, LookupRules};
use domain::inbox::Inbox;
use domain::notify::{Feed, HookPorts, Hooks, Subscriptions};
use domain::outbox::{Outbox, OutboxPorts, SendRules};
use domain::ports::{Archive, HookSender, IdSource, Provider, TenantDirectory, TenantProfiles};
use domain::receipts::Receipts;
use domain::senders::Senders;
use domain::threads::Threads;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::config::{Settings, TenantSettings};
use crate::database::{Database, Stores};
use crate::hurry::Hurried;
use crate::metered::{MeteredDirectory, MeteredProfiles, MeteredProvider};
use crate::ports::{Dice, TokioTimer, UuidV7};
use crate::worker::{Crew, CrewSettings, News, WorkTools, WorkerSettings};

/// How many lookups run at once.
const LOOKUPS: usize = 8;
/// A lookup asks for four spellings: it has the lease of so many jobs.
const LOOKUP_LEASES: u32 = 4;

/// Twilio's API, as a process sees it that may have to stop.
pub(crate) type Twilio = Arc<Hurried<TwilioClient>>;

/// What runs: the HTTP side, and the worker behind it.
pub(crate) struct Parts {
    pub(crate) services: Services,
    pub(crate) crew: Crew,
}

impl Parts {
    /// Makes them from the settings; nothing runs yet. `hurry` cuts calls to Twilio short.
    pub(crate) fn make(
        settings: &Settings,
        database: &Database,
        hurry: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let stores = database.stores().metered();
        let clock = stores.clock.clone();
        let ids: Arc<dyn IdSource> = Arc::new(UuidV7);
        let twilio = twilio(settings, hurry)?.map(|twilio| Arc::new(MeteredProvider::new(twilio)));
        let outbox = twilio.clone().and_then(|twilio| outbox(settings, &stores, twilio));
        let backfill = twilio.and_then(|twilio| backfill(settings, &stores, twilio));
        let identify = identify(settings, &stores)?;
        let keep = settings.sending.keep;
        let backlog = Backlog::new(stores.queue.clone(), clock.clone(), keep);
        let caller: Arc<dyn HookSender> = Arc::new(settings.hooks.client());
        let subscriptions =
            Subscriptions::new(stores.events.clone(), caller.clone(), clock.clone(), ids.clone());
        let events = EventTail::new(Feed::new(stores.events.clone()), settings.sending.job_poll);
        let tools = WorkTools {
            queue: stores.queue.clone(),
            store: stores.messages.clone(),
            outbox: outbox.clone(),
            backfill: backfill.clone(),
            identify: identify.clone(),
            backlog: backlog.clone(),
            hooks: hooks(settings, &stores, caller),
            keep_events: settings.hooks.keep_events,
            keep_deliveries: settings.hooks.keep_deliveries,
            news: News::new(events.clone()),
            clock: clock.clone(),
            chance: Arc::new(Dice),
        };
        let crew = Crew::new(tools, crew_settings(settings), &Handle::current(), hurry);
        let threads = threads(settings, &stores);
        let (inbox, receipts) = (inbox(settings, &stores), receipts(&stores));
        let store = stores.messages;
        let prefixes = settings.public_urls.prefixes();
        let services = Services {
            gate: Arc::new(gate(settings)),
            webhook_prefixes: prefixes.into_iter().map(str::to_owned).collect(),
            inbox,
            receipts,
            backfill,
            threads,
            subscriptions,
            events,
            outbox: outbox.clone(),
            backlog,
            dispatcher: Arc::new(crew.clone()),
            send_wait: settings.sending.wait,
            access: settings.access.clone(),
            limits: Limits::new(settings.limits),
            cors: settings.cors.clone(),
            health: Health::with_outside(
                settings.version.clone(),
                store,
                clock.clone(),
                outbox.map(twilio_probe),
                identify.has_directory().then(|| monitor_probe(identify)),
            ),
            traffic: Traffic::default(),
            clock,
            ids,
        };
        Ok(Self { services, crew })
    }
}

fn hooks(settings: &Settings, stores: &Stores, sender: Arc<dyn HookSender>) -> Hooks {
    let ports = HookPorts {
        store: stores.events.clone(),
        sender,
        clock: stores.clock.clone(),
        chance: Arc::new(Dice),
    };
    Hooks::new(ports, settings.hooks.rules)
}

fn gate(settings: &Settings) -> TwilioGate {
    TwilioGate::new(GateSettings {
        auth_token: settings.twilio.auth_token.clone().unwrap_or_default(),
        auth_token_secondary: settings.twilio.auth_token_secondary.clone(),
        account_sid: settings.twilio.account_sid.clone(),
        public_urls: settings.public_urls.clone(),
        region: settings.region,
    })
}

/// None where the settings that an account needs are not given.
pub(crate) fn twilio(
    settings: &Settings,
    hurry: &CancellationToken,
) -> anyhow::Result<Option<Twilio>> {
    let (Some(account_sid), Some(auth_token)) =
        (&settings.twilio.account_sid, &settings.twilio.auth_token)
    else {
        return Ok(None);
    };
    let sending = &settings.sending;
    let client = TwilioClient::new(&ClientSettings {
        account_sid: account_sid.clone(),
        auth_token: auth_token.clone(),
        api_url: sending.api_url.clone(),
        public_urls: settings.public_urls.clone(),
        connect_timeout: sending.connect_timeout,
        timeout: sending.timeout,
    })?;
    Ok(Some(Arc::new(Hurried { provider: Arc::new(client), hurry: hurry.clone() })))
}

fn inbox(settings: &Settings, stores: &Stores) -> Inbox {
    Inbox::new(
        stores.messages.clone(),
        Arc::new(NgramDetector),
        stores.clock.clone(),
        Arc::new(UuidV7),
        settings.tenants.lookup_ages(),
    )
}

fn receipts(stores: &Stores) -> Receipts {
    Receipts::new(stores.messages.clone(), stores.clock.clone(), Arc::new(UuidV7))
}

/// None where no number is given whose texts could be missed.
pub(crate) fn backfill(
    settings: &Settings,
    stores: &Stores,
    archive: Arc<dyn Archive>,
) -> Option<Backfill> {
    let senders = settings.sending.senders.clone();
    let ports = BackfillPorts {
        store: stores.lists.clone(),
        history: stores.history.clone(),
        archive,
        inbox: inbox(settings, stores),
        receipts: receipts(stores),
        clock: stores.clock.clone(),
        timer: Arc::new(TokioTimer),
        ids: Arc::new(UuidV7),
        chance: Arc::new(Dice),
    };
    (!senders.is_empty()).then(|| Backfill::new(ports, settings.backfill, senders))
}

/// None where there is no number to send from.
fn outbox(settings: &Settings, stores: &Stores, provider: Arc<dyn Provider>) -> Option<Outbox> {
    let sending = &settings.sending;
    if sending.senders.is_empty() {
        return None;
    }
    let ports = OutboxPorts {
        store: stores.outbound.clone(),
        queue: stores.queue.clone(),
        provider,
        clock: stores.clock.clone(),
        timer: Arc::new(TokioTimer),
        ids: Arc::new(UuidV7),
        chance: Arc::new(Dice),
    };
    let rules = SendRules {
        region: settings.region,
        expiry: sending.expiry,
        quiet_period: sending.quiet_period,
        backoff: sending.backoff,
        max_retries: sending.max_retries,
        lease: sending.job_lease,
        keep_keys: sending.keep.idempotency_keys,
        lookup_ages: settings.tenants.lookup_ages(),
        pacing: Some(sending.pacing),
    };
    let senders = Senders::new(sending.senders.clone(), settings.region);
    Some(Outbox::new(ports, rules, senders))
}

fn identify(settings: &Settings, stores: &Stores) -> anyhow::Result<Identify> {
    let tenants = &settings.tenants;
    let ports = IdentifyPorts {
        messages: stores.messages.clone(),
        conversations: stores.conversations.clone(),
        queue: stores.queue.clone(),
        directory: directory(tenants)?,
        profiles: profiles(tenants)?,
        clock: stores.clock.clone(),
        ids: Arc::new(UuidV7),
        chance: Arc::new(Dice),
    };
    let rules = LookupRules { region: settings.region, unknown_for: tenants.ages.nobody };
    Ok(Identify::new(ports, rules))
}

fn directory(tenants: &TenantSettings) -> anyhow::Result<Option<Arc<dyn TenantDirectory>>> {
    let Some(base_url) = &tenants.monitor else {
        return Ok(None);
    };
    let client = MonitorClient::new(&MonitorSettings {
        lookup_path: tenants.lookup_path.clone(),
        api_key: tenants.api_key.clone(),
        ..MonitorSettings::new(base_url.clone())
    });
    let client = client.context("MONITOR_API_URL, MONITOR_API_KEY")?;
    Ok(Some(Arc::new(MeteredDirectory::new(Arc::new(client)))))
}

fn profiles(tenants: &TenantSettings) -> anyhow::Result<Option<Arc<dyn TenantProfiles>>> {
    let Some(base_url) = &tenants.profiles else {
        return Ok(None);
    };
    let client = ProfileClient::new(&ProfileSettings {
        api_key: tenants.profile_key(),
        ..ProfileSettings::new(base_url.clone())
    });
    let client = client.context("TENANT_PROFILE_API_URL, TENANT_PROFILE_API_KEY")?;
    Ok(Some(Arc::new(MeteredProfiles::new(Arc::new(client)))))
}

fn threads(settings: &Settings, stores: &Stores) -> Threads {
    Threads::on(
        stores.messages.clone(),
        stores.outbound.clone(),
        stores.conversations.clone(),
        stores.clock.clone(),
        settings.region,
    )
}

fn crew_settings(settings: &Settings) -> CrewSettings {
    let sends = WorkerSettings {
        concurrency: settings.sending.job_concurrency,
        lease: settings.sending.job_lease,
        poll: settings.sending.job_poll,
    };
    let tenants = WorkerSettings {
        concurrency: LOOKUPS,
        lease: sends.lease.saturating_mul(LOOKUP_LEASES),
        ..sends
    };
    CrewSettings { sends, tenants }
}

fn twilio_probe(outbox: Outbox) -> Probe {
    Arc::new(move || {
        let outbox = outbox.clone();
        Box::pin(async move { works("twilio", &outbox.check_provider().await) })
    })
}

fn monitor_probe(identify: Identify) -> Probe {
    Arc::new(move || {
        let identify = identify.clone();
        Box::pin(async move { works("monitor", &identify.check_directory().await) })
    })
}

fn works(service: &'static str, answer: &Result<(), impl std::error::Error + 'static>) -> bool {
    if let Err(error) = answer {
        tracing::warn!(service, error = causes(error), "does not work");
    }
    answer.is_ok()
}
