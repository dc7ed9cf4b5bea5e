//! The middleware settings that are shared by all supported HTTP clients.

use std::fmt;

use flinks::BaseUrl;
#[cfg(feature = "tower")]
use http::Uri;
use http::{Method, StatusCode};
use url::Origin;

use super::TokenSource;

/// Middleware that authenticates requests to one API with an access token.
///
/// - It adds an `Authorization: Bearer …` header, which is marked as sensitive. A request that
///   already has an `Authorization` header is sent unchanged.
/// - If the API responds with 401, the middleware invalidates the token, obtains another one and
///   sends the request again. It returns the second response, whatever its status.
/// - It sends the token only to the origin of the base URL: the same scheme, host and port. A
///   request to another origin is sent without a token.
/// - A request with a non-idempotent method, such as POST, is not sent again, unless
///   [`replay_non_idempotent`](Self::replay_non_idempotent) allows it. A request whose body cannot
///   be cloned, such as a stream, is never sent again. In both cases, the rejected token is still
///   invalidated, so the next request uses another token.
///
/// With the `reqwest-middleware-0_5` feature, this type is a `reqwest_middleware::Middleware`. With
/// the `tower` feature, [`layer`](Self::layer) returns a `tower_layer::Layer`.
#[derive(Clone)]
#[must_use = "the settings do nothing until they are added to an HTTP client"]
pub struct BearerAuth<S> {
    pub(super) source: S,
    origin: Origin,
    rejects_with_403: bool,
    replays_non_idempotent: bool,
}

impl<S: TokenSource> BearerAuth<S> {
    /// Creates middleware that sends tokens from `source`, which is a [`Consent`](crate::Consent)
    /// or an [`AppTokenSource`](crate::AppTokenSource), to the API at `base_url`.
    ///
    /// Like every [`BaseUrl`], the URL must use `https`, or `http` if its host is a loopback
    /// address.
    pub fn new(source: S, base_url: &BaseUrl) -> Self {
        let origin = url::Url::parse(base_url.as_str()).map_or_else(|_| Origin::new_opaque(), |url| url.origin());
        Self { source, origin, rejects_with_403: false, replays_non_idempotent: false }
    }

    /// Sets whether a 403 response is treated like a 401. The default is `false`, because a 403
    /// usually means that the token is valid but lacks a permission.
    pub fn replay_on_forbidden(mut self, is_enabled: bool) -> Self {
        self.rejects_with_403 = is_enabled;
        self
    }

    /// Sets whether requests with a non-idempotent method, such as POST, are sent again after a
    /// rejection. The default is `false`. Enable this only if the API never processes a request
    /// that it rejects. If [`replay_on_forbidden`](Self::replay_on_forbidden) is enabled,
    /// rejections include 403 responses.
    pub fn replay_non_idempotent(mut self, is_enabled: bool) -> Self {
        self.replays_non_idempotent = is_enabled;
        self
    }

    pub(super) fn is_rejection(&self, status: StatusCode) -> bool {
        status == StatusCode::UNAUTHORIZED || (self.rejects_with_403 && status == StatusCode::FORBIDDEN)
    }

    pub(super) fn may_replay(&self, method: &Method) -> bool {
        method.is_idempotent() || self.replays_non_idempotent
    }

    pub(super) fn has_origin(&self, origin: &Origin) -> bool {
        // Two opaque origins are never equal.
        self.origin == *origin
    }

    /// Returns whether a request goes to the API's origin. Returns `false` for a URI without a
    /// host.
    #[cfg(feature = "tower")]
    pub(super) fn is_same_origin(&self, uri: &Uri) -> bool {
        url::Url::parse(&uri.to_string()).is_ok_and(|url| self.has_origin(&url.origin()))
    }
}

impl<S: fmt::Debug> fmt::Debug for BearerAuth<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerAuth")
            .field("source", &self.source)
            .field("origin", &self.origin.ascii_serialization())
            .finish_non_exhaustive()
    }
}
