//! Requests and replies as the rules see them, and strict readers of what a request carries.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode, header};
use maud::Markup;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Value, json};
use uuid::Uuid;

/// One request to an operation, with its body.
pub(crate) struct Call {
    /// Its number in the ledger.
    pub(crate) number: u64,
    pub(crate) method: Method,
    /// The parameter of the path, such as the customer id.
    pub(crate) parameter: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    /// The value of a header that is there exactly once, and is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    /// The media type of the body, without its parameters and in lower case; empty where there is none, or more than one.
    pub(crate) fn media_type(&self) -> String {
        let value = self.header("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The token of an `Authorization: Bearer` header.
    pub(crate) fn bearer(&self) -> Option<&str> {
        token_of(self.header("authorization")?, "bearer")
    }

    /// The body as a JSON object, if its media type is JSON. A `null` counts as absent.
    pub(crate) fn json(&self) -> Result<Fields<Value>, Unreadable> {
        if self.media_type() != "application/json" {
            return Err(Unreadable::because("The Content-Type must be application/json, once."));
        }
        let object = serde_json::from_slice::<Object>(&self.body);
        let Object { mut fields, twice } =
            object.map_err(|_| Unreadable::because("The body must be a JSON object."))?;
        if let Some(name) = twice {
            return Err(Unreadable::twice(&name));
        }
        fields.retain(|_, value| !value.is_null());
        Ok(Fields(fields))
    }

    /// The body as a form, if its media type is that of a form.
    pub(crate) fn form(&self) -> Result<Fields<String>, Unreadable> {
        if self.media_type() != "application/x-www-form-urlencoded" {
            return Err(Unreadable::because("The Content-Type must be application/x-www-form-urlencoded, once."));
        }
        pairs(&self.body)
    }

    /// The query.
    pub(crate) fn query(&self) -> Result<Fields<String>, Unreadable> {
        pairs(self.query.as_bytes())
    }
}

/// The reason why the fields of a request cannot be read. It holds no value.
pub(crate) struct Unreadable {
    pub(crate) message: String,
    /// The field that is the reason, if the emulator knows it.
    pub(crate) field: Option<&'static str>,
}

impl Unreadable {
    fn because(message: &str) -> Self {
        Self { message: message.to_owned(), field: None }
    }

    /// An unknown name may be a secret in the wrong place, so it is not repeated.
    fn twice(name: &str) -> Self {
        let field = KNOWN_FIELDS.into_iter().find(|known| *known == name);
        match field {
            Some(name) => Self { message: format!("{name} occurs twice."), field },
            None => Self::because("A field occurs twice, and its name is unknown."),
        }
    }
}

/// The fields and parameters of all endpoints.
const KNOWN_FIELDS: [&str; 39] = [
    "Institution",
    "Language",
    "LoginId",
    "MostRecentCached",
    "Password",
    "RequestId",
    "Save",
    "SecurityResponses",
    "Tag",
    "Username",
    "amount",
    "answer",
    "authorizeToken",
    "cancel",
    "client_id",
    "client_secret",
    "code",
    "count",
    "customerEmail",
    "customerName",
    "decision",
    "demo",
    "grant_type",
    "institution",
    "institution_id",
    "language",
    "operation",
    "password",
    "provider_id",
    "redirectUrl",
    "redirect_uri",
    "referenceId",
    "refresh_token",
    "response_type",
    "scope",
    "sessionId",
    "state",
    "step",
    "username",
];

/// The token after a scheme, which one space or more separate (RFC 9110, section 11.4).
pub(crate) fn token_of<'a>(credentials: &'a str, expected: &str) -> Option<&'a str> {
    let (scheme, token) = credentials.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case(expected) {
        return None;
    }
    Some(token.trim_start_matches(' '))
}

/// A query or a form.
pub(crate) fn pairs(encoded: &[u8]) -> Result<Fields<String>, Unreadable> {
    let mut fields = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(encoded) {
        if fields.contains_key(&*name) {
            return Err(Unreadable::twice(&name));
        }
        fields.insert(name.into_owned(), value.into_owned());
    }
    Ok(Fields(fields))
}

/// Named values, of which none was given twice: which of two would count is nowhere documented.
pub(crate) struct Fields<T>(BTreeMap<String, T>);

impl<T> Fields<T> {
    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.0.get(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl Fields<String> {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

impl Fields<Value> {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }
}

/// A JSON object as it was sent.
struct Object {
    fields: BTreeMap<String, Value>,
    /// The first name that occurs twice.
    twice: Option<String>,
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut object = Object { fields: BTreeMap::new(), twice: None };
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if object.fields.insert(name.clone(), value).is_some() {
                        object.twice.get_or_insert(name);
                    }
                }
                Ok(object)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// What is answered.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        let reply = Self { body: body.to_string().into(), ..Self::empty(status) };
        reply.with(CONTENT_TYPE, "application/json").with(header::CACHE_CONTROL, "no-store")
    }

    /// What is wrong with a request, where Flinks documents no answer.
    pub(crate) fn problem(status: StatusCode, message: &str) -> Self {
        Self::json(status, &json!({"error": status.canonical_reason().unwrap_or_default(), "message": message}))
    }

    /// 400, for a request that Flinks does not document a reply to.
    pub(crate) fn bad_request(message: &str) -> Self {
        Self::problem(StatusCode::BAD_REQUEST, message)
    }

    /// A page. It may hold a token in its address, so it tells its address to nobody.
    pub(crate) fn page(status: StatusCode, page: Markup) -> Self {
        let reply = Self { body: page.into_string().into(), ..Self::empty(status) };
        reply
            .with(CONTENT_TYPE, "text/html; charset=utf-8")
            .with(header::CACHE_CONTROL, "no-store")
            .with(header::REFERRER_POLICY, "no-referrer")
            .with(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .with(header::CONTENT_SECURITY_POLICY, crate::pages::CONTENT_SECURITY_POLICY)
    }

    pub(crate) fn redirect(location: &str) -> Self {
        Self::empty(StatusCode::FOUND).with(header::LOCATION, location).with(header::CACHE_CONTROL, "no-store")
    }

    /// Sends a browser from a form to a page, which Back and Reload can show again without sending the form again.
    pub(crate) fn see_other(location: &str) -> Self {
        Self { status: StatusCode::SEE_OTHER, ..Self::redirect(location) }
    }

    /// With a header more. A value that cannot stand in a header is left out.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// With the ids that replies of Outbound carry (O10).
    pub(crate) fn with_ids(self) -> Self {
        let id = || Uuid::new_v4().to_string();
        self.with(HeaderName::from_static("ob-correlation-id"), &id())
            .with(HeaderName::from_static("ob-trace-id"), &id())
    }

    pub(crate) fn into_hyper(self) -> hyper::Response<Full<Bytes>> {
        let mut response = hyper::Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response
    }
}
