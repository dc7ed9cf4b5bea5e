//! Client authentication at the token endpoint (O2).

use hyper::header;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::refusal::Refusal;
use crate::config::{ClientAuthentication, Party};
use crate::http::{self, Call, Fields, strip_scheme};
use crate::state::EmulatorState;

pub(super) const INVALID_CLIENT: &str = "invalid_client";

/// The client that sent a request.
pub(super) enum Sender {
    Known(Party),
    /// Clients do not authenticate, so any client may have sent the request.
    Any,
}

impl Sender {
    /// Returns whether the sender may use a code or token that was issued to this client.
    pub(super) fn may_be(&self, party: &Party) -> bool {
        match self {
            Self::Known(sender) => sender == party,
            Self::Any => true,
        }
    }
}

/// Authenticates the client that sent a request.
pub(super) fn authenticate(state: &EmulatorState, call: &Call, body: &Fields<Value>) -> Result<Sender, Refusal> {
    use ClientAuthentication::{Basic, Fields, FieldsOrBasic, None as Nothing};
    let config = &state.config.outbound;
    let expected = config.client_authentication;
    let refuse = |description| Err(Refusal::new(INVALID_CLIENT, description));
    let basic = call.headers.contains_key(header::AUTHORIZATION);
    let known = |id: &str, secret: &str| config.client(id).filter(|client| client.secret == secret);
    let client = match (body.text("client_id"), body.text("client_secret")) {
        (None, None) if basic => {
            if !matches!(expected, FieldsOrBasic | Basic) {
                return refuse(
                    "Authorization must be absent: the emulator is configured for another authentication method.",
                );
            }
            basic_credentials(call).and_then(|(id, secret)| known(&id, &secret))
        }
        (None, None) if expected == Nothing => return Ok(Sender::Any),
        (None, None) if expected == Basic => {
            return refuse("Authorization is missing: the emulator is configured for HTTP Basic.");
        }
        (None, None) => return refuse("client_id and client_secret are missing."),
        (Some(_), None) => return refuse("client_secret is missing."),
        (None, Some(_)) => return refuse("client_id is missing."),
        (Some(_), Some(_)) if basic => {
            return refuse("The client credentials must be either in the body or in Authorization, but not in both.");
        }
        (Some(id), Some(secret)) => {
            if !matches!(expected, FieldsOrBasic | Fields) {
                return refuse(
                    "client_id and client_secret must be absent: the emulator is configured for another authentication method.",
                );
            }
            known(id, secret)
        }
    };
    match client {
        Some(client) => Ok(Sender::Known(client.party)),
        None => refuse("client_id or client_secret is wrong."),
    }
}

/// Decodes the user name and the password in HTTP Basic credentials. Both are form-encoded (RFC
/// 6749, section 2.3.1).
fn basic_credentials(call: &Call) -> Option<(String, String)> {
    let (id, secret) = http::basic_credentials(strip_scheme(call.header("authorization")?, "basic")?)?;
    let decode = |text: &str| Some(percent_decode_str(&text.replace('+', " ")).decode_utf8().ok()?.into_owned());
    Some((decode(&id)?, decode(&secret)?))
}
