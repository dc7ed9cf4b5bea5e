//! The token endpoint and its three grants (O1, O3, O5, O8, O9).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::client::{self, Sender};
use super::consent::SCOPES;
use super::refusal::Refusal;
use crate::config::{Party, Pkce};
use crate::http::{Call, Reply};
use crate::ledger::{Issued, Kind};
use crate::state::{EmulatorState, fake_id};

/// The scope for app management, which the `client_credentials` grant uses (O1).
const CLIENT_SCOPE: &str = "client:admin";

const INVALID_CODE: Refusal = Refusal::new(
    "invalid_grant",
    "The code is unknown, spent or expired, or it was issued for another client or redirect_uri.",
);
const INVALID_REFRESH_TOKEN: Refusal = Refusal::new(
    "invalid_grant",
    "The refresh token is unknown, spent, revoked or expired, or it was issued for another client.",
);
const WRONG_VERIFIER: Refusal = Refusal::new("invalid_grant", "code_verifier does not match the code_challenge.");
const MISSING_VERIFIER: Refusal =
    Refusal::new("invalid_grant", "code_verifier is missing: the authorization request contained a code_challenge.");
const UNEXPECTED_VERIFIER: Refusal =
    Refusal::new("invalid_grant", "code_verifier must be absent: the authorization request had no code_challenge.");
const UNSUPPORTED_GRANT_TYPE: Refusal = Refusal::new(
    "unsupported_grant_type",
    "The authorization grant type is not supported by the authorization server.",
);

/// The fields of a token request, each with the grant that uses it, or with `None` if all grants
/// do.
const FIELDS: [(&str, Option<&str>); 8] = [
    ("client_id", None),
    ("client_secret", None),
    ("grant_type", None),
    ("code", Some("authorization_code")),
    ("code_verifier", Some("authorization_code")),
    ("redirect_uri", Some("authorization_code")),
    ("refresh_token", Some("refresh_token")),
    ("scope", Some("client_credentials")),
];

pub(in crate::rules) fn token(state: &mut EmulatorState, call: &Call) -> Reply {
    let reply = match grant(state, call) {
        Ok(reply) => Reply::json(StatusCode::OK, &reply),
        Err(refusal) if refusal.error == client::INVALID_CLIENT => {
            let status = StatusCode::from_u16(state.config.outbound.invalid_client_status);
            refusal.reply(status.unwrap_or(StatusCode::BAD_REQUEST))
        }
        Err(refusal) => refusal.reply(StatusCode::BAD_REQUEST),
    };
    reply.with_ids()
}

fn grant(state: &mut EmulatorState, call: &Call) -> Result<Value, Refusal> {
    let body = call.json().map_err(|problem| Refusal::invalid_request(problem.message))?;
    for (name, _) in FIELDS {
        if body.get(name).is_some_and(|value| !value.is_string()) {
            return Err(Refusal::invalid_request(format!("{name} must be a string.")));
        }
    }
    let sender = client::authenticate(state, call, &body)?;
    let grant_type = body.text("grant_type").ok_or(Refusal::invalid_request("grant_type is missing."))?;
    if !["authorization_code", "client_credentials", "refresh_token"].contains(&grant_type) {
        return Err(UNSUPPORTED_GRANT_TYPE);
    }
    // A field is allowed only with the grant it belongs to (O1).
    for (name, owner) in FIELDS {
        let Some(owner) = owner else { continue };
        let config = &state.config.outbound;
        let is_accepted = match name {
            "scope" => grant_type == "refresh_token" && config.accept_scope_on_refresh,
            "code_verifier" => config.pkce == Pkce::Ignored,
            _ => false,
        };
        if owner != grant_type && body.get(name).is_some() && !is_accepted {
            return Err(Refusal::invalid_request(format!(
                "{name} belongs to the {owner} grant, not to the {grant_type} grant."
            )));
        }
    }
    let field = |name| {
        let missing = || Refusal::invalid_request(format!("{name} is missing: the {grant_type} grant requires it."));
        body.text(name).ok_or_else(missing)
    };
    match grant_type {
        "client_credentials" => {
            if body.text("scope").is_some_and(|scope| scope != CLIENT_SCOPE) {
                return Err(Refusal::new("invalid_scope", "scope must be `client:admin` or absent."));
            }
            let party = match sender {
                Sender::Known(party) => party,
                Sender::Any => Party::Main,
            };
            Ok(issue_access_token(state, call, Owner { party, subject: None }, None))
        }
        "authorization_code" => {
            let exchange = Exchange {
                sender,
                code: field("code")?,
                redirect_uri: field("redirect_uri")?,
                code_verifier: body.text("code_verifier"),
            };
            exchange.run(state, call)
        }
        _ => {
            let refresh_token = field("refresh_token")?;
            if body.text("scope").is_some_and(|scope| scope.split(' ').any(|scope| !SCOPES.contains(&scope))) {
                return Err(Refusal::new(
                    "invalid_scope",
                    "scope must contain only scopes that an end user can consent to.",
                ));
            }
            refresh(state, call, &sender, refresh_token)
        }
    }
}

