//! Outbound's error responses: `{error, error_description}` (O7).

use std::borrow::Cow;

use hyper::StatusCode;
use serde_json::json;

use crate::http::Reply;

/// An OAuth error code and its description. The description names the invalid field and never
/// contains its value.
pub(super) struct Refusal {
    pub(super) error: &'static str,
    pub(super) description: Cow<'static, str>,
}

impl Refusal {
    pub(super) const fn new(error: &'static str, description: &'static str) -> Self {
        Self { error, description: Cow::Borrowed(description) }
    }

    pub(super) fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self { error: "invalid_request", description: description.into() }
    }

    pub(super) fn reply(self, status: StatusCode) -> Reply {
        Reply::json(status, &json!({"error": self.error, "error_description": self.description}))
    }
}
