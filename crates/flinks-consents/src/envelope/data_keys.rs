//! Data keys that are kept in memory so that the key service is rarely called.
//!
//! ```text
//!                 limits reached                  twice the limits
//! Young ───────────────────────────► Old ────────────────────────► Expired
//!   ▲   one caller requests a new key │                              │ all callers wait
//!   └─────────────────────────────────┴──────────────────────────────┘ for the new key
//! ```
//!
//! The lock is never held across an await. A call to the key service is a shared future: all
//! callers that wait for the same key wait for the same call. A separate task drives the call, so
//! that the call completes even if all waiting callers are cancelled.

use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flinks::{Clock, SystemClock};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};

use super::error::EnvelopeError;
use super::keys::Key;
use super::provider::{DataKey, KeyError, KeyProvider};

/// Data keys from a [`KeyProvider`], kept in memory. Cloning is cheap, and clones share the keys.
///
/// - For encryption, one data key is used for many values. It is replaced after
///   [`max_values`](Self::max_values) values or after [`max_age`](Self::max_age), whichever comes
///   first.
/// - For decryption, each wrapped key is unwrapped once and kept in memory. If there are more than
///   [`capacity`](Self::capacity) keys, the least recently used one is dropped.
/// - If several tasks need the same key at the same time, they share one call to the provider.
///
/// # If the key service fails
///
/// | key | if the service is unavailable | if the service refuses the call |
/// | --- | --- | --- |
/// | a key in memory | works | works |
/// | the key for new values, once it has reached a limit | works up to twice its limits; a replacement is requested at most once every 10 seconds | the same |
/// | any other key | [`StoreError::Unavailable`](crate::store::StoreError::Unavailable) | [`StoreError::Misconfigured`](crate::store::StoreError::Misconfigured) |
#[derive(Clone)]
pub struct DataKeys {
    provider: Arc<dyn KeyProvider>,
    clock: Arc<dyn Clock>,
    max_values: u64,
    max_age: Duration,
    capacity: usize,
    timeout: Duration,
    state: Arc<Mutex<State>>,
}

/// The minimum time between two attempts to replace an old key.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// A data key and its wrapped form in base64.
#[derive(Clone)]
pub(super) struct WrappedKey {
    pub(super) key: Key,
    pub(super) wrapped: Arc<str>,
}

type Call<T> = Shared<BoxFuture<'static, Result<T, KeyError>>>;

#[derive(Default)]
struct State {
    /// The key for new values.
    sealing: Option<SealingKey>,
    generating: Option<Call<WrappedKey>>,
    /// The monotonic time before which no replacement for an old key is requested again.
    retry_at: Duration,
    /// The keys for decryption, keyed by their wrapped form in base64.
    unwrapped: HashMap<Arc<str>, UnwrappedKey>,
    /// A counter that orders the uses of unwrapped keys.
    uses: u64,
}

struct SealingKey {
    key: WrappedKey,
    values: u64,
    since: Duration,
}

enum UnwrappedKey {
    InFlight(Call<Key>),
    Ready { key: Key, last_used: u64 },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    Young,
    Old,
    Expired,
}

impl DataKeys {
    /// Creates an empty set of data keys. `provider` is called when the first value is sealed or
    /// opened.
    pub fn new(provider: impl KeyProvider) -> Self {
        Self {
            provider: Arc::new(provider),
            clock: Arc::new(SystemClock),
            max_values: 10_000,
            max_age: Duration::from_secs(60 * 60),
            capacity: 10_000,
            timeout: Duration::from_secs(3),
            state: Arc::default(),
        }
    }

    /// Sets the number of values after which the key for new values is replaced. Default: 10 000.
    /// The minimum is 1.
    #[must_use]
    pub fn max_values(mut self, values: u64) -> Self {
        self.max_values = values.max(1);
        self
    }

