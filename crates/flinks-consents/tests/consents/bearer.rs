//! Tests requests that carry a consent's access token, sent in each of three ways: with a closure,
//! with the `reqwest-middleware` middleware, and with the `tower` layer. (O4, O6)

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use flinks::HeaderValue;
use flinks_consents::{BearerAuth, BearerService};
use flinks_emulator::Operation;
use http_body_util::Full;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use reqwest::redirect::Policy;
use reqwest::{ResponseBuilderExt as _, StatusCode};
use reqwest_middleware::ClientWithMiddleware;
use tokio::sync::Barrier;
use tower_layer::Layer as _;
use tower_service::Service as _;

use crate::prelude::*;

const ACCOUNTS: Operation = Operation::OutboundAccounts;

type Bytes = hyper::body::Bytes;
type TowerClient = BearerService<Consent, Full<Bytes>, HyperClient<HttpConnector, Full<Bytes>>>;

/// One of the three ways to send an authenticated request.
#[derive(Clone)]
enum Form {
    Closure(Consent, reqwest::Client),
    Middleware(ClientWithMiddleware),
    Tower(TowerClient),
}

impl Form {
    fn all(setup: &Setup, consent: &Consent) -> [Self; 3] {
        [Self::closure(consent), Self::middleware(auth(setup, consent)), Self::tower(auth(setup, consent))]
    }

    fn closure(consent: &Consent) -> Self {
        Self::Closure(consent.clone(), http_client())
    }

    fn middleware(auth: BearerAuth<Consent>) -> Self {
        Self::Middleware(reqwest_middleware::ClientBuilder::new(http_client()).with(auth).build())
    }

    fn tower(auth: BearerAuth<Consent>) -> Self {
        Self::Tower(auth.layer().layer(HyperClient::builder(TokioExecutor::new()).build_http()))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Closure(..) => "closure",
            Self::Middleware(_) => "reqwest-middleware",
            Self::Tower(_) => "tower",
        }
    }

    async fn send(&self, method: &str, url: &str) -> Result<StatusCode, Box<dyn StdError + Send + Sync>> {
        let method: reqwest::Method = method.parse().unwrap();
        match self.clone() {
            Self::Closure(consent, http) => {
                let request = |authorization| {
                    http.request(method.clone(), url).header("authorization", authorization).body("{}").send()
                };
                let is_rejected = |outcome: &reqwest::Result<reqwest::Response>| {
                    outcome.as_ref().is_ok_and(|response| response.status() == StatusCode::UNAUTHORIZED)
                };
                Ok(consent.send(request, is_rejected).await??.status())
            }
            Self::Middleware(http) => Ok(http.request(method, url).body("{}").send().await?.status()),
            Self::Tower(mut service) => {
                std::future::poll_fn(|context| service.poll_ready(context)).await?;
                let request = http::Request::builder().method(method).uri(url).body(Full::from("{}"))?;
                Ok(service.call(request).await?.status())
            }
        }
    }

    async fn get(&self, url: &str) -> StatusCode {
        self.send("GET", url).await.unwrap()
    }
}

fn http_client() -> reqwest::Client {
    flinks::tls::install_default_crypto_provider();
    reqwest::Client::builder().redirect(Policy::none()).no_proxy().build().unwrap()
}

fn auth(setup: &Setup, consent: &Consent) -> BearerAuth<Consent> {
    BearerAuth::new(consent.clone(), setup.client().base_url())
}

fn accounts(emulator: &Emulator) -> String {
    format!("{}/api/fdx/5/accounts", emulator.base_url())
}

/// Starts an emulator with a consent whose cached token was issued one second ago, so that a
/// refresh does not have to wait.
async fn with_token() -> (Setup, Consent) {
    let setup = start().await;
    let consent = setup.consent().await;
    consent.access_token().await.unwrap();
    setup.advance(SECOND);
    (setup, consent)
}

#[tokio::test]
async fn o4_one_rejection_is_followed_by_one_refresh_and_one_replay() {
    for number in 0..3 {
        let (setup, consent) = with_token().await;
        let form = &Form::all(&setup, &consent)[number];
        setup.emulator.fail_next(ACCOUNTS, Fault::status(401));
        assert_eq!(form.get(&accounts(&setup.emulator)).await, StatusCode::OK, "{}", form.name());
        assert_eq!(setup.emulator.count(ACCOUNTS), 2, "{}", form.name());
        assert_eq!(setup.token_requests(), 2, "{}", form.name());

        // The API has accepted the second token, so a later rejection causes another refresh.
        setup.advance(2 * SECOND);
        setup.emulator.fail_next(ACCOUNTS, Fault::status(401));
        assert_eq!(form.get(&accounts(&setup.emulator)).await, StatusCode::OK, "{}", form.name());
        assert_eq!(setup.token_requests(), 3, "{}", form.name());
    }
}

