//! Writes every error message to `snapshots/*messages.snap`, so that all messages can be reviewed
//! together.

use std::fmt::Write as _;
use std::time::Duration;

use flinks_core::TransportErrorKind;

use super::SpendError;
use super::error::{Error, ErrorBody};
use super::kind::{Detail, Kind};
use crate::operation::Operation;
use crate::{FlinksCode, ManualClock, OAuthError, Settings, connect, outbound, pay, pool};

/// Defines `KINDS` and the `name` function, which does not compile if a kind is missing from the
/// list.
macro_rules! kinds {
    ($($kind:ident)*) => {
        const KINDS: &[&str] = &[$(stringify!($kind)),*];

        fn name(kind: &Kind) -> &'static str {
            match kind {
                $(Kind::$kind { .. } => stringify!($kind),)*
            }
        }
    };
}

kinds! {
    Input Configuration ExpiredLocally ExpiredOnArrival NotSent Interrupted Rejected Redirect Status Malformed Callback
    CallbackError Abandoned NoRuntime
}

const ALL_OPERATIONS: [Operation; 12] = [
    Operation::PayAuthorize,
    Operation::PayInitiateSession,
    Operation::ConnectGenerateAuthorizeToken,
    Operation::ConnectAuthorize,
    Operation::ConnectWidget,
    Operation::ConnectLanding,
    Operation::ConnectOAuthReturn,
    Operation::OutboundAuthorizationReturn,
    Operation::OutboundClientCredentials,
    Operation::OutboundExchangeCode,
    Operation::OutboundRefresh,
    Operation::OutboundRevoke,
];

/// Returns an error of each kind.
fn each_kind() -> Vec<Error> {
    let call = |kind| Error::new(Operation::OutboundRefresh, kind);
    let lost = || Kind::Interrupted(TransportErrorKind::Timeout);
    vec![
        Error::input("amount", "must be between 1 and 999,999,999,999,999 cents"),
        Error::configuration("password", "is empty"),
        Error::new(Operation::PayInitiateSession, Kind::ExpiredLocally),
        call(Kind::ExpiredOnArrival),
        call(Kind::NotSent(TransportErrorKind::Connect)),
        call(Kind::NotSent(TransportErrorKind::Connect)).after_attempts(2, true),
        call(lost()),
        call(Kind::Rejected).with(400, None),
        call(Kind::Redirect).with(302, None),
        call(Kind::Status).with(502, None),
        call(Kind::Malformed { field: Some("access_token"), detail: Detail::Value("is empty") }).with(200, None),
        call(Kind::Malformed { field: None, detail: Detail::Value("undocumented success status") }).with(204, None),
        Error::new(Operation::OutboundAuthorizationReturn, Kind::Callback("`state` is missing")),
        Error::callback_failed(Operation::OutboundAuthorizationReturn, "access_denied".to_owned(), None),
        call(Kind::Abandoned),
        call(Kind::NoRuntime),
    ]
}

/// Returns the refusals whose messages depend on the status or the code.
fn refusals() -> Vec<(&'static str, Error)> {
    use Operation::{
        ConnectAuthorize, ConnectGenerateAuthorizeToken, OutboundRefresh, PayAuthorize, PayInitiateSession,
    };
    let rejected = |operation, status, code: Option<&str>| Error::new(operation, Kind::Rejected).with(status, code);
    vec![
        ("credentials", rejected(PayAuthorize, 400, None)),
        ("secret key", rejected(ConnectGenerateAuthorizeToken, 401, Some("UNAUTHORIZED"))),
        ("spent token", rejected(PayInitiateSession, 401, None)),
        ("bank", rejected(ConnectAuthorize, 401, Some("INVALID_LOGIN"))),
        ("rate limit", rejected(ConnectAuthorize, 429, Some("TOO_MANY_REQUESTS"))),
        ("unknown FlinksCode", rejected(ConnectAuthorize, 401, Some("NEW_CODE"))),
        ("ended grant", rejected(OutboundRefresh, 400, Some("invalid_grant"))),
        ("client credentials", rejected(OutboundRefresh, 401, Some("invalid_client"))),
        ("unknown OAuth error", rejected(OutboundRefresh, 400, Some("new_error"))),
        ("unknown endpoint", Error::new(PayAuthorize, Kind::Status).with(404, None)),
        ("proxy", Error::new(PayAuthorize, Kind::Status).with(407, None)),
    ]
}

