//! The consents of end users (O4-O6).

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;
use tracing::Instrument as _;

use super::cache::{self, Source as _, TokenCache};
use super::event::Event;
use super::exchange::kept;
use super::owner::Owner;
use super::pending::Pending;
use super::shutdown::ShutdownError;
use super::store::{ConsentId, DueWindow, MemoryStore, Record, StoreError, TokenStore};
use super::suspicion::Witnesses;
use super::tokens::{AccessToken, RefreshToken, Tokens};
use super::{AuthorizationCode, CONSENT, Client, EXCHANGE_CODE, REVOKE};
use crate::OAuthError;
use crate::error::{Error, Refusal, SpendError};
use crate::in_flight::InFlight;
use crate::runtime::{caught, runtime};
use crate::time::Clock;

/// The consents of your end users, each under an id of yours. Cloning is cheap; clones are the same.
///
/// They are kept in a [`TokenStore`]. Nothing happens unless a method is called. A refresh runs in the tokio runtime of its first
/// caller. If that runtime shuts down, the refresh is cancelled: call [`shutdown`](Self::shutdown) before. If it is no longer
/// polled, other callers wait for up to a few minutes.
#[derive(Clone)]
pub struct Consents(Arc<Shared>);

pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) store: Box<dyn TokenStore>,
    pub(super) store_timeout: Duration,
    pub(super) store_outage: StoreOutage,
    pub(super) on_event: Option<Callback>,
    pub(super) owner: Owner,
    pub(super) in_flight: InFlight,
    pub(super) witnesses: Witnesses,
    log_names: LogNames,
    known: Mutex<Known>,
}

/// How the log names a consent.
enum LogNames {
    /// By a hash, with a key of this process.
    Hashed(RandomState),
    /// By its id.
    Ids,
}

type Callback = Box<dyn Fn(&ConsentId, &Event) + Send + Sync>;

/// How [`Consents`] are kept.
#[must_use]
pub struct ConsentsBuilder(Shared);

impl ConsentsBuilder {
    /// Where the consents are kept. Default: [`MemoryStore`], which forgets them with the process.
    pub fn store(mut self, store: impl TokenStore) -> Self {
        self.0.store = Box::new(store);
        self
    }

    /// How long one call of the store may take. Default: 5 seconds. Less than a millisecond counts as one.
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.0.store_timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// What is done while the store is away: it does not answer, or says [`StoreError::Unavailable`](super::store::StoreError::Unavailable).
    /// Default: [`StoreOutage::Refuse`].
    pub fn store_outage(mut self, policy: StoreOutage) -> Self {
        self.0.store_outage = policy;
        self
    }

    /// Called with each [`Event`], in the task of an exchange: it should be quick. A panic of it is caught.
    pub fn on_event(mut self, callback: impl Fn(&ConsentId, &Event) + Send + Sync + 'static) -> Self {
        self.0.on_event = Some(Box::new(callback));
        self
    }

    /// Names consents in the log by their ids. Default: by [`Consent::log_name`], which does not reveal the id.
    pub fn log_ids(mut self) -> Self {
        self.0.log_names = LogNames::Ids;
        self
    }

    /// The consents.
    pub fn build(self) -> Consents {
        Consents(Arc::new(self.0))
    }
}

/// What is done with a consent whose access token is to be exchanged while its store is away. One that is good is handed out
/// either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreOutage {
    /// There is no exchange that no other machine knows of: the call fails with [`Error::is_store`] once the token has expired.
    #[default]
    Refuse,
    /// This process exchanges the refresh token that it has seen last, in memory, as each of the others does then. Not where, as
    /// far as it knows, a refresh token was ever replaced by another (A5): there, two who exchange the same one may end the
    /// consent. If one is replaced for the first time in this while, the new one is in memory until the store is back
    /// ([`Event::NotStored`]), and the others have an old one: for a server that replaces them, take [`Refuse`](Self::Refuse).
    ///
    /// For that, the record of each consent that is asked for stays in memory.
    GoOn,
}

impl Consents {
    /// Consents in memory.
    pub fn new(client: Client) -> Self {
        Self::builder(client).build()
    }

