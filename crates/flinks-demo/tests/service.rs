//! Tests the service against the emulator, with the requests that a browser would send. The
//! shutdown tests stop the service while requests are in flight.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use flinks_consents::MemoryStore;
use flinks_consents::flinks::tls::install_default_crypto_provider;
use flinks_demo::{App, Emulated, install_metrics, router, serve};
use flinks_emulator::{Fault, Operation, When};
use metrics_exporter_prometheus::PrometheusHandle;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{RequestBuilder, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

struct Service {
    emulated: Arc<Emulated>,
    url: String,
    http: reqwest::Client,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<std::io::Result<()>>,
}

impl Service {
    async fn start() -> Self {
        install_default_crypto_provider();
        let emulated = Arc::new(Emulated::start().await.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Arc::new(App::new(emulated.clients().unwrap(), MemoryStore::new(), url.clone()));
        let routes = router(Arc::clone(&app), Some(Arc::clone(&emulated)), metrics());
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(serve(listener, app, routes, async {
            let _ = stopped.await;
        }));
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { emulated, url, http, stop, ended }
    }

    // ANCHOR: requests
    /// Starts a session and returns its cookie.
    async fn cookie(&self) -> String {
        let response = self.http.get(&self.url).send().await.unwrap();
        let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
        assert!(cookie.contains("HttpOnly"), "{cookie}");
        assert!(cookie.contains("SameSite=Lax"), "{cookie}");
        cookie.split(';').next().unwrap().to_owned()
    }

    fn get(&self, path: &str, cookie: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.url)).header(COOKIE, cookie)
    }

    fn post(&self, path: &str, cookie: &str, form: &'static str) -> RequestBuilder {
        let request = self.http.post(format!("{}{path}", self.url)).header(COOKIE, cookie);
        request.header("content-type", "application/x-www-form-urlencoded").body(form)
    }

    /// Starts a consent and returns the path of the callback.
    async fn start_consent(&self, cookie: &str) -> String {
        let response = self.post("/consents/1000", cookie, "").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let state = parameter(&response, "state");
        let code = self.emulated.emulator.issue_code(&format!("{}/consents/callback", self.url));
        format!("/consents/callback?code={code}&state={state}")
    }
    // ANCHOR_END: requests
}

/// Returns the metrics of all services in this process.
fn metrics() -> PrometheusHandle {
    static METRICS: LazyLock<PrometheusHandle> = LazyLock::new(|| install_metrics().unwrap());
    METRICS.clone()
}

// ANCHOR: helpers
/// Returns a query parameter of the URL to which a response redirects.
fn parameter(response: &Response, name: &str) -> String {
    let location = response.headers()[LOCATION].to_str().unwrap();
    location.split(&format!("{name}=")).nth(1).unwrap().split('&').next().unwrap().to_owned()
}

async fn status(request: RequestBuilder) -> StatusCode {
    request.send().await.unwrap().status()
}

async fn text(request: RequestBuilder) -> String {
    request.send().await.unwrap().text().await.unwrap()
}
// ANCHOR_END: helpers

#[tokio::test]
async fn bank_is_connected_used_replaced_and_disconnected() {
    let service = Service::start().await;
    let cookie = service.cookie().await;
    let back = service.start_consent(&cookie).await;
    let other = service.cookie().await;
    assert_eq!(status(service.get(&back, &other)).await, StatusCode::CONFLICT);
    let response = service.get(&back, &cookie).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()[LOCATION], "/");
    assert_eq!(response.headers()["referrer-policy"], "no-referrer");
    // The browser loads the callback URL twice.
    assert_eq!(status(service.get(&back, &cookie)).await, StatusCode::CONFLICT);

    assert!(text(service.get("/", &cookie)).await.contains("active"));
    let accounts = text(service.get("/consents/1000/accounts", &cookie)).await;
    assert!(accounts.contains("1234.56 CAD"), "{accounts}");
    // Only the server's clock advances, so only the server considers the access token expired.
    service.emulated.emulator.advance(Duration::from_secs(3600));
    assert_eq!(status(service.get("/consents/1000/accounts", &cookie)).await, StatusCode::OK);
    assert_eq!(status(service.get("/consents/1000/accounts", &other)).await, StatusCode::CONFLICT);

    // A second consent for the same bank revokes the first connection.
    let back = service.start_consent(&cookie).await;
    assert_eq!(status(service.get(&back, &cookie)).await, StatusCode::SEE_OTHER);
    assert_eq!(service.emulated.emulator.count(Operation::OutboundRevoke), 1);

    assert_eq!(status(service.post("/consents/1000/revoke", &cookie, "")).await, StatusCode::SEE_OTHER);
    assert!(!text(service.get("/", &cookie)).await.contains("Your consents"));
    assert_eq!(status(service.get("/consents/1000/accounts", &cookie)).await, StatusCode::CONFLICT);
}

