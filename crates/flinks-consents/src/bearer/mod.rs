//! Sends requests with the access token of a consent or of the application.
//!
//! The `send` methods and the middleware follow the same steps:
//!
//! ```text
//! get a token ─► send ─► rejected? ──no──► return the response
//!                           │ yes: invalidate the token
//!                           ▼
//!              may the request be sent again? ──no──► return the rejection
//!                           │ yes
//!                           ▼
//!              get another token ─► send ─► return the response, even if it is a rejection
//! ```
//!
//! If the second token is also rejected, the tokens are not the cause. For the next minute,
//! rejections are returned without another refresh. The same applies if a rejected request must not
//! be sent again, because it is then unknown whether the server accepts the new token.

#[cfg(any(feature = "reqwest-middleware-0_5", feature = "tower"))]
mod auth;
#[cfg(feature = "reqwest-middleware-0_5")]
mod reqwest_middleware;
#[cfg(feature = "tower")]
mod tower;

use flinks::HeaderValue;

use crate::app_token::AppTokenSource;
use crate::cached_token::CachedToken;
use crate::consent::Consent;
use crate::error::ConsentError;
use crate::shared_token::{self, Source};
use crate::token_id::TokenId;

#[cfg(any(feature = "reqwest-middleware-0_5", feature = "tower"))]
pub use self::auth::BearerAuth;
#[cfg(feature = "tower")]
pub use self::tower::{BearerLayer, BearerService};

/// A source of access tokens: a [`Consent`] or an [`AppTokenSource`].
///
/// Other types cannot implement this trait.
pub trait TokenSource: sealed::Tokens {}

impl TokenSource for Consent {}
impl TokenSource for AppTokenSource {}

mod sealed {
    use super::*;

    pub trait Tokens: Clone + std::fmt::Debug + Send + Sync + 'static {
        fn credential(&self) -> impl Future<Output = Result<Credential, ConsentError>> + Send;

        /// Invalidates a rejected token. Returns `true` if the server may accept another token.
        fn reject(&self, token: TokenId) -> bool;

        /// Records that the server accepted the second token sent for a request.
        fn accept_replay(&self);
    }

    impl<S: Source + std::fmt::Debug> Tokens for S {
        async fn credential(&self) -> Result<Credential, ConsentError> {
            let read = |cached: &CachedToken| Credential { header: cached.token.authorization(), token: cached.id };
            shared_token::with_token(self, read).await
        }

        fn reject(&self, token: TokenId) -> bool {
            self.cache().reject(token, self.clock().as_ref())
        }

        fn accept_replay(&self) {
            self.cache().accept_replay();
        }
    }
}

/// The values that a request needs from a cached token: the `Authorization` header, and the id for
/// [`reject`](sealed::Tokens::reject).
pub struct Credential {
    header: HeaderValue,
    token: TokenId,
}

/// Sends requests with one HTTP client.
pub(crate) trait Exchange {
    type Request;
    type Response;

    fn send(&mut self, request: Self::Request, authorization: HeaderValue) -> impl Future<Output = Self::Response>;

    /// Returns whether the server rejected the token.
    fn is_rejected(&self, response: &Self::Response) -> bool;
}

/// Sends `request`. If the token is rejected, invalidates the token and sends `replay` with another
/// token. `replay` is `None` if the request must not be sent again.
pub(crate) async fn send<E: Exchange>(
    source: &impl TokenSource,
    exchange: &mut E,
    request: E::Request,
    replay: Option<E::Request>,
) -> Result<E::Response, ConsentError> {
    let Credential { header, token } = source.credential().await?;
    let response = exchange.send(request, header).await;
    if !exchange.is_rejected(&response) || !source.reject(token) {
        return Ok(response);
    }
    let Some(replay) = replay else { return Ok(response) };
    // Frees the connection for the second request.
    drop(response);
    let response = exchange.send(replay, source.credential().await?.header).await;
    if !exchange.is_rejected(&response) {
        source.accept_replay();
    }
    Ok(response)
}

