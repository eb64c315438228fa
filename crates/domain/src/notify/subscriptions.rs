//! Subscriptions: made, looked at, changed, taken from the configuration.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::{Error, Invalid, Thing};
use crate::event::{EventCursor, EventKind};
use crate::ports::{
    Changed, Clock, EventStore, HookQuery, HookSender, HookView, IdSource, Redelivery, StoreError,
    SubscriptionChange,
};
use crate::subscription::{
    Format, Health, HookUrl, Secrets, SigningSecret, Subscription, SubscriptionId, TenantWanted,
    Wants, WantsEdit,
};
use crate::timestamp::Timestamp;
use crate::workflow;

/// So many subscriptions there may be: each costs every event a look.
const MOST: usize = 100;
/// The longest name, in characters, and the longest URL.
const LONGEST_NAME: usize = 100;
const LONGEST_URL: usize = 2000;
/// So often a change is begun anew because somebody else was faster.
const TRIES: u32 = 10;
/// So many events are looked at in one step of telling again.
const STEP: u32 = 1000;

/// Keeps the subscriptions.
#[derive(Clone)]
pub struct Subscriptions {
    store: Arc<dyn EventStore>,
    sender: Arc<dyn HookSender>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

/// A subscription as somebody asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What people call it.
    pub name: String,
    /// Where it is told.
    pub url: HookUrl,
    /// What it wants; of no kind: all that its format can tell.
    pub wants: Wants,
    /// In which form.
    pub format: Format,
    /// What calls are signed with; `None`: one is made.
    pub secret: Option<SigningSecret>,
}

/// What somebody changes of a subscription. `None` leaves a field as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edit {
    /// What people call it.
    pub name: Option<String>,
    /// Where it is told.
    pub url: Option<HookUrl>,
    /// What it wants.
    pub wants: WantsEdit,
    /// In which form.
    pub format: Option<Format>,
    /// What calls are signed with from now on.
    pub secret: Option<SigningSecret>,
    /// Whether a new secret is to be made.
    pub renew_secret: bool,
    /// Whether it is told anything.
    pub enabled: Option<bool>,
}

/// A subscription, and its secret where that is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The subscription.
    pub subscription: Subscription,
    /// Its secret: shown this once.
    pub secret: Option<SigningSecret>,
}

impl Subscriptions {
    /// On these ports.
    #[must_use]
    pub fn new(
        store: Arc<dyn EventStore>,
        sender: Arc<dyn HookSender>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self { store, sender, clock, ids }
    }

