//! Compares the emulator with a model of the rules, using random sequences of calls, clock changes,
//! lost responses and restarts.

use std::time::Duration;

use flinks_emulator::credentials::*;
use flinks_emulator::{Config, Emulator, EndUser, Fault, Operation, When};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::json;

use crate::{Local, ParsedResponse, client, parse};

/// A step in a sequence. The [`Index`] of a step selects one of the issued tokens of the required
/// kind, whether or not that token is still valid.
#[derive(Clone, Copy, Debug)]
enum Step {
    Advance(u64),
    Restart,
    Reset,
    PayAuthorize,
    InitiateSession(Index, Lost),
    GenerateToken,
    Authorize(Index, Body, Lost),
    ShowPage(Index),
    Consent,
    /// `true` if the redirect URI is the one that the code was issued for.
    ExchangeCode(Index, bool, Lost),
    Refresh(Index, Lost),
    Accounts(Index),
    Revoke(Index, Lost),
}

/// When the connection is lost: before or after the emulator processes the request. `None` if the
/// connection is not lost.
type Lost = Option<When>;

#[derive(Clone, Copy, Debug)]
enum Body {
    Valid,
    /// A body that makes the call fail. Whether the failed call spends the token is configurable.
    Invalid,
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    let lost = || prop_oneof![6 => Just(None), 1 => Just(Some(When::Before)), 1 => Just(Some(When::After))];
    let body = prop_oneof![Just(Body::Valid), Just(Body::Invalid)];
    // Times just before, at and just after the end of each lifetime, and some shorter times.
    let times = prop::sample::select(vec![
        0, 1, 60, 298, 299, 300, 599, 600, 1799, 1800, 1801, 2_591_999, 2_592_000, 2_592_001, 1_296_000,
    ]);
    prop_oneof![
        4 => times.prop_map(Step::Advance),
        1 => Just(Step::Restart),
        1 => prop::bool::weighted(0.1).prop_map(|is_reset| if is_reset { Step::Reset } else { Step::Restart }),
        3 => Just(Step::PayAuthorize),
        4 => (index(), lost()).prop_map(|(index, lost)| Step::InitiateSession(index, lost)),
        3 => Just(Step::GenerateToken),
        4 => (index(), body, lost()).prop_map(|(index, body, lost)| Step::Authorize(index, body, lost)),
        2 => index().prop_map(Step::ShowPage),
        3 => Just(Step::Consent),
        4 => (index(), any::<bool>(), lost())
            .prop_map(|(index, is_right_uri, lost)| Step::ExchangeCode(index, is_right_uri, lost)),
        5 => (index(), lost()).prop_map(|(index, lost)| Step::Refresh(index, lost)),
        3 => index().prop_map(Step::Accounts),
        1 => (index(), lost()).prop_map(|(index, lost)| Step::Revoke(index, lost)),
    ]
}

/// The settings that the model takes into account.
#[derive(Clone, Copy, Debug)]
struct Switches {
    refresh_tokens_rotate: bool,
    failed_authorize_spends: bool,
    failed_exchange_spends: bool,
}

fn switches() -> impl Strategy<Value = Switches> {
    any::<[bool; 3]>().prop_map(|[refresh_tokens_rotate, failed_authorize_spends, failed_exchange_spends]| Switches {
        refresh_tokens_rotate,
        failed_authorize_spends,
        failed_exchange_spends,
    })
}

/// A token's state according to the rules.
#[derive(Clone)]
struct Token {
    value: String,
    expires_at: u64,
    is_spent: bool,
    /// The index of the end user.
    user: usize,
}

impl Token {
    fn is_valid(&self, now: u64) -> bool {
        !self.is_spent && now < self.expires_at
    }
}

#[derive(Default)]
struct Model {
    now: u64,
    sessions: Vec<Token>,
    authorize: Vec<Token>,
    codes: Vec<Token>,
    refresh: Vec<Token>,
    access: Vec<Token>,
    /// Whether each end user's access has been revoked.
    revoked: Vec<bool>,
}

const THIRTY_DAYS: u64 = 30 * 24 * 60 * 60;
const REDIRECT_URI: &str = "https://app.example/back";

impl Model {
    /// Creates the model of an emulator that has just started.
    fn new() -> Self {
        let mut model = Self { revoked: vec![false], ..Self::default() };
        model.codes.push(model.token(OUTBOUND_CODE.to_owned(), 600, 0));
        model.refresh.push(model.token(OUTBOUND_REFRESH_TOKEN.to_owned(), THIRTY_DAYS, 0));
        model
    }

    fn token(&self, value: String, lifetime: u64, user: usize) -> Token {
        Token { value, expires_at: self.now + lifetime, is_spent: false, user }
    }

