//! The consents of end users: which token is good, who may exchange, and what is kept (O4-O6).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use subtle::ConstantTimeEq as _;
use tracing::Instrument as _;

use super::cache::{self, Fetched, Need, Source, TokenCache, caught};
use super::event::Event;
use super::store::{
    Claim, ConsentId, KeptToken, MemoryStore, Record, StoreError, StoreFuture, TokenStore, whole_milliseconds,
};
use super::tokens::{AccessToken, RefreshToken, Tokens};
use super::{AuthorizationCode, Client, EXCHANGE_CODE, REFRESH};
use crate::bearer::Bearer;
use crate::error::{Error, Operation, Product, SpendError};
use crate::time::{Clock, Deadline, Moment};

/// The consents of your end users, each under an id of yours. Cloning is cheap; clones are the same.
///
/// It keeps them in a [`TokenStore`], and has no task of its own: nothing happens unless a method is called.
#[derive(Clone)]
pub struct Consents(Arc<Shared>);

struct Shared {
    client: Client,
    store: Box<dyn TokenStore>,
    store_timeout: Duration,
    on_event: Option<Callback>,
    /// Tells our claims from those of other processes.
    owner: String,
    /// Of those that are in use, so that all who use one consent wait for one exchange.
    in_use: Mutex<HashMap<ConsentId, Weak<State>>>,
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

    /// Called with each [`Event`], in the task of an exchange: it should be quick. A panic of it is caught.
    pub fn on_event(mut self, callback: impl Fn(&ConsentId, &Event) + Send + Sync + 'static) -> Self {
        self.0.on_event = Some(Box::new(callback));
        self
    }

    /// The consents.
    pub fn build(self) -> Consents {
        Consents(Arc::new(self.0))
    }
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
            on_event: None,
            owner: uuid::Uuid::new_v4().to_string(),
            in_use: Mutex::default(),
        })
    }

    /// A consent. It need not exist: [`Consent::access_token`] tells.
    ///
    /// Keep it as long as you use it. It can be made anew each time, but then the access token is read from the store.
    pub fn consent(&self, id: &ConsentId) -> Consent {
        let mut in_use = self.0.in_use();
        if let Some(state) = in_use.get(id).and_then(Weak::upgrade) {
            return Consent(state);
        }
        let state = Arc::new(State {
            id: id.clone(),
            shared: Arc::clone(&self.0),
            cache: TokenCache::new(),
            unsaved: Mutex::default(),
        });
        in_use.insert(id.clone(), Arc::downgrade(&state));
        Consent(state)
    }

    /// Exchanges a code, once (O9), and keeps what comes of it under `id`, in the place of what was there. A caller who goes
    /// away stops nothing: the result is kept.
    ///
    /// # Errors
    ///
    /// A [`SpendError`] that says what became of the code. If it is spent and [`Error::is_store`], the consent is in memory
    /// and is stored with its next call.
    pub async fn exchange_code(
        &self,
        id: &ConsentId,
        code: AuthorizationCode,
    ) -> Result<Consent, SpendError<AuthorizationCode>> {
        let consent = self.consent(id);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return Err(SpendError::Unspent(code, Error::no_runtime(&EXCHANGE_CODE)));
        };
        let state = Arc::clone(&consent.0);
        let exchange = async move {
            let exchanged_at = state.clock().wall();
            let Tokens { access_token, refresh_token, .. } = state.shared.client.exchange_code(code).await?;
            let Some(refresh_token) = refresh_token else {
                return Err(SpendError::Spent(Error::missing(&EXCHANGE_CODE, "refresh_token")));
            };
            let record = Record {
                access_token: kept(&access_token),
                ..Record::new(state.id.clone(), refresh_token, exchanged_at)
            };
            let stored = state.put(record).await;
            state.cache.replace(stored.is_ok().then_some(&access_token));
            stored.map_err(SpendError::Spent)
        };
        let exchanged = runtime.spawn(caught(exchange.in_current_span())).await;
        match exchanged.ok().flatten() {
            Some(exchanged) => exchanged.map(|()| consent),
            None => Err(SpendError::Unknown(Error::abandoned(&EXCHANGE_CODE))),
        }
    }

    /// Takes over a refresh token that was kept elsewhere, in the place of what is kept under `id`. `exchanged_at` is when it
    /// was issued or last exchanged: its 30 days count from then (O5).
    ///
    /// # Errors
    ///
    /// [`Error::is_store`] where it could not be stored.
    pub async fn insert(
        &self,
        id: &ConsentId,
        refresh_token: RefreshToken,
        exchanged_at: SystemTime,
    ) -> Result<Consent, Error> {
        let consent = self.consent(id);
        consent.0.put(Record::new(id.clone(), refresh_token, exchanged_at)).await?;
        consent.0.cache.replace(None);
        Ok(consent)
    }

    /// The consents whose refresh token idles out within `within`, the earliest first, at most `limit` (O5). Those that are
    /// over are not among them. [`Consent::exchange_now`] keeps one alive:
    ///
    /// ```
    /// # use flinks::outbound::Consents;
    /// # async fn keep_alive(consents: Consents) -> Result<(), flinks::Error> {
    /// use std::time::Duration;
    ///
    /// for id in consents.due(Duration::from_secs(3 * 24 * 60 * 60), 1000).await? {
    ///     match consents.consent(&id).exchange_now().await {
    ///         Ok(_) => {}
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
        let now = self.0.clock().wall();
        self.0.guarded(|store| store.due(now.checked_add(within).unwrap_or(now), limit)).await
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
pub struct Consent(Arc<State>);

