//! Tests consents against the emulator. Each file covers one subject. The tests advance the clock
//! themselves, and the emulator counts the requests.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // test helpers may panic

mod bearer;
mod code;
mod confirmed;
mod early;
mod ended;
mod events;
mod forgotten;
mod idle;
mod invalidated;
mod lease;
mod lifetime;
mod log_lines;
mod metrics;
mod model;
mod observability;
mod outage;
mod owners;
mod pending;
mod reactivation;
mod restart;
mod revocation;
mod rotation;
mod runtimes;
mod sharing;
mod shutdown;
mod stores;
mod suspected;
mod wall_clock;

#[path = "../../../flinks/tests/shared/lines.rs"]
mod lines;
#[path = "../../../flinks/tests/shared/outbound.rs"]
mod outbound_client;
#[path = "../../../flinks/tests/shared/recorder.rs"]
mod recorder;
#[path = "../../../flinks/tests/shared/runtimes.rs"]
mod without_drivers;

/// The imports that all files share.
mod prelude {
    pub(crate) use std::time::{Duration, SystemTime};

    pub(crate) use flinks_consents::store::testing::StoreOperation::{CompareAndSwap, Load, Remove};
    pub(crate) use flinks_consents::store::testing::{FaultyStore, StoreFault, StoreOperation};
    pub(crate) use flinks_consents::store::{DueWindow, Record, StoreError, StoreFuture, conformance};
    pub(crate) use flinks_consents::{
        AppTokenSource, Consent, ConsentError, ConsentId, Consents, ConsentsBuilder, Event, FileStore, MemoryStore,
        OutagePolicy, Revoked, TokenStore,
    };

    pub(crate) use flinks::outbound::{AccessToken, Client, RefreshToken};
    pub(crate) use flinks::{Advice, Clock as _, ManualClock, Refusal, Settings, SpendError};
    pub(crate) use flinks_emulator::{Emulator, Fault, Kind, When};
    pub(crate) use tokio::task::JoinHandle;

    pub(crate) use crate::outbound_client::{
        TIMEOUT, auto_advancing_clock, client_at, code, credentials, parameter, refresh_token, waits,
    };
    pub(crate) use crate::{
        DAY, HOUR, LIFETIME, MINUTE, REVOKE, SECOND, Setup, TOKEN, advance_until_done, consent_in, distinct_tokens,
        hold, id, invalid_grant, is_pending, response_with_lifetime, spawn, spawn_many, start, start_with_clock,
        stored_record, text, token, user, with_event_channel,
    };
}

use std::pin::Pin;
use std::task::Poll;

use flinks_emulator::{Issued, Operation};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::prelude::*;

pub(crate) const TOKEN: Operation = Operation::OutboundToken;
pub(crate) const REVOKE: Operation = Operation::OutboundRevoke;
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The lifetime of the access tokens that the emulator issues in these tests.
pub(crate) const LIFETIME: Duration = Duration::from_secs(1800);

/// An emulator and the clock that its clients use.
pub(crate) struct Setup {
    pub(crate) emulator: Emulator,
    pub(crate) clock: ManualClock,
}

pub(crate) async fn start() -> Setup {
    start_with_clock(auto_advancing_clock()).await
}

pub(crate) async fn start_with_clock(clock: ManualClock) -> Setup {
    let emulator = Emulator::start().await.unwrap();
    emulator.configure(|config| config.outbound.access_token_seconds = LIFETIME.as_secs());
    Setup { emulator, clock }
}

impl Setup {
    pub(crate) fn client(&self) -> Client {
        client_at(&self.emulator, &self.clock, credentials())
    }

    pub(crate) fn builder(&self) -> ConsentsBuilder {
        // The timeout is so long that a store times out only if a test advances the clock.
        Consents::builder(self.client()).store_timeout(TIMEOUT)
    }

    /// Creates a `Consents` value. In these tests, each `Consents` value represents one process.
    pub(crate) fn consents(&self, store: impl TokenStore) -> Consents {
        self.builder().store(store).build()
    }

    pub(crate) fn consents_with(&self, store: impl TokenStore, policy: OutagePolicy) -> Consents {
        self.builder().store(store).outage_policy(policy).build()
    }

    /// Imports a refresh token from the emulator to create the consent for [`user`].
    pub(crate) async fn import(&self, consents: &Consents) -> Consent {
        consents.import(&user(), refresh_token(), self.now()).await.unwrap()
    }

    /// Creates the consent for [`user`] in a `MemoryStore`.
    pub(crate) async fn consent(&self) -> Consent {
        consent_in(self, MemoryStore::new()).await
    }

    /// Like [`consent`](Self::consent), but also returns a channel that receives the consent's
    /// events.
    pub(crate) async fn consent_with_events(&self) -> (Consent, UnboundedReceiver<Event>) {
        let (builder, events) = with_event_channel(self.builder());
        (self.import(&builder.build()).await, events)
    }

