//! [`Consents`], the collection of all end users' consents, and its builder.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flinks::outbound::{AuthorizationCode, Client, RefreshToken};
use flinks::{Clock, SpendError};

use crate::consent::Consent;
use crate::error::ConsentError;
use crate::event::Event;
use crate::metrics::{self, StoreCall};
use crate::new_consent::NewConsent;
use crate::runtime;
use crate::shared::{LogNames, OutagePolicy, Shared};
use crate::shared_token;
use crate::shutdown::ShutdownError;
use crate::status::ConsentStatus;
use crate::store::{ConsentId, DueWindow, OwnerId, Page, Record, TokenStore};

/// The consents of your end users, each stored under an id that you choose. Cloning is cheap, and
/// clones share all state.
///
/// Each consent is stored as a record in a [`TokenStore`]. There is no background task: work starts
/// only when you call a method.
///
/// A refresh runs on the Tokio runtime of the caller that started it. If that runtime shuts down,
/// the refresh is cancelled, so call [`shutdown`](Self::shutdown) first. If the runtime stops
/// running its tasks, other callers wait until the refresh times out, which takes 3 minutes with
/// the default timeouts and outage policy.
#[derive(Clone)]
pub struct Consents(Arc<Shared>);

/// A builder for [`Consents`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct ConsentsBuilder(Shared);

impl ConsentsBuilder {
    /// Sets the store for the records. The default is a [`MemoryStore`](crate::MemoryStore), whose
    /// contents are lost when the process exits.
    pub fn store(mut self, store: impl TokenStore) -> Self {
        self.0.store = Box::new(store);
        self
    }

    /// Sets the timeout for each call to the store. Default: 5 seconds. The minimum is one
    /// millisecond.
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.0.store_timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Sets the policy for refreshes while the store is unavailable. The store counts as
    /// unavailable if it does not respond in time or returns
    /// [`StoreError::Unavailable`](crate::store::StoreError::Unavailable). Default:
    /// [`OutagePolicy::FailClosed`].
    pub fn outage_policy(mut self, policy: OutagePolicy) -> Self {
        self.0.outage_policy = policy;
        self
    }

    /// Sets a callback that is called for each [`Event`]. The callback runs in the task that emits
    /// the event, so it should return quickly. A panic in the callback is caught and logged.
    pub fn on_event(mut self, callback: impl Fn(&ConsentId, &Event) + Send + Sync + 'static) -> Self {
        self.0.on_event = Some(Box::new(callback));
        self
    }

    /// Identifies consents in the log by their ids. By default, the log contains a [short
    /// hash](Consent::log_name) that does not reveal the id.
    pub fn log_ids(mut self) -> Self {
        self.0.log_names = LogNames::Ids;
        self
    }

    /// Creates the [`Consents`].
    pub fn build(self) -> Consents {
        metrics::describe();
        Consents(Arc::new(self.0))
    }
}

impl Consents {
    /// Creates a [`Consents`] with the default settings. The records are kept only in memory.
    pub fn new(client: Client) -> Self {
        Self::builder(client).build()
    }

    /// Returns a builder for [`Consents`] with custom settings, such as a store.
    pub fn builder(client: Client) -> ConsentsBuilder {
        ConsentsBuilder(Shared::new(client))
    }

