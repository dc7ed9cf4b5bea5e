//! The request and response types that the rules use, and strict parsers for request fields.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::channel::Channel;
use http_body_util::{Either, Full};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode, header};
use maud::Markup;
use percent_encoding::percent_decode_str;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::pages::Look;

/// A request for an operation.
pub(crate) struct Call {
    /// The request's number in the ledger.
    pub(crate) number: u64,
    pub(crate) method: Method,
    /// The parameter in the path, such as the customer id, or an empty string if the path has none.
    pub(crate) parameter: String,
    /// The second parameter in the path, such as the `RequestId`, or an empty string if the path
    /// has none.
    pub(crate) second_parameter: String,
    pub(crate) path: String,
    /// Either `http` or `https`.
    pub(crate) scheme: &'static str,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    /// Returns the value of a header if the header appears exactly once and its value consists of
    /// visible ASCII characters, spaces and tabs.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    /// Returns the body's media type in lower case, without parameters, or an empty string if the
    /// request does not have exactly one `Content-Type`.
    pub(crate) fn media_type(&self) -> String {
        let value = self.header("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Returns the bearer token in the `Authorization` header.
    pub(crate) fn bearer(&self) -> Option<&str> {
        strip_scheme(self.header("authorization")?, "bearer")
    }

    /// Parses the body as a JSON object. A `null` field is treated as absent.
    ///
    /// # Errors
    ///
    /// Returns an error if the media type is not `application/json`, if the body is not a JSON
    /// object, or if a field appears twice.
    pub(crate) fn json(&self) -> Result<Fields<Value>, UnreadableFields> {
        if self.media_type() != "application/json" {
            return Err(UnreadableFields::new("Content-Type must be application/json and must appear exactly once."));
        }
        let object = serde_json::from_slice::<Object>(&self.body);
        let Object { mut fields, duplicate } =
            object.map_err(|_| UnreadableFields::new("The body must be a JSON object."))?;
        if let Some(name) = duplicate {
            return Err(UnreadableFields::duplicate(&name));
        }
        fields.retain(|_, value| !value.is_null());
        Ok(Fields(fields))
    }

    /// Parses the body as a form.
    ///
    /// # Errors
    ///
    /// Returns an error if the media type is not `application/x-www-form-urlencoded`, or if a field
    /// appears twice.
    pub(crate) fn form(&self) -> Result<Fields<String>, UnreadableFields> {
        if self.media_type() != "application/x-www-form-urlencoded" {
            return Err(UnreadableFields::new(
                "Content-Type must be application/x-www-form-urlencoded and must appear exactly once.",
            ));
        }
        pairs(&self.body)
    }

    /// Parses the query.
    ///
    /// # Errors
    ///
    /// Returns an error if a parameter appears twice.
    pub(crate) fn query(&self) -> Result<Fields<String>, UnreadableFields> {
        pairs(self.query.as_bytes())
    }

    /// Returns the language and the theme that the query selects, or the defaults if the query is
    /// invalid.
    pub(crate) fn look(&self) -> Look {
        self.query().map(|query| Look::from_query(&query)).unwrap_or_default()
    }

    /// Returns the base URL that the client used.
    pub(crate) fn base_url(&self) -> String {
        format!("{}://{}", self.scheme, self.header("host").unwrap_or_default())
    }
}

/// The error returned if the fields of a request cannot be read. The message never contains the
/// value of a field.
pub(crate) struct UnreadableFields {
    pub(crate) message: String,
    /// The field that caused the error, if it is one of [`KNOWN_FIELDS`].
    pub(crate) field: Option<&'static str>,
}

impl UnreadableFields {
    fn new(message: &str) -> Self {
        Self { message: message.to_owned(), field: None }
    }

    /// Creates the error for a field that appears twice.
    ///
    /// The message never contains an unknown field name, because it might be a misplaced secret.
    fn duplicate(name: &str) -> Self {
        let field = KNOWN_FIELDS.into_iter().find(|known| *known == name);
        match field {
            Some(name) => Self { message: format!("{name} appears twice."), field },
            None => Self::new("An unknown field appears twice."),
        }
    }
}

/// The names of all fields and parameters of the emulator's endpoints.
pub(crate) const KNOWN_FIELDS: [&str; 58] = [
    "DaysOfTransactions",
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
    "WithAccountIdentity",
    "WithKYC",
    "WithTransactions",
    "accountIds",
    "amount",
    "answer",
    "authorizeToken",
    "back",
    "backEnable",
    "cancel",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "count",
    "customerEmail",
    "customerName",
    "decision",
    "demo",
    "endTime",
    "grant_type",
    "institution",
    "institution_id",
    "lang",
    "language",
    "limit",
    "offset",
    "operation",
    "password",
    "provider_id",
    "redirectUrl",
    "redirect_uri",
    "referenceId",
    "refresh_token",
    "response_type",
    "restart",
    "resultType",
    "scope",
    "sessionId",
    "startTime",
    "state",
    "step",
    "theme",
    "user",
    "username",
];

/// Returns the credentials without their scheme, or `None` if the scheme is not `expected`. One or
/// more spaces separate the scheme from the credentials (RFC 9110, section 11.4).
pub(crate) fn strip_scheme<'a>(credentials: &'a str, expected: &str) -> Option<&'a str> {
    let (scheme, token) = credentials.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case(expected) {
        return None;
    }
    Some(token.trim_start_matches(' '))
}

