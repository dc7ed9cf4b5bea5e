//! The application's own access token.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flinks::outbound::{AccessToken, Client};
use flinks::{Clock, HeaderValue};
use tokio_util::task::TaskTracker;

use crate::cached_token::CachedToken;
use crate::error::ConsentError;
use crate::event::Event;
use crate::metrics::{self, TokenKind};
use crate::shared_token::{self, Source};
use crate::token_cache::{FetchedToken, Need, Outcome, TokenCache};

/// A shared source of the application's own access token, which is requested with the
/// `client_credentials` grant. Cloning is cheap, and clones share the token.
///
/// The token is kept only in memory, because replacing a lost token costs just one request.
/// ([O4](flinks::rules))
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
    /// Creates a source with an optional scope, such as `client:admin` for app management.
    pub fn new(client: Client, scope: Option<&str>) -> Self {
        Self::build(client, scope, None)
    }

    /// Creates a source as [`new`](Self::new) does, and sets a callback that is called for each
    /// [`Event`]. The callback runs in the task that sends the request, so it should return
    /// quickly. A panic in the callback is caught and logged.
    pub fn with_events(client: Client, scope: Option<&str>, on_event: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self::build(client, scope, Some(Box::new(on_event)))
    }

    fn build(client: Client, scope: Option<&str>, on_event: Option<Callback>) -> Self {
        metrics::describe();
        Self(Arc::new(Inner {
            client,
            scope: scope.map(str::to_owned),
            cache: TokenCache::new(),
            tasks: TaskTracker::new(),
            on_event,
        }))
    }

    /// Returns a valid access token: either the cached token or a new one.
    ///
    /// All concurrent callers share one request and its outcome. The token is replaced shortly
    /// before it expires. After a failure, the source backs off before the next request.
    /// Consecutive requests are at least one second apart. See
    /// [`Consent::access_token`](crate::Consent::access_token) for details.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no valid token and the request fails.
    /// [`ConsentError::is_credentials`] returns `true` if the client id or secret is wrong.
    ///
    /// # Cancel safety
    ///
    /// If the caller is cancelled, the request still completes and its result is cached.
    pub async fn access_token(&self) -> Result<AccessToken, ConsentError> {
        shared_token::access_token(self).await
    }

    /// Calls `read` with a valid access token and returns the result. This is the fastest way to
    /// read a cached token. See [`Consent::with_token`](crate::Consent::with_token) for an example.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`access_token`](Self::access_token).
    ///
    /// # Cancel safety
    ///
    /// If the caller is cancelled, `read` is not called, but an in-flight request still completes
    /// and its result is cached.
    pub async fn with_token<T>(&self, read: impl FnOnce(&AccessToken) -> T) -> Result<T, ConsentError> {
        shared_token::with_token(self, |cached| read(&cached.token)).await
    }

    /// Returns the value of the `Authorization` header for a request: `Bearer` followed by a valid
    /// access token. The value is marked as sensitive and is created only once for each token.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`access_token`](Self::access_token).
    ///
    /// # Cancel safety
    ///
    /// If the caller is cancelled, an in-flight request still completes and its result is cached.
    pub async fn header(&self) -> Result<HeaderValue, ConsentError> {
        shared_token::with_token(self, |cached| cached.token.authorization()).await
    }

    /// Invalidates an access token that has been rejected, for example with a 401 response from the
    /// Open Banking API. The next call to [`access_token`](Self::access_token) requests a new
    /// token. If the token has already been replaced, this method does nothing.
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
    const KIND: TokenKind = TokenKind::Application;

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
        Ok(FetchedToken { token: Arc::new(token), was_refreshed: true })
    }

    fn emit(&self, event: &Event) {
        event.emit(None, |event| {
            if let Some(callback) = &self.0.on_event {
                callback(event);
            }
        });
    }
}
