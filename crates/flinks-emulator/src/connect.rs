//! Connect (C1, C2).

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use uuid::Uuid;

use crate::credentials::{CONNECT_CUSTOMER_ID, CONNECT_SECRET_KEY};

pub(crate) async fn generate_authorize_token(Path(customer_id): Path<String>, headers: HeaderMap) -> Response {
    let mut keys = headers.get_all("flinks-auth-key").iter();
    let is_key = keys.next().is_some_and(|key| key == CONNECT_SECRET_KEY) && keys.next().is_none();
    if !is_key || customer_id != CONNECT_CUSTOMER_ID {
        let body = json!({
            "HttpStatusCode": 401,
            "Message": "You must provide a valid auth key",
            "FlinksCode": "UNAUTHORIZED",
        });
        return (StatusCode::UNAUTHORIZED, Json(body)).into_response();
    }
    Json(json!({"HttpStatusCode": 200, "Token": Uuid::new_v4()})).into_response()
}
