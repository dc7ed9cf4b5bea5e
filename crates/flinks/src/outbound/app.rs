//! The application's own access token.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::cache::{self, Fetched, Need, Source, TokenCache};
use super::event::Event;
use super::tokens::AccessToken;
use super::{CLIENT_CREDENTIALS, Client};
use crate::error::{Error, Operation};
use crate::in_flight::InFlight;
use crate::time::Clock;

/// The access token of your application itself, of the grant `client_credentials`, for all who need it (O4). Cloning is cheap;
/// clones share the token.
///
/// It has no store: a token that is lost costs one request.
#[derive(Clone)]
pub struct AppTokenSource(Arc<State>);

struct State {
    client: Client,
    scope: Option<String>,
    cache: TokenCache,
    in_flight: InFlight,
    on_event: Option<Callback>,
}

type Callback = Box<dyn Fn(&Event) + Send + Sync>;

impl AppTokenSource {
    /// With a scope, such as `client:admin` for app management, or with none.
    pub fn new(client: Client, scope: Option<&str>) -> Self {
        Self::build(client, scope, None)
    }

    /// As [`new`](Self::new), with a callback for each [`Event`], in the task of an exchange: it should be quick. A panic of it
    /// is caught.
    pub fn with_events(client: Client, scope: Option<&str>, on_event: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self::build(client, scope, Some(Box::new(on_event)))
    }

    fn build(client: Client, scope: Option<&str>, on_event: Option<Callback>) -> Self {
        let scope = scope.map(str::to_owned);
        Self(Arc::new(State { client, scope, cache: TokenCache::new(), in_flight: InFlight::new(), on_event }))
    }

    /// An access token that is good: the one that is there, or a new one. There is one exchange, however many ask, and one
    /// outcome for all who wait; early, while the token still serves; with a pause after a failure, and at least a second
    /// between two: as with [`Consent::access_token`](super::Consent::access_token).
    ///
    /// # Errors
    ///
    /// [`Error::is_credentials`] for a wrong client id or secret; else what the predicates say.
    pub async fn access_token(&self) -> Result<AccessToken, Error> {
        cache::access_token(self).await
    }

    /// Tells that a server has refused `token`: the next call exchanges. If it has been replaced already, nothing happens.
    pub fn reject(&self, token: &AccessToken) {
        self.0.cache.reject(token, self.clock().as_ref());
    }
}

impl fmt::Debug for AppTokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppTokenSource").field("scope", &self.0.scope).finish_non_exhaustive()
    }
}

impl Source for AppTokenSource {
    fn cache(&self) -> &TokenCache {
        &self.0.cache
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.client.caller.clock
    }

    fn operation(&self) -> &'static Operation {
        &CLIENT_CREDENTIALS
    }

    fn in_flight(&self) -> &InFlight {
        &self.0.in_flight
    }

    fn longest(&self) -> Duration {
        self.0.client.timeout().saturating_mul(2)
    }

    async fn fetch(self, _: Need) -> Result<Fetched, Error> {
        let token = self.0.client.client_credentials(self.0.scope.as_deref()).await?;
        Ok(Fetched { token, was_exchanged: true })
    }

    fn tell(&self, event: &Event) {
        event.tell(None, |event| {
            if let Some(callback) = &self.0.on_event {
                callback(event);
            }
        });
    }
}
