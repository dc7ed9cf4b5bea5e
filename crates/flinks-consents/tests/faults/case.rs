//! A test case consists of an emulator whose credentials are canaries, a client for each product,
//! and the helper that all rows use.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flinks::connect::{Authorize, LoginId, SecretKey};
use flinks::outbound::{AuthorizationCode, ClientCredentials, RefreshToken};
use flinks::pay::{Credentials, NewSession};
use flinks::{ManualClock, Settings, SpendError};
use flinks_emulator::credentials::*;
use flinks_emulator::{Emulator, Fault, Operation as Endpoint};

use crate::prelude::*;

/// The operations that a caller can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    PayAuthorize,
    PayInitiateSession,
    ConnectGenerate,
    ConnectAuthorize,
    ClientCredentials,
    Refresh,
    ExchangeCode,
    Revoke,
    Consent,
    AppToken,
}

/// The kinds of operations, which differ in how they are retried. Each kind is a row in the table
/// of attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Mint,
    Refresh,
    Code,
    Spend,
}

/// The classes of failures. Each class is a column in the table of attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureClass {
    /// A reset, a timeout, invalid HTTP or status 408.
    MayHaveBeenSent,
    /// Status 429 or 503, or the code `TOO_MANY_REQUESTS`.
    Busy,
    /// Any other 5xx status.
    Failed,
    /// A malformed 2xx response or any other 4xx status.
    Final,
}

impl Operation {
    pub(crate) const ALL: [Self; 10] = [
        Self::PayAuthorize,
        Self::PayInitiateSession,
        Self::ConnectGenerate,
        Self::ConnectAuthorize,
        Self::ClientCredentials,
        Self::Refresh,
        Self::ExchangeCode,
        Self::Revoke,
        Self::Consent,
        Self::AppToken,
    ];

    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::PayAuthorize | Self::ConnectGenerate | Self::ClientCredentials | Self::AppToken => Kind::Mint,
            Self::Refresh | Self::Consent => Kind::Refresh,
            Self::ExchangeCode => Kind::Code,
            Self::PayInitiateSession | Self::ConnectAuthorize | Self::Revoke => Kind::Spend,
        }
    }

    pub(crate) fn endpoint(self) -> Endpoint {
        match self {
            Self::PayAuthorize => Endpoint::PayAuthorize,
            Self::PayInitiateSession => Endpoint::PayInitiateSession,
            Self::ConnectGenerate => Endpoint::ConnectGenerateAuthorizeToken,
            Self::ConnectAuthorize => Endpoint::ConnectAuthorize,
            Self::Revoke => Endpoint::OutboundRevoke,
            _ => Endpoint::OutboundToken,
        }
    }

    /// Returns the operation's product and the name of the operation's type in the generated code.
    fn generated(self) -> &'static str {
        match self {
            Self::PayAuthorize => "pay Authorize",
            Self::PayInitiateSession => "pay InitiateSession",
            Self::ConnectGenerate => "connect GenerateAuthorizeToken",
            Self::ConnectAuthorize => "connect Authorize",
            Self::Revoke => "outbound Revoke",
            _ => "outbound Token",
        }
    }

    pub(crate) fn is_outbound(self) -> bool {
        !matches!(self.endpoint(), Endpoint::PayAuthorize | Endpoint::PayInitiateSession)
            && !matches!(self.endpoint(), Endpoint::ConnectGenerateAuthorizeToken | Endpoint::ConnectAuthorize)
    }
}

/// Returns the expected number of requests for a failed call. This function is the table of
/// attempts.
pub(crate) fn expected_requests(kind: Kind, class: FailureClass) -> u64 {
    match (kind, class) {
        (_, FailureClass::Final) | (Kind::Code | Kind::Spend, _) => 1,
        (_, FailureClass::Busy) | (Kind::Mint, _) => 3,
        (Kind::Refresh, _) => 2,
    }
}