// ANCHOR: payment
#[tokio::test]
async fn payment_starts_and_invalid_amount_is_a_client_error() {
    let service = Service::start().await;
    let page = text(service.post("/payments", "", "reference=7&cents=1050&name=Ada&email=ada@example.com")).await;
    assert!(page.contains("/app/?sessionId="), "{page}");
    let zero = service.post("/payments", "", "reference=7&cents=0&name=Ada&email=ada@example.com");
    assert_eq!(status(zero).await, StatusCode::UNPROCESSABLE_ENTITY);
    let slow_down =
        Fault::Reply { status: 429, headers: vec![("Retry-After".into(), "7000".into())], body: String::new() };
    service.emulated.emulator.fail_always(Operation::PayAuthorize, slow_down);
    let request = service.post("/payments", "", "reference=7&cents=1&name=A&email=a@example.com");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "7000");
}
// ANCHOR_END: payment

#[tokio::test]
async fn forged_landing_is_refused() {
    let service = Service::start().await;
    let cookie = service.cookie().await;
    // Nothing was started in this session.
    let forged = "/banks/finish?loginId=00000000-0000-4000-8000-00000000f0f0&institution=Bank&state=a";
    assert_eq!(status(service.get(forged, &cookie)).await, StatusCode::CONFLICT);
    // The session has started a visit, but the landing has another visit's state.
    let page = text(service.get("/banks/connect", &cookie)).await;
    assert!(page.contains("authorizeToken="), "{page}");
    assert!(status(service.get(forged, &cookie)).await.is_client_error());
    assert_eq!(service.emulated.emulator.count(Operation::ConnectAuthorize), 0, "no login id is tried");
    // The state is correct, but the login id is unknown.
    let page = text(service.get("/banks/connect", &cookie)).await;
    let state = page.split("state%3D").nth(1).unwrap().split("&amp;").next().unwrap();
    let forged = format!("/banks/finish?loginId=00000000-0000-4000-8000-00000000f0f0&institution=Bank&state={state}");
    assert!(status(service.get(&forged, &cookie)).await.is_client_error());
    assert_eq!(service.emulated.emulator.count(Operation::ConnectAuthorize), 1);
}

// ANCHOR: landing
#[tokio::test]
async fn pending_landing_is_used_once_even_if_the_request_fails() {
    let service = Service::start().await;
    let cookie = service.cookie().await;
    let page = text(service.get("/banks/connect", &cookie)).await;
    let state = page.split("state%3D").nth(1).unwrap().split("&amp;").next().unwrap();
    let landing = format!("/banks/finish?loginId=00000000-0000-4000-8000-00000000f0f0&institution=Bank&state={state}");
    service.emulated.emulator.fail_next(Operation::ConnectAuthorize, Fault::status(503));
    assert!(status(service.get(&landing, &cookie)).await.is_server_error());
    assert_eq!(status(service.get(&landing, &cookie)).await, StatusCode::CONFLICT);
    assert_eq!(service.emulated.emulator.count(Operation::ConnectAuthorize), 1);
}
// ANCHOR_END: landing

// ANCHOR: shutdown
#[tokio::test]
async fn request_in_flight_gets_its_response_before_shutdown() {
    let service = Service::start().await;
    let cookie = service.cookie().await;
    let back = service.start_consent(&cookie).await;
    service.emulated.emulator.fail_next(Operation::OutboundToken, Fault::Hold { when: When::After });
    let request = tokio::spawn(service.get(&back, &cookie).send());
    service.emulated.emulator.received(Operation::OutboundToken, 1).await;
    service.stop.send(()).unwrap();
    service.emulated.emulator.release();
    assert_eq!(request.await.unwrap().unwrap().status(), StatusCode::SEE_OTHER);
    service.ended.await.unwrap().unwrap();
}
// ANCHOR_END: shutdown

#[tokio::test]
async fn metrics_show_calls_and_refreshes() {
    // The other tests in this process use the same metrics, so only the differences count.
    let count = |metrics: &str, series: &str| -> u64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(series));
        line.map_or(0, |value| value.trim().parse().unwrap())
    };
    let exchanges = r#"flinks_call_duration_seconds_count{product="outbound",operation="exchangeCode",outcome="ok"}"#;
    let refreshes = r#"flinks_refreshes_total{source="consent",outcome="refreshed"}"#;
    let service = Service::start().await;
    let before = text(service.get("/metrics", "")).await;
    let cookie = service.cookie().await;
    let back = service.start_consent(&cookie).await;
    assert_eq!(status(service.get(&back, &cookie)).await, StatusCode::SEE_OTHER);
    service.emulated.advance(Duration::from_secs(3600));
    assert_eq!(status(service.get("/consents/1000/accounts", &cookie)).await, StatusCode::OK);
    let after = text(service.get("/metrics", "")).await;
    assert!(count(&after, exchanges) > count(&before, exchanges), "{after}");
    assert!(count(&after, refreshes) > count(&before, refreshes), "{after}");
    assert!(after.contains("flinks_store_call_duration_seconds_bucket"), "{after}");
}
