//! The consents of all end users.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flinks::outbound::{AuthorizationCode, Client, RefreshToken};
use flinks::{Clock, SpendError};

use crate::consent::Consent;
use crate::error::ConsentError;
use crate::event::Event;
use crate::new_consent::NewConsent;
use crate::runtime;
use crate::shared::{LogNames, OutagePolicy, Shared};
use crate::shared_token;
use crate::shutdown::ShutdownError;
use crate::status::ConsentStatus;
use crate::store::{ConsentId, DueWindow, OwnerId, Page, Record, TokenStore};

/// The consents of your end users, each under your own id. Cloning is cheap; clones share everything.
///
/// They are kept in a [`TokenStore`]. Nothing happens unless a method is called. A refresh runs on the tokio runtime of its first
/// caller. If that runtime shuts down, the refresh is cancelled: call [`shutdown`](Self::shutdown) before. If the runtime is no longer
/// polled, other callers wait for up to a few minutes.
#[derive(Clone)]
pub struct Consents(Arc<Shared>);

/// Configures [`Consents`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct ConsentsBuilder(Shared);

impl ConsentsBuilder {
    /// Sets where the consents are kept. Default: [`MemoryStore`](crate::MemoryStore), which loses them when the process ends.
    pub fn store(mut self, store: impl TokenStore) -> Self {
        self.0.store = Box::new(store);
        self
    }

    /// Sets how long one call of the store may take. Default: 5 seconds. Less than a millisecond counts as one.
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.0.store_timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Sets what to do while the store does not respond, or returns
    /// [`StoreError::Unavailable`](crate::store::StoreError::Unavailable). Default: [`OutagePolicy::FailClosed`].
    pub fn outage_policy(mut self, policy: OutagePolicy) -> Self {
        self.0.outage_policy = policy;
        self
    }

    /// Sets a callback for each [`Event`]. It runs in the task of a refresh, so it should be fast. Its panics are caught.
    pub fn on_event(mut self, callback: impl Fn(&ConsentId, &Event) + Send + Sync + 'static) -> Self {
        self.0.on_event = Some(Box::new(callback));
        self
    }

    /// Names consents in the log by their ids. Default: by [`Consent::log_name`], which does not reveal the id.
    pub fn log_ids(mut self) -> Self {
        self.0.log_names = LogNames::Ids;
        self
    }

    /// Builds the consents.
    pub fn build(self) -> Consents {
        Consents(Arc::new(self.0))
    }
}

impl Consents {
    /// Creates consents that are kept in memory.
    pub fn new(client: Client) -> Self {
        Self::builder(client).build()
    }

    /// Configures consents, such as their store.
    pub fn builder(client: Client) -> ConsentsBuilder {
        ConsentsBuilder(Shared::new(client))
    }