pub(crate) fn every_operation_has_rows() {
    let mut documented = BTreeSet::new();
    for product in ["pay", "connect", "outbound"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../flinks-{product}/src/generated.rs"));
        let file = syn::parse_file(&std::fs::read_to_string(path).unwrap()).unwrap();
        for item in file.items {
            let syn::Item::Mod(module) = item else { continue };
            if module.ident != "operation" {
                continue;
            }
            for item in module.content.unwrap().1 {
                if let syn::Item::Struct(operation) = item {
                    documented.insert(format!("{product} {}", operation.ident));
                }
            }
        }
    }
    let here: BTreeSet<String> = Operation::ALL.iter().map(|operation| operation.generated().to_owned()).collect();
    assert_eq!(here, documented);
}

/// The outcome of a call.
pub(crate) struct Outcome {
    /// The error returned by the call, or `None` if the call succeeded.
    pub(crate) error: Option<ConsentError>,
    pub(crate) fate: TokenFate,
    pub(crate) requests: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenFate {
    /// The error says nothing about a token, because the operation does not spend one or the call
    /// succeeded.
    None,
    Unspent,
    Spent,
    Unknown,
}

/// The log of the process, and the canaries that the log must not contain.
#[derive(Clone)]
pub(crate) struct Log {
    lines: crate::log::Log,
    canaries: Arc<Mutex<Vec<String>>>,
}

impl Log {
    pub(crate) fn capture() -> Self {
        Self { lines: crate::log::Log::capture(), canaries: Arc::default() }
    }

    /// Returns the canaries from all cases. The cases share one log, so any line may contain a
    /// canary from any case.
    pub(crate) fn planted(&self) -> Vec<String> {
        self.canaries.lock().unwrap().clone()
    }

    pub(crate) fn text(&self) -> String {
        self.lines.text()
    }
}

/// A test that runs one row with one operation.
pub(crate) struct Case {
    log: Log,
    canaries: Vec<String>,
    /// The number of requests that this case has sent.
    pub(crate) requests: u64,
    /// How many times each kind of text was searched for canaries.
    pub(crate) checks: BTreeMap<&'static str, u64>,
}

impl Case {
    pub(crate) fn new(log: Log) -> Self {
        Self { log, canaries: Vec::new(), requests: 0, checks: BTreeMap::new() }
    }

    /// Creates a canary: a string that must not appear anywhere.
    pub(crate) fn canary(&mut self) -> String {
        let canary = format!("canary-{}", uuid::Uuid::new_v4());
        self.plant(canary.clone());
        canary
    }

    fn plant(&mut self, canary: String) {
        self.log.canaries.lock().unwrap().push(canary.clone());
        self.canaries.push(canary);
    }

    /// Searches `text` for canaries. `surface` names the kind of text, for the failure message.
    pub(crate) fn search(&mut self, surface: &'static str, text: &str) {
        *self.checks.entry(surface).or_default() += 1;
        assert!(!self.canaries.iter().any(|canary| text.contains(canary)), "{surface} contains a secret");
    }

    pub(crate) fn search_error(&mut self, error: &ConsentError) {
        self.search("Display", &format!("{error} {error:#}"));
        self.search("Debug", &format!("{error:?}"));
        self.search("{:#?}", &format!("{error:#?}"));
        // The error must not have a source, because the test does not search a source's text.
        assert!(error.source().is_none());
        assert!(error.to_string().starts_with(|first: char| first.is_lowercase()));
    }

    /// Replaces each `CANARY` in the response with a new canary, because text from the server must
    /// not appear anywhere either.
    fn with_canaries(&mut self, fault: &Fault) -> Fault {
        let canary = self.canary();
        match fault.clone() {
            Fault::Reply { status, headers, body } => {
                let headers = headers.into_iter().map(|(name, value)| (name, value.replace("CANARY", &canary)));
                Fault::Reply { status, headers: headers.collect(), body: body.replace("CANARY", &canary) }
            }
            Fault::Garbage { bytes } => {
                Fault::Garbage { bytes: String::from_utf8_lossy(&bytes).replace("CANARY", &canary).into_bytes() }
            }
            other => other,
        }
    }

