//! The rate limits that a scenario sets. Flinks does not document its rate limits.

use hyper::StatusCode;
use serde_json::json;

use super::outbound;
use crate::http::Reply;
use crate::operation::Operation;
use crate::state::EmulatorState;

/// Returns an error response if the request exceeds a rate limit. The request then changes nothing,
/// so its token stays unspent.
pub(super) fn refuse(state: &mut EmulatorState, operation: Operation) -> Option<Reply> {
    let now = state.now();
    if !state.scenario.exceeds_rate(operation, now) {
        return None;
    }
    let message = "Too many requests were sent within a short period of time";
    let reply = match operation {
        Operation::ConnectGenerateAuthorizeToken
        | Operation::ConnectAuthorize
        | Operation::ConnectGetAccountsDetail
        | Operation::ConnectGetAccountsDetailAsync => Reply::json(
            StatusCode::UNAUTHORIZED,
            &json!({"HttpStatusCode": 401, "Message": message, "FlinksCode": "TOO_MANY_REQUESTS"}),
        ),
        Operation::OutboundAccounts | Operation::OutboundAccount | Operation::OutboundTransactions => {
            outbound::data_error(StatusCode::TOO_MANY_REQUESTS, 1207, message)
        }
        Operation::OutboundToken | Operation::OutboundRevoke => {
            let body = json!({"error": "TOO_MANY_REQUESTS", "error_description": message});
            Reply::json(StatusCode::TOO_MANY_REQUESTS, &body).with_ids()
        }
        _ => Reply::problem(StatusCode::TOO_MANY_REQUESTS, message),
    };
    Some(reply)
}
