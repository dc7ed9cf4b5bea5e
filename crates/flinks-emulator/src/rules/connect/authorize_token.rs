//! The `GenerateAuthorizeToken` endpoint, which issues an authorize token in exchange for the
//! secret key (C1-C4).

use hyper::{StatusCode, header};
use serde_json::json;

use super::problem::refuse;
use crate::bank::Refusal;
use crate::config::Customer;
use crate::http::{Call, Reply};
use crate::ledger::{Issued, Kind};
use crate::state::{EmulatorState, fake_id};

pub(in crate::rules) fn generate_authorize_token(state: &mut EmulatorState, call: &Call) -> Reply {
    let config = &state.config.connect;
    let key = call.header("flinks-auth-key");
    let customer = config.customer(&call.parameter).filter(|customer| key == Some(customer.secret_key));
    let Some(Customer { party, .. }) = customer else {
        return refuse(&Refusal::new(401, "UNAUTHORIZED", "You must provide a valid auth key"));
    };
    // The status is also 401 here, because the OpenAPI document does not list another error status.
    if let Some(message) = violated_header_rule(call) {
        return refuse(&Refusal::new(401, "INVALID_REQUEST", message));
    }
    let lifetime = config.token_seconds;
    let token = state.token(Kind::AuthorizeToken, fake_id(), Some(call), lifetime);
    let token = state.issue(Issued { party, ..token });
    Reply::json(StatusCode::OK, &json!({"HttpStatusCode": 200, "Token": token}))
}

/// Returns an error message if the request's headers or body violate a rule (C1).
fn violated_header_rule(call: &Call) -> Option<&'static str> {
    if call.media_type() != "application/json" {
        Some("Content-Type must be application/json and must appear exactly once")
    } else if !accepts_json(call) {
        Some("Accept must include application/json")
    } else if !call.body.is_empty() {
        Some("The body must be empty")
    } else {
        None
    }
}

/// Returns whether the client accepts JSON (RFC 9110, section 12.5.1).
///
/// If the `Accept` header is missing or empty, the client accepts any media type. Several `Accept`
/// headers are combined into one list. The most specific media range that includes JSON takes
/// precedence.
fn accepts_json(call: &Call) -> bool {
    let lines = call.headers.get_all(header::ACCEPT).iter();
    let list = lines.map(|line| String::from_utf8_lossy(line.as_bytes()).to_ascii_lowercase()).collect::<Vec<_>>();
    let ranges: Vec<&str> =
        list.iter().flat_map(|line| line.split(',')).filter(|range| !range.trim().is_empty()).collect();
    if ranges.is_empty() {
        return true;
    }
    for json in ["application/json", "application/*", "*/*"] {
        let mut found = ranges.iter().filter(|range| range.split(';').next().is_some_and(|range| range.trim() == json));
        if let Some(range) = found.next() {
            return has_weight(range) || found.any(|range| has_weight(range));
        }
    }
    false
}

/// Returns whether the weight of a media range is greater than 0. Without a `q` parameter, the
/// weight is 1.
fn has_weight(range: &str) -> bool {
    let mut parameters = range.split(';').skip(1);
    !parameters.any(|parameter| parameter.trim().strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0)))
}