    /// Consents in a store of your choice.
    pub fn builder(client: Client) -> ConsentsBuilder {
        ConsentsBuilder(Shared {
            client,
            store: Box::new(MemoryStore::new()),
            store_timeout: STORE_TIMEOUT,
            store_outage: StoreOutage::default(),
            on_event: None,
            owner: Owner::new(),
            in_flight: InFlight::new(),
            witnesses: Witnesses::default(),
            log_names: LogNames::Hashed(RandomState::new()),
            known: Mutex::new(Known { states: HashMap::new(), prune_at: FEW }),
        })
    }

    /// The client, for the authorization of another end user.
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// The clock that they go by, for what works beside them.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        self.0.clock()
    }

    /// Returns a handle for a consent, whether or not the consent exists. Creating a handle is cheap: cached tokens are shared by all
    /// handles with the same id.
    pub fn consent(&self, id: &ConsentId) -> Consent {
        Consent { shared: Arc::clone(&self.0), state: self.0.state(id) }
    }

    /// Exchanges a code, once (O9), and keeps what comes of it under `id`, in the place of what was there. A caller who goes
    /// away stops nothing: the result is kept.
    ///
    /// # Errors
    ///
    /// A [`SpendError`] that says what became of the code. If it is spent and [`Error::is_store`], the consent is in memory,
    /// and is stored with a later call. A code that this client has sent before is refused, as by
    /// [`Client::exchange_code`]: look whether there is a consent.
    pub async fn exchange_code(
        &self,
        id: &ConsentId,
        code: AuthorizationCode,
    ) -> Result<Consent, SpendError<AuthorizationCode>> {
        let runtime = match runtime(&EXCHANGE_CODE, self.clock().as_ref()) {
            Ok(runtime) => runtime,
            Err(error) => return Err(SpendError::Unspent(code, error)),
        };
        let consent = self.consent(id);
        let exchange = async move {
            let now = consent.shared.clock().wall();
            let Tokens { access_token, refresh_token, .. } = consent.shared.client.exchange_code(code).await?;
            let Some(refresh_token) = refresh_token else {
                return Err(SpendError::Spent(Error::missing(&EXCHANGE_CODE, "refresh_token")));
            };
            let record = Record { access_token: kept(&access_token), ..consent.new_record(refresh_token, now, now) };
            let stored = consent.put(record, Some(&access_token)).await;
            stored.map_err(|error| SpendError::Spent(error.after_sending()))?;
            consent.tell(&Event::Refreshed { expires_at: access_token.expires_at() });
            Ok(consent)
        };
        let outcome = self.0.to_its_end(&runtime, exchange).await;
        outcome.unwrap_or_else(|| Err(SpendError::Unknown(Error::abandoned(&EXCHANGE_CODE))))
    }

    /// Takes over a refresh token that was kept elsewhere, in the place of what is kept under `id`. `exchanged_at` is when it
    /// was issued or last exchanged: its 30 days count from then (O5). Where the same refresh token is kept already, the later time
    /// counts.
    ///
    /// # Errors
    ///
    /// [`Error::is_store`] where it could not be stored: then the consent is in memory, and is stored with a later call.
    pub async fn insert(
        &self,
        id: &ConsentId,
        refresh_token: RefreshToken,
        exchanged_at: SystemTime,
    ) -> Result<Consent, Error> {
        let consent = self.consent(id);
        let insertion = async move {
            let now = consent.shared.clock().wall();
            consent.put(consent.new_record(refresh_token, now, exchanged_at), None).await?;
            Ok(consent)
        };
        self.0.with_store(insertion).await
    }

    /// Refreshes a consent that a refusal has ended, once (O6), for when the refusal was not Flinks'. However many callers ask,
    /// in however many processes, there is one refresh. If another of them was faster, or if the consent has not ended, this
    /// changes nothing.
    ///
    /// A consent that was revoked, forgotten or replaced cannot be revived, because its refresh token was erased.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such consent, if its refresh token has idled out, or if the refresh fails. If Flinks
    /// refuses the refresh token again, [`Error::needs_consent`] is true, and the consent stays ended.
    ///
    /// # Cancel safety
    ///
    /// The refresh completes and its result is stored if the caller is cancelled.
    pub async fn revive(&self, id: &ConsentId) -> Result<Consent, Error> {
        let consent = self.consent(id);
        let record = {
            let consent = consent.clone();
            self.0.with_store(async move { consent.current_record().await }).await?
        };
        let Some(record) = record else { return Err(Error::no_consent(&CONSENT)) };
        if !record.is_over() {
            return Ok(consent);
        }
        if record.idle_deadline() <= self.clock().wall() {
            return Err(Error::consent_over(&CONSENT));
        }
        cache::revive(&consent).await?;
        Ok(consent)
    }

    /// Stores what the store could not take before, such as after an [`Event::NotStored`]. At the end of a process, call
    /// [`shutdown`](Self::shutdown), which also waits for refreshes that are under way.
    ///
    /// # Errors
    ///
    /// [`Error::is_store`]. If that is transient, the rest is not tried.
    pub async fn flush(&self) -> Result<(), Error> {
        let consents = self.clone();
        self.0.with_store(async move { consents.save_all_unsaved().await }).await
    }

    async fn save_all_unsaved(&self) -> Result<(), Error> {
        let mut outcome = Ok(());
        for consent in self.known_consents() {
            match consent.save_unsaved().await {
                // The others would fail, too.
                Err(error) if error.is_store_away() => return Err(error),
                saved => outcome = outcome.and(saved),
            }
        }
        outcome
    }

    fn known_consents(&self) -> Vec<Consent> {
        let states = self.0.known().states.values().cloned().collect::<Vec<_>>();
        states.into_iter().map(|state| Consent { shared: Arc::clone(&self.0), state }).collect()
    }

    /// Waits until no refresh is under way, and then stores what the store could not take before. Call it at the end of a
    /// process, when no more requests arrive and before the runtime ends: a refresh that ends with the runtime can lose a refresh
    /// token that Flinks has just replaced.
    ///
    /// Do not wait for it in a callback for events: it waits for the task that runs the callback.
    ///
    /// It waits no longer than `limit`, which should be longer than a call to Flinks and two calls to the store: 45 seconds with the default timeouts.
    /// It does not prevent new calls, and waits for those as well.
    ///
    /// ```
    /// # use flinks::outbound::{Consents, ShutdownError};
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
        let clock = self.clock();
        if let Err(error) = runtime(&CONSENT, clock.as_ref()) {
            return Err(self.unfinished(Some(error)));
        }
        let end = clock.sleep(limit);
        let work = async {
            self.0.in_flight.idle().await;
            self.flush().await
        };
        let flushed = tokio::select! {
            biased;
            flushed = work => flushed,
            // What is under way then is counted.
            () = end => Ok(()),
        };
        let unfinished = self.unfinished(flushed.err());
        if unfinished.is_nothing() { Ok(()) } else { Err(unfinished) }
    }

    fn unfinished(&self, error: Option<Error>) -> ShutdownError {
        let unstored = self.known_consents().into_iter().filter(|consent| consent.state.may_be_unsaved());
        let unstored = unstored.map(|consent| consent.id().clone()).collect();
        ShutdownError::new(self.0.in_flight.count(), unstored, error)
    }

    /// Lists at most `limit` consents whose refresh token idles out within `within`, the earliest first (O5). Consents that have
    /// ended are not listed. Consents whose last exchange lies in the future, because the wall clock was wrong then, come first;
    /// consents that a refusal has made suspected (O6) come last. [`Consent::exchange_now`] keeps a consent alive:
    ///
    /// ```
    /// # use flinks::Advice;
    /// # use flinks::outbound::Consents;
    /// # async fn keep_alive(consents: Consents) -> Result<(), flinks::Error> {
    /// use std::time::Duration;
    ///
    /// for id in consents.due(Duration::from_secs(3 * 24 * 60 * 60), 1000).await? {
    ///     match consents.consent(&id).exchange_now().await {
    ///         Ok(_) => {}
    ///         // A gateway may have refused it: the next run confirms it, or finds the consent alive.
    ///         Err(error) if error.advice() == Advice::WaitOrStartOver => println!("{error}: try again later"),
    ///         Err(error) if error.needs_consent() => println!("ask {id:?} again"),
    ///         Err(error) => println!("failed to {error}: try again later"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::is_store`].
    pub async fn due(&self, within: Duration, limit: usize) -> Result<Vec<ConsentId>, Error> {
        // Not beyond what a clock or a store can tell; all of them are due within a month.
        const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        runtime(&CONSENT, self.clock().as_ref())?;
        let window = DueWindow::new(self.clock().wall(), within.min(LONGEST));
        self.0.guarded(|store| store.due(window, limit)).await
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

/// One end user's consent. Cloning is cheap; all that have the same id, of the same [`Consents`], are one.
#[derive(Clone)]
pub struct Consent {
    pub(super) shared: Arc<Shared>,
    pub(super) state: Arc<State>,
}

impl Consent {
    /// Your name for it.
    pub fn id(&self) -> &ConsentId {
        &self.state.id
    }

    /// An access token that is good: the one that is there, or a new one (O4). However many callers ask, in however many
    /// processes that share the store, there is one exchange, and one outcome for all who wait; a caller who goes away takes
    /// nothing with them. A token that will soon expire is exchanged while it still serves. After a failure there is a pause
    /// of half a second to a minute, or of up to five where the server asks for that, in which the token serves as long as it
    /// is valid, and else the same error comes at once. Two exchanges are at least a second apart.
    ///
    /// # Errors
    ///
    /// [`Error::needs_consent`] where there is no such consent, or the end user must consent again (O6); that costs a request
    /// once. [`Error::is_store`] where the store failed; else what the predicates say.
    pub async fn access_token(&self) -> Result<AccessToken, Error> {
        cache::access_token(self).await
    }

    /// Reports that a server has refused `token`, as the Open Banking API does with 401. The next call fetches another one, at least
    /// a second after the last refresh. If the token has been replaced already, nothing happens, so every caller that used the token
    /// may call this.
    pub fn reject(&self, token: &AccessToken) {
        self.state.cache.reject(token, self.shared.clock().as_ref());
    }

    /// Refreshes now, though the access token may still be valid: that restarts the 30 days of the refresh token (O5). If a refresh
    /// is under way, this waits for that one. If the last refresh was less than a second ago, this waits out the rest of that second.
    ///
    /// # Errors
    ///
    /// As [`access_token`](Self::access_token). During the pause after a failure this sends nothing and returns that failure. It may
    /// return that the consent has ended while an access token is still valid.
    pub async fn exchange_now(&self) -> Result<AccessToken, Error> {
        cache::exchange_now(self).await
    }

    /// When the refresh token idles out, unless it is exchanged before (O5). If the last exchange lies in the future, because the
    /// wall clock was wrong then, the answer is now: nobody knows how old the token is.
    ///
    /// # Errors
    ///
    /// [`Error::needs_consent`] where there is no such consent, or it is over; [`Error::is_store`].
    pub async fn idle_deadline(&self) -> Result<SystemTime, Error> {
        let consent = self.clone();
        self.shared.with_store(async move { consent.idle_deadline_of_record().await }).await
    }

    /// Ends the connection at Flinks (O10), and erases the consent. If the access token is refused, it is tried with another
    /// one. If a refusal has ended the consent, its refresh token is exchanged once more first, because the refusal may not
    /// have been Flinks'.
    ///
    /// The reply of Flinks decides the result. If the store is unavailable after that, the removal is tried again with the next
    /// call and with [`Consents::flush`]; until it succeeds, this process hands out no token of the consent.
    ///
    /// # Errors
    ///
    /// All errors of [`access_token`](Self::access_token), because revoking needs one, and those of the revocation itself. The
    /// connection may exist after an error, so the consent is kept.
    ///
    /// # Cancel safety
    ///
    /// The revocation completes if the caller is cancelled.
    pub async fn revoke(&self) -> Result<Revoked, Error> {
        let runtime = runtime(&REVOKE, self.shared.clock().as_ref())?;
        let consent = self.clone();
        let revocation = async move { consent.revoke_and_erase().await };
        let outcome = self.shared.to_its_end(&runtime, revocation).await;
        outcome.unwrap_or_else(|| Err(Error::abandoned(&REVOKE)))
    }

    async fn revoke_and_erase(&self) -> Result<Revoked, Error> {
        let stored = match self.current_record().await {
            Ok(Some(record)) => Some(record.consent),
            Ok(None) => return Ok(Revoked::NotFound),
            // While the store is unavailable, a token in memory can still be revoked.
            Err(_) => None,
        };
        // Another process may have stored a newer consent. A token in memory belongs to the connection of the old one.
        let cached = self.state.cache.current();
        if stored.is_some() && cached.is_some_and(|token| token.0.consent.get() != stored.as_ref()) {
            self.state.cache.replace(None);
        }
        let (revoked, consent) = match self.revoke_at_flinks().await {
            // The connection that has ended is that of the token, whatever the store held before.
            Ok(token) => (Revoked::Confirmed, token.0.consent.get().copied().or(stored)),
            Err(error) if error.is_unknown_consent() => return Ok(Revoked::NotFound),
            Err(error) if is_invalid_grant(&error) && stored.is_some() => (Revoked::AlreadyEnded, stored),
            Err(error) => return Err(error),
        };
        if let Some(consent) = consent {
            self.erase_revoked(consent).await;
        }
        Ok(revoked)
    }

    /// Returns the token that Flinks has revoked.
    async fn revoke_at_flinks(&self) -> Result<AccessToken, Error> {
        let client = &self.shared.client;
        let access_token = self.token_to_revoke().await?;
        match client.revoke(&access_token).await {
            Err(error) if error.is_token_refused() => {
                self.reject(&access_token);
                let another = self.token_to_revoke().await?;
                client.revoke(&another).await.map(|()| another)
            }
            outcome => outcome.map(|()| access_token),
        }
    }

    async fn token_to_revoke(&self) -> Result<AccessToken, Error> {
        match cache::access_token(self).await {
            Err(error) if error.is_consent_over() => cache::revive(self).await,
            outcome => outcome,
        }
    }

    /// Erases the consent, with its refresh token. Flinks is not told: the connection remains. Another process that is exchanging
    /// at this moment and gets another refresh token, or has one that it could not store, keeps the consent.
    ///
    /// # Errors
    ///
    /// [`Error::is_store`].
    ///
    /// # Cancel safety
    ///
    /// The removal completes if the caller is cancelled.
    pub async fn forget(&self) -> Result<(), Error> {
        let consent = self.clone();
        self.shared.with_store(async move { consent.erase().await }).await
    }

    /// How the log names this consent: a short hash with a key of this process, or the id if the consents were built with
    /// [`log_ids`](ConsentsBuilder::log_ids). Log it together with the id to find the lines of one consent.
    pub fn log_name(&self) -> String {
        match &self.shared.log_names {
            LogNames::Hashed(key) => format!("{:08x}", key.hash_one(&self.state.id) >> 32),
            LogNames::Ids => self.state.id.as_str().to_owned(),
        }
    }

    fn new_record(&self, refresh_token: RefreshToken, now: SystemTime, exchanged_at: SystemTime) -> Record {
        // Of one consent of this client, and so of the next (A5).
        let has_rotated = self.shared.client.has_rotated();
        Record { has_rotated, ..Record::new(self.state.id.clone(), refresh_token, now, exchanged_at) }
    }
}

/// Whether a refresh was refused because its grant has ended.
fn is_invalid_grant(error: &Error) -> bool {
    error.refusal() == Some(Refusal::Final) && error.oauth_error() == Some(&OAuthError::InvalidGrant)
}

/// The result of [`Consent::revoke`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[must_use = "a mistyped id is `NotFound`, and revokes nothing"]
pub enum Revoked {
    /// Flinks has ended the connection.
    Confirmed,
    /// Flinks refused the refresh token with `invalid_grant`: the connection had ended before.
    AlreadyEnded,
    /// There is no such consent. Nothing was sent.
    NotFound,
}

impl fmt::Debug for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consent").field("id", &self.state.id).finish_non_exhaustive()
    }
}