impl Consent {
    /// Your name for it.
    pub fn id(&self) -> &ConsentId {
        &self.0.id
    }

    /// An access token that is good: the one that is there, or a new one (O4). However many callers ask, in however many
    /// processes that share the store, there is one exchange, and one outcome for all who wait; a caller who goes away takes
    /// nothing with them. A token that will soon expire is exchanged while it still serves. After a failure there is a pause
    /// of up to a minute, in which the token serves as long as it is valid, and else the same error comes at once.
    ///
    /// # Errors
    ///
    /// [`Error::needs_consent`] where there is no such consent, or the end user must consent again (O6); that costs a request
    /// once. [`Error::is_store`] where the store failed; else what the predicates say.
    pub async fn access_token(&self) -> Result<AccessToken, Error> {
        cache::access_token(&self.0).await
    }

    /// Tells that a server has refused `token`, as the Open Banking API does with 401: the next call exchanges. If it has
    /// been replaced already, nothing happens, so all who used it may tell.
    pub fn reject(&self, token: &AccessToken) {
        self.0.cache.reject(token);
    }

    /// Exchanges now, though the access token may still be good: that restarts the 30 days of the refresh token (O5).
    ///
    /// # Errors
    ///
    /// As [`access_token`](Self::access_token).
    pub async fn exchange_now(&self) -> Result<AccessToken, Error> {
        cache::exchange_now(&self.0).await
    }

    /// When the refresh token idles out, unless it is exchanged before (O5).
    ///
    /// # Errors
    ///
    /// [`Error::needs_consent`] where there is no such consent, or it is over; [`Error::is_store`].
    pub async fn idle_deadline(&self) -> Result<SystemTime, Error> {
        if let Some(unsaved) = &*self.0.unsaved() {
            return Ok(unsaved.record.idle_deadline());
        }
        Ok(self.0.load_live().await?.idle_deadline())
    }

    /// Ends the connection at Flinks (O10), and forgets the consent.
    ///
    /// # Errors
    ///
    /// As [`access_token`](Self::access_token), for that is what it is revoked with; and what the revocation fails with.
    pub async fn revoke(&self) -> Result<(), Error> {
        let access_token = self.access_token().await?;
        self.0.shared.client.revoke(&access_token).await?;
        self.forget().await
    }

    /// Forgets the consent. Flinks is not told: the connection remains.
    ///
    /// # Errors
    ///
    /// [`Error::is_store`].
    pub async fn forget(&self) -> Result<(), Error> {
        let State { shared, cache, id, .. } = &*self.0;
        let mut patience = shared.patience();
        *self.0.unsaved() = None;
        cache.replace(None);
        while let Some(record) = shared.load(id).await? {
            if shared.guarded(|store| store.remove(id, record.generation)).await? {
                break;
            }
            patience.wait_after_conflict().await?;
        }
        Ok(())
    }
}

impl fmt::Debug for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consent").field("id", &self.0.id).finish_non_exhaustive()
    }
}

/// A consent that is in use.
struct State {
    id: ConsentId,
    shared: Arc<Shared>,
    cache: TokenCache,
    unsaved: Mutex<Option<Unsaved>>,
}

/// A record with a refresh token that the store could not take: there is no other copy.
struct Unsaved {
    record: Record,
    /// The refresh token that it replaces. None where it replaces whatever is there.
    replaces: Option<RefreshToken>,
    /// The state itself, so that it lives until this is saved.
    _pin: Arc<State>,
}

/// What became of a record that should have been stored.
enum Saved {
    Done,
    /// Something newer is there.
    Overtaken,
}

