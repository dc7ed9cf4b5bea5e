//! Pay's rules (P1-P6, P8).

use hyper::{StatusCode, header};
use serde_json::json;

use crate::config::PayConfig;
use crate::http::{Call, Reply, strip_scheme};
use crate::ledger::{Issued, Kind};
use crate::state::{EmulatorState, PaymentRequest, Session, fake_id};

/// Issues a session token (P1, P2). An error response has no body (P6).
pub(super) fn authorize(state: &mut EmulatorState, call: &Call) -> Reply {
    let config = &state.config.pay;
    let expected =
        [("Password", &*config.password), ("Username", &*config.username), ("grant_type", "client_credentials")];
    let lifetime = config.token_seconds;
    let is_accepted = call.form().is_ok_and(|form| {
        // No other field is allowed (P1). Both lists of names are in alphabetical order.
        form.names().eq(expected.map(|(name, _)| name))
            && expected.iter().all(|(name, value)| form.text(name) == Some(value))
    });
    if !is_accepted {
        return Reply::empty(StatusCode::BAD_REQUEST);
    }
    let token = state.issue(state.token(Kind::SessionToken, fake_id(), Some(call), lifetime));
    Reply::json(StatusCode::OK, &json!({"access_token": token, "token_type": "bearer", "expires_in": lifetime}))
}

/// Starts a session and spends the token, which can start only one session (P3, P8).
pub(super) fn initiate_session(state: &mut EmulatorState, call: &Call) -> Reply {
    let token = match session_token(state, call) {
        Ok(token) => token,
        Err(reply) => return reply,
    };
    if token.spent.is_some() {
        return unauthorized(
            "The token is spent: it has already started a session. Request a new token for each session.",
        );
    }
    let session = match new_session(call) {
        Ok(session) => session,
        // No session was started, so the token stays unspent.
        Err(message) => return Reply::bad_request(&message),
    };
    let token = token.value.clone();
    state.spend(Kind::SessionToken, &token, call);
    let reference_id = session.reference_id.clone();
    let session_id = state.pay.sessions.add(session, state.config.limits.tokens);
    Reply::json(StatusCode::OK, &json!({"sessionId": session_id, "referenceId": reference_id}))
}

fn new_session(call: &Call) -> Result<Session, String> {
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
    Ok(Session { reference_id: reference_id.to_owned(), amount })
}

/// Creates a payment request. Flinks does not document whether a token remains valid after it has
/// started a session. The emulator accepts a spent token until it expires.
pub(super) fn create_payment_request(state: &mut EmulatorState, call: &Call) -> Reply {
    if let Err(reply) = session_token(state, call) {
        return reply;
    }
    let body = match call.json() {
        Ok(body) => body,
        Err(problem) => return Reply::bad_request(&problem.message),
    };
    let session_id = body.text("sessionId").unwrap_or_default();
    if state.pay.sessions.get(session_id).is_none() {
        return Reply::bad_request("sessionId must be the id of an existing session.");
    }
    let payment_request = PaymentRequest { session_id: session_id.to_owned() };
    let request_id = state.pay.payment_requests.add(payment_request, state.config.limits.tokens);
    Reply::json(StatusCode::OK, &json!({"requestId": request_id}))
}

pub(super) fn get_payment_request(state: &mut EmulatorState, call: &Call) -> Reply {
    if let Err(reply) = session_token(state, call) {
        return reply;
    }
    let not_found = || Reply::problem(StatusCode::NOT_FOUND, "The payment request does not exist.");
    let Some(PaymentRequest { session_id }) = state.pay.payment_requests.get(&call.parameter) else {
        return not_found();
    };
    let Some(Session { reference_id, amount }) = state.pay.sessions.get(session_id) else { return not_found() };
    let body = json!({
        "requestId": call.parameter,
        "sessionId": session_id,
        "referenceId": reference_id,
        "amount": amount,
        "status": "PENDING",
    });
    Reply::json(StatusCode::OK, &body)
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

/// Returns the token in the configured header. In `Authorization`, the scheme is required. In any
/// other header, it is optional, because Flinks does not document the format.
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
