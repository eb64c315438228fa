//! Connections: made, lent for one call, given back or thrown away.
//!
//! A connection comes back to the pool only where the server has answered everything that it was
//! asked. In every other case (no answer in time, an error that may be the connection's, a caller
//! that went away in the middle) it is closed, because a transaction may still be open on it.

use std::error::Error;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::QueueMode;
use diesel::result::{ConnectionError, ConnectionResult, QueryResult};
use diesel_async::pooled_connection::deadpool::{Hook, HookError, Object, Pool as Deadpool};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use domain::ports::StoreError;
use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_postgres::tls::{MakeTlsConnect, TlsStream};
use tokio_postgres::{Client, Config, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::AbortOnDropHandle;

use crate::clock::PgClock;
use crate::failure::{DeadlinePassed, classify};
use crate::settings::{InvalidSettings, PgSettings};

/// The connections of a store, and the time that each call has.
pub(crate) struct Pool {
    connections: Deadpool<AsyncPgConnection>,
    clock: Arc<PgClock>,
    deadline: Duration,
}

/// How the connections of a store are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// How many there may be.
    pub most: u64,
    /// How many are there and rest.
    pub idle: u64,
    /// How many are lent, or being made.
    pub in_use: u64,
    /// How many calls wait for one.
    pub waiting: u64,
}

/// Older connections are replaced, so that a load balancer or a failover can move them.
const OLDEST: Duration = Duration::from_mins(30);
/// A connection that rested for longer is asked whether it is alive, and what time it is, before it is
/// lent; so is any when nobody was asked for that long.
const RESTED: Duration = Duration::from_secs(5);
/// How long it may take to say so.
const PROBE: Duration = Duration::from_millis(250);

impl Pool {
    /// A pool that is empty until the first call. Its connections live on `runtime`: on that of a
    /// web server's worker they would die with the worker.
    pub(crate) fn new(settings: &PgSettings, runtime: Handle) -> Result<Self, InvalidSettings> {
        let connector = Arc::new(Connector::new(settings, settings.session())?);
        let clock = Arc::new(PgClock::new());
        let at_each_connection = Arc::clone(&clock);
        let mut manager = ManagerConfig::default();
        manager.recycling_method = RecyclingMethod::Fast;
        manager.custom_setup = Box::new(move |_| {
            let (connector, clock) = (Arc::clone(&connector), Arc::clone(&at_each_connection));
            let connecting = async move { connector.connect_and_ask(&clock).await };
            let task = AbortOnDropHandle::new(runtime.spawn(connecting));
            async { task.await.map_err(unusable)? }.boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config(String::new(), manager);
        // Building fails only where deadpool's own timeouts are set, and none is.
        let connections = Deadpool::builder(manager)
            .max_size(settings.pool_size)
            // The one that was used last: the server's process behind it has everything at hand.
            .queue_mode(QueueMode::Lifo)
            .pre_recycle(replace_the_old_and_the_dead(Arc::clone(&clock)))
            .build()
            .map_err(|_| InvalidSettings::NoConnections)?;
        Ok(Self { connections, clock, deadline: settings.deadline })
    }

    /// The database's clock.
    pub(crate) fn clock(&self) -> Arc<PgClock> {
        Arc::clone(&self.clock)
    }

    /// How the connections are used now.
    pub(crate) fn usage(&self) -> Connections {
        let status = self.connections.status();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Connections {
            most: count(status.max_size),
            idle: count(status.available),
            in_use: count(status.size.saturating_sub(status.available)),
            waiting: count(status.waiting),
        }
    }

    /// Lends a connection to `work`, all within the deadline.
    ///
    /// # Errors
    /// As [`classify`] says; [`StoreError::Unavailable`] where no connection was to be had and
    /// where the deadline passed.
    pub(crate) async fn run<R>(
        &self,
        work: impl AsyncFnOnce(&mut AsyncPgConnection) -> QueryResult<R>,
    ) -> Result<R, StoreError> {
        timeout(self.deadline, self.lend_to(work))
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable(DeadlinePassed.into())))
    }

    /// The same without a deadline, for who has one of his own.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(crate) async fn lend_to<R>(
        &self,
        work: impl AsyncFnOnce(&mut AsyncPgConnection) -> QueryResult<R>,
    ) -> Result<R, StoreError> {
        let connection = self.connections.get().await;
        let connection = connection.map_err(|error| StoreError::Unavailable(error.into()))?;
        let mut loan = Loan::default();
        let result = work(loan.of(connection)).await.map_err(classify);
        if !matches!(result, Err(StoreError::Unavailable(_))) {
            loan.end();
        }
        result
    }
}

