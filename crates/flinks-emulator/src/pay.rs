//! Pay (P1, P2, P6).

use axum::Json;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use uuid::Uuid;

use crate::credentials::{PAY_PASSWORD, PAY_USERNAME};

pub(crate) async fn authorize(headers: HeaderMap, body: Bytes) -> Response {
    let mut fields: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
    fields.sort();
    let expected = [("Password", PAY_PASSWORD), ("Username", PAY_USERNAME), ("grant_type", "client_credentials")];
    let is_form = media_type(&headers) == "application/x-www-form-urlencoded";
    let accepted = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(expected);
    if !is_form || !accepted {
        return StatusCode::BAD_REQUEST.into_response();
    }
    Json(json!({"access_token": Uuid::new_v4(), "token_type": "bearer", "expires_in": 299})).into_response()
}

/// The media type of a request without its parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}
