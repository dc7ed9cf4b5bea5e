//! Hides the values in requests and responses, except those that the emulator issued or is
//! configured with. The dashboard and the recorded HAR files show only redacted text.
//!
//! People sometimes send real credentials to a local server by mistake, and any header or field can
//! contain them. Redaction therefore relies on a list of what is safe, not of what is secret:
//!
//! | part | becomes |
//! | --- | --- |
//! | a value that the emulator issued or is configured with | [`Piece::Known`], which shows the value's name and, on request, the value itself |
//! | the names in [`names`], and short words and numbers in the fields that it lists as plain | [`Piece::Text`] |
//! | everything else | [`Piece::Hidden`], which contains only a keyed hash and a length |
//!
//! Each emulator has a random hash key, so equal values in one emulator can be recognized, but a
//! value cannot be guessed from its hash.

mod json;
mod known;
mod names;

pub(crate) use self::known::{issued_label, kind_name};

use std::borrow::Cow;
use std::hash::{BuildHasher as _, RandomState};

use percent_encoding::percent_decode_str;
use url::Url;

use crate::http::{basic_credentials, form_decoded, strip_scheme};
use crate::ledger::Request;
use crate::state::EmulatorState;

/// A piece of redacted text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Text that cannot be a credential.
    Text(String),
    /// A value that the emulator issued or is configured with.
    Known {
        /// The value as the client sent it, for example percent-encoded.
        value: String,
        /// The name to show instead, such as `code from request 3`.
        label: Cow<'static, str>,
    },
    /// The replacement for an unknown value: `[hidden <hash>, <length> bytes]`.
    Hidden(String),
}

/// The maximum number of path segments, query parameters or form fields that are redacted one by
/// one. The rest is hidden as a whole, because a marker for each short segment would make the text
/// much longer.
const MAX_PARTS: usize = 200;

/// The number of pieces above which a JSON body is hidden as a whole.
const MAX_JSON_PIECES: usize = 2000;

/// The pieces of redacted text, in order.
pub(crate) type Pieces = Vec<Piece>;

/// Whether redacted text shows known values or their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reveal {
    Names,
    Values,
}

/// Joins pieces into a string.
pub(crate) fn text(pieces: &[Piece], reveal: Reveal) -> String {
    let show = |piece: &Piece| match (piece, reveal) {
        (Piece::Text(text) | Piece::Hidden(text), _) => text.clone(),
        (Piece::Known { value, .. }, Reveal::Values) => value.clone(),
        (Piece::Known { label, .. }, Reveal::Names) => format!("[{label}]"),
    };
    pieces.iter().map(show).collect()
}

/// A request without unknown values.
pub(crate) struct RedactedRequest {
    pub(crate) method: String,
    pub(crate) path: Pieces,
    /// The query, without its question mark, or `None` if there is none.
    pub(crate) query: Option<Pieces>,
    pub(crate) headers: Vec<(String, Pieces)>,
    pub(crate) body: Pieces,
}

impl RedactedRequest {
    pub(crate) fn target(&self) -> Pieces {
        let mut target = self.path.clone();
        if let Some(query) = &self.query {
            target.push(Piece::Text("?".to_owned()));
            target.extend_from_slice(query);
        }
        target
    }
}

/// The author of some text. Which values are plain depends on the author.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Author {
    /// A client, or a test that scheduled a fault.
    Client,
    /// The emulator, whose responses contain few values from the request.
    Emulator,
}

/// Redacts requests and responses. It borrows the state, which contains the issued and the
/// configured values.
#[derive(Clone, Copy)]
pub(crate) struct Redactor<'a> {
    state: &'a EmulatorState,
    key: &'a RandomState,
}

impl<'a> Redactor<'a> {
    pub(crate) fn new(state: &'a EmulatorState, key: &'a RandomState) -> Self {
        Self { state, key }
    }