/// Decodes the user name and the password in HTTP Basic credentials (RFC 7617). `encoded` does not
/// contain the scheme.
pub(crate) fn basic_credentials(encoded: &str) -> Option<(String, String)> {
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Decodes form-encoded text, in which a `+` represents a space. Replaces invalid UTF-8 with
/// U+FFFD.
pub(crate) fn form_decoded(encoded: &str) -> String {
    percent_decode_str(&encoded.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// Parses a query string or a form body.
pub(crate) fn pairs(encoded: &[u8]) -> Result<Fields<String>, UnreadableFields> {
    let mut fields = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(encoded) {
        if fields.contains_key(&*name) {
            return Err(UnreadableFields::duplicate(&name));
        }
        fields.insert(name.into_owned(), value.into_owned());
    }
    Ok(Fields(fields))
}

/// The fields of a request. Each name appears only once, because Flinks does not document which of
/// two values with the same name takes precedence.
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

/// A JSON object as the client sent it.
struct Object {
    fields: BTreeMap<String, Value>,
    /// The first name that appears more than once.
    duplicate: Option<String>,
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
                let mut object = Object { fields: BTreeMap::new(), duplicate: None };
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if object.fields.insert(name.clone(), value).is_some() {
                        object.duplicate.get_or_insert(name);
                    }
                }
                Ok(object)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// The body of a response: either complete, or a stream of events.
pub(crate) type Body = Either<Full<Bytes>, Channel<Bytes, Infallible>>;

/// A response.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
    /// The time between the arrival of the request and the response, on the emulator's clock.
    pub(crate) wait: Duration,
}

impl Reply {
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), wait: Duration::ZERO }
    }

    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        let reply = Self { body: body.to_string().into(), ..Self::empty(status) };
        reply.with(CONTENT_TYPE, "application/json").with(header::CACHE_CONTROL, "no-store")
    }

    /// Creates an error response for an error that Flinks does not document.
    pub(crate) fn problem(status: StatusCode, message: &str) -> Self {
        Self::json(status, &json!({"error": status.canonical_reason().unwrap_or_default(), "message": message}))
    }

    /// Creates a 400 response for an error that Flinks does not document.
    pub(crate) fn bad_request(message: &str) -> Self {
        Self::problem(StatusCode::BAD_REQUEST, message)
    }

    /// Creates a response that contains an HTML page. The page's address may contain a token, so
    /// the browser must not send the address in the `Referer` header of another request.
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

    /// Creates a redirect from a form to a page. The Back and Reload buttons then show the page
    /// without submitting the form again.
    pub(crate) fn see_other(location: &str) -> Self {
        Self { status: StatusCode::SEE_OTHER, ..Self::redirect(location) }
    }

    /// Adds a header if `value` is a valid header value, and does nothing otherwise.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// Adds the request ids that every Outbound response contains (O10).
    pub(crate) fn with_ids(self) -> Self {
        let id = || Uuid::new_v4().to_string();
        self.with(HeaderName::from_static("ob-correlation-id"), &id())
            .with(HeaderName::from_static("ob-trace-id"), &id())
    }

    pub(crate) fn into_hyper(self) -> hyper::Response<Body> {
        let body = Either::Left(Full::new(self.body.clone()));
        self.into_hyper_with(body)
    }

    /// Converts this response into a hyper response with a different body.
    pub(crate) fn into_hyper_with(self, body: Body) -> hyper::Response<Body> {
        let mut response = hyper::Response::new(body);
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response
    }
}
