//! The access token for an end user's connection, and the revocation of the connection.

use hyper::{StatusCode, header};

use super::refusal::Refusal;
use crate::http::{Call, Reply};
use crate::ledger::Kind;
use crate::state::EmulatorState;

pub(in crate::rules) fn revoke(state: &mut EmulatorState, call: &Call) -> Reply {
    match end_user(state, call) {
        Ok(subject) => {
            state.ledger.revoke(&subject, state.usage(call));
            Reply::empty(StatusCode::NO_CONTENT).with_ids()
        }
        Err(reply) => reply.with_ids(),
    }
}

/// Returns the id of the end user to whom the access token belongs, or an error response (O4, O8).
pub(super) fn end_user(state: &EmulatorState, call: &Call) -> Result<String, Reply> {
    let refuse = |description| {
        let reply = Refusal::new("invalid_token", description).reply(StatusCode::UNAUTHORIZED);
        Err(reply.with(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""))
    };
    let refuse_expired = |description| {
        let status = StatusCode::from_u16(state.config.outbound.expired_token_status);
        refuse(description).map_err(|reply| Reply { status: status.unwrap_or(StatusCode::UNAUTHORIZED), ..reply })
    };
    let issued = call.bearer().and_then(|token| state.ledger.issued(Kind::AccessToken, token));
    let Some(issued) = issued else {
        return refuse("Authorization must contain an Outbound bearer access token and must appear exactly once.");
    };
    if issued.is_expired(state.now()) {
        return refuse_expired("The access token has expired.");
    }
    if issued.revoked.is_some() {
        return refuse_expired("The end user's connection has been revoked.");
    }
    let subject = issued.subject.clone();
    let no_end_user = Refusal::new("insufficient_scope", "The access token does not belong to an end user.");
    subject.ok_or_else(|| no_end_user.reply(StatusCode::FORBIDDEN))
}