/// The closures passed to [`Consent::send`].
struct Closures<R, P> {
    request: R,
    is_rejected: P,
}

impl<T, F, R, P> Exchange for Closures<R, P>
where
    F: Future<Output = T>,
    R: FnMut(HeaderValue) -> F,
    P: Fn(&T) -> bool,
{
    type Request = ();
    type Response = T;

    fn send(&mut self, (): (), authorization: HeaderValue) -> impl Future<Output = T> {
        (self.request)(authorization)
    }

    fn is_rejected(&self, response: &T) -> bool {
        (self.is_rejected)(response)
    }
}

impl Consent {
    /// Sends a request with the access token. If `is_rejected` returns `true` for the result, for
    /// example because the API responded with 401, the request is sent again with another token.
    ///
    /// `request` receives the value of the `Authorization` header, which is marked as sensitive,
    /// and is called at most twice. A rejected token is [invalidated](Self::invalidate). If the
    /// second token is also rejected, the tokens are not the cause, so this method returns the
    /// second result. For the next minute, rejections do not cause another refresh.
    ///
    /// The request may have any method. `is_rejected` must therefore return `true` only for a
    /// response that proves that the API did not process the request, such as a 401, and never for
    /// a lost response. Disable redirects in the HTTP client, so that the response cannot come from
    /// another server.
    ///
    /// This method works with any HTTP client. [`BearerAuth`](crate::BearerAuth) is the middleware
    /// for `reqwest-middleware` and `tower`.
    ///
    /// ```no_run
    /// # use flinks_consents::{Consent, ConsentError};
    /// # async fn example(consent: Consent) -> Result<(), Box<dyn std::error::Error>> {
    /// let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    /// let response = consent
    ///     .send(
    ///         |authorization| http.get("https://api.example/accounts").header("Authorization", authorization).send(),
    ///         |response| response.as_ref().is_ok_and(|response| response.status() == 401),
    ///     )
    ///     .await??;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`access_token`](Self::access_token), including when the first
    /// token was rejected and no other token is available. The result of the request is returned
    /// unchanged.
    ///
    /// # Cancel safety
    ///
    /// If the caller is cancelled, the request is also cancelled. An in-flight refresh still
    /// completes, and its result is stored.
    pub async fn send<T, F>(
        &self,
        request: impl FnMut(HeaderValue) -> F,
        is_rejected: impl Fn(&T) -> bool,
    ) -> Result<T, ConsentError>
    where
        F: Future<Output = T>,
    {
        send(self, &mut Closures { request, is_rejected }, (), Some(())).await
    }
}

impl AppTokenSource {
    /// Sends a request with the application's access token. If `is_rejected` returns `true` for the
    /// result, the request is sent again with another token. See
    /// [`Consent::send`](crate::Consent::send) for an example.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`access_token`](Self::access_token).
    ///
    /// # Cancel safety
    ///
    /// If the caller is cancelled, the request is also cancelled. An in-flight request for a token
    /// still completes, and its result is cached.
    pub async fn send<T, F>(
        &self,
        request: impl FnMut(HeaderValue) -> F,
        is_rejected: impl Fn(&T) -> bool,
    ) -> Result<T, ConsentError>
    where
        F: Future<Output = T>,
    {
        send(self, &mut Closures { request, is_rejected }, (), Some(())).await
    }
}

/// The error that a `reqwest_middleware::Error` contains if no access token is available. Its
/// source is the [`ConsentError`].
#[cfg(feature = "reqwest-middleware-0_5")]
#[derive(Debug)]
struct TokenError(ConsentError);

#[cfg(feature = "reqwest-middleware-0_5")]
impl std::fmt::Display for TokenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no access token is available")
    }
}

#[cfg(feature = "reqwest-middleware-0_5")]
impl std::error::Error for TokenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}