    /// Returns the client. Use it to start an end user's authorization.
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// Returns the client's clock. Use this clock in your own tasks that work with the consents.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        self.0.clock()
    }

    /// Returns a handle to the consent with this id, even if no such consent exists. Creating a
    /// handle is cheap. All handles with the same id share the cached token.
    pub fn consent(&self, id: &ConsentId) -> Consent {
        let state = self.0.registry.get(id, self.0.clock().as_ref());
        Consent { shared: Arc::clone(&self.0), state }
    }

    /// Exchanges an authorization code for tokens and stores them under `id`. Any consent that is
    /// already stored under this id is replaced. The code is sent only once. ([O9](flinks::rules))
    ///
    /// # Errors
    ///
    /// Returns a [`SpendError`], which reports whether the code was spent:
    ///
    /// - If the code is spent and [`ConsentError::is_store`] returns `true`, the exchange succeeded
    ///   but the store failed. The new consent is kept in memory until a later call stores it.
    /// - If it is unknown whether the code was spent, the [`advice`](ConsentError::advice) is to
    ///   start over.
    /// - If this client has already sent the code, this method rejects it, as
    ///   [`Client::exchange_code`] does. In that case, check whether the consent already exists.
    ///
    /// # Cancel safety
    ///
    /// If the caller is cancelled, the exchange still completes and its result is stored.
    pub async fn exchange_code(
        &self,
        id: &ConsentId,
        code: AuthorizationCode,
    ) -> Result<Consent, SpendError<AuthorizationCode, ConsentError>> {
        Ok(self.new_consent(id).exchange_code(code).await?.consent)
    }

    /// Returns a builder for a new consent. Use the builder to set an owner or a label, or to
    /// revoke the replaced consent's connection.
    pub fn new_consent(&self, id: &ConsentId) -> NewConsent {
        NewConsent::new(self.consent(id))
    }

    /// Lists an owner's consents in a stable order. A page with fewer consents than its limit is
    /// the last page. The list does not include new consents that have not been stored yet.
    ///
    /// ```
    /// # use flinks_consents::{ConsentError, Consents, OwnerId, Page};
    /// # async fn show(consents: Consents, owner: OwnerId) -> Result<(), ConsentError> {
    /// for status in consents.list(&owner, &Page::first(100)).await? {
    ///     println!("{}: {:?}", status.label.as_deref().unwrap_or("a bank"), status.standing);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails.
    pub async fn list(&self, owner: &OwnerId, page: &Page) -> Result<Vec<ConsentStatus>, ConsentError> {
        runtime::current(self.clock().as_ref())?;
        let records = self.0.call_store(StoreCall::List, |store| store.list(owner, page)).await?;
        let now = self.clock().wall();
        Ok(records.iter().map(|record| ConsentStatus::new(record, now)).collect())
    }

    /// Imports a refresh token that you stored elsewhere. Any consent that is already stored under
    /// `id` is replaced.
    ///
    /// `last_refreshed_at` is the time when the refresh token was issued or last used. The
    /// token's 30-day idle period starts at that time. If the same token is already stored under
    /// `id`, the later of the stored time and `last_refreshed_at` is kept. ([O5](flinks::rules))
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails. The consent is then kept in memory until a later call
    /// stores it.
    ///
    /// # Cancel safety
    ///
    /// If the caller is cancelled, the import still completes.
    pub async fn import(
        &self,
        id: &ConsentId,
        refresh_token: RefreshToken,
        last_refreshed_at: SystemTime,
    ) -> Result<Consent, ConsentError> {
        self.new_consent(id).import(refresh_token, last_refreshed_at).await
    }

    /// Tries to reactivate an ended consent by refreshing it once. Use this method if the refusal
    /// that ended the consent came from something other than Flinks, such as a gateway.
    ///
    /// Only one refresh is sent, even if several processes call this method at the same time. If
    /// the consent has not ended, or if another process has already reactivated it, this method
    /// returns the consent and sends no request.
    ///
    /// A consent that was revoked, forgotten or replaced cannot be reactivated, because its refresh
    /// token has been erased.
    ///
    /// # Errors
    ///
    /// Returns an error if no consent is stored under this id, if the refresh token has expired
    /// because it was not used, or if the refresh fails. If Flinks refuses the refresh token again,
    /// [`ConsentError::needs_consent`] returns `true`, and the consent remains ended.
    /// ([O6](flinks::rules))
    ///
    /// # Cancel safety
    ///
    /// If the caller is cancelled, the refresh still completes and its result is stored.
    pub async fn reactivate(&self, id: &ConsentId) -> Result<Consent, ConsentError> {
        let consent = self.consent(id);
        let record = {
            let consent = consent.clone();
            self.0.run_store_task(async move { consent.current_record().await }).await?
        };
        let Some(record) = record else { return Err(ConsentError::not_found()) };
        if !record.is_ended() {
            return Ok(consent);
        }
        if record.idle_deadline() <= self.clock().wall() {
            return Err(ConsentError::ended());
        }
        shared_token::reactivate(&consent).await?;
        Ok(consent)
    }

    /// Stores all pending writes: changes that could not be stored earlier. Each change has been
    /// reported by [`Event::NotStored`], unless the change records the end of a consent. Before the
    /// process exits, call [`shutdown`](Self::shutdown) instead, which also waits for in-flight
    /// refreshes.
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails. If the store is unavailable, the remaining writes are
    /// not attempted.
    pub async fn flush(&self) -> Result<(), ConsentError> {
        let consents = self.clone();
        self.0.run_store_task(async move { consents.save_all_pending().await }).await
    }

    async fn save_all_pending(&self) -> Result<(), ConsentError> {
        let mut outcome = Ok(());
        for consent in self.tracked_consents() {
            match consent.save_pending().await {
                // The other writes would fail as well.
                Err(error) if error.is_store_unavailable() => return Err(error),
                saved => outcome = outcome.and(saved),
            }
        }
        outcome
    }

    fn tracked_consents(&self) -> Vec<Consent> {
        let states = self.0.registry.all();
        states.into_iter().map(|state| Consent { shared: Arc::clone(&self.0), state }).collect()
    }

    /// Waits for all in-flight refreshes and then stores all pending writes. Call this method after
    /// the last request, before the runtime shuts down and the process exits. A runtime that shuts
    /// down cancels its refreshes, and a refresh token that Flinks has just issued can then be
    /// lost.
    ///
    /// This method waits for at most `limit`, which should exceed the combined timeouts of one call
    /// to Flinks and two calls to the store. With the default timeouts, 45 seconds is enough. New
    /// calls are still accepted during the shutdown, and this method waits for them too.
    ///
    /// Do not wait for this method in an event callback: the callback would be waiting for its own
    /// task.
    ///
    /// ```
    /// # use flinks_consents::{Consents, ShutdownError};
    /// # async fn example(consents: Consents) {
    /// use std::time::Duration;
    ///
    /// if let Err(unfinished) = consents.shutdown(Duration::from_secs(45)).await {
    ///     println!("{unfinished}");
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the limit is reached while refreshes or other tasks are still running,
    /// or if a write cannot be stored. The error lists the consents whose changes may be lost when
    /// the process exits.
    pub async fn shutdown(&self, limit: Duration) -> Result<(), ShutdownError> {
        if let Err(error) = runtime::current(self.clock().as_ref()) {
            return Err(self.unfinished(Some(error)));
        }
        self.0.tasks.close();
        let work = async {
            self.0.tasks.wait().await;
            self.flush().await
        };
        let flushed = tokio::select! {
            biased;
            flushed = work => flushed,
            // `unfinished` counts the tasks that are still running.
            () = self.clock().sleep(limit) => Ok(()),
        };
        let unfinished = self.unfinished(flushed.err());
        if unfinished.is_complete() { Ok(()) } else { Err(unfinished) }
    }

    fn unfinished(&self, error: Option<ConsentError>) -> ShutdownError {
        let unstored = self.tracked_consents().into_iter().filter(|consent| consent.state.may_have_pending_write());
        let unstored = unstored.map(|consent| consent.id().clone()).collect();
        ShutdownError::new(self.0.tasks.len(), unstored, error)
    }

    /// Lists up to `limit` consents whose refresh tokens expire within `within` if unused, ordered
    /// by idle deadline.
    ///
    /// - Consents for which the recorded time of the last refresh is more than 10 minutes in the
    ///   future come first. The wall clock must have been wrong when that refresh was recorded, so
    ///   the age of the refresh token is unknown.
    /// - [Suspected](crate::ConsentStanding::Suspected) consents come last.
    /// - Ended consents are not listed.
    ///
    /// ([O5, O6](flinks::rules))
    ///
    /// Call [`Consent::refresh_now`] for each consent in the list:
    ///
    /// ```
    /// # use flinks_consents::flinks::Advice;
    /// # use flinks_consents::{ConsentError, Consents};
    /// # async fn keep_alive(consents: Consents) -> Result<(), ConsentError> {
    /// use std::time::Duration;
    ///
    /// for id in consents.due_within(Duration::from_secs(3 * 24 * 60 * 60), 1000).await? {
    ///     match consents.consent(&id).refresh_now().await {
    ///         Ok(_) => {}
    ///         // A gateway may have refused it. A later run finds out whether the consent has ended.
    ///         Err(error) if error.advice() == Advice::WaitOrStartOver => println!("{error}: try again later"),
    ///         Err(error) if error.needs_consent() => println!("ask the end user of {id:?} again"),
    ///         Err(error) => println!("{error}: try again later"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails.
    pub async fn due_within(&self, within: Duration, limit: usize) -> Result<Vec<ConsentId>, ConsentError> {
        runtime::current(self.clock().as_ref())?;
        let window = DueWindow::new(self.clock().wall(), within);
        self.0.call_store(StoreCall::Due, |store| store.due(window, limit)).await
    }
}

impl Consent {
    pub(crate) fn new_record(&self, refresh_token: RefreshToken, now: SystemTime, refreshed_at: SystemTime) -> Record {
        // Rotation is a property of the server, so it applies to every consent. (A5)
        let has_rotated = self.shared.client.rotates_refresh_tokens();
        Record { has_rotated, ..Record::new(self.state.id.clone(), refresh_token, now, refreshed_at) }
    }
}

impl fmt::Debug for Consents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consents").field("client", &self.0.client).finish_non_exhaustive()
    }
}

impl fmt::Debug for ConsentsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsentsBuilder").finish_non_exhaustive()
    }
}