    /// Returns the client, for the authorization of another end user.
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// Returns the clock of the client, for tasks that work with the consents.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        self.0.clock()
    }

    /// Returns a handle for a consent, whether or not the consent exists. Creating a handle is cheap: cached tokens are shared by all
    /// handles with the same id.
    pub fn consent(&self, id: &ConsentId) -> Consent {
        let state = self.0.registry.get(id, self.0.clock().as_ref());
        Consent { shared: Arc::clone(&self.0), state }
    }

    /// Exchanges a code, once (O9), and stores the result under `id`, in the place of what was there.
    ///
    /// # Errors
    ///
    /// Returns a [`SpendError`] that says what became of the code. If that is unknown, the advice of its reason is to start over. If it
    /// is spent and [`ConsentError::is_store`] is true, the consent
    /// is in memory, and is stored with a later call. A code that this client has sent before is refused, as by
    /// [`Client::exchange_code`]: check whether the consent exists.
    ///
    /// # Cancel safety
    ///
    /// The exchange completes and its result is stored if the caller is cancelled.
    pub async fn exchange_code(
        &self,
        id: &ConsentId,
        code: AuthorizationCode,
    ) -> Result<Consent, SpendError<AuthorizationCode, ConsentError>> {
        Ok(self.new_consent(id).exchange_code(code).await?.consent)
    }

    /// Starts a consent that belongs to an owner, has a label, or ends the connection of the one that it replaces.
    pub fn new_consent(&self, id: &ConsentId) -> NewConsent {
        NewConsent::new(self.consent(id))
    }

    /// Lists the consents of an owner, in an order that does not change. A page that is shorter than its limit is the last one.
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
    /// Returns an error if the store fails. A consent that could not be stored yet is not listed.
    pub async fn list(&self, owner: &OwnerId, page: &Page) -> Result<Vec<ConsentStatus>, ConsentError> {
        runtime::current(self.clock().as_ref())?;
        let records = self.0.call_store(|store| store.list(owner, page)).await?;
        let now = self.clock().wall();
        Ok(records.iter().map(|record| ConsentStatus::new(record, now)).collect())
    }

    /// Imports a refresh token that was kept elsewhere, in the place of what is stored under `id`. `last_refreshed_at` is when it was issued
    /// or last refreshed: its 30 days count from then (O5). If the same refresh token is stored already, the later time counts.
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails. The consent is then in memory, and is stored with a later call.
    ///
    /// # Cancel safety
    ///
    /// The import completes if the caller is cancelled.
    pub async fn import(
        &self,
        id: &ConsentId,
        refresh_token: RefreshToken,
        last_refreshed_at: SystemTime,
    ) -> Result<Consent, ConsentError> {
        self.new_consent(id).import(refresh_token, last_refreshed_at).await
    }

    /// Refreshes a consent that a refusal has ended, once (O6), for when the refusal was not Flinks'. However many callers ask,
    /// in however many processes, there is one refresh. If another of them was faster, or if the consent has not ended, this
    /// changes nothing.
    ///
    /// A consent that was revoked, forgotten or replaced cannot be reactivated, because its refresh token was erased.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such consent, if its refresh token has idled out, or if the refresh fails. If Flinks
    /// refuses the refresh token again, [`ConsentError::needs_consent`] is true, and the consent stays ended.
    ///
    /// # Cancel safety
    ///
    /// The refresh completes and its result is stored if the caller is cancelled.
    pub async fn reactivate(&self, id: &ConsentId) -> Result<Consent, ConsentError> {
        let consent = self.consent(id);
        let record = {
            let consent = consent.clone();
            self.0.complete_with_store(async move { consent.current_record().await }).await?
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

    /// Stores what the store could not take before, such as after an [`Event::NotStored`]. At the end of a process, call
    /// [`shutdown`](Self::shutdown), which also waits for refreshes that are under way.
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails. If it is unavailable, the rest is not tried.
    pub async fn flush(&self) -> Result<(), ConsentError> {
        let consents = self.clone();
        self.0.complete_with_store(async move { consents.save_all_unsaved().await }).await
    }

    async fn save_all_unsaved(&self) -> Result<(), ConsentError> {
        let mut outcome = Ok(());
        for consent in self.known_consents() {
            match consent.save_unsaved().await {
                // The others would fail, too.
                Err(error) if error.is_store_unavailable() => return Err(error),
                saved => outcome = outcome.and(saved),
            }
        }
        outcome
    }

    fn known_consents(&self) -> Vec<Consent> {
        let states = self.0.registry.all();
        states.into_iter().map(|state| Consent { shared: Arc::clone(&self.0), state }).collect()
    }

    /// Waits until no refresh is under way, and then stores what the store could not take before. Call it at the end of a
    /// process, when no more requests arrive and before the runtime ends: a refresh that ends with the runtime can lose a refresh
    /// token that Flinks has just replaced.
    ///
    /// Do not wait for it in a callback for events: it waits for the task that runs the callback.
    ///
    /// It waits no longer than `limit`, which should be longer than a call to Flinks and two calls of the store: 45 seconds with the
    /// default timeouts. It does not prevent new calls, and waits for those as well.
    ///
    /// ```
    /// # use flinks_consents::{Consents, ShutdownError};
    /// # async fn end(consents: Consents) {
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
    /// Returns an error if refreshes are still under way at the end, or if something could not be stored. It names the
    /// consents whose changes are lost when the process ends.
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
            // What is under way then is counted.
            () = self.clock().sleep(limit) => Ok(()),
        };
        let unfinished = self.unfinished(flushed.err());
        if unfinished.is_complete() { Ok(()) } else { Err(unfinished) }
    }

    fn unfinished(&self, error: Option<ConsentError>) -> ShutdownError {
        let unstored = self.known_consents().into_iter().filter(|consent| consent.state.may_be_unsaved());
        let unstored = unstored.map(|consent| consent.id().clone()).collect();
        ShutdownError::new(self.0.tasks.len(), unstored, error)
    }

    /// Lists at most `limit` consents whose refresh token idles out within `within`, the earliest first (O5). Consents that have
    /// ended are not listed. Consents whose last refresh lies in the future, because the wall clock was wrong then, come first;
    /// consents that a refusal has made suspected (O6) come last. [`Consent::refresh_now`] keeps a consent alive:
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
    ///         // A gateway may have refused it: the next run confirms it, or finds the consent alive.
    ///         Err(error) if error.advice() == Advice::WaitOrStartOver => println!("{error}: try again later"),
    ///         Err(error) if error.needs_consent() => println!("ask {id:?} again"),
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
        self.0.call_store(|store| store.due(window, limit)).await
    }
}

impl Consent {
    pub(crate) fn new_record(&self, refresh_token: RefreshToken, now: SystemTime, refreshed_at: SystemTime) -> Record {
        // Rotation is a property of the server, so it applies to every consent (A5).
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
