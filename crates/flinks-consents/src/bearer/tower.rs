//! A layer for `tower` services that send `http::Request`s.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use flinks::HeaderValue;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::{BearerAuth, Exchange, TokenSource, send};

impl<S: TokenSource> BearerAuth<S> {
    /// Returns a `tower` layer for requests whose bodies can be cloned, such as
    /// `http_body_util::Full<Bytes>` or `String`. Requests need absolute URIs, because a request
    /// without a host has no origin and is sent without a token.
    ///
    /// Place concurrency limits and buffers above this layer, because this layer reserves the inner
    /// service before it waits for a token. Do not follow redirects below this layer: the layer
    /// could not determine which server responded.
    ///
    /// ```
    /// # use flinks_consents::{BearerAuth, Consent};
    /// use http::{Request, Response};
    /// use tower_layer::Layer;
    ///
    /// # fn example<S>(consent: Consent, client: S) -> Result<(), Box<dyn std::error::Error>>
    /// # where S: tower_service::Service<Request<String>, Response = Response<String>> + Clone {
    /// let auth = BearerAuth::new(consent, &"https://api.example".parse()?);
    /// let service = auth.layer::<String>().layer(client);
    /// # Ok(())
    /// # }
    /// ```
    pub fn layer<B: Clone>(self) -> BearerLayer<S, B> {
        self.layer_with(|body| Some(body.clone()))
    }

    /// Returns a `tower` layer for requests with any body. If `clone_body` returns `None` for a
    /// request's body, the request is not sent again. For streams, pass `|_| None`.
    pub fn layer_with<B>(self, clone_body: fn(&B) -> Option<B>) -> BearerLayer<S, B> {
        BearerLayer { auth: self, clone_body }
    }
}

/// The `tower` layer that [`BearerAuth::layer`] returns.
#[must_use = "a layer does nothing until it is applied to a service"]
pub struct BearerLayer<S, B> {
    auth: BearerAuth<S>,
    clone_body: fn(&B) -> Option<B>,
}

impl<S: Clone, B> Clone for BearerLayer<S, B> {
    fn clone(&self) -> Self {
        Self { auth: self.auth.clone(), clone_body: self.clone_body }
    }
}

impl<S: TokenSource, B, T> Layer<T> for BearerLayer<S, B> {
    type Service = BearerService<S, B, T>;

    fn layer(&self, inner: T) -> Self::Service {
        BearerService { auth: self.auth.clone(), clone_body: self.clone_body, inner }
    }
}

/// A `tower` service that authenticates the requests to an inner service.
///
/// If no token is available, the error is a boxed [`ConsentError`](crate::ConsentError). Use
/// [`ConsentError::find_in`](crate::ConsentError::find_in) to extract it.
pub struct BearerService<S, B, T> {
    auth: BearerAuth<S>,
    clone_body: fn(&B) -> Option<B>,
    inner: T,
}

// A derived implementation would require the body to be cloneable.
impl<S: Clone, B, T: Clone> Clone for BearerService<S, B, T> {
    fn clone(&self) -> Self {
        Self { auth: self.auth.clone(), clone_body: self.clone_body, inner: self.inner.clone() }
    }
}

/// The error returned by a [`BearerService`]: either its inner service's error or a
/// [`ConsentError`](crate::ConsentError).
type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<S, B, R, T> Service<Request<B>> for BearerService<S, B, T>
where
    S: TokenSource,
    B: Send + 'static,
    R: Send + 'static,
    T: Service<Request<B>, Response = Response<R>, Error: Into<BoxError> + Send, Future: Send> + Clone + Send + 'static,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service is ready, but its clone may not be.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        if !self.auth.is_same_origin(request.uri()) || request.headers().contains_key(AUTHORIZATION) {
            return Box::pin(async move { inner.call(request).await.map_err(Into::into) });
        }
        let auth = self.auth.clone();
        let replay = if auth.may_replay(request.method()) { try_clone(&request, self.clone_body) } else { None };
        Box::pin(async move {
            let source = auth.source.clone();
            let mut exchange = TowerExchange { auth, inner, request: PhantomData };
            send(&source, &mut exchange, request, replay).await?.map_err(Into::into)
        })
    }
}

struct TowerExchange<S, B, T> {
    auth: BearerAuth<S>,
    inner: T,
    request: PhantomData<fn(B)>,
}

impl<S, B, R, T> Exchange for TowerExchange<S, B, T>
where
    S: TokenSource,
    T: Service<Request<B>, Response = Response<R>>,
{
    type Request = Request<B>;
    type Response = Result<Response<R>, T::Error>;

    async fn send(&mut self, mut request: Request<B>, authorization: HeaderValue) -> Self::Response {
        request.headers_mut().insert(AUTHORIZATION, authorization);
        // For the second request, the service must be ready again.
        poll_fn(|context| self.inner.poll_ready(context)).await?;
        self.inner.call(request).await
    }

    fn is_rejected(&self, response: &Self::Response) -> bool {
        response.as_ref().is_ok_and(|response| self.auth.is_rejection(response.status()))
    }
}

fn try_clone<B>(request: &Request<B>, clone_body: fn(&B) -> Option<B>) -> Option<Request<B>> {
    let mut clone = Request::new(clone_body(request.body())?);
    request.method().clone_into(clone.method_mut());
    request.uri().clone_into(clone.uri_mut());
    *clone.version_mut() = request.version();
    request.headers().clone_into(clone.headers_mut());
    request.extensions().clone_into(clone.extensions_mut());
    Some(clone)
}
