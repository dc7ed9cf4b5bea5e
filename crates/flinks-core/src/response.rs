//! What a successful operation returns, and how bodies are read.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use secrecy::zeroize::Zeroizing;
use serde::de::{self, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize as _, forward_to_deserialize_any};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::{Error, ErrorKind, InvalidResponse, TransportError, TransportErrorKind};
use crate::transport::MAX_RESPONSE_BYTES;

/// A documented successful reply: its body, its status and its request ids.
pub struct ResponseValue<T> {
    head: ResponseHead,
    value: T,
}

impl<T> ResponseValue<T> {
    /// Status and request ids.
    pub fn head(&self) -> &ResponseHead {
        &self.head
    }

    /// The status of the reply.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The body.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// The reply with its body turned into something else.
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> ResponseValue<U> {
        ResponseValue { head: self.head, value: map(self.value) }
    }
}

impl<T> Deref for ResponseValue<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for ResponseValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseValue").field("head", &self.head).field("value", &self.value).finish()
    }
}

/// The head of a reply: its status, and the few headers that an error report needs. The rest is dropped.
#[derive(Clone)]
pub struct ResponseHead {
    status: StatusCode,
    correlation_id: Option<HeaderValue>,
    trace_id: Option<HeaderValue>,
    retry_after: Option<HeaderValue>,
    content_type: Option<HeaderValue>,
}

impl ResponseHead {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// `ob-correlation-id`, for a question to Flinks (O10). The server wrote it: take care where it is shown.
    pub fn correlation_id(&self) -> Option<&str> {
        text(&self.correlation_id)
    }

    /// `ob-trace-id`, for a question to Flinks (O10). The server wrote it: take care where it is shown.
    pub fn trace_id(&self) -> Option<&str> {
        text(&self.trace_id)
    }

    /// `Retry-After` as the server wrote it: seconds, or an HTTP date.
    pub fn retry_after(&self) -> Option<&str> {
        text(&self.retry_after)
    }

    /// `Content-Type` as the server wrote it.
    pub fn content_type(&self) -> Option<&str> {
        text(&self.content_type)
    }

    pub(crate) fn of(response: &reqwest::Response) -> Self {
        let headers = response.headers();
        Self {
            status: response.status(),
            correlation_id: header(headers, const { HeaderName::from_static("ob-correlation-id") }),
            trace_id: header(headers, const { HeaderName::from_static("ob-trace-id") }),
            retry_after: header(headers, RETRY_AFTER),
            content_type: header(headers, CONTENT_TYPE),
        }
    }
}