const CONSENT: Operation = Operation { product: Product::Outbound, id: "consent", purpose: "look after a consent" };
const STORE_TIMEOUT: Duration = Duration::from_secs(5);
/// A tenth of the 30 days: then somebody should look.
const IDLE_WARNING: Duration = Duration::from_secs(3 * 24 * 60 * 60);

impl Source for State {
    fn cache(&self) -> &TokenCache {
        &self.cache
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        self.shared.clock()
    }

    fn operation(&self) -> &'static Operation {
        &CONSENT
    }

    async fn fetch(self: Arc<Self>, need: Need) -> Result<Fetched, Error> {
        self.save_unsaved().await?;
        let shared = &self.shared;
        let mut patience = shared.patience();
        let mut first_exchanged_at = None;
        loop {
            let record = self.load_live().await?;
            let was_exchanged = *first_exchanged_at.get_or_insert(record.exchanged_at) != record.exchanged_at;
            let found = self.found(&record);
            let is_claimed = record
                .claim
                .as_ref()
                .is_some_and(|claim| claim.owner != shared.owner && patience.holds(&record, claim));
            let is_enough = |token: &AccessToken| match need {
                // While another exchanges, one that lasts will do.
                Need::Token => token.0.is_fresh() || (is_claimed && token.0.lasts()),
                Need::Exchange => was_exchanged,
            };
            if let Some(token) = found.filter(is_enough) {
                return Ok(Fetched { token, was_exchanged });
            }
            if is_claimed {
                patience.wait_for_another().await?;
                continue;
            }
            let held = Deadline::after(Moment::now(self.clock().as_ref()), shared.claim(), self.clock());
            let claim = Claim { owner: shared.owner.clone(), until: held.wall().unwrap_or(record.exchanged_at) };
            let expected = record.generation;
            let claimed = Record { claim: Some(claim), ..record }.after(expected);
            // A machine that slept after its claim no longer has it.
            if !shared.swap(Some(expected), &claimed).await? || held.is_past() {
                patience.wait_after_conflict().await?;
                continue;
            }
            match self.exchange(claimed).await? {
                Some(token) => return Ok(Fetched { token, was_exchanged: true }),
                // Another was faster after all.
                None => patience.wait_after_conflict().await?,
            }
        }
    }

    fn tell(&self, event: &Event) {
        event.tell(|event| {
            if let Some(callback) = &self.shared.on_event {
                callback(&self.id, event);
            }
        });
    }
}

impl State {
    /// Exchanges the refresh token of a record that is claimed. None where its result was overtaken.
    async fn exchange(self: &Arc<Self>, claimed: Record) -> Result<Option<AccessToken>, Error> {
        let Shared { client, .. } = &*self.shared;
        let exchanged_at = whole_milliseconds(self.clock().wall());
        let idle_deadline = claimed.idle_deadline();
        if idle_deadline.duration_since(exchanged_at).unwrap_or_default() < IDLE_WARNING {
            self.tell(&Event::IdleDeadlineNear { idle_deadline });
        }
        if claimed.has_rotated {
            client.remember_rotation();
        }
        let (used, expected) = (claimed.refresh_token.clone(), Some(claimed.generation));
        match client.refresh(&used).await {
            Ok(Tokens { access_token, refresh_token, .. }) => {
                let has_rotated = refresh_token.is_some();
                let record = Record {
                    refresh_token: refresh_token.unwrap_or_else(|| used.clone()),
                    exchanged_at,
                    has_rotated: client.has_rotated(),
                    access_token: kept(&access_token),
                    claim: None,
                    ..claimed
                };
                match self.save(record, expected, Some(&used), has_rotated).await {
                    Ok(Saved::Done) => {}
                    Ok(Saved::Overtaken) => return Ok(None),
                    // What the store has is still good, and so is the token.
                    Err(_) if !has_rotated => {}
                    Err(error) => return Err(error.after_sending()),
                }
                match access_token.is_expired() {
                    true => Err(Error::stale(&REFRESH, None)),
                    false => Ok(Some(access_token)),
                }
            }
            Err(error) if error.needs_consent() => {
                let record = Record { is_over: true, access_token: None, claim: None, ..claimed };
                match self.save(record, expected, Some(&used), true).await {
                    // The token that was refused is no longer the one: it had been replaced.
                    Ok(Saved::Overtaken) => Ok(None),
                    Ok(Saved::Done) | Err(_) => Err(error),
                }
            }
            Err(error) => {
                // If this fails, the claim ends by itself.
                let generation = claimed.generation;
                let released = Record { claim: None, ..claimed }.after(generation);
                let _ = self.shared.swap(expected, &released).await;
                Err(error)
            }
        }
    }

