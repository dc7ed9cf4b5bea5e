//! Outbound (O1-O3, O5-O10).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hyper::{Method, StatusCode, header};
use maud::Markup;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::config::{ClientAuthentication, EndUser};
use crate::credentials::{BANK, OUTBOUND_PROVIDER_ID};
use crate::http::{Call, Fields, Reply, token_of};
use crate::ledger::{Issued, Kind};
use crate::pages::{self, Form, landing, with_parameters};
use crate::shelf::Shelf;
use crate::world::{World, made_up};

#[derive(Default)]
pub(crate) struct State {
    /// Consent pages, by the id in the address of their form.
    asked: Shelf<Asked>,
}

/// A visit of an end user to the consent page.
#[derive(Clone)]
struct Asked {
    landing: Url,
    scopes: Vec<String>,
    /// As it was given: the exchange compares it byte for byte (O9).
    redirect_uri: String,
    state: Option<String>,
    /// Where the end user was sent back to. A visit ends once, whatever is sent after that.
    end: Option<Url>,
}

/// What may be asked of an end user.
const SCOPES: [&str; 8] = [
    "ACCOUNT_BASIC",
    "ACCOUNT_DETAILED",
    "ACCOUNT_PAYMENTS",
    "INVESTMENTS",
    "STATEMENTS",
    "CUSTOMER_CONTACT",
    "CUSTOMER_PERSONAL",
    "TRANSACTIONS",
];

/// The scope of app management, with `client_credentials` (O1).
const CLIENT_SCOPE: &str = "client:admin";

/// An OAuth error code and its description (O7), which names the field that is the reason and never holds a value.
struct Refusal {
    error: &'static str,
    description: Cow<'static, str>,
}

impl Refusal {
    const fn new(error: &'static str, description: &'static str) -> Self {
        Self { error, description: Cow::Borrowed(description) }
    }
}

const INVALID_CLIENT: &str = "invalid_client";
const INVALID_CODE: Refusal =
    Refusal::new("invalid_grant", "The code is not valid: unknown, spent, expired, or of another redirect_uri.");
const INVALID_REFRESH_TOKEN: Refusal =
    Refusal::new("invalid_grant", "The refresh token is not valid: unknown, revoked, or idle for too long.");
const UNSUPPORTED_GRANT_TYPE: Refusal = Refusal::new(
    "unsupported_grant_type",
    "The authorization grant type is not supported by the authorization server.",
);

fn invalid_request(description: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal { error: "invalid_request", description: description.into() }
}

fn error(status: StatusCode, Refusal { error, description }: Refusal) -> Reply {
    Reply::json(status, &json!({"error": error, "error_description": description}))
}

/// Asks the end user for consent (O10).
pub(crate) fn authorize(world: &mut World, call: &Call) -> Reply {
    let refuse =
        |message: &str| Reply::page(StatusCode::BAD_REQUEST, pages::refusal("Bad request", message)).with_ids();
    let query = match call.query() {
        Ok(query) => query,
        Err(problem) => return refuse(&problem.message),
    };
    let config = &world.config.outbound;
    // Nobody is sent to an address that cannot be trusted, not even with an error (RFC 6749, 4.1.2.1).
    if query.text("client_id") != Some(&config.client_id) {
        return refuse("client_id is not known.");
    }
    let redirect_uri = query.text("redirect_uri").unwrap_or_default();
    if !config.redirect_uris.is_empty() && !config.redirect_uris.iter().any(|allowed| allowed == redirect_uri) {
        return refuse("redirect_uri is not whitelisted.");
    }
    // Without a scheme it is a mistake here: the exception is the iframe's.
    let landing =
        match Url::parse(redirect_uri).map_err(|_| "is not an absolute URL").and_then(|_| landing(redirect_uri, &[])) {
            Ok(landing) => landing,
            Err(problem) => return refuse(&format!("redirect_uri {problem}.")),
        };
    let scopes = query.text("scope").unwrap_or_default().split(' ').filter(|scope| !scope.is_empty());
    let asked = Asked {
        landing,
        scopes: scopes.map(str::to_owned).collect(),
        redirect_uri: redirect_uri.to_owned(),
        state: query.text("state").map(str::to_owned),
        end: None,
    };
    let back = |url: Url| Reply::redirect(url.as_str()).with_ids();
    let fail = |refusal| back(asked.refused(refusal));
    if query.text("response_type") != Some("code") {
        return fail(Refusal::new("unsupported_response_type", "response_type must be code."));
    }
    let is_known = |scope: &String| SCOPES.contains(&scope.as_str());
    if !asked.scopes.iter().any(|scope| scope == "ACCOUNT_BASIC") || !asked.scopes.iter().all(is_known) {
        let description = "scope must hold ACCOUNT_BASIC, and nothing that is not known.";
        return fail(Refusal::new("invalid_scope", description));
    }
    if query.text("provider_id") != Some(OUTBOUND_PROVIDER_ID) {
        return fail(invalid_request("provider_id is not known."));
    }
    match config.end_user {
        EndUser::Agrees => back(asked.agreed(world, call)),
        EndUser::Refuses => fail(ACCESS_DENIED),
        EndUser::Asked => {
            let id = Uuid::new_v4().to_string();
            let address = asked_address(&id);
            let page = asked.page(&config.client_id, &address, Some(&address));
            world.outbound.asked.insert(id, asked, world.config.limits.pages);
            consent_page(StatusCode::OK, page)
        }
    }
}

