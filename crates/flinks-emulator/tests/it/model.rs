//! Random sequences of calls, time, lost replies and restarts, against a model of the rules.

use std::time::Duration;

use flinks_emulator::credentials::*;
use flinks_emulator::{Config, Emulator, EndUser, Fault, Operation, When};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::json;

use crate::{Answer, Local, answer, client};

/// What is done. An index chooses among the tokens of a kind that were handed out so far, live or dead.
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
    ExchangeCode(Index, bool, Lost),
    Refresh(Index, Lost),
    Accounts(Index),
    Revoke(Index, Lost),
}

/// Whether the reply is lost, and with it the request.
type Lost = Option<When>;

#[derive(Clone, Copy, Debug)]
enum Body {
    Good,
    /// A failure, which spends the token or not.
    Bad,
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    let lost = || prop_oneof![6 => Just(None), 1 => Just(Some(When::Before)), 1 => Just(Some(When::After))];
    let body = prop_oneof![Just(Body::Good), Just(Body::Bad)];
    // Moments just before, at and after each lifetime, and small steps between.
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
        4 => (index(), any::<bool>(), lost()).prop_map(|(index, right, lost)| Step::ExchangeCode(index, right, lost)),
        5 => (index(), lost()).prop_map(|(index, lost)| Step::Refresh(index, lost)),
        3 => index().prop_map(Step::Accounts),
        1 => (index(), lost()).prop_map(|(index, lost)| Step::Revoke(index, lost)),
    ]
}

/// The switches under test: whether refresh tokens rotate, a failed `/Authorize` spends, a failed exchange spends.
type Switches = (bool, bool, bool);

/// What the rules say of one token.
#[derive(Clone)]
struct Token {
    value: String,
    dies: u64,
    is_spent: bool,
    /// Which end user's it is.
    user: usize,
}

impl Token {
    fn is_good(&self, now: u64) -> bool {
        !self.is_spent && now < self.dies
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
    /// Whether each end user has been revoked.
    revoked: Vec<bool>,
}

const THIRTY_DAYS: u64 = 30 * 24 * 60 * 60;
const REDIRECT_URI: &str = "https://app.example/back";

impl Model {
    /// What there is after a start.
    fn new() -> Self {
        let mut model = Self { revoked: vec![false], ..Self::default() };
        model.codes.push(model.token(OUTBOUND_CODE.to_owned(), 600, 0));
        model.refresh.push(model.token(OUTBOUND_REFRESH_TOKEN.to_owned(), THIRTY_DAYS, 0));
        model
    }

    fn token(&self, value: String, life: u64, user: usize) -> Token {
        Token { value, dies: self.now + life, is_spent: false, user }
    }

    fn redirect_uri(&self, code: &Token) -> &'static str {
        if code.value == OUTBOUND_CODE { OUTBOUND_REDIRECT_URI } else { REDIRECT_URI }
    }
}

