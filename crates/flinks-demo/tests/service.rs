//! Tests the service against the emulator, as a browser would use it. Also tests the service's
//! shutdown with requests in flight.

#![allow(clippy::unwrap_used)] // helpers of tests

use flinks_consents::flinks::tls::install_default_crypto_provider;
use flinks_demo::{App, Flinks, Options, serve};
use flinks_emulator::{Emulator, Fault, Operation, When};
use reqwest::StatusCode;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

struct Service {
    flinks: Flinks,
    url: String,
    http: reqwest::Client,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<std::io::Result<()>>,
    _store: tempfile::TempDir,
}

impl Service {
    async fn start() -> Self {
        install_default_crypto_provider();
        let flinks = Flinks::Emulated(Emulator::start().await.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("http://{address}");
        let folder = tempfile::tempdir().unwrap();
        let options = Options { address, public_url: url.clone(), store: folder.path().join("consents") };
        let app = App::new(&flinks, options).unwrap();
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(serve(listener, app, async {
            let _ = stopped.await;
        }));
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { flinks, url, http, stop, ended, _store: folder }
    }

    fn emulator(&self) -> &Emulator {
        let Flinks::Emulated(emulator) = &self.flinks else { unreachable!() };
        emulator
    }

    fn get(&self, path: &str, cookie: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("{}{path}", self.url)).header(COOKIE, cookie)
    }

    /// Starts a consent and returns the cookie and the callback URL.
    async fn start_consent(&self, cookie: &str) -> (String, String) {
        let request = self.http.post(format!("{}/consents", self.url)).json(&json!({"bank": "1000"}));
        let reply = request.header(COOKIE, cookie).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::SEE_OTHER);
        let set_cookie = reply.headers()[SET_COOKIE].to_str().unwrap();
        let cookie = set_cookie.split(';').next().unwrap().to_owned();
        let location = reply.headers()[LOCATION].to_str().unwrap();
        let state = location.split("state=").nth(1).unwrap().split('&').next().unwrap();
        let code = self.emulator().issue_code(&format!("{}/consents/callback", self.url));
        (cookie, format!("/consents/callback?code={code}&state={state}"))
    }
}

async fn json_of(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let reply = request.send().await.unwrap();
    (reply.status(), reply.json().await.unwrap_or_default())
}

#[tokio::test]
async fn bank_is_connected_used_replaced_and_disconnected() {
    let service = Service::start().await;
    let (cookie, back) = service.start_consent("").await;
    assert_eq!(json_of(service.get(&back, "session=another")).await.0, StatusCode::UNAUTHORIZED);
    let (status, body) = json_of(service.get(&back, &cookie)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body, json!({"connected": "1000"}));
    // The browser loads the callback URL twice.
    assert_eq!(json_of(service.get(&back, &cookie)).await.0, StatusCode::CONFLICT);

    let (_, banks) = json_of(service.get("/consents", &cookie)).await;
    assert_eq!(banks, json!([{"bank": "1000", "standing": "Active"}]));
    assert_eq!(json_of(service.get("/consents/1000/accounts", &cookie)).await.0, StatusCode::OK);
    // Only the server's clock advances, so only the server considers the access token expired.
    service.emulator().advance(std::time::Duration::from_secs(3600));
    assert_eq!(json_of(service.get("/consents/1000/accounts", &cookie)).await.0, StatusCode::OK);
    assert_eq!(json_of(service.get("/consents/1000/accounts", "")).await.0, StatusCode::UNAUTHORIZED);

    // A second consent for the same bank revokes the first connection.
    let (cookie, back) = service.start_consent(&cookie).await;
    assert_eq!(json_of(service.get(&back, &cookie)).await.0, StatusCode::OK);
    assert_eq!(service.emulator().count(Operation::OutboundRevoke), 1);

    let delete = service.http.delete(format!("{}/consents/1000", service.url)).header(COOKIE, &cookie);
    assert_eq!(delete.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(json_of(service.get("/consents", &cookie)).await.1, json!([]));
    assert_eq!(json_of(service.get("/consents/1000/accounts", &cookie)).await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn payment_starts_and_invalid_amount_is_a_client_error() {
    let service = Service::start().await;
    let pay = |cents: u64| {
        let payment = json!({"order": "7", "cents": cents, "name": "Ada", "email": "ada@example.com"});
        json_of(service.http.post(format!("{}/payments", service.url)).json(&payment))
    };
    let (status, body) = pay(1050).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body["url"].as_str().unwrap().contains("/app/?sessionId="));
    assert_eq!(pay(0).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    service.emulator().fail_always(Operation::PayAuthorize, Fault::status(429));
    let reply = service.http.post(format!("{}/payments", service.url));
    let reply = reply.json(&json!({"order": "7", "cents": 1, "name": "A", "email": "a@example.com"})).send().await;
    assert_eq!(reply.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn widget_is_shown_and_unknown_login_is_refused() {
    let service = Service::start().await;
    let page = service.get("/banks/connect", "").send().await.unwrap().text().await.unwrap();
    assert!(page.contains("<iframe src=\""));
    assert!(page.contains("authorizeToken="));
    let (status, _) = json_of(service.get("/banks/landing?loginId=00000000-0000-4000-8000-00000000f0f0", "")).await;
    assert_eq!(status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn request_in_flight_gets_its_response_before_shutdown() {
    let service = Service::start().await;
    let (cookie, back) = service.start_consent("").await;
    service.emulator().fail_next(Operation::OutboundToken, Fault::Hold { when: When::After });
    let request = tokio::spawn(service.get(&back, &cookie).send());
    while service.emulator().count(Operation::OutboundToken) == 0 {
        tokio::task::yield_now().await;
    }
    let Service { flinks, stop, ended, _store, .. } = service;
    stop.send(()).unwrap();
    let Flinks::Emulated(emulator) = &flinks else { unreachable!() };
    emulator.release();
    assert_eq!(request.await.unwrap().unwrap().status(), StatusCode::OK);
    ended.await.unwrap().unwrap();
}