impl Error {
    fn with(self, status: u16, code: Option<&str>) -> Self {
        let is_outbound = self.operation().is_some() && self.product() == Some(crate::Product::Outbound);
        let mut body = ErrorBody::default();
        if let Some(code) = code {
            if is_outbound {
                body.oauth = Some(OAuthError::from(code.to_owned()));
            } else {
                body.code = Some(FlinksCode::from(code.to_owned()));
            }
        }
        self.change(|inner| {
            inner.status = Some(status);
            inner.body = body;
        })
    }
}

/// Returns one error for each value that a constructor or a builder rejects.
fn invalid_values() -> Vec<Error> {
    fn failure<T>(outcome: Result<T, Error>) -> Error {
        outcome.err().expect("the value is invalid")
    }
    let redirect_url = || "https://app.example/back".parse::<crate::RedirectUrl>().unwrap();
    let connect_client = || {
        let customer_id = "00000000-0000-4000-8000-000000000001".parse().unwrap();
        let instance: connect::Instance = "toolbox".parse().unwrap();
        connect::Client::builder(instance, customer_id, connect::SecretKey::new("key").unwrap()).build().unwrap()
    };
    let outbound_client = || {
        let credentials = outbound::ClientCredentials::new("id", "secret").unwrap();
        outbound::Client::builder("https://ob.flinksapp.com".parse().unwrap(), credentials).build().unwrap()
    };
    let base_url = |text: &str| failure(text.parse::<crate::BaseUrl>().map_err(Error::from));
    let pay_at = |text: &str| {
        let credentials = pay::Credentials::new("user", "password").unwrap();
        failure(pay::Client::builder(text.parse().unwrap(), credentials).build())
    };
    let customer = |name: &str, email: &str| pay::Customer { name: name.into(), email: email.into() };
    let session =
        |reference: &str, cents, customer| failure(pay::NewSession::new(reference, pay::Cents(cents), customer));
    let pool_size = |size| failure(pool::PoolSize::new(size));
    vec![
        base_url("canary"),
        base_url("https://user@host.example"),
        base_url("https://host.example?query"),
        base_url("ftp://host.example"),
        base_url("http://host.example"),
        base_url("https://host.example:0"),
        base_url("https://host.example/api/v1/token"),
        base_url("https://{host}"),
        base_url("https://0x7f.1"),
        pay_at("https://ob.flinksapp.com"),
        pay_at("https://toolbox-api.private.fin.ag"),
        pay_at("https://payments.flinksapp.com/path"),
        failure("app.example".parse::<crate::RedirectUrl>()),
        failure("https://app.example/#fragment".parse::<crate::RedirectUrl>()),
        failure(outbound_client().authorization("1000", &"https://app.example/?state=1".parse().unwrap())),
        failure(outbound_client().authorization("", &redirect_url())),
        failure(outbound::ClientCredentials::new("", "secret")),
        failure(outbound::ClientCredentials::new("id", "secret\n")),
        failure(outbound::ClientCredentials::new("id", "a secret")),
        failure(outbound::RefreshToken::new("")),
        failure(outbound::RefreshToken::new("token\n")),
        failure(pay::Credentials::new("", "password")),
        failure(pay::Credentials::new("user", "password\n")),
        session("", 1, customer("Ada", "ada@example.com")),
        session("order-7", 0, customer("Ada", "ada@example.com")),
        session("order-7", 1, customer("", "ada@example.com")),
        session("order-7", 1, customer("Ada", "")),
        failure("a.b".parse::<connect::Instance>()),
        failure("toolbox-api".parse::<connect::Instance>()),
        failure("canary".parse::<connect::CustomerId>()),
        failure(connect::SecretKey::new("")),
        failure(connect::LoginId::new(" ")),
        failure(connect_client().widget(&redirect_url()).parameter("a b", "c")),
        failure(connect_client().widget(&redirect_url()).parameter("redirectUrl", "true")),
        pool_size(0),
    ]
}