    /// Calls an operation while a fault affects each request. Then checks that the client works
    /// again after the fault has been removed.
    pub(crate) async fn call(&mut self, operation: Operation, fault: &Fault) -> Outcome {
        let fault = &self.with_canaries(fault);
        let setup = Setup::start(self).await;
        let ready = setup.prepare(operation).await;
        setup.emulator.fail_always(operation.endpoint(), fault.clone());
        let before = setup.emulator.count(operation.endpoint());
        let (error, fate) = setup.run(ready).await;
        let requests = setup.emulator.count(operation.endpoint()) - before;
        setup.emulator.clear_faults();
        if operation.kind() == Kind::Mint || error.is_none() {
            setup.clock.advance(Duration::from_secs(60));
            assert!(
                setup.run(setup.prepare(operation).await).await.0.is_none(),
                "the client does not work without the fault"
            );
        }
        for issued in setup.emulator.issued() {
            // The emulator's default credentials are documented, so they are not secret.
            if issued.issued_by.is_some() {
                self.plant(issued.value);
            }
        }
        if let Some(error) = &error {
            self.search_error(error);
        }
        for request in setup.emulator.requests() {
            self.search("request line", &request.target);
            let allowed = ["authorization", "flinks-auth-key"];
            for (_, value) in request.headers.iter().filter(|(name, _)| !allowed.contains(&name.as_str())) {
                self.search("header", value);
            }
        }
        self.requests += requests;
        Outcome { error, fate, requests }
    }
}

/// The emulator and the clients for a case.
struct Setup {
    emulator: Emulator,
    clock: ManualClock,
    pay: flinks::pay::Client,
    connect: flinks::connect::Client,
    outbound: flinks::outbound::Client,
    consents: Consents,
}

/// An operation that is ready to run, with the token that it spends. The token was requested before
/// the fault was scheduled.
enum Ready {
    PayAuthorize,
    PayInitiateSession(flinks::pay::SessionToken),
    ConnectGenerate,
    ConnectAuthorize(flinks::connect::AuthorizeToken),
    ClientCredentials,
    Refresh(RefreshToken),
    ExchangeCode(AuthorizationCode),
    Revoke(flinks::outbound::AccessToken),
    Consent(Consent),
    AppToken(AppTokenSource),
}

impl Setup {
    async fn start(case: &mut Case) -> Self {
        let emulator = Emulator::start().await.unwrap();
        let password = case.canary();
        let key = case.canary();
        let secret = case.canary();
        emulator.configure(|config| {
            config.pay.password.clone_from(&password);
            config.connect.secret_key.clone_from(&key);
            config.outbound.client_secret.clone_from(&secret);
        });
        // Waits between attempts take no real time. Deadlines are longer, so they do not expire.
        let clock = ManualClock::auto_advancing(Duration::from_secs(30));
        let settings = Settings::new().clock(clock.clone()).timeout(Duration::from_secs(1000));
        let base_url: flinks::BaseUrl = emulator.base_url().parse().unwrap();
        let credentials = Credentials::new(PAY_USERNAME, password).unwrap();
        let pay = flinks::pay::Client::builder(base_url.clone(), credentials).settings(&settings).build().unwrap();
        let id = CONNECT_CUSTOMER_ID.parse().unwrap();
        let key = SecretKey::new(key).unwrap();
        let connect = flinks::connect::Client::builder(base_url.clone(), id, key).settings(&settings).build().unwrap();
        let credentials = ClientCredentials::new(OUTBOUND_CLIENT_ID, secret).unwrap();
        let outbound = flinks::outbound::Client::builder(base_url, credentials).settings(&settings).build().unwrap();
        let consents = Consents::builder(outbound.clone()).store_timeout(Duration::from_secs(1000)).build();
        Self { emulator, clock, pay, connect, outbound, consents }
    }