const ACCESS_DENIED: Refusal = Refusal::new("access_denied", "The end user refused.");

fn asked_address(id: &str) -> String {
    format!("/__pages/consent/{id}")
}

fn consent_page(status: StatusCode, page: Markup) -> Reply {
    Reply::page(status, page).with(header::X_FRAME_OPTIONS, "DENY").with_ids()
}

/// The consent page when it is shown again, and its form.
pub(crate) fn authorize_step(world: &mut World, call: &Call) -> Reply {
    let refuse = |status, message: &str| consent_page(status, pages::refusal("This page cannot go on", message));
    let Some(asked) = world.outbound.asked.get(&call.parameter).cloned() else {
        return refuse(StatusCode::NOT_FOUND, "Start again.");
    };
    if call.method == Method::GET {
        let address = asked_address(&call.parameter);
        return consent_page(StatusCode::OK, asked.page(&world.config.outbound.client_id, &address, None));
    }
    let form = match call.form() {
        Ok(form) => form,
        Err(problem) => return refuse(StatusCode::BAD_REQUEST, &problem.message),
    };
    if let Some(url) = &asked.end {
        return Reply::see_other(url.as_str()).with_ids();
    }
    let url = match form.text("decision") {
        Some("agree") => asked.agreed(world, call),
        Some("refuse") => asked.refused(ACCESS_DENIED),
        _ => return refuse(StatusCode::BAD_REQUEST, "decision must be agree or refuse."),
    };
    let reply = Reply::see_other(url.as_str()).with_ids();
    if let Some(asked) = world.outbound.asked.get_mut(&call.parameter) {
        asked.end = Some(url);
    }
    reply
}

impl Asked {
    fn page(&self, client_id: &str, action: &str, address: Option<&str>) -> Markup {
        match &self.end {
            Some(url) => pages::complete(url),
            None => pages::consent(&Form { action, step: "decision" }, address, client_id, &self.scopes, &self.landing),
        }
    }

    fn agreed(&self, world: &mut World, call: &Call) -> Url {
        let code = world.issue_code(self.redirect_uri.clone(), Some(call));
        with_parameters(self.landing.clone(), &[("code", Some(&*code)), ("state", self.state.as_deref())])
    }

    fn refused(&self, Refusal { error, description }: Refusal) -> Url {
        let parameters =
            [("error", Some(error)), ("error_description", Some(&*description)), ("state", self.state.as_deref())];
        with_parameters(self.landing.clone(), &parameters)
    }
}

/// The three grants (O1).
pub(crate) fn token(world: &mut World, call: &Call) -> Reply {
    let reply = match grant(world, call) {
        Ok(reply) => Reply::json(StatusCode::OK, &reply),
        Err(refusal) if refusal.error == INVALID_CLIENT => {
            let status = StatusCode::from_u16(world.config.outbound.invalid_client_status);
            error(status.unwrap_or(StatusCode::BAD_REQUEST), refusal)
        }
        Err(refusal) => error(StatusCode::BAD_REQUEST, refusal),
    };
    reply.with_ids()
}

fn grant(world: &mut World, call: &Call) -> Result<Value, Refusal> {
    let body = call.json().map_err(|problem| invalid_request(problem.message))?;
    for (name, _) in FIELDS {
        if body.get(name).is_some_and(|value| !value.is_string()) {
            return Err(invalid_request(format!("{name} must be text.")));
        }
    }
    authenticate(world, call, &body)?;
    let grant_type = body.text("grant_type").ok_or(invalid_request("grant_type is missing."))?;
    if !["authorization_code", "client_credentials", "refresh_token"].contains(&grant_type) {
        return Err(UNSUPPORTED_GRANT_TYPE);
    }
    // A field is sent only with the grant that it belongs to (O1).
    for (name, owner) in FIELDS {
        let Some(owner) = owner else { continue };
        let is_accepted_scope =
            name == "scope" && grant_type == "refresh_token" && world.config.outbound.accept_scope_on_refresh;
        if owner != grant_type && body.get(name).is_some() && !is_accepted_scope {
            return Err(invalid_request(format!("{name} belongs to the grant {owner}, not to {grant_type}.")));
        }
    }
    let field = |name| {
        let missing = || invalid_request(format!("{name} is missing: the grant {grant_type} needs it."));
        body.text(name).ok_or_else(missing)
    };
    match grant_type {
        "client_credentials" => {
            if body.text("scope").is_some_and(|scope| scope != CLIENT_SCOPE) {
                return Err(Refusal::new("invalid_scope", "scope must be client:admin, or absent."));
            }
            Ok(bearer(world, call, None, None))
        }
        "authorization_code" => exchange_code(world, call, field("code")?, field("redirect_uri")?),
        _ => {
            let refresh_token = field("refresh_token")?;
            if body.text("scope").is_some_and(|scope| scope.split(' ').any(|scope| !SCOPES.contains(&scope))) {
                return Err(Refusal::new("invalid_scope", "scope must hold scopes that an end user can agree to."));
            }
            exchange_refresh_token(world, call, refresh_token)
        }
    }
}