/// The owner of a token: a client, and the end user if there is one.
#[derive(Clone)]
struct Owner {
    party: Party,
    subject: Option<String>,
}

impl Owner {
    fn of(issued: &Issued) -> Self {
        Self { party: issued.party.clone(), subject: issued.subject.clone() }
    }
}

/// An exchange of a code for tokens.
struct Exchange<'a> {
    sender: Sender,
    code: &'a str,
    redirect_uri: &'a str,
    code_verifier: Option<&'a str>,
}

impl Exchange<'_> {
    /// Exchanges the code. A code can be exchanged only once, by the client for which it was
    /// issued, with the same redirect URI and the matching PKCE verifier (O9).
    fn run(self, state: &mut EmulatorState, call: &Call) -> Result<Value, Refusal> {
        let now = state.now();
        let issued = state.ledger.issued(Kind::Code, self.code);
        let issued = issued.filter(|code| code.is_valid(now) && self.sender.may_be(&code.party)).ok_or(INVALID_CODE)?;
        let owner = Owner::of(issued);
        let outcome = self.check(issued, state.config.outbound.pkce);
        if outcome.is_ok() || state.config.outbound.failed_exchange_spends_code {
            state.spend(Kind::Code, self.code, call);
        }
        outcome?;
        let refresh_token = new_refresh_token(state, call, owner.clone());
        Ok(issue_access_token(state, call, owner, Some(refresh_token)))
    }

    fn check(&self, issued: &Issued, pkce: Pkce) -> Result<(), Refusal> {
        if issued.redirect_uri.as_deref() != Some(self.redirect_uri) {
            return Err(INVALID_CODE);
        }
        if pkce == Pkce::Ignored {
            return Ok(());
        }
        match (&issued.code_challenge, self.code_verifier) {
            (None, None) => Ok(()),
            (Some(challenge), Some(verifier)) if challenge.matches(verifier) => Ok(()),
            (Some(_), Some(_)) => Err(WRONG_VERIFIER),
            (Some(_), None) => Err(MISSING_VERIFIER),
            (None, Some(_)) => Err(UNEXPECTED_VERIFIER),
        }
    }
}

/// Issues an access token in exchange for a refresh token, and restarts the refresh token's idle
/// time. The refresh token is replaced only if rotation is enabled in the configuration (O5).
fn refresh(state: &mut EmulatorState, call: &Call, sender: &Sender, refresh_token: &str) -> Result<Value, Refusal> {
    let now = state.now();
    let expires_at = now.saturating_add(Duration::from_secs(idle_seconds(state)));
    let issued = state.ledger.issued_mut(Kind::RefreshToken, refresh_token);
    let issued = issued.filter(|token| token.is_valid(now) && sender.may_be(&token.party));
    let issued = issued.ok_or(INVALID_REFRESH_TOKEN)?;
    issued.expires_at = expires_at;
    let owner = Owner::of(issued);
    let mut returned = state.config.outbound.repeat_refresh_token.then(|| refresh_token.to_owned());
    if state.config.outbound.rotate_refresh_tokens {
        state.spend(Kind::RefreshToken, refresh_token, call);
        returned = Some(new_refresh_token(state, call, owner.clone()));
    }
    Ok(issue_access_token(state, call, owner, returned))
}

fn idle_seconds(state: &EmulatorState) -> u64 {
    state.config.outbound.refresh_token_idle_seconds
}

fn new_refresh_token(state: &mut EmulatorState, call: &Call, Owner { party, subject }: Owner) -> String {
    let token = state.token(Kind::RefreshToken, fake_id(), Some(call), idle_seconds(state));
    state.issue(Issued { party, subject, ..token })
}

/// Issues an access token and returns the response body. The token is a JWT if it belongs to an end
/// user (O8), and opaque otherwise.
fn issue_access_token(
    state: &mut EmulatorState,
    call: &Call,
    Owner { party, subject }: Owner,
    refresh_token: Option<String>,
) -> Value {
    let lifetime = state.config.outbound.access_token_seconds;
    let token = state.token(Kind::AccessToken, fake_id(), Some(call), lifetime);
    let token = match &subject {
        Some(subject) => {
            let exp = token.expires_at.as_secs();
            let client_id = state.config.outbound.client_of(&party).map(|client| client.id);
            let claims = json!({"client_id": client_id, "sub": subject, "exp": exp});
            Issued { value: jwt(&claims, &token.value), ..token }
        }
        None => token,
    };
    let access_token = state.issue(Issued { party, subject, ..token });
    match refresh_token {
        Some(refresh_token) => json!({
            "access_token": access_token, "token_type": "Bearer", "refresh_token": refresh_token, "expires_in": lifetime,
        }),
        None => json!({"access_token": access_token, "token_type": "Bearer", "expires_in": lifetime}),
    }
}

/// Returns a JWT that any library can decode. It cannot start with `emu_`, so its key id and its
/// signature start with this prefix instead. The signature cannot be verified with any key.
fn jwt(claims: &Value, signature: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({"alg": "HS256", "typ": "JWT", "kid": "emu_nobody"});
    format!("{}.{}.{signature}", part(&header), part(claims))
}