    fn redirect_uri(code: &Token) -> &'static str {
        if code.value == OUTBOUND_CODE { OUTBOUND_REDIRECT_URI } else { REDIRECT_URI }
    }
}

/// An emulator and its model.
struct Run {
    local: Local,
    model: Model,
    switches: Switches,
}

impl Run {
    async fn start(http: Client, switches: Switches) -> Self {
        let mut config = Config::default();
        config.frozen_clock = true;
        config.outbound.end_user = EndUser::Agrees;
        config.outbound.rotate_refresh_tokens = switches.refresh_tokens_rotate;
        config.connect.failed_authorize_spends_token = switches.failed_authorize_spends;
        config.outbound.failed_exchange_spends_code = switches.failed_exchange_spends;
        let local = Local { emulator: Emulator::start_with(config).await.unwrap(), http };
        Self { local, model: Model::new(), switches }
    }

    /// Sends a request. Returns `None` if `lost` is `Some`, because no response arrives on a lost
    /// connection.
    async fn send(&self, operation: Operation, lost: Lost, request: RequestBuilder) -> Option<ParsedResponse> {
        if let Some(when) = lost {
            self.local.emulator.fail_next(operation, Fault::Drop { when });
        }
        match request.send().await {
            Ok(response) => {
                assert_eq!(lost, None);
                Some(parse(response).await)
            }
            Err(_) => {
                assert!(lost.is_some());
                None
            }
        }
    }

