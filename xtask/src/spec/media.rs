//! Media types of request bodies.

use serde_json::{Map, Value};

use super::schema::JSON;

/// How a request body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RequestBody {
    Json,
    Form,
    Multipart,
    Text,
    Bytes,
}

impl RequestBody {
    /// Returns how a body with this media type is sent, or `None` if the client cannot send such a
    /// body.
    pub(crate) fn of(media_type: &str) -> Option<Self> {
        let essence = essence(media_type);
        if is_json(&essence) {
            return Some(Self::Json);
        }
        match essence.split_once('/')? {
            (_, "*") | ("*", _) => None,
            ("application", "x-www-form-urlencoded") => Some(Self::Form),
            ("multipart", "form-data") => Some(Self::Multipart),
            // The caller encodes the text.
            _ if has_other_charset(media_type) => Some(Self::Bytes),
            ("text", _) | ("application", "xml") => Some(Self::Text),
            (_, subtype) if subtype.ends_with("+xml") => Some(Self::Text),
            ("multipart", _) => None,
            _ => Some(Self::Bytes),
        }
    }

    /// Returns the media type that the client sends if several are documented for a request body.
    pub(crate) fn choose(content: &Map<String, Value>) -> Option<(&str, Self)> {
        let known = content.keys().filter_map(|media_type| Some((media_type.as_str(), Self::of(media_type)?)));
        // Other kinds of JSON, such as `application/json-patch+json`, can have a different
        // structure.
        known.min_by_key(|(media_type, body)| (*body, essence(media_type) != JSON))
    }
}

/// Returns a media type in lower case and without its parameters.
pub(crate) fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Returns a media type without its `charset`. Servers do not expect this parameter in an `Accept`
/// header.
pub(crate) fn without_charset(media_type: &str) -> String {
    let parts = media_type.split(';').map(str::trim);
    parts.filter(|part| !is_charset(part)).collect::<Vec<_>>().join("; ")
}

/// Returns whether a media type specifies a character encoding other than UTF-8.
fn has_other_charset(media_type: &str) -> bool {
    let charset = media_type.split(';').map(str::trim).find(|part| is_charset(part));
    let value = charset.and_then(|part| part.split_once('=')).map(|(_, value)| value.trim_matches([' ', '"']));
    value.is_some_and(|value| !["utf-8", "us-ascii"].iter().any(|known| value.eq_ignore_ascii_case(known)))
}

fn is_charset(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
}

/// Returns whether a media type is JSON. The media type must be in lower case and have no
/// parameters.
pub(crate) fn is_json(essence: &str) -> bool {
    essence == JSON || essence.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn media_types_are_compared_by_essence() {
        for (media_type, body) in [
            ("application/json; charset=utf-8", Some(RequestBody::Json)),
            ("application/vnd.bank.v2+JSON", Some(RequestBody::Json)),
            ("application/x-www-form-urlencoded", Some(RequestBody::Form)),
            ("text/csv", Some(RequestBody::Text)),
            ("application/pain.001+xml", Some(RequestBody::Text)),
            ("text/plain; charset=\"UTF-8\"", Some(RequestBody::Text)),
            ("text/plain; charset=iso-8859-1", Some(RequestBody::Bytes)),
            ("application/octet-stream", Some(RequestBody::Bytes)),
            ("application/pdf", Some(RequestBody::Bytes)),
            ("image/*", None),
            ("*/*", None),
            ("multipart/form-data; boundary=x", Some(RequestBody::Multipart)),
            ("multipart/mixed", None),
            ("json", None),
        ] {
            assert_eq!(RequestBody::of(media_type), body, "{media_type}");
        }
    }

    #[test]
    fn the_charset_is_left_out_of_an_accept_header() {
        for (media_type, expected) in [
            ("application/json;charset=UTF-8", "application/json"),
            ("application/json; Version=2; Charset=utf-8", "application/json; Version=2"),
            ("text/csv", "text/csv"),
        ] {
            assert_eq!(without_charset(media_type), expected);
        }
    }

    #[test]
    fn json_is_preferred() {
        let content = json!({"*/*": {}, "text/plain": {}, "application/vnd.v1+json": {}});
        let chosen = RequestBody::choose(content.as_object().unwrap());
        assert_eq!(chosen, Some(("application/vnd.v1+json", RequestBody::Json)));
        let content = json!({"application/json-patch+json": {}, "application/json": {}});
        let chosen = RequestBody::choose(content.as_object().unwrap());
        assert_eq!(chosen, Some(("application/json", RequestBody::Json)));
    }
}
