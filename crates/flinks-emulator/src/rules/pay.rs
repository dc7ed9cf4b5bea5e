//! Pay's rules (P1-P6, P8).
//!
//! | file | contents |
//! | --- | --- |
//! | `app` | the application in which the payer approves a payment |

mod app;

use hyper::{StatusCode, header};
use serde_json::json;

pub(super) use self::app::{app, app_step};
use crate::config::{Party, PayAuthentication, PayConfig};
use crate::http::{self, Call, Reply, strip_scheme};
use crate::ledger::{Issued, Kind};
use crate::state::{EmulatorState, PaymentRequest, Session, fake_id};

/// Issues a session token (P1, P2). An error response has no body (P6).
pub(super) fn authorize(state: &mut EmulatorState, call: &Call) -> Reply {
    let lifetime = state.config.pay.token_seconds;
    let Some(party) = authenticated_user(&state.config.pay, call) else {
        return Reply::empty(StatusCode::BAD_REQUEST);
    };
    let token = state.token(Kind::SessionToken, fake_id(), Some(call), lifetime);
    let token = state.issue(Issued { party, ..token });
    Reply::json(StatusCode::OK, &json!({"access_token": token, "token_type": "bearer", "expires_in": lifetime}))
}

/// Returns the user whose credentials the request contains, or `None` if the request or the
/// credentials are invalid.
fn authenticated_user(config: &PayConfig, call: &Call) -> Option<Party> {
    let form = call.form().ok()?;
    if form.text("grant_type") != Some("client_credentials") {
        return None;
    }
    // No other field is allowed (P1). Names are in alphabetical order.
    let has_only = |names: &[&str]| form.names().eq(names.iter().copied());
    let by_form = || {
        let user = config.user(form.text("Username")?, form.text("Password")?)?;
        has_only(&["Password", "Username", "grant_type"]).then_some(user)
    };
    let by_basic = || {
        let (username, password) = basic_credentials(call)?;
        let user = config.user(&username, &password)?;
        has_only(&["grant_type"]).then_some(user)
    };
    match config.authentication {
        PayAuthentication::Form => by_form(),
        PayAuthentication::Basic => by_basic(),
        PayAuthentication::FormOrBasic if call.headers.contains_key(header::AUTHORIZATION) => by_basic(),
        PayAuthentication::FormOrBasic => by_form(),
    }
}

/// Decodes the user name and the password in HTTP Basic credentials (RFC 7617).
fn basic_credentials(call: &Call) -> Option<(String, String)> {
    http::basic_credentials(strip_scheme(call.header("authorization")?, "basic")?)
}

/// Starts a session and spends the token, which can start only one session (P3, P8).
pub(super) fn initiate_session(state: &mut EmulatorState, call: &Call) -> Reply {
    let token = match session_token(state, call) {
        Ok(token) => token,
        Err(reply) => return reply,
    };
    if token.spent.is_some() && state.config.pay.token_starts_one_session {
        return unauthorized(
            "The token is spent: it has already been used to start a session. Request a new token for each session.",
        );
    }
    let session = new_session(call, token.party.clone());
    let token = token.value.clone();
    if session.is_ok() || state.config.pay.failed_initiate_spends_token {
        state.spend(Kind::SessionToken, &token, call);
    }
    let session = match session {
        Ok(session) => session,
        Err(message) => return Reply::bad_request(&message),
    };
    let reference_id = session.reference_id.clone();
    let session_id = state.pay.sessions.add(session, state.config.limits.tokens);
    Reply::json(StatusCode::OK, &json!({"sessionId": session_id, "referenceId": reference_id}))
}

fn new_session(call: &Call, party: Party) -> Result<Session, String> {
    let body = call.json().map_err(|problem| problem.message)?;
    for name in ["customerName", "customerEmail"] {
        if body.text(name).is_none_or(str::is_empty) {
            return Err(format!("{name} must be a non-empty string."));
        }
    }
    let reference_id = body.text("referenceId").unwrap_or_default();
    if !(1..=256).contains(&reference_id.len()) {
        return Err("referenceId must be a string of 1 to 256 bytes.".to_owned());
    }
    let amount = body.get("amount").filter(|amount| amount.as_f64().is_some_and(|amount| amount > 0.0));
    let amount = amount.ok_or("amount must be a number greater than 0.")?.clone();
    Ok(Session { party, reference_id: reference_id.to_owned(), amount, request_id: None })
}