/// An emulator and the model of it.
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
        (
            config.outbound.rotate_refresh_tokens,
            config.connect.failed_authorize_spends_token,
            config.outbound.failed_exchange_spends_code,
        ) = switches;
        let local = Local { emulator: Emulator::start_with(config).await.unwrap(), http };
        Self { local, model: Model::new(), switches }
    }

    /// Sends a request whose reply may be lost.
    async fn send(&self, operation: Operation, lost: Lost, request: RequestBuilder) -> Option<Answer> {
        if let Some(when) = lost {
            self.local.emulator.fail_next(operation, Fault::Drop { when });
        }
        match request.send().await {
            Ok(response) => {
                assert_eq!(lost, None);
                Some(answer(response).await)
            }
            Err(_) => {
                assert!(lost.is_some());
                None
            }
        }
    }

    async fn take(&mut self, step: Step) {
        let (rotates, failed_authorize_spends, failed_exchange_spends) = self.switches;
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
                let Some(token) = chosen(&mut self.model.sessions, index) else { return };
                let is_good = token.is_good(now);
                token.is_spent |= is_good && lost != Some(When::Before);
                let request = self.local.initiate_session(&token.value.clone());
                let answer = self.send(Operation::PayInitiateSession, lost, request).await;
                check(answer, if is_good { 200 } else { 401 });
            }
            Step::GenerateToken => {
                let value = self.local.authorize_token().await;
                self.model.authorize.push(self.model.token(value, 1800, 0));
            }
            Step::Authorize(index, body, lost) => {
                let Some(token) = chosen(&mut self.model.authorize, index) else { return };
                let is_good = token.is_good(now);
                let spends = matches!(body, Body::Good) || failed_authorize_spends;
                token.is_spent |= is_good && spends && lost != Some(When::Before);
                let (body, status) = match body {
                    Body::Good => (json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true}), 200),
                    Body::Bad => (json!({"LoginId": CONNECT_CUSTOMER_ID, "MostRecentCached": true}), 401),
                };
                let request = self.local.authorize(&token.value.clone(), &body);
                let answer = self.send(Operation::ConnectAuthorize, lost, request).await;
                if let Some(answer) = &answer
                    && !is_good
                {
                    assert_eq!(answer.code(), (401, "ACCESS_DENIED"));
                }
                check(answer, if is_good { status } else { 401 });
            }
            Step::ShowPage(index) => {
                let Some(token) = chosen(&mut self.model.authorize, index) else { return };
                let is_good = token.is_good(now);
                token.is_spent |= is_good;
                let query = [("authorizeToken", token.value.as_str()), ("redirectUrl", "https://app.example/")];
                let request = self.local.get("/v2/").query(&query);
                let answer = self.send(Operation::ConnectIframe, None, request).await;
                check(answer, if is_good { 200 } else { 401 });
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
                let back = self.send(Operation::OutboundAuthorize, None, request).await.unwrap();
                let user = self.model.revoked.len();
                self.model.revoked.push(false);
                self.model.codes.push(self.model.token(back.parameter("code").unwrap(), 600, user));
            }
            Step::ExchangeCode(index, is_right, lost) => {
                let Some(code) = chosen(&mut self.model.codes, index) else { return };
                let is_good = code.is_good(now) && !self.model.revoked[code.user];
                code.is_spent |= is_good && (is_right || failed_exchange_spends) && lost != Some(When::Before);
                let code = code.clone();
                let uri = if is_right { self.model.redirect_uri(&code) } else { "https://evil.example/" };
                let request = self.local.exchange_code(&code.value, uri);
                let answer = self.send(Operation::OutboundToken, lost, request).await;
                if is_good
                    && is_right
                    && let Some(answer) = &answer
                {
                    self.keep(answer, code.user);
                    let refresh_token = self.model.token(answer.text("refresh_token"), THIRTY_DAYS, code.user);
                    self.model.refresh.push(refresh_token);
                }
                check(answer, if is_good && is_right { 200 } else { 400 });
            }
            Step::Refresh(index, lost) => {
                let Some(token) = chosen(&mut self.model.refresh, index) else { return };
                let is_good = token.is_good(now) && !self.model.revoked[token.user];
                if is_good && lost != Some(When::Before) {
                    token.dies = now + THIRTY_DAYS;
                    token.is_spent = rotates;
                }
                let token = token.clone();
                let request = self.local.refresh(&token.value);
                let answer = self.send(Operation::OutboundToken, lost, request).await;
                if is_good && let Some(answer) = &answer {
                    self.keep(answer, token.user);
                    assert_eq!(answer.body.get("refresh_token").is_some(), rotates);
                    if rotates {
                        let rotated = self.model.token(answer.text("refresh_token"), THIRTY_DAYS, token.user);
                        self.model.refresh.push(rotated);
                    }
                }
                check(answer, if is_good { 200 } else { 400 });
            }
            Step::Accounts(index) => {
                let Some(token) = chosen(&mut self.model.access, index).cloned() else { return };
                let is_good = token.is_good(now) && !self.model.revoked[token.user];
                let request = self.local.accounts(&token.value);
                let answer = self.send(Operation::OutboundAccounts, None, request).await;
                check(answer, if is_good { 200 } else { 401 });
            }
            Step::Revoke(index, lost) => {
                let Some(token) = chosen(&mut self.model.access, index).cloned() else { return };
                let is_good = token.is_good(now) && !self.model.revoked[token.user];
                self.model.revoked[token.user] |= is_good && lost != Some(When::Before);
                let request = self.local.request(Method::DELETE, "/api/v1/revoke").bearer_auth(&token.value);
                let answer = self.send(Operation::OutboundRevoke, lost, request).await;
                check(answer, if is_good { 204 } else { 401 });
            }
        }
    }

    fn keep(&mut self, answer: &Answer, user: usize) {
        let access_token = self.model.token(answer.text("access_token"), 299, user);
        self.model.access.push(access_token);
    }

    /// The ledger tells of each token what the model knows.
    fn compare(&self) {
        let Model { sessions, authorize, codes, refresh, access, revoked, .. } = &self.model;
        let emulator = &self.local.emulator;
        for token in [sessions, authorize, codes, refresh, access].into_iter().flatten() {
            let issued = emulator.find(&token.value).unwrap();
            assert_eq!(issued.spent.is_some(), token.is_spent, "{:?}", issued.kind);
            assert_eq!(issued.expires_at.abs_diff(emulator.now()).as_secs(), token.dies.abs_diff(self.model.now));
            if [codes, refresh, access].iter().any(|kind| kind.iter().any(|of_kind| of_kind.value == token.value)) {
                assert_eq!(issued.revoked.is_some(), revoked[token.user], "{:?}", issued.kind);
            }
        }
    }
}

fn chosen(tokens: &mut [Token], index: Index) -> Option<&mut Token> {
    if tokens.is_empty() { None } else { Some(index.get_mut(tokens)) }
}

fn check(answer: Option<Answer>, status: u16) {
    if let Some(answer) = answer {
        assert_eq!(answer.status, status, "{}", answer.body);
    }
}

#[test]
fn p3_p4_c3_c5_o5_o9_o10_tokens_live_as_the_rules_say() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // No connection outlives its request, for a restart would end it, and the next request with it.
    let _ = client();
    let http = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .build()
        .unwrap();
    let config = ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(switches: Switches, steps in vec(step(), 1..60))| {
        runtime.block_on(async {
            let mut run = Run::start(http.clone(), switches).await;
            for step in steps {
                run.take(step).await;
            }
            run.compare();
        });
    });
}