/// The fields of the token endpoint, each with the grant that it belongs to if there is only one.
const FIELDS: [(&str, Option<&str>); 7] = [
    ("client_id", None),
    ("client_secret", None),
    ("grant_type", None),
    ("code", Some("authorization_code")),
    ("redirect_uri", Some("authorization_code")),
    ("refresh_token", Some("refresh_token")),
    ("scope", Some("client_credentials")),
];

fn authenticate(world: &World, call: &Call, body: &Fields<Value>) -> Result<(), Refusal> {
    use ClientAuthentication::{Basic, Fields, FieldsOrBasic, None as Nothing};
    let config = &world.config.outbound;
    let switch = config.client_authentication;
    let refuse = |description| Err(Refusal::new(INVALID_CLIENT, description));
    let basic = call.headers.contains_key(header::AUTHORIZATION);
    let is_right = match (body.text("client_id"), body.text("client_secret")) {
        (None, None) if basic => {
            if !matches!(switch, FieldsOrBasic | Basic) {
                return refuse("Authorization must be absent: the emulator is set to another client authentication.");
            }
            basic_credentials(call)
                .is_some_and(|given| given == (config.client_id.clone(), config.client_secret.clone()))
        }
        (None, None) if switch == Nothing => true,
        (None, None) if switch == Basic => {
            return refuse("Authorization is missing: the emulator is set to HTTP Basic.");
        }
        (None, None) => return refuse("client_id and client_secret are missing."),
        (Some(_), None) => return refuse("client_secret is missing."),
        (None, Some(_)) => return refuse("client_id is missing."),
        (Some(_), Some(_)) if basic => {
            return refuse(
                "client_id and client_secret are in the body as well as in Authorization: only one is allowed.",
            );
        }
        (Some(id), Some(secret)) => {
            if !matches!(switch, FieldsOrBasic | Fields) {
                return refuse(
                    "client_id and client_secret must be absent: the emulator is set to another client authentication.",
                );
            }
            (id, secret) == (&config.client_id, &config.client_secret)
        }
    };
    if is_right { Ok(()) } else { refuse("client_id or client_secret is wrong.") }
}

/// User and password of HTTP Basic, each form-encoded (RFC 6749, 2.3.1).
fn basic_credentials(call: &Call) -> Option<(String, String)> {
    let decoded = STANDARD.decode(token_of(call.header("authorization")?, "basic")?).ok()?;
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    let decode = |text: &str| Some(percent_decode_str(&text.replace('+', " ")).decode_utf8().ok()?.into_owned());
    Some((decode(id)?, decode(secret)?))
}

/// Once, and with the redirect URI that the code was issued for (O9).
fn exchange_code(world: &mut World, call: &Call, code: &str, redirect_uri: &str) -> Result<Value, Refusal> {
    let now = world.now();
    let issued = world.ledger.issued(Kind::Code, code).filter(|code| code.is_good(now)).ok_or(INVALID_CODE)?;
    let subject = issued.subject.clone();
    let is_right = issued.redirect_uri.as_deref() == Some(redirect_uri);
    if is_right || world.config.outbound.failed_exchange_spends_code {
        world.spend(Kind::Code, code, call);
    }
    if !is_right {
        return Err(INVALID_CODE);
    }
    let refresh_token = new_refresh_token(world, call, subject.clone());
    Ok(bearer(world, call, subject, Some(refresh_token)))
}