    pub(crate) fn request(self, request: &Request) -> RedactedRequest {
        let (path, query) = match request.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (request.target.as_str(), None),
        };
        let headers = request.headers.iter().map(|(name, value)| (name.clone(), self.header(name, value)));
        let media_type = request.header("content-type").next().unwrap_or_default();
        RedactedRequest {
            method: self.method(&request.method),
            path: self.path(path),
            query: query.map(|query| self.pairs(query, Author::Client)),
            headers: headers.collect(),
            body: self.body(media_type, &request.body, Author::Client),
        }
    }

    /// Replaces the unknown values in a request. The other parts of the request stay as they were
    /// received.
    pub(crate) fn hide_unknown(self, request: &mut Request) {
        let redacted = self.request(request);
        let stored = |pieces: &[Piece]| text(pieces, Reveal::Values);
        request.target = stored(&redacted.target());
        request.headers = redacted.headers.iter().map(|(name, value)| (name.clone(), stored(value))).collect();
        request.body = stored(&redacted.body).into();
        request.method = redacted.method;
    }

    /// Redacts a header of a response that the rules created.
    pub(crate) fn reply_header(self, name: &str, value: &str) -> Pieces {
        if name != "location" {
            return vec![Piece::Text(value.to_owned())];
        }
        self.link(value)
    }

    /// Redacts an address that the emulator created, including the query if there is one.
    fn link(self, value: &str) -> Pieces {
        let (address, query) = value.split_once('?').unwrap_or((value, ""));
        let mut pieces = if address.starts_with('/') { self.path(address) } else { self.url_of_link(address) };
        if !query.is_empty() {
            pieces.push(Piece::Text("?".to_owned()));
            // The query may contain the application's own parameters, which the client sent.
            pieces.extend(self.pairs(query, Author::Client));
        }
        pieces
    }

    /// Redacts the body of a response that the rules created.
    pub(crate) fn reply_body(self, media_type: &str, body: &[u8]) -> Pieces {
        self.body(media_type, body, Author::Emulator)
    }

    /// Redacts the body of a response that a test scheduled as a fault.
    pub(crate) fn fault_body(self, body: &[u8]) -> Pieces {
        self.body("application/json", body, Author::Client)
    }

    /// Redacts a header of a request, or of a response that a test scheduled as a fault.
    pub(crate) fn header(self, name: &str, value: &str) -> Pieces {
        if names::PLAIN_HEADERS.contains(&name) {
            return vec![Piece::Text(value.to_owned())];
        }
        for scheme in ["Bearer", "Basic"] {
            let Some(token) = strip_scheme(value, scheme) else { continue };
            let piece = match (scheme, self.basic_label(token)) {
                ("Basic", Some(label)) => Piece::Known { value: token.to_owned(), label },
                _ => self.value(token, token),
            };
            return vec![Piece::Text(format!("{scheme} ")), piece];
        }
        vec![self.value(value, value)]
    }

    /// Returns the names of the user and the password in HTTP Basic credentials, or `None` if one
    /// of them is unknown.
    fn basic_label(self, encoded: &str) -> Option<Cow<'static, str>> {
        let (user, password) = basic_credentials(encoded)?;
        // Pay does not decode the two parts (RFC 7617), but Outbound does (RFC 6749).
        let label =
            |part: &str| known::label(self.state, part).or_else(|| known::label(self.state, &form_decoded(part)));
        Some(format!("{} and {}", label(&user)?, label(&password)?).into())
    }

    pub(crate) fn method(self, method: &str) -> String {
        if method.len() <= 16 && method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return method.to_owned();
        }
        self.marker(method)
    }

    /// Redacts a path. Segments that do not occur in any route are redacted as values.
    pub(crate) fn path(self, path: &str) -> Pieces {
        let mut pieces = Vec::new();
        for (index, segment) in path.split('/').enumerate() {
            if index >= MAX_PARTS {
                let rest = path.splitn(MAX_PARTS.saturating_add(1), '/').last().unwrap_or_default();
                pieces.extend([Piece::Text("/".to_owned()), Piece::Hidden(self.marker(rest))]);
                break;
            }
            if index > 0 {
                pieces.push(Piece::Text("/".to_owned()));
            }
            if segment.is_empty() || names::is_route_segment(segment) {
                pieces.push(Piece::Text(segment.to_owned()));
            } else {
                let decoded = percent_decode_str(segment).decode_utf8_lossy();
                pieces.push(self.value(&decoded, segment));
            }
        }
        pieces
    }

    /// Redacts a URL that the emulator created and that has no query. Its path can contain ids.
    fn url_of_link(self, text: &str) -> Pieces {
        let Ok(url) = Url::parse(text) else { return self.url(text) };
        let origin = url.origin().ascii_serialization();
        match text.strip_prefix(&origin) {
            Some(path) if path.starts_with("/api/") => {
                let mut pieces = vec![Piece::Text(origin)];
                pieces.extend(self.path(path));
                pieces
            }
            _ => self.url(text),
        }
    }

    /// Redacts a URL that has no query. An unknown URL is shown if its path consists of words;
    /// otherwise, the entire URL is hidden.
    fn url(self, text: &str) -> Pieces {
        if let Some(label) = known::label(self.state, text) {
            return vec![Piece::Known { value: text.to_owned(), label }];
        }
        let Ok(url) = Url::parse(text) else { return vec![self.value(text, text)] };
        let is_plain = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.path().split('/').all(names::is_word);
        let origin = url.origin().ascii_serialization();
        let rest = text.strip_prefix(&origin);
        match rest {
            Some(rest) if is_plain && rest == url.path() => vec![Piece::Text(text.to_owned())],
            Some(rest) if is_plain && rest.is_empty() => vec![Piece::Text(text.to_owned())],
            _ => vec![self.value(text, text)],
        }
    }

    /// Redacts a query or a form body.
    fn pairs(self, encoded: &str, author: Author) -> Pieces {
        let mut pieces = Vec::new();
        for (index, pair) in encoded.split('&').enumerate() {
            if index >= MAX_PARTS {
                let rest = encoded.splitn(MAX_PARTS.saturating_add(1), '&').last().unwrap_or_default();
                pieces.extend([Piece::Text("&".to_owned()), Piece::Hidden(self.marker(rest))]);
                break;
            }
            if index > 0 {
                pieces.push(Piece::Text("&".to_owned()));
            }
            let Some((name, value)) = pair.split_once('=') else {
                // If a body consists of nothing but a credential, there is no field name.
                pieces.push(self.value(&form_decoded(pair), pair));
                continue;
            };
            let field = form_decoded(name);
            if names::is_field(&field) {
                pieces.push(Piece::Text(name.to_owned()));
            } else {
                pieces.push(self.value(&field, name));
            }
            pieces.push(Piece::Text("=".to_owned()));
            pieces.extend(self.field(&field, &form_decoded(value), value, author));
        }
        pieces
    }

    /// Redacts the value of a field.
    fn field(self, name: &str, decoded: &str, raw: &str, author: Author) -> Pieces {
        if names::URL_FIELDS.contains(&name) && !decoded.contains(['?', '#']) {
            let pieces = self.url(decoded);
            if matches!(pieces.as_slice(), [Piece::Text(_)]) {
                return vec![Piece::Text(raw.to_owned())];
            }
        }
        if author == Author::Emulator && names::LINK_FIELDS.contains(&name) {
            return self.link(raw);
        }
        let is_plain = match author {
            Author::Client => names::PLAIN_FIELDS.contains(&name) && names::is_phrase(decoded),
            Author::Emulator => !names::ECHOED_FIELDS.contains(&name),
        };
        if !is_plain || is_marker(decoded) {
            return vec![self.value(decoded, raw)];
        }
        let label = known::label(self.state, decoded)
            .or_else(|| Some(format!("text that contains {}", known::credential_in(self.state, decoded)?).into()));
        match label {
            Some(label) => vec![Piece::Known { value: raw.to_owned(), label }],
            None => vec![Piece::Text(raw.to_owned())],
        }
    }

    /// Redacts a value that is not in a plain field.
    fn value(self, decoded: &str, raw: &str) -> Piece {
        if raw.is_empty() {
            return Piece::Text(String::new());
        }
        if let Some(label) = known::label(self.state, decoded) {
            return Piece::Known { value: raw.to_owned(), label };
        }
        if is_marker(decoded) {
            return Piece::Hidden(decoded.to_owned());
        }
        Piece::Hidden(self.marker(decoded))
    }

    fn marker(self, value: &str) -> String {
        format!("[hidden {:016x}, {} bytes]", self.key.hash_one(value), value.len())
    }

    fn body(self, media_type: &str, body: &[u8], author: Author) -> Pieces {
        if body.is_empty() {
            return Vec::new();
        }
        let hidden = |text: &str| vec![self.value(text, text)];
        let Ok(body) = std::str::from_utf8(body) else { return hidden(&String::from_utf8_lossy(body)) };
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media_type.as_str() {
            "text/html" if author == Author::Emulator => {
                vec![Piece::Text(format!("(an HTML page of {} bytes)", body.len()))]
            }
            "application/x-www-form-urlencoded" => self.pairs(body, author),
            // Clients also send JSON with the wrong media type, or without a media type.
            _ => json::redact(self, body, author)
                .filter(|pieces| pieces.len() <= MAX_JSON_PIECES)
                .unwrap_or_else(|| hidden(body)),
        }
    }
}

/// Returns whether a string is a marker that [`Redactor::marker`] created, so that values that were
/// hidden on arrival are not hidden again.
fn is_marker(text: &str) -> bool {
    let inner = text.strip_prefix("[hidden ").and_then(|rest| rest.strip_suffix(" bytes]"));
    let Some((hash, length)) = inner.and_then(|inner| inner.split_once(", ")) else { return false };
    hash.len() == 16
        && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
        && (1..=20).contains(&length.len())
        && length.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
