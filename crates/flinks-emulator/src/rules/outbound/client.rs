//! How a client authenticates itself at the token endpoint (O2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::refusal::Refusal;
use crate::config::ClientAuthentication;
use crate::http::{Call, Fields, token_of};
use crate::state::EmulatorState;

pub(super) const INVALID_CLIENT: &str = "invalid_client";

/// Checks the client authentication of a request.
pub(super) fn authenticate(state: &EmulatorState, call: &Call, body: &Fields<Value>) -> Result<(), Refusal> {
    use ClientAuthentication::{Basic, Fields, FieldsOrBasic, None as Nothing};
    let config = &state.config.outbound;
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

/// Returns the user and the password of HTTP Basic, each of which is form-encoded (RFC 6749,
/// 2.3.1).
fn basic_credentials(call: &Call) -> Option<(String, String)> {
    let decoded = STANDARD.decode(token_of(call.header("authorization")?, "basic")?).ok()?;
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    let decode = |text: &str| Some(percent_decode_str(&text.replace('+', " ")).decode_utf8().ok()?.into_owned());
    Some((decode(id)?, decode(secret)?))
}