/// Prints the status only: the rest is text that a server wrote (A6).
impl fmt::Debug for ResponseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Reads the body of a documented successful reply. A body with an error code in one of `error_codes` is malformed.
#[doc(hidden)]
pub async fn json_response<T: DeserializeOwned, E>(
    response: reqwest::Response,
    error_codes: &[&'static str],
) -> Result<ResponseValue<T>, Error<E>> {
    json_or(response, error_codes, |_| None).await
}

/// Reads the body of a documented successful reply, or the error body, which some servers send with a 2xx (C2).
///
/// It is the error body if the success body does not fit, or if one of the fields `error_codes` holds an error code: a token
/// beside such a code is not handed out. A field that both bodies have does not make a malformed success an error.
#[doc(hidden)]
pub async fn json_or_error_response<T: DeserializeOwned, E: DeserializeOwned>(
    response: reqwest::Response,
    error_codes: &[&'static str],
) -> Result<ResponseValue<T>, Error<E>> {
    json_or(response, error_codes, |body| decode_error_without(body, &Fields::of::<T>()).ok()).await
}

async fn json_or<T: DeserializeOwned, E>(
    response: reqwest::Response,
    error_codes: &[&'static str],
    error: impl FnOnce(&[u8]) -> Option<E>,
) -> Result<ResponseValue<T>, Error<E>> {
    let head = ResponseHead::of(&response);
    let body = match read_body(response).await {
        Ok(body) => body,
        Err(error) => return Err(Error::new(Some(head), ErrorKind::Transport(error))),
    };
    let invalid = match (decode(&body), error_code(&body, error_codes)) {
        (Ok(value), None) => return Ok(ResponseValue { head, value }),
        (Ok(_), field) => {
            let reason = "holds an error code beside a success";
            InvalidResponse { field, ..InvalidResponse::of_body(reason, body.len()) }
        }
        (Err(invalid), _) => invalid,
    };
    let kind = error(&body).map_or(ErrorKind::InvalidResponse(invalid), ErrorKind::ErrorResponse);
    Err(Error::new(Some(head), kind))
}

/// The first member of an object that is one of `names` and holds an error code. A body that is not an object holds none.
fn error_code(body: &[u8], names: &[&'static str]) -> Option<&'static str> {
    if names.is_empty() {
        return None;
    }
    let mut deserializer = serde_json::Deserializer::from_slice(without_bom(body));
    deserializer.deserialize_map(ErrorCodes(names)).ok()?
}

/// Reads the members of an object that may hold an error code, and skips the others. A name may come twice.
struct ErrorCodes<'a>(&'a [&'static str]);

impl<'de> Visitor<'de> for ErrorCodes<'_> {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(member) = members.next_key::<String>()? {
            match self.0.iter().find(|name| **name == member) {
                Some(name) if is_code(members.next_value::<&RawValue>()?.get()) => found = Some(*name),
                Some(_) => {}
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// Whether a JSON value says that there is an error: `null`, `false`, 0, blank text, and an empty list or object do not.
fn is_code(json: &str) -> bool {
    match serde_json::from_str(json) {
        Ok(Value::Null | Value::Bool(false)) => false,
        Ok(Value::String(text)) => !text.trim().is_empty(),
        Ok(Value::Array(values)) => !values.is_empty(),
        Ok(Value::Object(members)) => !members.is_empty(),
        Ok(Value::Number(number)) => number.as_f64() != Some(0.0),
        // Such as a number that is out of range.
        Ok(Value::Bool(true)) | Err(_) => true,
    }
}

/// Reads a successful reply that is documented without a body. A reply with a body is malformed: a portal or a firewall may
/// have sent it.
#[doc(hidden)]
pub async fn empty_response<E>(response: reqwest::Response) -> Result<ResponseValue<()>, Error<E>> {
    empty_or(response, |_| None).await
}

/// Reads a successful reply that is documented without a body, or the error body, which some servers send with a 2xx.
#[doc(hidden)]
pub async fn empty_or_error_response<E: DeserializeOwned>(
    response: reqwest::Response,
) -> Result<ResponseValue<()>, Error<E>> {
    empty_or(response, |body| decode_error(body).ok()).await
}

async fn empty_or<E>(
    response: reqwest::Response,
    error: impl FnOnce(&[u8]) -> Option<E>,
) -> Result<ResponseValue<()>, Error<E>> {
    let head = ResponseHead::of(&response);
    let body = match read_body(response).await {
        Ok(body) => body,
        Err(error) => return Err(Error::new(Some(head), ErrorKind::Transport(error))),
    };
    if body.is_empty() {
        return Ok(ResponseValue { head, value: () });
    }
    let kind = match error(&body) {
        Some(error) => ErrorKind::ErrorResponse(error),
        None => {
            let reason = "should be empty";
            ErrorKind::InvalidResponse(InvalidResponse::of_body(reason, body.len()))
        }
    };
    Err(Error::new(Some(head), kind))
}

/// A body: as it arrived, where that was in one piece; or put together, in memory that is wiped. Pieces are not kept: each may
/// hold on to a buffer that is larger than the whole.
pub(crate) enum Body {
    Piece(Bytes),
    Joined(Zeroizing<Vec<u8>>),
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Piece(piece) => piece,
            Self::Joined(joined) => joined,
        }
    }
}

/// Reads a body of at most [`MAX_RESPONSE_BYTES`]. It makes no copy of a token unless it must.
pub(crate) async fn read_body(mut response: reqwest::Response) -> Result<Body, TransportError> {
    let too_large = TransportError::after_sending(TransportErrorKind::TooLarge);
    let announced = response.content_length().unwrap_or(0);
    if announced > MAX_RESPONSE_BYTES as u64 {
        return Err(too_large);
    }
    let mut body = Body::Piece(Bytes::new());
    while let Some(piece) = response.chunk().await.map_err(|error| TransportError::of(&error))? {
        if body.len().saturating_add(piece.len()) > MAX_RESPONSE_BYTES {
            return Err(too_large);
        }
        body = match body {
            Body::Piece(first) if first.is_empty() => Body::Piece(piece),
            Body::Piece(first) => {
                // Sized before the first byte: growing would leave copies of the token behind.
                let mut joined = Zeroizing::new(Vec::with_capacity(MAX_RESPONSE_BYTES));
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&piece);
                Body::Joined(joined)
            }
            Body::Joined(mut joined) => {
                joined.extend_from_slice(&piece);
                Body::Joined(joined)
            }
        };
    }
    Ok(body)
}

/// A body without the byte order mark that some servers put before JSON. RFC 8259, section 8.1, allows to skip it.
fn without_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)
}

/// Reads an optional field that nothing depends on: one that cannot be read counts as absent, so that it costs no token and no
/// error code. A number may be written as a text, and a whole number with a fraction of zero.
///
/// It borrows the text of the value, which may hold a secret.
#[doc(hidden)]
pub fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    let json = <&RawValue>::deserialize(deserializer)?.get();
    if let Ok(value) = serde_json::from_str(json) {
        return Ok(value);
    }
    if let Ok(text) = serde_json::from_str::<Cow<'_, str>>(json) {
        return Ok(serde_json::from_str(text.trim()).ok());
    }
    let Ok(number) = serde_json::from_str::<f64>(json) else { return Ok(None) };
    if number.fract() != 0.0 {
        return Ok(None);
    }
    Ok(serde_json::from_str(&format!("{number:.0}")).ok())
}

