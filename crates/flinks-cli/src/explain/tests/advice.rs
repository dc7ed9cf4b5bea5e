//! Tests that the topics give the same advice as the crates. The errors come from calls to the
//! emulator.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use flinks_consents::flinks::connect::{self, Authorize, LoginId, SecretKey};
use flinks_consents::flinks::outbound::{self, AuthorizationCode, ClientCredentials, RefreshToken};
use flinks_consents::flinks::pay::{self, Cents, Customer, NewSession};
use flinks_consents::flinks::{BaseUrl, Error, RedirectUrl, Settings};
use flinks_emulator::credentials::*;
use flinks_emulator::{Emulator, Fault, Operation, When};

use super::{constants, topic};
use crate::explain::topic::Kind;
use crate::explain::{Topic, all, find};

/// An emulator and its clients, which do not retry.
struct Local {
    emulator: Emulator,
    pay: pay::Client,
    connect: connect::Client,
    outbound: outbound::Client,
    codes: AtomicU32,
}

/// A call that can return an OAuth error, or the verification of a callback that contains one.
#[derive(Clone, Copy, Debug)]
enum Call {
    AppToken,
    ExchangeCode,
    Refresh,
    Revoke,
    Callback,
}

use Call::{AppToken, Callback, ExchangeCode, Refresh, Revoke};

/// The calls that can return each OAuth error, according to RFC 6749 and RFC 7009.
const OAUTH_ERRORS: [(&str, &[Call]); 11] = [
    ("access_denied", &[AppToken, ExchangeCode, Refresh, Revoke, Callback]),
    ("invalid_client", &[AppToken, ExchangeCode, Refresh, Revoke]),
    ("invalid_grant", &[ExchangeCode, Refresh]),
    ("invalid_request", &[AppToken, ExchangeCode, Refresh, Revoke, Callback]),
    ("invalid_scope", &[AppToken, ExchangeCode, Refresh, Callback]),
    ("server_error", &[AppToken, ExchangeCode, Refresh, Revoke, Callback]),
    ("temporarily_unavailable", &[AppToken, ExchangeCode, Refresh, Revoke, Callback]),
    ("unauthorized_client", &[AppToken, ExchangeCode, Refresh, Revoke, Callback]),
    ("unsupported_grant_type", &[AppToken, ExchangeCode, Refresh]),
    ("unsupported_response_type", &[Callback]),
    ("unsupported_token_type", &[Revoke]),
];

impl Call {
    /// Returns the name of this call in the cases of the topics.
    fn label(self) -> &'static str {
        match self {
            AppToken => "`clientCredentials`",
            ExchangeCode => "`exchangeCode`",
            Refresh => "`refresh`",
            Revoke => "`revoke`",
            Callback => "callback",
        }
    }
}

impl Local {
    async fn start() -> Self {
        let emulator = Emulator::start().await.unwrap();
        let base_url: BaseUrl = emulator.base_url().parse().unwrap();
        let settings = Settings::new().max_attempts(1);
        let credentials = pay::Credentials::new(PAY_USERNAME, PAY_PASSWORD).unwrap();
        let pay = pay::Client::builder(base_url.clone(), credentials).settings(&settings).build().unwrap();
        let customer_id = CONNECT_CUSTOMER_ID.parse().unwrap();
        let secret_key = SecretKey::new(CONNECT_SECRET_KEY).unwrap();
        let connect = connect::Client::builder(base_url.clone(), customer_id, secret_key);
        let connect = connect.settings(&settings).build().unwrap();
        let credentials = ClientCredentials::new(OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET).unwrap();
        let outbound = outbound::Client::builder(base_url, credentials).settings(&settings).build().unwrap();
        Self { emulator, pay, connect, outbound, codes: AtomicU32::new(0) }
    }

    fn fail(&self, operation: Operation, status: u16, body: &str) {
        self.emulator.fail_next(operation, Fault::reply(status, body));
    }

    async fn generate_authorize_token(&self, status: u16, body: &str) -> Error {
        self.fail(Operation::ConnectGenerateAuthorizeToken, status, body);
        self.connect.generate_authorize_token().await.unwrap_err()
    }