    /// Makes a subscription: it is told of what happens from now on.
    ///
    /// # Errors
    /// [`Error::Validation`], [`Error::Refused`] where the name is taken or there are too many, and
    /// [`Error::External`].
    pub async fn create(&self, draft: Draft) -> Result<Created, Error> {
        let new = self.made_of(draft, false)?;
        if self.list().await?.len() >= MOST {
            return Err(Error::Refused("there are 100 subscriptions already: delete one"));
        }
        if !self.store.create_subscription(&new).await? {
            return Err(Error::Refused(NAME_TAKEN));
        }
        tracing::info!(subscription = new.name, id = %new.id, "subscribed");
        let secret = Some(new.secrets.current.clone());
        Ok(Created { subscription: new, secret })
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// [`Error::External`].
    pub async fn list(&self) -> Result<Vec<Subscription>, Error> {
        Ok(self.store.list_subscriptions().await?)
    }

    /// One of them.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::External`].
    pub async fn read(&self, id: SubscriptionId) -> Result<Subscription, Error> {
        let mut all = self.list().await?.into_iter();
        all.find(|known| known.id == id).ok_or(Error::NotFound(Thing::Subscription))
    }

    /// Changes one of them.
    ///
    /// # Errors
    /// As [`create`](Self::create), and [`Error::NotFound`]; [`Error::Refused`] where it stands in
    /// the configuration.
    pub async fn change(&self, id: SubscriptionId, edit: Edit) -> Result<Created, Error> {
        let secret = self.new_secret(&edit)?;
        for _ in 0..TRIES {
            let change = self.change_of(&self.read(id).await?, &edit, secret.clone())?;
            return match self.store.change_subscription(id, &change).await? {
                Changed::Done(subscription) => Ok(Created { subscription: *subscription, secret }),
                Changed::NotFound => Err(Error::NotFound(Thing::Subscription)),
                Changed::Configured => Err(Error::Refused(CONFIGURED)),
                Changed::NameTaken => Err(Error::Refused(NAME_TAKEN)),
                Changed::Outdated => continue,
            };
        }
        Err(Error::Refused("others change it all the time: try again"))
    }

    /// What an edit comes to for a subscription as it is known: not for one that was changed since.
    fn change_of(
        &self,
        known: &Subscription,
        edit: &Edit,
        secret: Option<SigningSecret>,
    ) -> Result<SubscriptionChange, Error> {
        let format = edit.format.unwrap_or(known.format);
        let wanted = edit.wants.applied(&known.wants);
        let is_other = wanted != known.wants || edit.format.is_some();
        Ok(SubscriptionChange {
            name: edit.name.as_deref().map(checked_name).transpose()?,
            url: edit.url.clone().map(|url| self.checked_url(url)).transpose()?,
            wants: is_other.then(|| checked_wants(wanted, format)).transpose()?,
            format: edit.format,
            secret,
            enabled: edit.enabled,
            configured: None,
            seen: Some(known.updated_at),
            at: self.clock.now(),
        })
    }

    /// Forgets one of them, and what it was to be told.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`] where it stands in the configuration, and
    /// [`Error::External`].
    pub async fn delete(&self, id: SubscriptionId) -> Result<(), Error> {
        let known = self.read(id).await?;
        if known.configured {
            return Err(Error::Refused(CONFIGURED));
        }
        if !self.store.delete_subscription(id).await? {
            return Err(Error::NotFound(Thing::Subscription));
        }
        tracing::info!(subscription = known.name, %id, "unsubscribed");
        Ok(())
    }

    /// What a subscriber was told or is to be told, the latest event first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::External`].
    pub async fn deliveries(&self, query: &HookQuery) -> Result<Vec<HookView>, Error> {
        self.read(query.subscription).await?;
        Ok(self.store.list_hooks(query).await?)
    }

    /// Tells a subscriber again of everything since a time; gives of how much.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`] where it is disabled, and [`Error::External`]: some
    /// is queued then, and asking again does no harm.
    pub async fn redeliver(&self, id: SubscriptionId, since: Timestamp) -> Result<u64, Error> {
        let known = self.read(id).await?;
        if !known.enabled {
            return Err(Error::Refused("it is disabled: enable it first"));
        }
        let (mut queued, mut behind) = (0, EventCursor::default());
        loop {
            let at = self.clock.now();
            let wish = Redelivery { subscription: id, since, behind, limit: STEP, at };
            let step = self.store.redeliver(&wish).await?;
            queued += step.queued;
            match step.next {
                Some(next) => behind = next,
                None => break,
            }
        }
        tracing::info!(subscription = known.name, %id, queued, "told again");
        Ok(queued)
    }

    /// Makes the subscriptions of the configuration be as it says, and forgets those that stood in
    /// it before and do no more.
    ///
    /// # Errors
    /// [`Error::Validation`] names what is wrong with the first that cannot be used;
    /// [`Error::External`].
    pub async fn reconcile(&self, drafts: Vec<Draft>) -> Result<(), Error> {
        let wanted: Vec<Subscription> =
            drafts.into_iter().map(|draft| self.made_of(draft, true)).collect::<Result<_, _>>()?;
        let names: BTreeSet<_> = wanted.iter().map(|wanted| wanted.name.clone()).collect();
        let known = self.list().await?;
        for gone in known.iter().filter(|known| known.configured && !names.contains(&known.name)) {
            self.store.delete_subscription(gone.id).await?;
            tracing::info!(subscription = gone.name, "no longer configured: unsubscribed");
        }
        for new in &wanted {
            self.install(known.iter().find(|known| known.name == new.name), new).await?;
        }
        Ok(())
    }

    /// Whether a subscription of a configuration can be used by `sender`. Needs no store, so that it is
    /// known before one is opened.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(draft: &Draft, sender: &dyn HookSender) -> Result<(), Invalid> {
        let secret = draft.secret.as_ref().ok_or_else(secret_missing)?;
        check_secret(sender, secret)?;
        checked_name(&draft.name)?;
        check_url(sender, &draft.url)?;
        checked_wants(draft.wants.clone(), draft.format).map(drop)
    }

