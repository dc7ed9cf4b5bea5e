//! The middleware for `reqwest-middleware` 0.5, which uses reqwest 0.13.

use async_trait::async_trait;
use flinks::HeaderValue;
use http::Extensions;
use http::header::AUTHORIZATION;
use reqwest::{Request, Response};
use reqwest_middleware::{Error, Middleware, Next, Result};

use super::{BearerAuth, Exchange, TokenError, TokenSource, send};

/// Adds the token to each request in a `reqwest-middleware` chain.
///
/// ```no_run
/// # use flinks_consents::{BearerAuth, Consent, ConsentError};
/// # async fn example(consent: Consent) -> Result<(), Box<dyn std::error::Error>> {
/// // An API that serves data does not need redirects.
/// let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
/// let auth = BearerAuth::new(consent, &"https://api.example".parse()?);
/// let http = reqwest_middleware::ClientBuilder::new(http).with(auth).build();
/// match http.get("https://api.example/accounts").send().await {
///     Ok(response) => println!("{}", response.status()),
///     Err(error) if ConsentError::find_in(&error).is_some_and(ConsentError::needs_consent) => {
///         println!("the end user must authorize again");
///     }
///     Err(error) => println!("{error}"),
/// }
/// # Ok(())
/// # }
/// ```
///
/// If no token is available, the error is a `reqwest_middleware::Error::Middleware`, and
/// [`ConsentError::find_in`](crate::ConsentError::find_in) returns the cause.
///
/// reqwest follows redirects itself, below this middleware, and strips the token when a redirect
/// leads to another host or port. A rejection invalidates the token only if the response comes from
/// the API's origin. A response without a URL, such as one from a mock or a cache below this
/// middleware, never invalidates the token.
#[async_trait]
impl<S: TokenSource> Middleware for BearerAuth<S> {
    async fn handle(&self, request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
        if !self.has_origin(&request.url().origin()) || request.headers().contains_key(AUTHORIZATION) {
            return next.run(request, extensions).await;
        }
        let replay = if self.may_replay(request.method()) { request.try_clone() } else { None };
        let mut exchange = ReqwestExchange { auth: self, next, extensions };
        match send(&self.source, &mut exchange, request, replay).await {
            Ok(outcome) => outcome,
            Err(error) => Err(Error::middleware(TokenError(error))),
        }
    }
}

struct ReqwestExchange<'a, S> {
    auth: &'a BearerAuth<S>,
    next: Next<'a>,
    extensions: &'a mut Extensions,
}

impl<S: TokenSource> Exchange for ReqwestExchange<'_, S> {
    type Request = Request;
    type Response = Result<Response>;

    async fn send(&mut self, mut request: Request, authorization: HeaderValue) -> Result<Response> {
        request.headers_mut().insert(AUTHORIZATION, authorization);
        self.next.clone().run(request, self.extensions).await
    }

    fn is_rejected(&self, response: &Result<Response>) -> bool {
        let Ok(response) = response else { return false };
        // After a redirect, another server may have responded.
        self.auth.is_rejection(response.status()) && self.auth.has_origin(&response.url().origin())
    }
}