/// Reads `T` from JSON. An object type takes a JSON object only, though serde would take an array for it.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, InvalidResponse> {
    let body = without_bom(body);
    let invalid = |reason, field, line, column| InvalidResponse {
        field,
        line,
        column,
        ..InvalidResponse::of_body(reason, body.len())
    };
    let fields = Fields::of::<T>();
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if fields.is_object && first.is_some_and(|byte| *byte != b'{') {
        return Err(invalid("is not a JSON object", None, 0, 0));
    }
    // To know where it is costs as much as to read it, so that is found out only where something is wrong.
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value: T = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let field = match error.path().iter().next() {
            Some(serde_path_to_error::Segment::Map { key }) => fields.known(key),
            _ => None,
        };
        let error = error.inner();
        let reason = match error.classify() {
            serde_json::error::Category::Data => "does not fit its schema",
            serde_json::error::Category::Eof => "is cut off",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => "is not JSON",
        };
        invalid(reason, field.or_else(|| fields.missing(error)), error.line(), error.column())
    })?;
    match deserializer.end() {
        Ok(()) => Ok(value),
        Err(error) => Err(invalid("goes on after its end", None, error.line(), error.column())),
    }
}

/// Reads an error body. All fields of one are optional, so that any object would fit: one that has none of them, such
/// as a firewall's, is something else.
pub(crate) fn decode_error<E: DeserializeOwned>(body: &[u8]) -> Result<E, InvalidResponse> {
    decode_error_without(body, &Fields { names: &[], is_object: true })
}

