//! Turns errors into responses. An error's advice determines the response status.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use flinks_consents::ConsentError;
use flinks_consents::flinks::{Advice, Error, SpendError};
use serde_json::json;

pub(crate) struct Failure {
    status: StatusCode,
    what_to_do: &'static str,
    retry_after: Option<u64>,
}

pub(crate) type Reply<T> = Result<T, Failure>;

impl Failure {
    pub(crate) const fn new(status: StatusCode, what_to_do: &'static str) -> Self {
        Self { status, what_to_do, retry_after: None }
    }
}

impl From<ConsentError> for Failure {
    fn from(error: ConsentError) -> Self {
        // The message contains no secret. Flinks support needs the `correlation_id`.
        tracing::warn!(correlation_id = error.correlation_id(), "{error}");
        let (status, what_to_do) = match error.advice() {
            Advice::FixInput => (StatusCode::UNPROCESSABLE_ENTITY, "correct the request"),
            Advice::AskUser | Advice::StartOver | Advice::WaitOrStartOver => (StatusCode::CONFLICT, "consent again"),
            Advice::RetryLater | Advice::NewToken => (StatusCode::SERVICE_UNAVAILABLE, "try again later"),
            _ => (StatusCode::BAD_GATEWAY, "tell us"),
        };
        Self { status, what_to_do, retry_after: error.retry_after().map(|wait| wait.as_secs().max(1)) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        ConsentError::from(error).into()
    }
}

impl<T> From<SpendError<T>> for Failure {
    fn from(error: SpendError<T>) -> Self {
        // This does not call `into_error`, because the advice also depends on whether the token was
        // spent.
        Error::from(error).into()
    }
}

impl<T> From<SpendError<T, ConsentError>> for Failure {
    fn from(error: SpendError<T, ConsentError>) -> Self {
        error.into_error().into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({"error": self.what_to_do}))).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}