    async fn prepare(&self, operation: Operation) -> Ready {
        match operation {
            Operation::PayAuthorize => Ready::PayAuthorize,
            Operation::PayInitiateSession => Ready::PayInitiateSession(self.pay.authorize().await.unwrap()),
            Operation::ConnectGenerate => Ready::ConnectGenerate,
            Operation::ConnectAuthorize => {
                Ready::ConnectAuthorize(self.connect.generate_authorize_token().await.unwrap())
            }
            Operation::ClientCredentials => Ready::ClientCredentials,
            Operation::Refresh => Ready::Refresh(self.refresh_token().await),
            Operation::ExchangeCode => Ready::ExchangeCode(self.code()),
            Operation::Revoke => {
                let tokens = self.outbound.refresh(&self.refresh_token().await).await.unwrap();
                Ready::Revoke(tokens.access_token)
            }
            Operation::Consent => {
                let id = "end-user".parse().unwrap();
                let now = flinks::Clock::wall(&self.clock);
                Ready::Consent(self.consents.import(&id, self.refresh_token().await, now).await.unwrap())
            }
            Operation::AppToken => Ready::AppToken(AppTokenSource::new(self.outbound.clone(), None)),
        }
    }

    /// Returns the refresh token of a new consent. The token is a canary.
    async fn refresh_token(&self) -> RefreshToken {
        self.outbound.exchange_code(self.code()).await.unwrap().refresh_token.unwrap()
    }

    fn code(&self) -> AuthorizationCode {
        let redirect_uri = "https://app.example/".parse().unwrap();
        let flinks::Started { url, pending, .. } =
            self.outbound.authorization(OUTBOUND_PROVIDER_ID, &redirect_uri).unwrap().start();
        let url = url::Url::parse(url.expose_secret()).unwrap();
        let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let code = self.emulator.issue_code(redirect_uri.as_str());
        self.outbound.verify(pending, &format!("?code={code}&state={state}")).unwrap()
    }

    async fn run(&self, ready: Ready) -> (Option<ConsentError>, TokenFate) {
        match ready {
            Ready::PayAuthorize => plain(self.pay.authorize().await),
            Ready::PayInitiateSession(token) => {
                let session = NewSession::new(
                    "r-1",
                    flinks::pay::Cents(1050),
                    flinks::pay::Customer { name: "Ada".to_owned(), email: "ada@example.com".to_owned() },
                )
                .unwrap();
                spent(self.pay.initiate_session(token, &session).await)
            }
            Ready::ConnectGenerate => plain(self.connect.generate_authorize_token().await),
            Ready::ConnectAuthorize(token) => {
                let login_id = LoginId::new(CONNECT_LOGIN_ID).unwrap();
                spent(self.connect.authorize(token, &Authorize::cached(&login_id)).await)
            }
            Ready::ClientCredentials => plain(self.outbound.client_credentials(None).await),
            Ready::Refresh(refresh_token) => plain(self.outbound.refresh(&refresh_token).await),
            Ready::ExchangeCode(code) => spent(self.outbound.exchange_code(code).await),
            Ready::Revoke(access_token) => plain(self.outbound.revoke(&access_token).await),
            Ready::Consent(consent) => plain(consent.access_token().await),
            Ready::AppToken(source) => plain(source.access_token().await),
        }
    }
}

fn plain<T, E: Into<ConsentError>>(outcome: Result<T, E>) -> (Option<ConsentError>, TokenFate) {
    (outcome.err().map(Into::into), TokenFate::None)
}

fn spent<T, U>(outcome: Result<T, SpendError<U>>) -> (Option<ConsentError>, TokenFate) {
    match outcome {
        Ok(_) => (None, TokenFate::None),
        Err(SpendError::Unspent(_, error)) => (Some(error.into()), TokenFate::Unspent),
        Err(SpendError::Spent(error)) => (Some(error.into()), TokenFate::Spent),
        Err(SpendError::Unknown(error)) => (Some(error.into()), TokenFate::Unknown),
    }
}
