//! The token endpoint and its three grants (O1, O3, O5, O8, O9).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::client;
use super::consent::SCOPES;
use super::refusal::Refusal;
use crate::http::{Call, Reply};
use crate::ledger::{Issued, Kind};
use crate::state::{EmulatorState, fake_id};

/// The scope for app management, which the `client_credentials` grant uses (O1).
const CLIENT_SCOPE: &str = "client:admin";

const INVALID_CODE: Refusal =
    Refusal::new("invalid_grant", "The code is unknown, spent or expired, or it was issued for another redirect_uri.");
const INVALID_REFRESH_TOKEN: Refusal =
    Refusal::new("invalid_grant", "The refresh token is unknown, spent, revoked or expired.");
const UNSUPPORTED_GRANT_TYPE: Refusal = Refusal::new(
    "unsupported_grant_type",
    "The authorization grant type is not supported by the authorization server.",
);

/// The fields of a token request, each with the grant that it belongs to, or with `None` if all
/// grants use it.
const FIELDS: [(&str, Option<&str>); 7] = [
    ("client_id", None),
    ("client_secret", None),
    ("grant_type", None),
    ("code", Some("authorization_code")),
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
    client::authenticate(state, call, &body)?;
    let grant_type = body.text("grant_type").ok_or(Refusal::invalid_request("grant_type is missing."))?;
    if !["authorization_code", "client_credentials", "refresh_token"].contains(&grant_type) {
        return Err(UNSUPPORTED_GRANT_TYPE);
    }
    // A field is allowed only with the grant it belongs to (O1).
    for (name, owner) in FIELDS {
        let Some(owner) = owner else { continue };
        let is_accepted_scope =
            name == "scope" && grant_type == "refresh_token" && state.config.outbound.accept_scope_on_refresh;
        if owner != grant_type && body.get(name).is_some() && !is_accepted_scope {
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
            Ok(issue_access_token(state, call, None, None))
        }
        "authorization_code" => exchange_code(state, call, field("code")?, field("redirect_uri")?),
        _ => {
            let refresh_token = field("refresh_token")?;
            if body.text("scope").is_some_and(|scope| scope.split(' ').any(|scope| !SCOPES.contains(&scope))) {
                return Err(Refusal::new(
                    "invalid_scope",
                    "scope must contain only scopes that an end user can agree to.",
                ));
            }
            refresh(state, call, refresh_token)
        }
    }
}

/// Exchanges a code for tokens. A code can be exchanged only once, and only with the redirect URI
/// for which it was issued (O9).
fn exchange_code(state: &mut EmulatorState, call: &Call, code: &str, redirect_uri: &str) -> Result<Value, Refusal> {
    let now = state.now();
    let issued = state.ledger.issued(Kind::Code, code).filter(|code| code.is_valid(now)).ok_or(INVALID_CODE)?;
    let subject = issued.subject.clone();
    let redirect_uri_matches = issued.redirect_uri.as_deref() == Some(redirect_uri);
    if redirect_uri_matches || state.config.outbound.failed_exchange_spends_code {
        state.spend(Kind::Code, code, call);
    }
    if !redirect_uri_matches {
        return Err(INVALID_CODE);
    }
    let refresh_token = new_refresh_token(state, call, subject.clone());
    Ok(issue_access_token(state, call, subject, Some(refresh_token)))
}

/// Issues an access token in exchange for a refresh token, whose idle time restarts. The refresh
/// token is replaced only if rotation is enabled in the configuration (O5).
fn refresh(state: &mut EmulatorState, call: &Call, refresh_token: &str) -> Result<Value, Refusal> {
    let now = state.now();
    let expires_at = now.saturating_add(Duration::from_secs(idle_seconds(state)));
    let issued = state.ledger.issued_mut(Kind::RefreshToken, refresh_token).filter(|token| token.is_valid(now));
    let issued = issued.ok_or(INVALID_REFRESH_TOKEN)?;
    issued.expires_at = expires_at;
    let subject = issued.subject.clone();
    let mut returned = state.config.outbound.repeat_refresh_token.then(|| refresh_token.to_owned());
    if state.config.outbound.rotate_refresh_tokens {
        state.spend(Kind::RefreshToken, refresh_token, call);
        returned = Some(new_refresh_token(state, call, subject.clone()));
    }
    Ok(issue_access_token(state, call, subject, returned))
}

fn idle_seconds(state: &EmulatorState) -> u64 {
    state.config.outbound.refresh_token_idle_seconds
}

fn new_refresh_token(state: &mut EmulatorState, call: &Call, subject: Option<String>) -> String {
    let token = state.token(Kind::RefreshToken, fake_id(), Some(call), idle_seconds(state));
    state.issue(Issued { subject, ..token })
}

/// Issues an access token and returns the response body. The token is a JWT if it belongs to an end
/// user (O8), and opaque otherwise.
fn issue_access_token(
    state: &mut EmulatorState,
    call: &Call,
    subject: Option<String>,
    refresh_token: Option<String>,
) -> Value {
    let lifetime = state.config.outbound.access_token_seconds;
    let token = state.token(Kind::AccessToken, fake_id(), Some(call), lifetime);
    let token = match &subject {
        Some(subject) => {
            let exp = token.expires_at.as_secs();
            let claims = json!({"client_id": state.config.outbound.client_id, "sub": subject, "exp": exp});
            Issued { value: jwt(&claims, &token.value), ..token }
        }
        None => token,
    };
    let access_token = state.issue(Issued { subject, ..token });
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