    async fn install(
        &self,
        known: Option<&Subscription>,
        new: &Subscription,
    ) -> Result<(), StoreError> {
        let Some(known) = known else {
            // Another process that starts in the same moment may have made it.
            if self.store.create_subscription(new).await? {
                tracing::info!(subscription = new.name, "configured: subscribed");
            }
            return Ok(());
        };
        let is_as_wanted = known.configured
            && known.enabled
            && known.secrets.current == new.secrets.current
            && (&known.url, &known.wants, known.format) == (&new.url, &new.wants, new.format);
        if is_as_wanted {
            return Ok(());
        }
        let change = SubscriptionChange {
            name: None,
            url: Some(new.url.clone()),
            wants: Some(new.wants.clone()),
            format: Some(new.format),
            secret: Some(new.secrets.current.clone()),
            enabled: Some(true),
            configured: Some(true),
            seen: None,
            at: self.clock.now(),
        };
        self.store.change_subscription(known.id, &change).await?;
        tracing::info!(subscription = new.name, "configured: changed");
        Ok(())
    }

    fn made_of(&self, draft: Draft, configured: bool) -> Result<Subscription, Error> {
        let now = self.clock.now();
        let secret = match draft.secret {
            Some(secret) => self.checked_secret(secret)?,
            None if configured => return Err(secret_missing().into()),
            None => self.made_secret()?,
        };
        Ok(Subscription {
            id: SubscriptionId(self.ids.next()),
            name: checked_name(&draft.name)?,
            url: self.checked_url(draft.url)?,
            wants: checked_wants(draft.wants, draft.format)?,
            format: draft.format,
            secrets: Secrets::of(secret),
            enabled: true,
            configured,
            health: Health::default(),
            created_at: now,
            updated_at: now,
        })
    }

    fn new_secret(&self, edit: &Edit) -> Result<Option<SigningSecret>, Error> {
        match &edit.secret {
            Some(secret) => self.checked_secret(secret.clone()).map(Some),
            None if edit.renew_secret => self.made_secret().map(Some),
            None => Ok(None),
        }
    }

    fn made_secret(&self) -> Result<SigningSecret, Error> {
        self.sender.new_secret().map_err(|source| StoreError::Unavailable(source).into())
    }

    fn checked_secret(&self, secret: SigningSecret) -> Result<SigningSecret, Error> {
        check_secret(self.sender.as_ref(), &secret)?;
        Ok(secret)
    }

    fn checked_url(&self, url: HookUrl) -> Result<HookUrl, Error> {
        check_url(self.sender.as_ref(), &url)?;
        Ok(url)
    }
}

const NAME_TAKEN: &str = "another subscription has this name";
const CONFIGURED: &str = "it stands in the configuration of the service: change it there";

fn secret_missing() -> Invalid {
    invalid("secret", "must be given: whsec_ and base64")
}

fn check_secret(sender: &dyn HookSender, secret: &SigningSecret) -> Result<(), Invalid> {
    sender.check_secret(secret).map_err(|reason| invalid("secret", reason))
}

fn check_url(sender: &dyn HookSender, url: &HookUrl) -> Result<(), Invalid> {
    if url.expose().len() > LONGEST_URL {
        return Err(invalid("url", "must have at most 2000 characters"));
    }
    sender.check_url(url.expose()).map_err(|reason| invalid("url", reason))
}

fn checked_name(name: &str) -> Result<String, Invalid> {
    let name = name.trim();
    let fits =
        (1..=LONGEST_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    fits.then(|| name.to_owned())
        .ok_or_else(|| invalid("name", "must be 1 to 100 characters, without control characters"))
}

fn checked_wants(mut wants: Wants, format: Format) -> Result<Wants, Invalid> {
    let possible = format.kinds();
    if wants.kinds.is_empty() {
        wants.kinds = possible.to_vec();
    }
    wants.kinds.sort_unstable();
    wants.kinds.dedup();
    if !wants.kinds.iter().all(|kind: &EventKind| possible.contains(kind)) {
        return Err(invalid("events", "the orchestrator format tells message.received only"));
    }
    // As a conversation's is kept, so that they can be the same.
    let workflow = wants.workflow_type.as_deref().map(|name| workflow::name("workflow_type", name));
    wants.workflow_type = workflow.transpose()?.flatten();
    // Who the tenant is comes after the text: this format waits for it by itself.
    if format == Format::Orchestrator && wants.tenant == Some(TenantWanted::Known) {
        wants.tenant = None;
    }
    Ok(wants)
}

fn invalid(field: &'static str, reason: &'static str) -> Invalid {
    Invalid { field, reason: reason.into() }
}