    async fn apply(&mut self, step: Step) {
        let Switches { refresh_tokens_rotate, failed_authorize_spends, failed_exchange_spends } = self.switches;
        let now = self.model.now;
        match step {
            Step::Advance(seconds) => {
                self.local.emulator.advance(Duration::from_secs(seconds));
                self.model.now += seconds;
            }
            Step::Restart => self.local.emulator.restart().await.unwrap(),
            Step::Reset => {
                self.local.emulator.reset();
                self.model = Model::new();
            }
            Step::PayAuthorize => {
                let value = self.local.session_token().await;
                self.model.sessions.push(self.model.token(value, 299, 0));
            }
            Step::InitiateSession(index, lost) => {
                let Some(token) = select(&mut self.model.sessions, index) else { return };
                let is_valid = token.is_valid(now);
                token.is_spent |= is_valid && lost != Some(When::Before);
                let request = self.local.initiate_session(&token.value.clone());
                let response = self.send(Operation::PayInitiateSession, lost, request).await;
                check_status(response, if is_valid { 200 } else { 401 });
            }
            Step::GenerateToken => {
                let value = self.local.authorize_token().await;
                self.model.authorize.push(self.model.token(value, 1800, 0));
            }
            Step::Authorize(index, body, lost) => {
                let Some(token) = select(&mut self.model.authorize, index) else { return };
                let is_valid = token.is_valid(now);
                let spends = matches!(body, Body::Valid) || failed_authorize_spends;
                token.is_spent |= is_valid && spends && lost != Some(When::Before);
                let (body, status) = match body {
                    Body::Valid => (json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true}), 200),
                    Body::Invalid => (json!({"LoginId": CONNECT_CUSTOMER_ID, "MostRecentCached": true}), 401),
                };
                let request = self.local.authorize(&token.value.clone(), &body);
                let response = self.send(Operation::ConnectAuthorize, lost, request).await;
                if let Some(response) = &response
                    && !is_valid
                {
                    assert_eq!(response.code(), (401, "ACCESS_DENIED"));
                }
                check_status(response, if is_valid { status } else { 401 });
            }
            Step::ShowPage(index) => {
                let Some(token) = select(&mut self.model.authorize, index) else { return };
                let is_valid = token.is_valid(now);
                token.is_spent |= is_valid;
                let query = [("authorizeToken", token.value.as_str()), ("redirectUrl", "https://app.example/")];
                let request = self.local.get("/v2/").query(&query);
                let response = self.send(Operation::ConnectIframe, None, request).await;
                check_status(response, if is_valid { 200 } else { 401 });
            }
            Step::Consent => {
                let query = [
                    ("client_id", OUTBOUND_CLIENT_ID),
                    ("redirect_uri", REDIRECT_URI),
                    ("response_type", "code"),
                    ("scope", "ACCOUNT_BASIC"),
                    ("provider_id", OUTBOUND_PROVIDER_ID),
                ];
                let request = self.local.get("/api/v1/authorize").query(&query);
                let redirect = self.send(Operation::OutboundAuthorize, None, request).await.unwrap();
                let user = self.model.revoked.len();
                self.model.revoked.push(false);
                self.model.codes.push(self.model.token(redirect.parameter("code").unwrap(), 600, user));
            }
            Step::ExchangeCode(index, is_right_uri, lost) => {
                let Some(code) = select(&mut self.model.codes, index) else { return };
                let is_valid = code.is_valid(now) && !self.model.revoked[code.user];
                code.is_spent |= is_valid && (is_right_uri || failed_exchange_spends) && lost != Some(When::Before);
                let code = code.clone();
                let uri = if is_right_uri { Model::redirect_uri(&code) } else { "https://evil.example/" };
                let request = self.local.exchange_code(&code.value, uri);
                let response = self.send(Operation::OutboundToken, lost, request).await;
                if is_valid
                    && is_right_uri
                    && let Some(response) = &response
                {
                    self.remember_access_token(response, code.user);
                    let refresh_token = self.model.token(response.text("refresh_token"), THIRTY_DAYS, code.user);
                    self.model.refresh.push(refresh_token);
                }
                check_status(response, if is_valid && is_right_uri { 200 } else { 400 });
            }
            Step::Refresh(index, lost) => {
                let Some(token) = select(&mut self.model.refresh, index) else { return };
                let is_valid = token.is_valid(now) && !self.model.revoked[token.user];
                if is_valid && lost != Some(When::Before) {
                    token.expires_at = now + THIRTY_DAYS;
                    token.is_spent = refresh_tokens_rotate;
                }
                let token = token.clone();
                let request = self.local.refresh(&token.value);
                let response = self.send(Operation::OutboundToken, lost, request).await;
                if is_valid && let Some(response) = &response {
                    self.remember_access_token(response, token.user);
                    assert_eq!(response.body.get("refresh_token").is_some(), refresh_tokens_rotate);
                    if refresh_tokens_rotate {
                        let rotated = self.model.token(response.text("refresh_token"), THIRTY_DAYS, token.user);
                        self.model.refresh.push(rotated);
                    }
                }
                check_status(response, if is_valid { 200 } else { 400 });
            }
            Step::Accounts(index) => {
                let Some(token) = select(&mut self.model.access, index).cloned() else { return };
                let is_valid = token.is_valid(now) && !self.model.revoked[token.user];
                let request = self.local.accounts(&token.value);
                let response = self.send(Operation::OutboundAccounts, None, request).await;
                check_status(response, if is_valid { 200 } else { 401 });
            }
            Step::Revoke(index, lost) => {
                let Some(token) = select(&mut self.model.access, index).cloned() else { return };
                let is_valid = token.is_valid(now) && !self.model.revoked[token.user];
                self.model.revoked[token.user] |= is_valid && lost != Some(When::Before);
                let request = self.local.request(Method::DELETE, "/api/v1/revoke").bearer_auth(&token.value);
                let response = self.send(Operation::OutboundRevoke, lost, request).await;
                check_status(response, if is_valid { 204 } else { 401 });
            }
        }
    }

    fn remember_access_token(&mut self, response: &ParsedResponse, user: usize) {
        let access_token = self.model.token(response.text("access_token"), 299, user);
        self.model.access.push(access_token);
    }

    /// Asserts that the ledger and the model report the same state for each token.
    fn compare(&self) {
        let Model { sessions, authorize, codes, refresh, access, revoked, .. } = &self.model;
        let emulator = &self.local.emulator;
        for token in [sessions, authorize, codes, refresh, access].into_iter().flatten() {
            let issued = emulator.find(&token.value).unwrap();
            assert_eq!(issued.spent.is_some(), token.is_spent, "{:?}", issued.kind);
            assert_eq!(issued.expires_at.abs_diff(emulator.now()).as_secs(), token.expires_at.abs_diff(self.model.now));
            if [codes, refresh, access].iter().any(|kind| kind.iter().any(|of_kind| of_kind.value == token.value)) {
                assert_eq!(issued.revoked.is_some(), revoked[token.user], "{:?}", issued.kind);
            }
        }
    }
}

fn select(tokens: &mut [Token], index: Index) -> Option<&mut Token> {
    if tokens.is_empty() { None } else { Some(index.get_mut(tokens)) }
}

fn check_status(response: Option<ParsedResponse>, status: u16) {
    if let Some(response) = response {
        assert_eq!(response.status, status, "{}", response.body);
    }
}

#[test]
fn p3_p4_c3_c5_o5_o9_o10_random_steps_match_the_model() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Connections are not reused. Otherwise, the next request after a restart would fail on a
    // closed connection.
    let _ = client();
    let http = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .build()
        .unwrap();
    let config = ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(switches in switches(), steps in vec(step(), 1..60))| {
        runtime.block_on(async {
            let mut run = Run::start(http.clone(), switches).await;
            for step in steps {
                run.apply(step).await;
            }
            run.compare();
        });
    });
}