/// The same, by fields that another type does not have.
fn decode_error_without<E: DeserializeOwned>(body: &[u8], other: &Fields) -> Result<E, InvalidResponse> {
    let error = decode(body)?;
    let fields = Fields::of::<E>();
    let members: BTreeMap<String, IgnoredAny> = if fields.is_object { decode(body)? } else { return Ok(error) };
    match members.keys().any(|member| fields.known(member).is_some() && other.known(member).is_none()) {
        true => Ok(error),
        false => {
            let reason = "has none of the documented fields";
            Err(InvalidResponse::of_body(reason, body.len()))
        }
    }
}

/// Whether a body is JSON, of whatever form.
pub(crate) fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(without_bom(body)).is_ok()
}

/// The field names of a type, as static text: an error that names one of these cannot quote the server.
struct Fields {
    names: &'static [&'static str],
    is_object: bool,
}

impl Fields {
    fn of<T: DeserializeOwned>() -> Self {
        let mut fields = Self { names: &[], is_object: false };
        let _ = T::deserialize(Probe(&mut fields));
        fields
    }

    fn known(&self, name: &str) -> Option<&'static str> {
        self.names.iter().copied().find(|known| *known == name)
    }

    /// serde tells a missing field in its message only.
    fn missing(&self, error: &serde_json::Error) -> Option<&'static str> {
        let message = error.to_string();
        self.names.iter().copied().find(|name| message.starts_with(&format!("missing field `{name}`")))
    }
}

/// A deserializer that learns what a type asks for, and gives it nothing.
struct Probe<'a>(&'a mut Fields);

/// How a probe ends.
#[derive(Debug)]
struct Ended;

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a probe ends")
    }
}

impl std::error::Error for Ended {}