    /// Returns the authorization code that the redirect would contain after an end user has
    /// consented.
    pub(crate) fn code(&self) -> flinks::outbound::AuthorizationCode {
        code(&self.emulator, &self.client())
    }

    /// Starts a call that refreshes the consent, and then waits until the emulator holds the
    /// request.
    pub(crate) async fn held_call(
        &self,
        consent: &Consent,
        when: When,
    ) -> JoinHandle<Result<AccessToken, ConsentError>> {
        self.emulator.fail_next(TOKEN, hold(when));
        let before = self.token_requests();
        let call = spawn(consent);
        self.emulator.received(TOKEN, before + 1).await;
        call
    }

    pub(crate) fn rotate_refresh_tokens(&self) {
        self.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
    }

    pub(crate) fn newest_refresh_token(&self) -> Issued {
        self.emulator.issued().into_iter().rfind(|issued| issued.kind == Kind::RefreshToken).unwrap()
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.wall()
    }

    /// Returns the number of token requests that the emulator has received.
    pub(crate) fn token_requests(&self) -> u64 {
        self.emulator.count(TOKEN)
    }

    pub(crate) fn revocation_requests(&self) -> u64 {
        self.emulator.count(REVOKE)
    }

    pub(crate) fn is_revoked(&self, token: &AccessToken) -> bool {
        self.emulator.find(token.expose_secret()).is_some_and(|issued| issued.revoked.is_some())
    }

    /// Advances the clocks of both the clients and the emulator.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.emulator.advance(by);
    }

    pub(crate) fn move_wall_clock_forward(&self, by: Duration) {
        self.clock.set_wall(self.now() + by);
    }

    pub(crate) fn move_wall_clock_back(&self, by: Duration) {
        self.clock.set_wall(self.now() - by);
    }
}

pub(crate) fn id(text: &str) -> ConsentId {
    text.parse().unwrap()
}

pub(crate) fn user() -> ConsentId {
    id("user-7")
}

pub(crate) fn token(text: &str) -> RefreshToken {
    RefreshToken::new(text).unwrap()
}

/// Creates the consent for [`user`] in `store`.
pub(crate) async fn consent_in(setup: &Setup, store: impl TokenStore) -> Consent {
    setup.import(&setup.consents(store)).await
}

/// Adds a callback that sends all events to a channel.
pub(crate) fn with_event_channel(builder: ConsentsBuilder) -> (ConsentsBuilder, UnboundedReceiver<Event>) {
    let (sender, events) = unbounded_channel();
    (builder.on_event(move |_, event| sender.send(event.clone()).unwrap()), events)
}

pub(crate) fn spawn(consent: &Consent) -> JoinHandle<Result<AccessToken, ConsentError>> {
    let consent = consent.clone();
    tokio::spawn(async move { consent.access_token().await })
}

pub(crate) fn spawn_many(consent: &Consent, callers: usize) -> Vec<JoinHandle<Result<AccessToken, ConsentError>>> {
    (0..callers).map(|_| spawn(consent)).collect()
}

/// Waits for `calls` to complete and returns their distinct access tokens.
pub(crate) async fn distinct_tokens(calls: Vec<JoinHandle<Result<AccessToken, ConsentError>>>) -> Vec<String> {
    let mut tokens = Vec::new();
    for call in calls {
        tokens.push(text(&call.await.unwrap().unwrap()));
    }
    tokens.dedup();
    tokens
}

/// Repeatedly advances the clocks by `step` until the task has completed.
pub(crate) async fn advance_until_done<T>(setup: &Setup, step: Duration, task: JoinHandle<T>) -> T {
    while !task.is_finished() {
        setup.advance(step);
        tokio::task::yield_now().await;
    }
    task.await.unwrap()
}

/// Polls `future` once and returns whether it is pending.
pub(crate) async fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context).is_pending())).await
}

pub(crate) fn text(token: &AccessToken) -> String {
    token.expose_secret().to_owned()
}

/// Returns the encoded record of [`user`].
pub(crate) async fn stored_record(store: &impl TokenStore) -> String {
    store.load(&user()).await.unwrap().unwrap().encode().unwrap().expose_secret().to_owned()
}

pub(crate) fn hold(when: When) -> Fault {
    Fault::Hold { when }
}

/// Returns an `invalid_grant` response, which ends a consent.
pub(crate) fn invalid_grant() -> Fault {
    Fault::reply(400, r#"{"error":"invalid_grant"}"#)
}

/// Returns a response with an access token. `expires_in` is the JSON value of the token lifetime in
/// seconds.
pub(crate) fn response_with_lifetime(expires_in: &str) -> Fault {
    Fault::reply(200, format!(r#"{{"access_token":"emu_a","token_type":"Bearer","expires_in":{expires_in}}}"#))
}
