//! One case: an emulator whose credentials are canaries, a client of each product, and the helper
//! that all rows use.

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

/// What a caller can ask for.
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

/// What it does, as far as trying again goes: the rows of the table of tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Mint,
    Refresh,
    Code,
    Spend,
}

/// The columns of the table of tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Reset, timeout, bad HTTP, 408.
    MayHaveBeenSent,
    /// 429, 503, TOO_MANY_REQUESTS.
    Busy,
    /// Another 5xx.
    Failed,
    /// A malformed 2xx, or another 4xx.
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

    /// The type of the operation in the generated crate.
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

/// The most requests: the table of tries, as the facade promises it.
pub(crate) fn tries(kind: Kind, class: Class) -> u64 {
    match (kind, class) {
        (_, Class::Final) | (Kind::Code | Kind::Spend, _) => 1,
        (_, Class::Busy) | (Kind::Mint, _) => 3,
        (Kind::Refresh, _) => 2,
    }
}

pub(crate) fn every_operation_is_here() {
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

/// What a call came to.
pub(crate) struct Outcome {
    /// None where it succeeded.
    pub(crate) error: Option<ConsentError>,
    pub(crate) fate: Fate,
    pub(crate) requests: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing is spent by it, or it succeeded.
    None,
    Unspent,
    Spent,
    Unknown,
}

/// What the process logs, and what must not be in it.
#[derive(Clone)]
pub(crate) struct Log {
    lines: crate::log::Log,
    canaries: Arc<Mutex<Vec<String>>>,
}

impl Log {
    pub(crate) fn capture() -> Self {
        Self { lines: crate::log::Log::capture(), canaries: Arc::default() }
    }

    /// All that was planted, after all cases: for what one of them logs may be of another.
    pub(crate) fn planted(&self) -> Vec<String> {
        self.canaries.lock().unwrap().clone()
    }

    pub(crate) fn text(&self) -> String {
        self.lines.text()
    }
}

/// One row and one operation.
pub(crate) struct Case {
    log: Log,
    canaries: Vec<String>,
    /// How many requests its calls made.
    pub(crate) requests: u64,
    /// How many texts of each surface were looked at.
    pub(crate) checks: BTreeMap<&'static str, u64>,
}

impl Case {
    pub(crate) fn new(log: Log) -> Self {
        Self { log, canaries: Vec::new(), requests: 0, checks: BTreeMap::new() }
    }

    /// A text of its own that must be nowhere.
    pub(crate) fn canary(&mut self) -> String {
        let canary = format!("canary-{}", uuid::Uuid::new_v4());
        self.plant(canary.clone());
        canary
    }

    fn plant(&mut self, canary: String) {
        self.log.canaries.lock().unwrap().push(canary.clone());
        self.canaries.push(canary);
    }

    /// Looks for canaries in a text of this surface.
    pub(crate) fn look(&mut self, surface: &'static str, text: &str) {
        *self.checks.entry(surface).or_default() += 1;
        assert!(!self.canaries.iter().any(|canary| text.contains(canary)), "a secret is in: {surface}");
    }

    pub(crate) fn look_at_error(&mut self, error: &ConsentError) {
        self.look("Display", &format!("{error} {error:#}"));
        self.look("Debug", &format!("{error:?}"));
        self.look("{:#?}", &format!("{error:#?}"));
        // It has none: what it wraps cannot tell.
        assert!(error.source().is_none());
        assert!(error.to_string().starts_with(|first: char| first.is_lowercase()));
    }

    /// What the server writes is in no text either: each `CANARY` in it is one.
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

    /// Calls an operation on a server that meets each of its requests with `fault`. Without the
    /// fault, the client must work again.
    pub(crate) async fn call(&mut self, operation: Operation, fault: &Fault) -> Outcome {
        let fault = &self.with_canaries(fault);
        let world = World::start(self).await;
        let ready = world.prepare(operation).await;
        world.emulator.fail_always(operation.endpoint(), fault.clone());
        let before = world.emulator.count(operation.endpoint());
        let (error, fate) = world.run(ready).await;
        let requests = world.emulator.count(operation.endpoint()) - before;
        world.emulator.clear_faults();
        if operation.kind() == Kind::Mint || error.is_none() {
            world.clock.advance(Duration::from_secs(60));
            assert!(world.run(world.prepare(operation).await).await.0.is_none(), "the client still works");
        }
        for issued in world.emulator.issued() {
            // But not what the emulator is born with, and has in its own documentation.
            if issued.issued_by.is_some() {
                self.plant(issued.value);
            }
        }
        if let Some(error) = &error {
            self.look_at_error(error);
        }
        for request in world.emulator.requests() {
            self.look("request line", &request.target);
            let allowed = ["authorization", "flinks-auth-key"];
            for (_, value) in request.headers.iter().filter(|(name, _)| !allowed.contains(&name.as_str())) {
                self.look("header", value);
            }
        }
        self.requests += requests;
        Outcome { error, fate, requests }
    }
}

/// An emulator and its clients.
struct World {
    emulator: Emulator,
    clock: ManualClock,
    pay: flinks::pay::Client,
    connect: flinks::connect::Client,
    outbound: flinks::outbound::Client,
    consents: Consents,
}

/// An operation with what it spends, which was got before anything fails.
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

impl World {
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
        // Waits between attempts take no real time; deadlines are longer.
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

    /// One that nobody knows.
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

    async fn run(&self, ready: Ready) -> (Option<ConsentError>, Fate) {
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

fn plain<T, E: Into<ConsentError>>(outcome: Result<T, E>) -> (Option<ConsentError>, Fate) {
    (outcome.err().map(Into::into), Fate::None)
}

fn spent<T, U>(outcome: Result<T, SpendError<U>>) -> (Option<ConsentError>, Fate) {
    match outcome {
        Ok(_) => (None, Fate::None),
        Err(SpendError::Unspent(_, error)) => (Some(error.into()), Fate::Unspent),
        Err(SpendError::Spent(error)) => (Some(error.into()), Fate::Spent),
        Err(SpendError::Unknown(error)) => (Some(error.into()), Fate::Unknown),
    }
}