    /// Stores a record in the place of the generation `expected`. If something else is there: only while its refresh token is
    /// the one that this record `replaces`; with None, in any case. What must not be lost is kept in memory where that fails.
    async fn save(
        self: &Arc<Self>,
        record: Record,
        mut expected: Option<u64>,
        replaces: Option<&RefreshToken>,
        must_not_be_lost: bool,
    ) -> Result<Saved, Error> {
        let mut patience = self.shared.patience();
        let mut next = record.clone();
        let error = loop {
            next = expected.map_or(next.clone(), |expected| next.after(expected));
            match self.shared.swap(expected, &next).await {
                Ok(true) => return Ok(Saved::Done),
                Ok(false) => {}
                Err(error) => break error,
            }
            let found = match self.shared.load(&self.id).await {
                Ok(found) => found,
                Err(error) => break error,
            };
            match (&found, replaces) {
                (Some(found), _) if is_same(&found.refresh_token, &next.refresh_token) => {
                    // It was exchanged meanwhile, so it is not dead.
                    if next.is_over && found.exchanged_at != next.exchanged_at {
                        return Ok(Saved::Overtaken);
                    }
                    // Ours, of a call that seemed to fail; or as good.
                    if found.is_over == next.is_over && found.exchanged_at >= next.exchanged_at {
                        return Ok(Saved::Done);
                    }
                }
                (Some(found), Some(replaces)) if is_same(&found.refresh_token, replaces) => {}
                (_, Some(_)) => return Ok(Saved::Overtaken),
                (_, None) => {}
            }
            expected = found.as_ref().map(|found| found.generation);
            // Who took the claim over may go on.
            next.claim = found.and_then(|found| found.claim).filter(|claim| claim.owner != self.shared.owner);
            if let Err(error) = patience.wait_after_conflict().await {
                break error;
            }
        };
        if must_not_be_lost {
            let pin = Arc::clone(self);
            *self.unsaved() = Some(Unsaved { record, replaces: replaces.cloned(), _pin: pin });
            self.tell(&Event::NotStored { error: error.clone() });
        }
        Err(error)
    }

    /// Stores a new consent, in the place of whatever is there.
    async fn put(self: &Arc<Self>, record: Record) -> Result<(), Error> {
        *self.unsaved() = None;
        self.save(record, None, None, true).await.map(drop).map_err(Error::after_sending)
    }

    /// Stores what could not be stored before, ahead of anything else.
    async fn save_unsaved(self: &Arc<Self>) -> Result<(), Error> {
        let unsaved = self.unsaved().as_ref().map(|unsaved| (unsaved.record.clone(), unsaved.replaces.clone()));
        let Some((record, replaces)) = unsaved else { return Ok(()) };
        let generation = record.generation;
        self.save(record, Some(generation), replaces.as_ref(), true).await?;
        self.unsaved().take_if(|unsaved| unsaved.record.generation == generation);
        Ok(())
    }

    /// The record of a consent that is not over.
    async fn load_live(&self) -> Result<Record, Error> {
        match self.shared.load(&self.id).await? {
            None => Err(Error::no_consent(&CONSENT)),
            Some(record) if record.is_over => Err(Error::consent_over(&CONSENT)),
            Some(record) => Ok(record),
        }
    }

    /// The access token of a record, if it can be used.
    fn found(&self, record: &Record) -> Option<AccessToken> {
        let KeptToken { secret, issued_at, lifetime } = record.access_token.as_ref()?;
        let is_it = |token: &AccessToken| is_same_text(token.expose_secret(), secret.expose_secret());
        if self.cache.rejected().is_some_and(|rejected| is_it(&rejected)) {
            return None;
        }
        if let Some(current) = self.cache.usable().filter(is_it) {
            return Some(current);
        }
        let clock = self.clock();
        let now = Moment::now(clock.as_ref());
        // One from the future is of a clock that was turned: nothing can be said of its age.
        let remaining = lifetime.checked_sub(now.since(*issued_at)?)?;
        let bearer = Bearer::new(secret.clone(), Some(Deadline::after(now, remaining, clock)));
        Some(AccessToken::new(bearer, *lifetime))
    }

    fn unsaved(&self) -> MutexGuard<'_, Option<Unsaved>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let mut in_use = self.shared.in_use();
        // Unless another has taken its place.
        if in_use.get(&self.id).is_some_and(|state| state.strong_count() == 0) {
            in_use.remove(&self.id);
        }
    }
}