/// A connection on loan. It is closed where the loan is dropped and did not end.
#[derive(Default)]
struct Loan(Option<Object<AsyncPgConnection>>);

impl Loan {
    fn of(&mut self, connection: Object<AsyncPgConnection>) -> &mut AsyncPgConnection {
        self.0.insert(connection)
    }

    /// Gives the connection back.
    fn end(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
            tracing::debug!("a database connection was closed in the middle of a call");
        }
    }
}

/// How connections are made.
pub(crate) struct Connector {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    session: String,
    limit: Duration,
}

impl Connector {
    /// Makes connections that are told `session` first.
    pub(crate) fn new(settings: &PgSettings, session: String) -> Result<Self, InvalidSettings> {
        let (config, tls) = settings.checked()?;
        Ok(Self { config, tls: tls.connector()?, session, limit: settings.connect_timeout })
    }

    /// Connects, within the time that it may take; the connection is driven by the runtime that this
    /// is awaited on.
    pub(crate) async fn connect_in_time(&self) -> ConnectionResult<AsyncPgConnection> {
        self.in_time(self.connect()).await
    }

    /// Connects and sets the clock, both within that time.
    async fn connect_and_ask(&self, clock: &PgClock) -> ConnectionResult<AsyncPgConnection> {
        let connecting = async {
            let connection = self.connect().await?;
            clock.ask(&connection).await.map_err(unusable)?;
            Ok(connection)
        };
        self.in_time(connecting).await
    }

    async fn in_time<T>(
        &self,
        connecting: impl Future<Output = ConnectionResult<T>>,
    ) -> ConnectionResult<T> {
        timeout(self.limit, connecting).await.unwrap_or_else(|_| Err(unusable(DeadlinePassed)))
    }

    async fn connect(&self) -> ConnectionResult<AsyncPgConnection> {
        let mut connection = match &self.tls {
            Some(tls) => self.connect_with(tls.clone()).await?,
            None => self.connect_with(NoTls).await?,
        };
        let told = connection.batch_execute(&self.session).await;
        told.map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(connection)
    }
}

impl Connector {
    /// A connection as the driver has it, which tells errors by their codes, within that time too.
    pub(crate) async fn client(&self) -> ConnectionResult<Client> {
        let connecting = async {
            match &self.tls {
                Some(tls) => self.client_with(tls.clone()).await,
                None => self.client_with(NoTls).await,
            }
        };
        self.in_time(Box::pin(connecting)).await
    }

    async fn client_with<Tls>(&self, tls: Tls) -> ConnectionResult<Client>
    where
        Tls: MakeTlsConnect<Socket, Stream: TlsStream + Unpin + Send + 'static>,
    {
        let (client, connection) = self.config.connect(tls).await.map_err(unusable)?;
        tokio::spawn(connection);
        Ok(client)
    }

    async fn connect_with<Tls>(&self, tls: Tls) -> ConnectionResult<AsyncPgConnection>
    where
        Tls: MakeTlsConnect<Socket, Stream: TlsStream + Unpin + Send + 'static>,
    {
        let (client, connection) = self.config.connect(tls).await.map_err(unusable)?;
        AsyncPgConnection::try_from_client_and_connection(client, connection).await
    }
}

/// diesel keeps a text only, so that the causes (a wrong password, a refused port) go into it.
fn unusable(error: impl Error + 'static) -> ConnectionError {
    let first: &dyn Error = &error;
    let chain = iter::successors(Some(first), |&error| error.source());
    let texts: Vec<String> = chain.map(ToString::to_string).collect();
    ConnectionError::BadConnection(texts.join(": "))
}

/// A server that went away without a word (power cut, firewall) leaves connections that look alive.
fn replace_the_old_and_the_dead(clock: Arc<PgClock>) -> Hook<AsyncPgConnection> {
    Hook::async_fn(move |connection: &mut AsyncPgConnection, metrics| {
        let clock = Arc::clone(&clock);
        async move {
            if metrics.age() > OLDEST {
                return Err(HookError::message("the connection is old"));
            }
            if metrics.last_used() < RESTED && clock.age() < RESTED {
                return Ok(());
            }
            match timeout(PROBE, clock.ask(connection)).await {
                Ok(Ok(())) => Ok(()),
                _ => Err(HookError::message("the connection is dead")),
            }
        }
        .boxed()
    })
}