/// Creates the payment request for a session, so that the payer can approve the payment.
pub(super) fn create_payment_request(state: &mut EmulatorState, call: &Call) -> Reply {
    let party = match reader(state, call) {
        Ok(party) => party,
        Err(reply) => return reply,
    };
    let body = match call.json() {
        Ok(body) => body,
        Err(problem) => return Reply::bad_request(&problem.message),
    };
    let session_id = body.text("sessionId").unwrap_or_default();
    let now = state.now();
    let Some(session) = state.pay.sessions.get_mut(session_id).filter(|session| session.party == party) else {
        return Reply::bad_request("sessionId must be the id of an existing session.");
    };
    let payment_request = PaymentRequest::new(session_id.to_owned(), now);
    let request_id = state.pay.payment_requests.add(payment_request, state.config.limits.tokens);
    session.request_id = Some(request_id.clone());
    Reply::json(StatusCode::OK, &json!({"requestId": request_id}))
}

/// Returns the state of a payment request, or a 429 response if the client has requested it within
/// the last 30 seconds.
pub(super) fn get_payment_request(state: &mut EmulatorState, call: &Call) -> Reply {
    let party = match reader(state, call) {
        Ok(party) => party,
        Err(reply) => return reply,
    };
    let not_found = || Reply::problem(StatusCode::NOT_FOUND, "The payment request does not exist.");
    let now = state.now();
    let config = &state.config.pay;
    let Some(request) = state.pay.payment_requests.get_mut(&call.parameter) else { return not_found() };
    let session = state.pay.sessions.get(&request.session_id).filter(|session| session.party == party);
    let Some(Session { reference_id, amount, .. }) = session else { return not_found() };
    if request.is_read_too_early(now, config) {
        let message = format!(
            "Wait {} seconds before you request the state of the same payment request again.",
            config.status_interval_seconds
        );
        return Reply::problem(StatusCode::TOO_MANY_REQUESTS, &message);
    }
    request.read_at = Some(now);
    let session_id = &request.session_id;
    let body = json!({
        "requestId": call.parameter,
        "sessionId": session_id,
        "referenceId": reference_id,
        "ReferenceId": reference_id,
        "PaymentLink": format!("{}/app/?sessionId={session_id}", call.base_url()),
        "amount": amount,
        "status": request.status(now, config).name(),
    });
    Reply::json(StatusCode::OK, &body)
}

/// Returns the user to whom the token in a payment-request call was issued, or an error response.
fn reader(state: &EmulatorState, call: &Call) -> Result<Party, Reply> {
    let token = session_token(state, call)?;
    if token.spent.is_some() && !state.config.pay.accept_spent_token {
        return Err(unauthorized(
            "The token is spent: it has already been used to start a session. Request a new token.",
        ));
    }
    Ok(token.party.clone())
}

/// Returns the session token from a call, or an error response if the token is missing, unknown or
/// expired. A spent token does not cause an error.
fn session_token<'a>(state: &'a EmulatorState, call: &Call) -> Result<&'a Issued, Reply> {
    let refuse = |message: &str| Err(unauthorized(message));
    let config = &state.config.pay;
    let Some(token) = presented_token(config, call) else {
        if config.uses_authorization() {
            return refuse("Authorization must contain a bearer token and must appear exactly once.");
        }
        let name = config.token_header.to_ascii_lowercase();
        return refuse(&format!("{name} must contain a Pay session token and must appear exactly once."));
    };
    match state.ledger.issued(Kind::SessionToken, token) {
        None => refuse("The token is not a Pay session token."),
        Some(issued) if issued.is_expired(state.now()) => refuse("The token has expired."),
        Some(issued) => Ok(issued),
    }
}

/// Returns the token in the configured header. In the `Authorization` header, the scheme is
/// required. In any other header, it is optional, because Flinks does not document the format.
fn presented_token<'a>(config: &PayConfig, call: &'a Call) -> Option<&'a str> {
    if config.uses_authorization() {
        return call.bearer();
    }
    let value = call.header(&config.token_header)?;
    Some(strip_scheme(value, "bearer").unwrap_or(value))
}

fn unauthorized(message: &str) -> Reply {
    Reply::problem(StatusCode::UNAUTHORIZED, message).with(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")
}
