//! Outbound (O1, O2, O3, O5, O7, O8).

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::credentials::{
    OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET, OUTBOUND_CODE, OUTBOUND_REDIRECT_URI, OUTBOUND_REFRESH_TOKEN,
};
use crate::pay::media_type;

/// Seconds that an access token lives.
const LIFETIME: u64 = 299;

pub(crate) async fn token(headers: HeaderMap, body: Bytes) -> Response {
    let reply = match grant(&headers, &body) {
        Ok(reply) => Json(reply).into_response(),
        Err((error, description)) => {
            (StatusCode::BAD_REQUEST, Json(json!({"error": error, "error_description": description}))).into_response()
        }
    };
    let ids = [("ob-correlation-id", Uuid::new_v4().to_string()), ("ob-trace-id", Uuid::new_v4().to_string())];
    (ids, reply).into_response()
}

/// An OAuth error code and its description.
type Refusal = (&'static str, &'static str);

const INVALID_REQUEST: Refusal = ("invalid_request", "The request is missing a parameter, or is malformed.");
const INVALID_CLIENT: Refusal = ("invalid_client", "Client authentication failed.");
const INVALID_GRANT: Refusal = ("invalid_grant", "The code or refresh token is not valid.");
const UNSUPPORTED_GRANT_TYPE: Refusal =
    ("unsupported_grant_type", "The authorization grant type is not supported by the authorization server.");

fn grant(headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
    let body: Value = serde_json::from_slice(body).map_err(|_| INVALID_REQUEST)?;
    if media_type(headers) != "application/json" || !body.is_object() {
        return Err(INVALID_REQUEST);
    }
    let field = |name: &str| body.get(name).and_then(Value::as_str);
    authenticate(headers, field("client_id"), field("client_secret"))?;
    match field("grant_type").ok_or(INVALID_REQUEST)? {
        "client_credentials" => {
            let token = Uuid::new_v4().to_string();
            Ok(json!({"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME}))
        }
        "authorization_code" => match (field("code"), field("redirect_uri")) {
            (Some(OUTBOUND_CODE), Some(OUTBOUND_REDIRECT_URI)) => Ok(json!({
                "access_token": access_token(),
                "token_type": "Bearer",
                "refresh_token": OUTBOUND_REFRESH_TOKEN,
                "expires_in": LIFETIME,
            })),
            (Some(_), Some(_)) => Err(INVALID_GRANT),
            _ => Err(INVALID_REQUEST),
        },
        "refresh_token" => match field("refresh_token") {
            Some(OUTBOUND_REFRESH_TOKEN) => {
                Ok(json!({"access_token": access_token(), "token_type": "Bearer", "expires_in": LIFETIME}))
            }
            Some(_) => Err(INVALID_GRANT),
            None => Err(INVALID_REQUEST),
        },
        _ => Err(UNSUPPORTED_GRANT_TYPE),
    }
}

/// Client credentials as fields of the body, or as HTTP Basic; not both.
fn authenticate(headers: &HeaderMap, client_id: Option<&str>, client_secret: Option<&str>) -> Result<(), Refusal> {
    let basic = headers.get("authorization").map(|value| value.to_str().unwrap_or_default());
    let accepted = match (basic, client_id, client_secret) {
        (None, Some(id), Some(secret)) => (id, secret) == (OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET),
        (Some(basic), None, None) => {
            // The credentials have no character that a form would encode.
            let expected = STANDARD.encode(format!("{OUTBOUND_CLIENT_ID}:{OUTBOUND_CLIENT_SECRET}"));
            basic.strip_prefix("Basic ") == Some(&expected)
        }
        _ => false,
    };
    if accepted { Ok(()) } else { Err(INVALID_CLIENT) }
}

/// A JWT with the documented claims (O8) and a signature of nobody.
fn access_token() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let claims = json!({"client_id": OUTBOUND_CLIENT_ID, "sub": Uuid::new_v4(), "exp": now.saturating_add(LIFETIME)});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signature = URL_SAFE_NO_PAD.encode(Uuid::new_v4());
    format!("{}.{}.{signature}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(&claims))
}