    /// Sets the age at which the key for new values is replaced. Default: 1 hour. The minimum is 1
    /// second.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age.max(Duration::from_secs(1));
        self
    }

    /// Sets the maximum number of keys that are kept in memory for decryption. Default: 10 000. The
    /// minimum is 1.
    #[must_use]
    pub fn capacity(mut self, keys: usize) -> Self {
        self.capacity = keys.max(1);
        self
    }

    /// Sets the timeout for a call to the provider. Default: 3 seconds. A call that times out is
    /// treated as [`KeyError::Unavailable`].
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the clock. Default: this machine's clocks.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Returns the key for a new value, and counts the value.
    pub(super) async fn key_for_sealing(&self) -> Result<WrappedKey, KeyError> {
        loop {
            let (call, old) = {
                let mut state = self.lock();
                let now = self.clock.monotonic();
                let (age, current) = self.current_key(&mut state, now);
                match current {
                    Some(key) if age == Age::Young => return Ok(key),
                    Some(key) if state.generating.is_some() || now < state.retry_at => return Ok(key),
                    current => {
                        state.retry_at = now.saturating_add(RETRY_AFTER);
                        (state.generating.get_or_insert_with(|| self.generate()).clone(), current)
                    }
                }
            };
            match (call.await, old) {
                // The new key is in the state now, so the next iteration uses it and counts the
                // value.
                (Ok(_), _) => {}
                (Err(error), Some(key)) => {
                    tracing::warn!("cannot replace the data key for new values, so it is used longer: {error}");
                    return Ok(key);
                }
                (Err(error), None) => return Err(error),
            }
        }
    }

    /// Returns the key with this wrapped form.
    pub(super) async fn key_for_opening(&self, wrapped: &str) -> Result<Key, KeyError> {
        let call = {
            let mut state = self.lock();
            state.uses = state.uses.saturating_add(1);
            let now = state.uses;
            match state.unwrapped.get_mut(wrapped) {
                Some(UnwrappedKey::Ready { key, last_used }) => {
                    *last_used = now;
                    return Ok(key.clone());
                }
                Some(UnwrappedKey::InFlight(call)) => call.clone(),
                None => {
                    let wrapped: Arc<str> = wrapped.into();
                    let call = self.unwrap(Arc::clone(&wrapped));
                    state.unwrapped.insert(wrapped, UnwrappedKey::InFlight(call.clone()));
                    call
                }
            }
        };
        call.await
    }

    /// Returns the key for new values and its age, and counts one value. An expired key is dropped.
    fn current_key(&self, state: &mut State, now: Duration) -> (Age, Option<WrappedKey>) {
        let Some(sealing) = &mut state.sealing else { return (Age::Expired, None) };
        let age = self.age_of(sealing, now);
        if age == Age::Expired {
            state.sealing = None;
            return (age, None);
        }
        sealing.values = sealing.values.saturating_add(1);
        (age, Some(sealing.key.clone()))
    }

    fn age_of(&self, sealing: &SealingKey, now: Duration) -> Age {
        let age = now.saturating_sub(sealing.since);
        if sealing.values < self.max_values && age < self.max_age {
            return Age::Young;
        }
        if sealing.values < self.max_values.saturating_mul(2) && age < self.max_age.saturating_mul(2) {
            return Age::Old;
        }
        Age::Expired
    }

    /// Starts a call that generates a key and stores it in the state.
    fn generate(&self) -> Call<WrappedKey> {
        let provider = Arc::clone(&self.provider);
        let state = Arc::downgrade(&self.state);
        let clock = Arc::clone(&self.clock);
        let capacity = self.capacity;
        let generated = self.with_timeout(async move { provider.generate_key().await });
        let call = async move {
            let result = generated.await.and_then(WrappedKey::new);
            let Some(state) = Weak::upgrade(&state) else { return result };
            let mut state = lock(&state);
            state.generating = None;
            if let Ok(key) = &result {
                state.retry_at = Duration::ZERO;
                state.sealing = Some(SealingKey { key: key.clone(), values: 0, since: clock.monotonic() });
                // Values that were sealed with this key can be opened without a call to the
                // provider.
                state.insert_unwrapped(Arc::clone(&key.wrapped), key.key.clone(), capacity);
            }
            result
        };
        start(call.boxed().shared())
    }

    /// Starts a call that unwraps a key and stores it in the state.
    fn unwrap(&self, wrapped: Arc<str>) -> Call<Key> {
        let provider = Arc::clone(&self.provider);
        let state = Arc::downgrade(&self.state);
        let capacity = self.capacity;
        let text = Arc::clone(&wrapped);
        let unwrapped = self.with_timeout(async move {
            let bytes = URL_SAFE_NO_PAD.decode(text.as_bytes()).map_err(|_| KeyError::Damaged)?;
            provider.unwrap_key(&bytes).await
        });
        let call = async move {
            let result = unwrapped.await;
            let Some(state) = Weak::upgrade(&state) else { return result };
            let mut state = lock(&state);
            match &result {
                Ok(key) => state.insert_unwrapped(wrapped, key.clone(), capacity),
                Err(_) => drop(state.unwrapped.remove(&wrapped)),
            }
            result
        };
        start(call.boxed().shared())
    }

    /// Limits the duration of a call. A panic in the provider is treated as an outage.
    fn with_timeout<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, KeyError>> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, KeyError>> {
        let timeout = self.clock.sleep(self.timeout);
        let call = AssertUnwindSafe(call).catch_unwind();
        Box::pin(async move {
            tokio::select! {
                biased;
                result = call => result.unwrap_or(Err(KeyError::Unavailable)),
                () = timeout => Err(KeyError::Unavailable),
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    #[cfg(test)]
    pub(super) fn is_generating(&self) -> bool {
        self.lock().generating.is_some()
    }
}

impl State {
    /// Inserts an unwrapped key. If the number of keys then exceeds `capacity`, drops the least
    /// recently used one.
    fn insert_unwrapped(&mut self, wrapped: Arc<str>, key: Key, capacity: usize) {
        self.uses = self.uses.saturating_add(1);
        self.unwrapped.insert(wrapped, UnwrappedKey::Ready { key, last_used: self.uses });
        let ready = self.unwrapped.iter().filter_map(|(wrapped, key)| match key {
            UnwrappedKey::Ready { last_used, .. } => Some((*last_used, wrapped)),
            UnwrappedKey::InFlight(_) => None,
        });
        if ready.clone().count() > capacity
            && let Some((_, oldest)) = ready.min()
        {
            let oldest = Arc::clone(oldest);
            self.unwrapped.remove(&oldest);
        }
    }
}

impl WrappedKey {
    fn new(generated: DataKey) -> Result<Self, KeyError> {
        if generated.wrapped.is_empty() || generated.wrapped.len() > DataKey::MAX_WRAPPED_BYTES {
            return Err(KeyError::Refused);
        }
        Ok(Self { key: generated.key, wrapped: URL_SAFE_NO_PAD.encode(&generated.wrapped).into() })
    }
}

impl From<KeyError> for EnvelopeError {
    fn from(error: KeyError) -> Self {
        Self::DataKey(error)
    }
}

/// Drives a call in a task. Without a runtime, the waiting callers drive the call.
fn start<T: Clone + Send + Sync + 'static>(call: Call<T>) -> Call<T> {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(call.clone());
    }
    call
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows only the settings.
impl fmt::Debug for DataKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKeys")
            .field("max_values", &self.max_values)
            .field("max_age", &self.max_age)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