impl de::Error for Ended {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Ended;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(Ended)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = Fields { names: fields, is_object: true };
        Err(Ended)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Nothing that a caller would report is longer.
const MAX_HEADER_BYTES: usize = 256;

fn header(headers: &HeaderMap, name: HeaderName) -> Option<HeaderValue> {
    headers.get(name).filter(|value| value.len() <= MAX_HEADER_BYTES).cloned()
}

fn text(value: &Option<HeaderValue>) -> Option<&str> {
    value.as_ref().and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::Secret;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)] // only whether it can be read matters
    struct Reply {
        #[serde(rename = "Token")]
        token: Secret,
        status: Option<i64>,
    }

    #[test]
    fn a6_a_body_that_does_not_fit_names_its_field_and_quotes_nothing() {
        let nested = "[".repeat(200_000);
        for (body, reason, field) in [
            ("", "is cut off", None),
            ("{\"Token\":\"canary", "is cut off", Some("Token")),
            ("{\"Token\":\"canary\"} canary", "goes on after its end", None),
            ("{\"Token\":NaN}", "is not JSON", Some("Token")),
            ("<html>canary</html>", "is not a JSON object", None),
            ("[\"canary\",200]", "is not a JSON object", None),
            ("null", "is not a JSON object", None),
            (&nested, "is not a JSON object", None),
            (&format!("{{\"x\":{nested}"), "is cut off", None),
            (&format!("{{\"status\":{nested}"), "does not fit its schema", Some("status")),
            ("{}", "does not fit its schema", Some("Token")),
            ("{\"token\":\"canary\"}", "does not fit its schema", Some("Token")),
            ("{\"Token\":71423}", "does not fit its schema", Some("Token")),
            ("{\"Token\":null}", "does not fit its schema", Some("Token")),
            ("{\"Token\":{\"canary\":\"canary\"}}", "does not fit its schema", Some("Token")),
            ("{\"Token\":\"a\",\"status\":\"canary\"}", "does not fit its schema", Some("status")),
            ("{\"Token\":\"a\",\"Token\":\"canary\"}", "does not fit its schema", None),
            ("{\"canary\":[1,2}", "is not JSON", None),
        ] {
            let error = decode::<Reply>(body.as_bytes()).unwrap_err();
            assert_eq!((error.reason, error.field), (reason, field), "{body:.60}");
            let text = format!("{error} {error:?} {error:#?}");
            assert!(!text.contains("canary") && !text.contains("71423"), "{text}");
        }
    }

    #[test]
    fn c2_what_holds_an_error_code() {
        let code = |body: &str| error_code(body.as_bytes(), &["error", "code"]);
        for body in [
            r#"{"a":1,"error":"x"}"#,
            r#"{"error":" x "}"#,
            r#"{"error":{"a":1}}"#,
            r#"{"error":["x"]}"#,
            r#"{"error":1}"#,
            r#"{"error":1e400}"#,
            r#"{"error":true}"#,
            r#"{"error":null,"error":"x"}"#,
            r#"{"error":"x","error":null}"#,
            r#"{"\u0065rror":"x"}"#,
        ] {
            assert_eq!(code(body), Some("error"), "{body}");
        }
        assert_eq!(code(r#"{"error":"","code":"x"}"#), Some("code"));
        let nested = format!(r#"{{"a":{}}}"#, "[".repeat(60_000));
        for body in [
            r#"{"error":null}"#,
            r#"{"error":""}"#,
            r#"{"error":" \t"}"#,
            r#"{"error":false}"#,
            r#"{"error":0}"#,
            r#"{"error":0.0}"#,
            r#"{"error":[ ]}"#,
            r#"{"error":{}}"#,
            r#"{"a":{"error":"x"}}"#,
            r#"{"Error":"x"}"#,
            r#"["error"]"#,
            "",
            &nested,
        ] {
            assert_eq!(code(body), None, "{body:.60}");
        }
        assert_eq!(error_code(br#"{"error":"x"}"#, &[]), None);
    }

    #[test]
    fn t13_unknown_members_are_ignored() {
        let members: String = (0..10_000).map(|i| format!(",\"m{i}\":{i}")).collect();
        let reply: Reply = decode(format!("{{\"Token\":\"a\"{members}}}").as_bytes()).unwrap();
        assert_eq!(reply.token.expose_secret(), "a");
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Lenient {
        #[serde(default, deserialize_with = "lenient")]
        status: Option<i64>,
        #[serde(default, deserialize_with = "lenient")]
        text: Option<String>,
    }

    #[test]
    fn t10_a_field_that_nothing_depends_on_never_costs_a_reply() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for (json, status, text) in [
            ("401", Some(401), None),
            ("\"401\"", Some(401), Some("401")),
            ("\" 401 \"", Some(401), Some(" 401 ")),
            ("401.0", Some(401), None),
            ("4.01e2", Some(401), None),
            ("-1", Some(-1), None),
            ("401.5", None, None),
            ("1e400", None, None),
            ("1e40", None, None),
            ("null", None, None),
            ("true", None, None),
            ("\"a\\u0041\"", None, Some("aA")),
            ("[401]", None, None),
            ("{\"a\":401}", None, None),
            (&deep, None, None),
        ] {
            let reply: Lenient = decode(format!("{{\"status\":{json},\"text\":{json}}}").as_bytes()).unwrap();
            assert_eq!(reply, Lenient { status, text: text.map(str::to_owned) }, "{json:.60}");
        }
        assert_eq!(decode::<Lenient>(b"{}").unwrap(), Lenient { status: None, text: None });
        assert!(decode::<Lenient>(b"{\"status\":[}").is_err());
    }

    #[test]
    fn a_byte_order_mark_is_skipped_once() {
        let reply: Reply = decode("\u{feff} {\"Token\":\"a\"}".as_bytes()).unwrap();
        assert_eq!(reply.token.expose_secret(), "a");
        assert!(decode::<Reply>("\u{feff}\u{feff}{\"Token\":\"a\"}".as_bytes()).is_err());
        assert_eq!(error_code("\u{feff}{\"error\":\"x\"}".as_bytes(), &["error"]), Some("error"));
    }

    #[test]
    fn a_type_that_is_no_object_may_be_anything() {
        assert_eq!(decode::<Vec<u8>>(b"[1,2]").unwrap(), [1, 2]);
    }
}