/// Restarts the idle clock of the refresh token, which does not change unless it is told to (O5).
fn exchange_refresh_token(world: &mut World, call: &Call, refresh_token: &str) -> Result<Value, Refusal> {
    let now = world.now();
    let restarted = world.token(Kind::RefreshToken, String::new(), None, idle_seconds(world)).expires_at;
    let issued = world.ledger.issued_mut(Kind::RefreshToken, refresh_token).filter(|token| token.is_good(now));
    let issued = issued.ok_or(INVALID_REFRESH_TOKEN)?;
    issued.expires_at = restarted;
    let subject = issued.subject.clone();
    let mut told = world.config.outbound.repeat_refresh_token.then(|| refresh_token.to_owned());
    if world.config.outbound.rotate_refresh_tokens {
        world.spend(Kind::RefreshToken, refresh_token, call);
        told = Some(new_refresh_token(world, call, subject.clone()));
    }
    Ok(bearer(world, call, subject, told))
}

fn idle_seconds(world: &World) -> u64 {
    world.config.outbound.refresh_token_idle_seconds
}

fn new_refresh_token(world: &mut World, call: &Call, subject: Option<String>) -> String {
    let token = world.token(Kind::RefreshToken, made_up(), Some(call), idle_seconds(world));
    world.issue(Issued { subject, ..token })
}

/// What a grant is answered: with an access token that is a JWT where there is an end user (O8), or else opaque.
fn bearer(world: &mut World, call: &Call, subject: Option<String>, refresh_token: Option<String>) -> Value {
    let lifetime = world.config.outbound.access_token_seconds;
    let token = world.token(Kind::AccessToken, made_up(), Some(call), lifetime);
    let token = match &subject {
        Some(subject) => {
            let exp = token.expires_at.as_secs();
            let claims = json!({"client_id": world.config.outbound.client_id, "sub": subject, "exp": exp});
            Issued { value: jwt(&claims, &token.value), ..token }
        }
        None => token,
    };
    let access_token = world.issue(Issued { subject, ..token });
    match refresh_token {
        Some(refresh_token) => json!({
            "access_token": access_token, "token_type": "Bearer", "refresh_token": refresh_token, "expires_in": lifetime,
        }),
        None => json!({"access_token": access_token, "token_type": "Bearer", "expires_in": lifetime}),
    }
}

/// A JWT that any library reads, so it cannot begin with `emu_`; its key id and its signature, which is nobody's, do.
fn jwt(claims: &Value, signature: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({"alg": "HS256", "typ": "JWT", "kid": "emu_nobody"});
    format!("{}.{}.{signature}", part(&header), part(claims))
}

/// Ends the connection of an end user (O10).
pub(crate) fn revoke(world: &mut World, call: &Call) -> Reply {
    match end_user(world, call) {
        Ok(subject) => {
            world.ledger.revoke(&subject, world.stamp(call));
            Reply::empty(StatusCode::NO_CONTENT).with_ids()
        }
        Err(reply) => reply.with_ids(),
    }
}

/// The accounts of an end user, in the form of FDX 5.
pub(crate) fn accounts(world: &mut World, call: &Call) -> Reply {
    if let Err(reply) = end_user(world, call) {
        return reply.with_ids();
    }
    let account = |id: &str, account_type: &str, balance: f64| {
        json!({"depositAccount": {
            "accountId": id,
            "accountCategory": "DEPOSIT_ACCOUNT",
            "accountType": account_type,
            "accountNumberDisplay": "0001",
            "currency": {"currencyCode": "CAD"},
            "currentBalance": balance,
            "status": "OPEN",
            "fiAttributes": [{"name": "institution", "value": BANK}],
        }})
    };
    let accounts = [account("emu_1", "CHECKING", 1234.56), account("emu_2", "SAVINGS", 7890.0)];
    Reply::json(StatusCode::OK, &json!({"page": {"totalElements": accounts.len()}, "accounts": accounts})).with_ids()
}

/// Whose access token the call bears.
fn end_user(world: &World, call: &Call) -> Result<String, Reply> {
    let refuse = |description| {
        let reply = error(StatusCode::UNAUTHORIZED, Refusal::new("invalid_token", description));
        Err(reply.with(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""))
    };
    let issued = call.bearer().and_then(|token| world.ledger.issued(Kind::AccessToken, token));
    let Some(issued) = issued else {
        return refuse("Authorization must bear an access token of Outbound, once; this is none.");
    };
    if issued.is_expired(world.now()) {
        return refuse("The access token has expired.");
    }
    if issued.revoked.is_some() {
        return refuse("The end user's connection has ended.");
    }
    let subject = issued.subject.clone();
    let no_end_user = Refusal::new("insufficient_scope", "The access token has no end user.");
    subject.ok_or_else(|| error(StatusCode::FORBIDDEN, no_end_user))
}

impl World {
    /// A code, as if an end user had just agreed.
    pub(crate) fn issue_code(&mut self, redirect_uri: String, call: Option<&Call>) -> String {
        let code = self.token(Kind::Code, made_up(), call, self.config.outbound.code_seconds);
        let subject = Some(Uuid::new_v4().to_string());
        self.issue(Issued { subject, redirect_uri: Some(redirect_uri), ..code })
    }
}
