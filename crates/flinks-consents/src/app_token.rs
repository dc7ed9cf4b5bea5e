//! The application's own access token.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flinks::Clock;
use flinks::outbound::{AccessToken, Client};
use tokio_util::task::TaskTracker;

use crate::cached_token::CachedToken;
use crate::error::ConsentError;
use crate::event::Event;
use crate::shared_token::{self, Source};
use crate::token_cache::{Fetched, Need, Outcome, TokenCache};

/// The access token of your application itself, of the grant `client_credentials`, for all who need it (O4). Cloning is cheap;
/// clones share the token.
///
/// It has no store: a token that is lost costs one request.
#[derive(Clone)]
pub struct AppTokenSource(Arc<Inner>);

struct Inner {
    client: Client,
    scope: Option<String>,
    cache: TokenCache,
    tasks: TaskTracker,
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
        Self(Arc::new(Inner {
            client,
            scope: scope.map(str::to_owned),
            cache: TokenCache::new(),
            tasks: TaskTracker::new(),
            on_event,
        }))
    }

    /// Returns a valid access token: the cached one, or a new one. However many callers ask, there is one request, and all who wait
    /// get its outcome. The token is replaced early, while it is still valid; a failure is followed by a pause; and two requests are
    /// at least a second apart, as with [`Consent::access_token`](crate::Consent::access_token).
    ///
    /// # Errors
    ///
    /// Returns an error if there is no valid token and the request fails. [`ConsentError::is_credentials`] is true for a wrong client
    /// id or secret.
    ///
    /// # Cancel safety
    ///
    /// The request completes and its result is cached if the caller is cancelled.
    pub async fn access_token(&self) -> Result<AccessToken, ConsentError> {
        shared_token::access_token(self).await
    }

    /// Reports that a server has refused `token`, as the Open Banking API does with 401. The next call requests another one. If the
    /// token has been replaced already, nothing happens.
    pub fn invalidate(&self, token: &AccessToken) {
        self.0.cache.invalidate(token, self.clock().as_ref());
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
        self.0.client.clock()
    }

    fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    fn fetch_timeout(&self) -> Duration {
        self.0.client.timeout().saturating_mul(2)
    }

    async fn fetch(self, _: Need) -> Outcome {
        let token = self.0.client.client_credentials(self.0.scope.as_deref()).await?;
        let token = CachedToken::new(token, None, self.clock().as_ref());
        Ok(Fetched { token: Arc::new(token), was_refreshed: true })
    }

    fn emit(&self, event: &Event) {
        event.emit(None, |event| {
            if let Some(callback) = &self.0.on_event {
                callback(event);
            }
        });
    }
}