    async fn authorize(&self, status: u16, body: &str) -> Error {
        let token = self.connect.generate_authorize_token().await.unwrap();
        self.fail(Operation::ConnectAuthorize, status, body);
        let request = Authorize::cached(&LoginId::new(CONNECT_LOGIN_ID).unwrap());
        self.connect.authorize(token, &request).await.unwrap_err().into()
    }

    /// Verifies a callback with these parameters and the right `state`.
    fn verify(&self, parameters: &str) -> Result<AuthorizationCode, Error> {
        let redirect_url: RedirectUrl = OUTBOUND_REDIRECT_URI.parse().unwrap();
        let started = self.outbound.authorization(OUTBOUND_PROVIDER_ID, &redirect_url).unwrap().start();
        let url = url::Url::parse(started.url.expose_secret()).unwrap();
        let (_, state) = url.query_pairs().find(|(name, _)| name == "state").unwrap();
        self.outbound.verify(started.pending, &format!("{parameters}&state={state}"))
    }

    async fn refresh(&self) -> Error {
        self.outbound.refresh(&RefreshToken::new(OUTBOUND_REFRESH_TOKEN).unwrap()).await.unwrap_err()
    }

    async fn oauth_error(&self, call: Call, code: &str, status: u16) -> Error {
        let body = format!(r#"{{"error":"{code}"}}"#);
        match call {
            Callback => return self.verify(&format!("error={code}")).unwrap_err(),
            Revoke => self.fail(Operation::OutboundRevoke, status, &body),
            AppToken | ExchangeCode | Refresh => self.fail(Operation::OutboundToken, status, &body),
        }
        match call {
            AppToken => self.outbound.client_credentials(None).await.unwrap_err(),
            ExchangeCode => {
                // A client sends each code only once.
                let number = self.codes.fetch_add(1, Ordering::Relaxed);
                let code = self.verify(&format!("code=code-{number}")).unwrap();
                self.outbound.exchange_code(code).await.unwrap_err().into()
            }
            Refresh => self.refresh().await,
            _ => {
                let lifetime = Duration::from_secs(600);
                let token =
                    self.outbound.restore_access_token("token", self.outbound.clock().wall(), lifetime).unwrap();
                self.outbound.revoke(&token).await.unwrap_err()
            }
        }
    }
}

/// Asserts that the topic gives the same advice as the error. `label` identifies the case.
fn check_advice(topic: &Topic, label: &str, error: &Error) {
    let case = topic.cases.iter().find(|case| case.when.contains(label)).or(topic.cases.last());
    let advice = case.map_or(&topic.advice, |case| &case.advice).as_ref();
    let advice = advice.unwrap_or_else(|| panic!("{}, {label}: the topic has no advice", topic.name));
    assert_eq!(*advice, format!("{:?}", error.advice()), "{}, {label}: {error}", topic.name);
}

/// Returns the statuses of a topic that indicate an error, or 400 if there are none.
fn error_statuses(topic: &Topic) -> Vec<u16> {
    let statuses: Vec<_> = topic.statuses.iter().copied().filter(|status| *status >= 400).collect();
    if statuses.is_empty() { vec![400] } else { statuses }
}

#[tokio::test]
async fn c6_advice_of_each_flinks_code_is_that_of_the_library() {
    let local = Local::start().await;
    for topic in all().iter().filter(|topic| topic.kind == Kind::FlinksCode) {
        for status in error_statuses(topic) {
            let body = format!(r#"{{"HttpStatusCode":{status},"Message":"m","FlinksCode":"{}"}}"#, topic.name);
            let error = local.generate_authorize_token(status, &body).await;
            assert_eq!(error.flinks_code().unwrap().as_str(), topic.name);
            check_advice(topic, "`generateAuthorizeToken`", &error);
            check_advice(topic, "`authorize`", &local.authorize(status, &body).await);
        }
    }
    let topic = topic("TOO_MANY_REQUESTS");
    for status in error_statuses(topic) {
        check_advice(topic, Refresh.label(), &local.oauth_error(Refresh, &topic.name, status).await);
    }
}

#[tokio::test]
async fn o7_advice_of_each_oauth_error_is_that_of_the_library() {
    let local = Local::start().await;
    let mut covered = BTreeSet::new();
    for (code, calls) in OAUTH_ERRORS {
        covered.insert(code.to_owned());
        for call in calls {
            for status in error_statuses(topic(code)) {
                let error = local.oauth_error(*call, code, status).await;
                assert_eq!(error.oauth_error().unwrap().as_str(), code, "{call:?}");
                check_advice(topic(code), call.label(), &error);
            }
        }
    }
    assert_eq!(covered, constants("OAuthError"));
}

/// Asserts that `flinks explain` finds the error's message and gives the same advice as the error.
fn check_message(error: &Error, expected: &str) {
    let found = find(&error.to_string());
    let topic = found.last().unwrap_or_else(|| panic!("no topic for: {error}"));
    assert_eq!(topic.name, expected, "{error}");
    check_advice(topic, "no label", error);
}

#[tokio::test]
async fn advice_of_messages_is_that_of_the_library() {
    let local = Local::start().await;
    for (fault, expected) in [
        (Fault::Redirect { status: 302, location: "/".to_owned() }, "redirect"),
        (Fault::status(404), "unknown-endpoint"),
        (Fault::status(407), "proxy-credentials"),
        (Fault::Drop { when: When::Before }, "connection-closed"),
        (Fault::Garbage { bytes: b"garbage\r\n\r\n".to_vec() }, "connection-closed"),
        (Fault::EndlessBody, "response-too-large"),
        (Fault::reply(200, "{}"), "malformed-response"),
        (Fault::status(403), "gateway-suspected"),
        (Fault::reply(400, r#"{"error":"new_error"}"#), "gateway-suspected"),
        (Fault::reply(401, r#"{"error":"invalid_client"}"#), "credentials-refused"),
    ] {
        local.emulator.fail_next(Operation::OutboundToken, fault);
        check_message(&local.refresh().await, expected);
    }

    local.fail(Operation::PayAuthorize, 400, "");
    check_message(&local.pay.authorize().await.unwrap_err(), "credentials-refused");
    let customer = || Customer { name: "Ada".to_owned(), email: "ada@example.com".to_owned() };
    let session = NewSession::new("r-1", Cents(10_50), customer()).unwrap();
    for (fault, expected) in [
        (Fault::status(401), "spent-token"),
        (Fault::status(400), "request-refused"),
        (Fault::Drop { when: When::After }, "outcome-unknown"),
        (Fault::status(503), "outcome-unknown"),
    ] {
        let token = local.pay.authorize().await.unwrap();
        local.emulator.fail_next(Operation::PayInitiateSession, fault);
        let error = local.pay.initiate_session(token, &session).await.unwrap_err();
        check_message(&error.into(), expected);
    }

    check_message(&NewSession::new("r-1", Cents(0), customer()).unwrap_err(), "invalid-input");
    check_message(&SecretKey::new("").unwrap_err(), "invalid-configuration");
    check_message(&SecretKey::new("key\n").unwrap_err(), "line-break-in-secret");
    check_message(&local.verify("code=c&code=d").unwrap_err(), "callback-malformed");
    let first = local.verify("code=sent-twice").unwrap();
    let second = local.verify("code=sent-twice").unwrap();
    assert!(local.outbound.exchange_code(first).await.is_err());
    check_message(&local.outbound.exchange_code(second).await.unwrap_err().into(), "code-already-sent");

    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed: BaseUrl = format!("http://{}", server.local_addr().unwrap()).parse().unwrap();
    drop(server);
    let credentials = pay::Credentials::new(PAY_USERNAME, PAY_PASSWORD).unwrap();
    let client = pay::Client::builder(closed, credentials).settings(&Settings::new().max_attempts(1)).build().unwrap();
    check_message(&client.authorize().await.unwrap_err(), "no-connection");
}
