//! Connect's error responses, which have the form `{HttpStatusCode, Message, FlinksCode}` and also
//! contain `ValidationDetails` if fields are invalid.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::bank::Refusal;
use crate::config::ConnectConfig;
use crate::http::Reply;

const INVALID_REQUEST: &str = "INVALID_REQUEST";
pub(super) const INVALID_LOGIN: &str = "INVALID_LOGIN";

/// An error, with a message for each invalid field.
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
    /// Creates an error for invalid fields. Each item contains the name of a field and a message
    /// about it.
    pub(super) fn invalid_fields(fields: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        let details = fields.into_iter().map(|(name, message)| (name.to_owned(), json!([message])));
        Self {
            refusal: invalid_request("The request contains invalid fields; see ValidationDetails"),
            details: details.collect(),
        }
    }

    /// Applies the configured status to an error for which Flinks documents two statuses.
    pub(super) fn with_statuses(mut self, config: &ConnectConfig) -> Self {
        match self.refusal.code {
            INVALID_REQUEST => self.refusal.status = config.invalid_request_status,
            INVALID_LOGIN => self.refusal.status = config.invalid_login_status,
            _ => {}
        }
        self
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
    Refusal::new(400, INVALID_REQUEST, message)
}

/// The response to a request whose authorize token is unknown, spent or expired.
pub(super) struct Refused<'a> {
    pub(super) status: u16,
    pub(super) code: &'a str,
}

impl Refused<'_> {
    pub(super) fn reply(self) -> Reply {
        let Self { status, code } = self;
        let message = "You must provide a valid authorize token";
        let body = json!({"HttpStatusCode": status, "Message": message, "FlinksCode": code});
        Reply::json(StatusCode::from_u16(status).unwrap_or(StatusCode::UNAUTHORIZED), &body)
    }
}

pub(super) fn refuse(refusal: &Refusal) -> Reply {
    Problem::from(*refusal).reply()
}