/// What is known of a consent in this process.
pub(super) struct State {
    pub(super) id: ConsentId,
    pub(super) cache: TokenCache,
    /// What the store could not take, and there is no other copy of. Whoever changes the record in another way than by a claim
    /// has this lock. Only spawned tasks wait for it and hold it: a future that its caller keeps but does not poll would block
    /// all others.
    pub(super) unsaved: tokio::sync::Mutex<Option<Box<Pending>>>,
    /// What the store had last, for [`StoreOutage::GoOn`].
    seen: Mutex<Option<Box<Record>>>,
}

impl State {
    fn new(id: ConsentId) -> Self {
        Self { id, cache: TokenCache::new(), unsaved: tokio::sync::Mutex::default(), seen: Mutex::default() }
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Option<Box<Record>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it holds something that the store does not, or may not be there to tell.
    fn must_stay(&self, clock: &dyn Clock) -> bool {
        self.may_be_unsaved() || self.cache.must_stay(clock) || self.seen().is_some()
    }

    /// Whether it holds something that the store does not. Also true while another task works on it, so that nobody can tell.
    fn may_be_unsaved(&self) -> bool {
        self.unsaved.try_lock().map_or(true, |unsaved| unsaved.is_some())
    }
}

/// Those of which something is known, so that all who use one wait for one exchange, and its failure is remembered.
struct Known {
    states: HashMap<ConsentId, Arc<State>>,
    /// At how many those are dropped that nobody has and that are in the store.
    prune_at: usize,
}

const STORE_TIMEOUT: Duration = Duration::from_secs(5);
/// So many are known in any case.
const FEW: usize = 1024;

impl Shared {
    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.client.caller.clock
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` in its own task, so that it completes if the caller is cancelled, and so that a shutdown waits for it. Returns `None` if
    /// it panics, or if the runtime ends.
    async fn to_its_end<T: Send + 'static>(
        &self,
        runtime: &Handle,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let counted = self.in_flight.start();
        let task = async move {
            let outcome = caught(work).await;
            drop(counted);
            outcome
        };
        runtime.spawn(task.in_current_span()).await.ok().flatten()
    }

    /// Runs work in its own task that uses the store and sends nothing to Flinks.
    async fn with_store<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let runtime = runtime(&CONSENT, self.clock().as_ref())?;
        let abandoned = StoreError::unavailable("was not used: a task panicked, or its runtime ended");
        self.to_its_end(&runtime, work).await.unwrap_or_else(|| Err(abandoned.into()))
    }

    fn state(&self, id: &ConsentId) -> Arc<State> {
        let mut known = self.known();
        if let Some(state) = known.states.get(id) {
            return Arc::clone(state);
        }
        if known.states.len() >= known.prune_at {
            let clock = self.clock().as_ref();
            known.states.retain(|_, state| Arc::strong_count(state) > 1 || state.must_stay(clock));
            known.prune_at = known.states.len().saturating_mul(2).max(FEW);
        }
        let state = Arc::new(State::new(id.clone()));
        known.states.insert(id.clone(), Arc::clone(&state));
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::ClientAuthentication;

    #[tokio::test]
    async fn o5_what_is_known_of_consents_is_bounded_by_what_is_in_use() {
        let nowhere = "http://127.0.0.1:9".parse().unwrap();
        let client = Client::new(nowhere, ClientAuthentication::None { client_id: "a".to_owned() }).unwrap();
        let consents = Consents::builder(client).store(MemoryStore::new()).build();
        let name = |number: usize| ConsentId::new(number.to_string()).unwrap();
        let held: Vec<_> = (0..2000).map(|number| consents.consent(&name(number))).collect();
        // One that nobody has, and that must wait.
        assert!(consents.insert(&name(2000), RefreshToken::new("a").unwrap(), SystemTime::now()).await.is_ok());
        assert!(consents.consent(&name(2000)).access_token().await.is_err());
        for number in 3000..100_000 {
            drop(consents.consent(&name(number)));
        }
        let known = consents.0.known();
        assert!(known.states.len() <= 2 * 2001, "{}", known.states.len());
        assert!(held.iter().all(|held| known.states.contains_key(held.id())));
        assert!(known.states.contains_key(&name(2000)));
    }
}