impl Shared {
    fn clock(&self) -> &Arc<dyn Clock> {
        &self.client.caller.clock
    }

    fn in_use(&self) -> MutexGuard<'_, HashMap<ConsentId, Weak<State>>> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn load(&self, id: &ConsentId) -> Result<Option<Record>, Error> {
        let record = self.guarded(|store| store.load(id)).await?;
        match record.as_ref().is_none_or(|record| record.id == *id) {
            true => Ok(record),
            false => Err(Error::store(&CONSENT, StoreError::Damaged("gave the record of another consent"))),
        }
    }

    async fn swap(&self, expected: Option<u64>, record: &Record) -> Result<bool, Error> {
        self.guarded(|store| store.compare_and_swap(expected, record)).await
    }

    /// Calls the store, which may hang or panic.
    async fn guarded<'a, T>(&'a self, call: impl FnOnce(&'a dyn TokenStore) -> StoreFuture<'a, T>) -> Result<T, Error> {
        let answer = tokio::select! {
            biased;
            answer = caught(async { call(self.store.as_ref()).await }) => answer,
            () = self.clock().sleep(self.store_timeout) => Some(Err(StoreError::Unavailable("did not answer in time"))),
        };
        answer.unwrap_or(Err(StoreError::Unavailable("panicked"))).map_err(|error| Error::store(&CONSENT, error))
    }

    /// How long a claim holds: longer than an exchange takes, with what is stored before and after it.
    fn claim(&self) -> Duration {
        self.client.timeout().saturating_add(self.store_timeout.saturating_mul(2)).saturating_add(STORE_TIMEOUT)
    }

    fn patience(&self) -> Patience<'_> {
        let (clock, claim) = (self.clock().as_ref(), self.claim());
        let end = clock.monotonic().saturating_add(claim.saturating_mul(3));
        Patience { clock, claim, end, seen: None, conflicts: 0, waits: 0 }
    }
}

/// How long others are waited for.
struct Patience<'a> {
    clock: &'a dyn Clock,
    claim: Duration,
    end: Duration,
    /// A generation, and since when it has been seen.
    seen: Option<(u64, Duration)>,
    conflicts: u32,
    waits: u32,
}

impl Patience<'_> {
    /// Whether a claim of another's still holds. Their clock may be off: what counts is how long it has been seen here. Only
    /// one that ended long ago is known to be left over.
    fn holds(&mut self, record: &Record, claim: &Claim) -> bool {
        const MAX_SKEW: Duration = Duration::from_secs(10 * 60);
        let now = self.clock.monotonic();
        let since =
            self.seen.filter(|(generation, _)| *generation == record.generation).map_or(now, |(_, since)| since);
        self.seen = Some((record.generation, since));
        let is_left_over = self.clock.wall().duration_since(claim.until).is_ok_and(|ago| ago > MAX_SKEW);
        now.saturating_sub(since) < self.claim && !is_left_over
    }

    /// Waits a little for one who exchanges: at first as long as a quick exchange takes, and at most half a second.
    async fn wait_for_another(&mut self) -> Result<(), Error> {
        if self.clock.monotonic() >= self.end {
            return Err(Error::store(&CONSENT, StoreError::Unavailable("is always claimed by others")));
        }
        let longest = Duration::from_millis(20).saturating_mul(1 << self.waits.min(5)).min(Duration::from_millis(500));
        self.waits = self.waits.saturating_add(1);
        self.clock.sleep(longest.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        Ok(())
    }

    /// Waits a moment before another try.
    async fn wait_after_conflict(&mut self) -> Result<(), Error> {
        // Each is somebody's success, so a store that tells of this many does not tell the truth.
        const MAX_CONFLICTS: u32 = 100;
        self.conflicts = self.conflicts.saturating_add(1);
        if self.conflicts > MAX_CONFLICTS {
            return Err(Error::store(&CONSENT, StoreError::Unavailable("does not stop changing")));
        }
        self.clock.sleep(Duration::from_millis(20).mul_f64(fastrand::f64())).await;
        Ok(())
    }
}

/// What of an access token is kept: nothing of one whose lifetime is unknown (O3).
fn kept(token: &AccessToken) -> Option<KeptToken> {
    let deadline = token.0.bearer.deadline().filter(|deadline| !deadline.is_past())?;
    let (issued_at, lifetime) = (deadline.from(), deadline.lifetime());
    Some(KeptToken { secret: token.secret().clone(), issued_at, lifetime })
}

fn is_same(one: &RefreshToken, other: &RefreshToken) -> bool {
    is_same_text(one.expose_secret(), other.expose_secret())
}

fn is_same_text(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}