#[tokio::test]
async fn o4_permanent_rejection_is_returned_after_one_replay() {
    for number in 0..3 {
        let (setup, consent) = with_token().await;
        let form = &Form::all(&setup, &consent)[number];
        setup.emulator.fail_always(ACCOUNTS, Fault::status(401));
        assert_eq!(form.get(&accounts(&setup.emulator)).await, StatusCode::UNAUTHORIZED, "{}", form.name());
        assert_eq!(setup.emulator.count(ACCOUNTS), 2, "{}", form.name());
        // For a minute, requests with the second token are not replayed.
        setup.advance(30 * SECOND);
        for _ in 0..10 {
            assert_eq!(form.get(&accounts(&setup.emulator)).await, StatusCode::UNAUTHORIZED, "{}", form.name());
        }
        assert_eq!(setup.emulator.count(ACCOUNTS), 12, "{}", form.name());
        assert_eq!(setup.token_requests(), 2, "{}", form.name());
        setup.advance(30 * SECOND);
        setup.emulator.clear_faults();
        setup.emulator.fail_next(ACCOUNTS, Fault::status(401));
        assert_eq!(form.get(&accounts(&setup.emulator)).await, StatusCode::OK, "{}", form.name());
        assert_eq!(setup.token_requests(), 3, "{}", form.name());
    }
}

#[tokio::test]
async fn o4_request_without_idempotent_method_is_replayed_only_on_request() {
    const SESSIONS: Operation = Operation::PayInitiateSession;
    let (setup, consent) = with_token().await;
    setup.emulator.fail_always(SESSIONS, Fault::status(401));
    let url = format!("{}/api/v1/sessions/initiate", setup.emulator.base_url());
    let mut requests = 0;
    for form in [Form::middleware, Form::tower] {
        for (replays, more_requests) in [(false, 1), (true, 2)] {
            setup.advance(MINUTE);
            let form = form(auth(&setup, &consent).replay_non_idempotent(replays));
            assert_eq!(form.send("POST", &url).await.unwrap(), StatusCode::UNAUTHORIZED, "{}", form.name());
            requests += more_requests;
            assert_eq!(setup.emulator.count(SESSIONS), requests, "{}, {replays}", form.name());
            // The next request uses another token.
            assert_eq!(form.get(&accounts(&setup.emulator)).await, StatusCode::OK, "{}", form.name());
        }
    }
    assert_eq!(setup.token_requests(), 5, "each rejected token was replaced");
}

#[tokio::test]
async fn o4_permanent_rejection_of_posts_causes_one_refresh_per_minute() {
    const SESSIONS: Operation = Operation::PayInitiateSession;
    for form in [Form::middleware, Form::tower] {
        let (setup, consent) = with_token().await;
        let form = form(auth(&setup, &consent));
        setup.emulator.fail_always(SESSIONS, Fault::status(401));
        let url = format!("{}/api/v1/sessions/initiate", setup.emulator.base_url());
        for _ in 0..20 {
            assert_eq!(form.send("POST", &url).await.unwrap(), StatusCode::UNAUTHORIZED, "{}", form.name());
            setup.advance(2 * SECOND);
        }
        assert_eq!(setup.token_requests(), 2, "{}", form.name());
        assert_eq!(setup.emulator.count(SESSIONS), 20, "{}", form.name());
    }
}

