//! Client authentication at the token endpoint (O2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::refusal::Refusal;
use crate::config::ClientAuthentication;
use crate::http::{Call, Fields, strip_scheme};
use crate::state::EmulatorState;

pub(super) const INVALID_CLIENT: &str = "invalid_client";

/// Authenticates the client that sent a request.
pub(super) fn authenticate(state: &EmulatorState, call: &Call, body: &Fields<Value>) -> Result<(), Refusal> {
    use ClientAuthentication::{Basic, Fields, FieldsOrBasic, None as Nothing};
    let config = &state.config.outbound;
    let expected = config.client_authentication;
    let refuse = |description| Err(Refusal::new(INVALID_CLIENT, description));
    let basic = call.headers.contains_key(header::AUTHORIZATION);
    let is_correct = match (body.text("client_id"), body.text("client_secret")) {
        (None, None) if basic => {
            if !matches!(expected, FieldsOrBasic | Basic) {
                return refuse(
                    "Authorization must be absent: the emulator is configured for another authentication method.",
                );
            }
            basic_credentials(call)
                .is_some_and(|credentials| credentials == (config.client_id.clone(), config.client_secret.clone()))
        }
        (None, None) if expected == Nothing => true,
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
            (id, secret) == (&config.client_id, &config.client_secret)
        }
    };
    if is_correct { Ok(()) } else { refuse("client_id or client_secret is wrong.") }
}

/// Decodes the user name and the password in HTTP Basic credentials. Both are form-encoded (RFC
/// 6749, section 2.3.1).
fn basic_credentials(call: &Call) -> Option<(String, String)> {
    let decoded = STANDARD.decode(strip_scheme(call.header("authorization")?, "basic")?).ok()?;
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    let decode = |text: &str| Some(percent_decode_str(&text.replace('+', " ")).decode_utf8().ok()?.into_owned());
    Some((decode(id)?, decode(secret)?))
}