/// Returns one error for each kind of rejected callback.
fn callbacks() -> Vec<Error> {
    let clock = ManualClock::new();
    let credentials = outbound::ClientCredentials::new("id", "secret").unwrap();
    let builder = outbound::Client::builder("https://ob.flinksapp.com".parse().unwrap(), credentials);
    let client = builder.settings(&Settings::new().clock(clock.clone())).build().unwrap();
    let verify = |callback: &dyn Fn(&str) -> String, wait| {
        let started = client.authorization("1000", &"https://app.example/back".parse().unwrap()).unwrap().start();
        let url = url::Url::parse(started.url.expose_secret()).unwrap();
        let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        clock.advance(wait);
        client.verify(started.pending, &callback(&state)).expect_err("the callback is invalid")
    };
    let now = Duration::ZERO;
    vec![
        verify(&|_| "code=c".to_owned(), now),
        verify(&|_| "code=c&state=".to_owned(), now),
        verify(&|_| "code=c&state=other".to_owned(), now),
        verify(&|state| format!("code=c&code=d&state={state}"), now),
        verify(&|state| format!("code=c&error=e&state={state}"), now),
        verify(&|state| format!("state={state}"), now),
        verify(&|state| format!("code=&state={state}"), now),
        verify(&|state| format!("error=access_denied&state={state}"), now),
        verify(&|state| format!("code=c&state={state}"), Duration::from_secs(11 * 60)),
    ]
}

/// Returns one error message for each possible fate of a token, and the message of an error that
/// was converted into an [`Error`].
fn spend_errors() -> [(&'static str, String); 4] {
    let error = |kind| Error::new(Operation::PayInitiateSession, kind);
    let lost = || error(Kind::Interrupted(TransportErrorKind::Timeout));
    [
        ("Unspent", SpendError::Unspent((), error(Kind::ExpiredLocally)).to_string()),
        ("Spent", SpendError::<()>::Spent(error(Kind::Rejected).with(400, None)).to_string()),
        ("Unknown", SpendError::<()>::Unknown(lost()).to_string()),
        ("Unknown, converted into an Error", Error::from(SpendError::<()>::Unknown(lost())).to_string()),
    ]
}

fn write_section<N: AsRef<str>>(table: &mut String, title: &str, rows: impl IntoIterator<Item = (N, String)>) {
    let _ = writeln!(table, "\n{title}");
    for (name, message) in rows {
        let _ = writeln!(table, "  {}: {message}", name.as_ref());
    }
}

#[test]
fn messages() {
    let kinds = each_kind();
    for kind in KINDS {
        assert!(kinds.iter().any(|error| name(&error.0.kind) == *kind), "no row for kind `{kind}`");
    }
    let of_operation = |operation| Error::new(operation, Kind::NoRuntime).to_string();
    let field = |error: &Error| (error.field().unwrap_or_default(), error.to_string());
    let mut table = String::new();
    write_section(&mut table, "kinds", kinds.iter().map(|error| (name(&error.0.kind), error.to_string())));
    let operations = ALL_OPERATIONS.map(|operation| (format!("{operation:?}"), of_operation(operation)));
    write_section(&mut table, "operations", operations);
    write_section(&mut table, "refusals", refusals().into_iter().map(|(name, error)| (name, error.to_string())));
    write_section(&mut table, "a call that spends a token", spend_errors());
    write_section(&mut table, "invalid values", invalid_values().iter().map(field));
    write_section(&mut table, "callbacks", callbacks().iter().map(|error| ("callback", error.to_string())));
    insta::assert_snapshot!("messages", table);
}