#[tokio::test]
async fn o4_concurrent_permanent_rejections_cause_one_refresh() {
    let (setup, consent) = with_token().await;
    let is_rejected = |(): &()| true;
    let all_sent = Arc::new(Barrier::new(100));
    for _ in 0..3 {
        let calls = (0..100).map(|_| {
            let (consent, all_sent) = (consent.clone(), Arc::clone(&all_sent));
            tokio::spawn(async move {
                let mut attempt = 0;
                let request = |_| {
                    attempt += 1;
                    let waits = (attempt == 1).then(|| Arc::clone(&all_sent));
                    async move {
                        if let Some(all_sent) = waits {
                            all_sent.wait().await;
                        }
                    }
                };
                consent.send(request, is_rejected).await.unwrap();
            })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap();
        }
        setup.advance(5 * SECOND);
    }
    assert_eq!(setup.token_requests(), 2);
}

#[tokio::test]
async fn o4_forbidden_request_is_replayed_only_by_option() {
    let (setup, consent) = with_token().await;
    let url = accounts(&setup.emulator);
    for form in [Form::middleware, Form::tower] {
        setup.emulator.fail_next(ACCOUNTS, Fault::status(403));
        let usual = form(auth(&setup, &consent));
        assert_eq!(usual.get(&url).await, StatusCode::FORBIDDEN, "{}", usual.name());
        setup.advance(MINUTE);
        setup.emulator.fail_next(ACCOUNTS, Fault::status(403));
        let with_option = form(auth(&setup, &consent).replay_on_forbidden(true));
        assert_eq!(with_option.get(&url).await, StatusCode::OK, "{}", with_option.name());
    }
    assert_eq!(setup.token_requests(), 3, "one token, and one refresh for each option");
}

#[tokio::test]
async fn a1_token_is_sent_to_no_other_origin() {
    let (setup, consent) = with_token().await;
    let other = Emulator::start().await.unwrap();
    for form in [Form::middleware, Form::tower] {
        let form = form(auth(&setup, &consent));
        assert_eq!(form.get(&accounts(&other)).await, StatusCode::UNAUTHORIZED, "{}", form.name());
        // The same port with a different host name is a different origin.
        let by_name = accounts(&setup.emulator).replace("127.0.0.1", "localhost");
        assert_eq!(form.get(&by_name).await, StatusCode::UNAUTHORIZED, "{}", form.name());
    }
    for request in other.requests_of(ACCOUNTS).iter().chain(&setup.emulator.requests_of(ACCOUNTS)) {
        assert_eq!(request.header("authorization").next(), None);
    }
    assert_eq!(setup.token_requests(), 1, "the rejections of another origin cause no refresh");
}

#[tokio::test]
async fn a1_token_does_not_follow_a_redirect_to_another_host() {
    let (setup, consent) = with_token().await;
    let other = Emulator::start().await.unwrap();
    flinks::tls::install_default_crypto_provider();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let http = reqwest_middleware::ClientBuilder::new(http).with(auth(&setup, &consent)).build();
    setup.emulator.fail_next(ACCOUNTS, Fault::Redirect { status: 307, location: accounts(&other) });
    assert_eq!(Form::Middleware(http).get(&accounts(&setup.emulator)).await, StatusCode::UNAUTHORIZED);
    assert_eq!(other.requests_of(ACCOUNTS)[0].header("authorization").next(), None);
    assert_eq!(setup.token_requests(), 1, "the rejection came from another origin");
}

#[tokio::test]
async fn a1_callers_own_authorization_is_sent_unchanged() {
    let (setup, consent) = with_token().await;
    let url = accounts(&setup.emulator);
    let http = reqwest_middleware::ClientBuilder::new(http_client()).with(auth(&setup, &consent)).build();
    let response = http.get(&url).header("authorization", "Bearer own").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let Form::Tower(mut service) = Form::tower(auth(&setup, &consent)) else { panic!("it is the tower form") };
    std::future::poll_fn(|context| service.poll_ready(context)).await.unwrap();
    let request = http::Request::get(url).header("authorization", "Bearer own").body(Full::default()).unwrap();
    assert_eq!(service.call(request).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(setup.emulator.count_carrying("Bearer own"), 2);
    assert_eq!(setup.token_requests(), 1);
}

#[tokio::test]
async fn o4_request_with_a_stream_as_its_body_is_not_replayed() {
    let (setup, consent) = with_token().await;
    let url = accounts(&setup.emulator);
    setup.emulator.fail_times(ACCOUNTS, Fault::status(401), 2);
    let http = reqwest_middleware::ClientBuilder::new(http_client()).with(auth(&setup, &consent)).build();
    let stream = reqwest::Body::wrap(Full::<Bytes>::from("{}"));
    assert_eq!(http.get(&url).body(stream).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    setup.advance(MINUTE);
    let layer = auth(&setup, &consent).layer_with(|_: &Full<Bytes>| None);
    let service = Form::Tower(layer.layer(HyperClient::builder(TokioExecutor::new()).build_http()));
    assert_eq!(service.get(&url).await, StatusCode::UNAUTHORIZED);
    assert_eq!(service.get(&url).await, StatusCode::OK);
    assert_eq!(setup.token_requests(), 3, "each rejected token was replaced");
}

#[tokio::test]
async fn o6_error_of_an_ended_consent_is_found_in_each_form() {
    let setup = start().await;
    let consent = setup.consent().await;
    setup.emulator.fail_always(TOKEN, invalid_grant());
    for form in Form::all(&setup, &consent) {
        let error = form.send("GET", &accounts(&setup.emulator)).await.unwrap_err();
        let found = ConsentError::find_in(error.as_ref()).unwrap_or_else(|| panic!("{}: {error}", form.name()));
        assert!(found.needs_consent(), "{}: {error}", form.name());
    }
    assert_eq!(setup.emulator.count(ACCOUNTS), 0);
}

#[tokio::test]
async fn o4_thousand_concurrent_rejections_cause_one_refresh() {
    const CALLERS: usize = 1000;
    /// An API that rejects the first token once all callers have sent it.
    #[derive(Clone)]
    struct Api {
        rejected: HeaderValue,
        all_sent: Arc<Barrier>,
    }

    impl Api {
        async fn status(&self, authorization: &HeaderValue) -> StatusCode {
            if *authorization != self.rejected {
                return StatusCode::OK;
            }
            self.all_sent.wait().await;
            StatusCode::UNAUTHORIZED
        }
    }

    #[async_trait::async_trait]
    impl reqwest_middleware::Middleware for Api {
        async fn handle(
            &self,
            request: reqwest::Request,
            _: &mut http::Extensions,
            _: reqwest_middleware::Next<'_>,
        ) -> reqwest_middleware::Result<reqwest::Response> {
            let status = self.status(&request.headers()["authorization"]).await;
            Ok(http::Response::builder().url(request.url().clone()).status(status).body("").unwrap().into())
        }
    }

    impl tower_service::Service<http::Request<String>> for Api {
        type Response = http::Response<String>;
        type Error = std::convert::Infallible;
        type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: http::Request<String>) -> Self::Future {
            let api = self.clone();
            Box::pin(async move {
                let status = api.status(&request.headers()["authorization"]).await;
                Ok(http::Response::builder().status(status).body(String::new()).unwrap())
            })
        }
    }

    for form in ["closure", "reqwest-middleware", "tower"] {
        let (setup, consent) = with_token().await;
        let rejected = consent.access_token().await.unwrap().authorization();
        let api = Api { rejected, all_sent: Arc::new(Barrier::new(CALLERS)) };
        let url = accounts(&setup.emulator);
        let http = reqwest_middleware::ClientBuilder::new(http_client())
            .with(auth(&setup, &consent))
            .with(api.clone())
            .build();
        let service = auth(&setup, &consent).layer().layer(api.clone());
        let calls = (0..CALLERS).map(|_| {
            let (consent, api, http, url) = (consent.clone(), api.clone(), http.clone(), url.clone());
            let mut service = service.clone();
            tokio::spawn(async move {
                match form {
                    "closure" => {
                        let request = async |authorization: HeaderValue| api.status(&authorization).await;
                        consent.send(request, |status| *status == StatusCode::UNAUTHORIZED).await.unwrap()
                    }
                    "tower" => {
                        let request = http::Request::get(url).body(String::new()).unwrap();
                        service.call(request).await.unwrap().status()
                    }
                    _ => http.get(url).send().await.unwrap().status(),
                }
            })
        });
        for call in calls.collect::<Vec<_>>() {
            assert_eq!(call.await.unwrap(), StatusCode::OK, "{form}");
        }
        assert_eq!(setup.token_requests(), 2, "{form}");
    }
}

#[tokio::test]
async fn o4_rejected_application_token_is_replaced() {
    let setup = start().await;
    let source = AppTokenSource::new(setup.client(), None);
    let first = source.access_token().await.unwrap().authorization();
    setup.advance(SECOND);
    let request = async |authorization: HeaderValue| authorization;
    let used = source.send(request, |used| *used == first).await.unwrap();
    assert_ne!(used, first);
    assert!(used.is_sensitive());
    assert_eq!(setup.token_requests(), 2);

    // The emulator's data requires an end user's token, so it responds with 403 to this one.
    let middleware = BearerAuth::new(source, setup.client().base_url());
    let http = reqwest_middleware::ClientBuilder::new(http_client()).with(middleware).build();
    let response = http.get(accounts(&setup.emulator)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(setup.emulator.count_carrying(used.to_str().unwrap()), 1);
}
