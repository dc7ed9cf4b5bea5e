//! The errors of Connect: `{HttpStatusCode, Message, FlinksCode}`, and the fields that are wrong.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::bank::Refusal;
use crate::http::Reply;

/// A refusal, with the fields that are the reason.
pub(super) struct Problem {
    refusal: Refusal,
    details: Map<String, Value>,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, details: Map::new() }
    }
}

impl Problem {
    /// A request that is not valid, with each field that is a reason and a message about it.
    pub(super) fn invalid_fields(fields: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        let details = fields.into_iter().map(|(name, message)| (name.to_owned(), json!([message])));
        Self { refusal: invalid_request("A field is not valid: see ValidationDetails"), details: details.collect() }
    }

    pub(super) fn reply(self) -> Reply {
        let Self { refusal: Refusal { status, code, message }, details } = self;
        let mut body = json!({"HttpStatusCode": status, "Message": message, "FlinksCode": code});
        if !details.is_empty()
            && let Some(body) = body.as_object_mut()
        {
            body.insert("ValidationDetails".to_owned(), details.into());
        }
        Reply::json(StatusCode::from_u16(status).unwrap_or(StatusCode::UNAUTHORIZED), &body)
    }
}

pub(super) fn invalid_request(message: &'static str) -> Refusal {
    Refusal::new(400, "INVALID_REQUEST", message)
}

pub(super) fn refuse(refusal: &Refusal) -> Reply {
    Problem::from(*refusal).reply()
}
