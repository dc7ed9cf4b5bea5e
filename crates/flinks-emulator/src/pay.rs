//! Pay (P1-P6, P8).

use hyper::{StatusCode, header};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::config::PayConfig;
use crate::http::{Call, Reply, token_of};
use crate::ledger::Kind;
use crate::shelf::Shelf;
use crate::world::{World, bad_request, made_up};

#[derive(Default)]
pub(crate) struct State {
    sessions: Shelf<Session>,
    payment_requests: Shelf<PaymentRequest>,
}

struct Session {
    reference_id: String,
    amount: Value,
}

struct PaymentRequest {
    session_id: String,
}

/// Username and password for a token. A refusal has no body (P6).
pub(crate) fn authorize(world: &mut World, call: &Call) -> Reply {
    let config = &world.config.pay;
    let expected =
        [("Password", &*config.password), ("Username", &*config.username), ("grant_type", "client_credentials")];
    let lifetime = config.token_seconds;
    let is_accepted = call.form().is_ok_and(|form| {
        // Exactly these (P1): the names in their order, which is alphabetical.
        form.names().eq(expected.map(|(name, _)| name))
            && expected.iter().all(|(name, value)| form.text(name) == Some(value))
    });
    if !is_accepted {
        return Reply::empty(StatusCode::BAD_REQUEST);
    }
    let token = world.issue(world.token(Kind::SessionToken, made_up(), Some(call), lifetime));
    Reply::json(StatusCode::OK, &json!({"access_token": token, "token_type": "bearer", "expires_in": lifetime}))
}

/// Spends a token on the one session that it may start (P3, P8).
pub(crate) fn initiate_session(world: &mut World, call: &Call) -> Reply {
    let token = match session_token(world, call) {
        Ok((_, true)) => {
            return unauthorized("The token has started its session. Authorize again for the next one (P3).");
        }
        Ok((token, false)) => token,
        Err(reply) => return reply,
    };
    let session = match new_session(call) {
        Ok(session) => session,
        // Nothing was started, so nothing is spent.
        Err(message) => return bad_request(&message),
    };
    world.spend(Kind::SessionToken, &token, call);
    let session_id = Uuid::new_v4().to_string();
    let reply = json!({"sessionId": session_id, "referenceId": session.reference_id});
    world.pay.sessions.insert(session_id, session, world.config.limits.tokens);
    Reply::json(StatusCode::OK, &reply)
}

fn new_session(call: &Call) -> Result<Session, String> {
    let body = call.json().map_err(|problem| problem.message)?;
    for name in ["customerName", "customerEmail"] {
        if body.text(name).is_none_or(str::is_empty) {
            return Err(format!("{name} must be a text that is not empty."));
        }
    }
    let reference_id = body.text("referenceId").unwrap_or_default();
    if !(1..=256).contains(&reference_id.len()) {
        return Err("referenceId must be a text of 1 to 256 bytes.".to_owned());
    }
    let amount = body.get("amount").filter(|amount| amount.as_f64().is_some_and(|amount| amount > 0.0));
    let amount = amount.ok_or("amount must be a number above 0.")?.clone();
    Ok(Session { reference_id: reference_id.to_owned(), amount })
}

/// Which token may be used past the start of its session is not documented: here, any that has not expired.
pub(crate) fn create_payment_request(world: &mut World, call: &Call) -> Reply {
    if let Err(reply) = session_token(world, call) {
        return reply;
    }
    let body = match call.json() {
        Ok(body) => body,
        Err(problem) => return bad_request(&problem.message),
    };
    let Some(session_id) = body.text("sessionId").filter(|id| world.pay.sessions.get(id).is_some()) else {
        return bad_request("sessionId must be that of a session.");
    };
    let request_id = Uuid::new_v4().to_string();
    let payment_request = PaymentRequest { session_id: session_id.to_owned() };
    world.pay.payment_requests.insert(request_id.clone(), payment_request, world.config.limits.tokens);
    Reply::json(StatusCode::OK, &json!({"requestId": request_id}))
}

pub(crate) fn get_payment_request(world: &mut World, call: &Call) -> Reply {
    if let Err(reply) = session_token(world, call) {
        return reply;
    }
    let found = world.pay.payment_requests.get(&call.parameter);
    match found.and_then(|found| Some((found, world.pay.sessions.get(&found.session_id)?))) {
        Some((PaymentRequest { session_id }, Session { reference_id, amount })) => Reply::json(
            StatusCode::OK,
            &json!({
                "requestId": call.parameter,
                "sessionId": session_id,
                "referenceId": reference_id,
                "amount": amount,
                "status": "PENDING",
            }),
        ),
        None => Reply::problem(StatusCode::NOT_FOUND, "There is no such payment request."),
    }
}

/// The token of a call, where it has not expired, and whether it is spent.
fn session_token(world: &World, call: &Call) -> Result<(String, bool), Reply> {
    let refuse = |message: &str| Err(unauthorized(message));
    let config = &world.config.pay;
    let Some(token) = presented_token(config, call) else {
        if config.uses_authorization() {
            return refuse("Authorization must be a Bearer token, once (P8).");
        }
        let name = config.token_header.to_ascii_lowercase();
        return refuse(&format!("{name} must hold a token of Pay, once (P8)."));
    };
    match world.ledger.issued(Kind::SessionToken, token) {
        None => refuse("The token is not one of Pay's."),
        Some(issued) if issued.is_expired(world.now()) => refuse("The token has expired (P4)."),
        Some(issued) => Ok((issued.value.clone(), issued.spent.is_some())),
    }
}

/// The token in the header that is set. Outside `Authorization` no page documents a scheme, so it is optional there.
fn presented_token<'a>(config: &PayConfig, call: &'a Call) -> Option<&'a str> {
    if config.uses_authorization() {
        return call.bearer();
    }
    let value = call.header(&config.token_header)?;
    Some(token_of(value, "bearer").unwrap_or(value))
}

fn unauthorized(message: &str) -> Reply {
    Reply::problem(StatusCode::UNAUTHORIZED, message).with(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")
}
