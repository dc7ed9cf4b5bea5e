//! Validates and creates header values, and marks secrets as sensitive.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::header::HeaderValue;

use crate::error::InvalidRequest;
use crate::secret::Secret;

/// The value of an `Authorization` header: HTTP Basic (RFC 7617) or a bearer token (RFC 6750).
#[derive(Clone)]
pub struct Authorization(Secret);

impl Authorization {
    /// Creates the HTTP Basic `Authorization` header value from client credentials. Each credential
    /// is form-encoded first, as RFC 6749 section 2.3.1 requires.
    pub fn basic(client_id: &str, client_secret: &Secret) -> Self {
        let encode = |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
        let pair = Secret::new(format!("{}:{}", encode(client_id), encode(client_secret.expose_secret())));
        Self(Secret::new(format!("Basic {}", STANDARD.encode(pair.expose_secret()))))
    }

    /// Creates the `Authorization` header value for a bearer token.
    pub fn bearer(token: &Secret) -> Self {
        // `concat` allocates once, so no part of the token is left in freed memory.
        Self(Secret::new(["Bearer ", token.expose_secret()].concat()))
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authorization").field(&self.0).finish()
    }
}

/// A secret that is sent in a header. The header value is marked as sensitive so that HTTP
/// libraries do not print it.
#[doc(hidden)]
pub trait HeaderArgument {
    /// Returns this secret as the value of the `name` header.
    fn header_value(&self, name: &'static str) -> Result<HeaderValue, InvalidRequest>;
}

impl HeaderArgument for Secret {
    fn header_value(&self, name: &'static str) -> Result<HeaderValue, InvalidRequest> {
        sensitive(name, self.expose_secret(), self.expose_secret())
    }
}

impl HeaderArgument for Authorization {
    fn header_value(&self, name: &'static str) -> Result<HeaderValue, InvalidRequest> {
        let text = self.0.expose_secret();
        match text.split_once(' ') {
            Some((_, token)) => sensitive(name, token, text),
            None => Err(InvalidRequest::new(name, "must start with an authentication scheme")),
        }
    }
}

/// Creates the value of an `Authorization` header for a bearer token. The value is marked as
/// sensitive.
///
/// This function copies the token once. If the value were created from an [`Authorization`], the
/// `http` crate would copy it a second time.
#[doc(hidden)]
pub fn bearer_header(token: &Secret) -> Result<HeaderValue, InvalidRequest> {
    const NAME: &str = "Authorization";
    if let Some(problem) = token_problem(token.expose_secret()) {
        return Err(InvalidRequest::new(NAME, problem));
    }
    sensitive_value(NAME, Secret::new(["Bearer ", token.expose_secret()].concat()))
}

/// Returns the reason a token, a key or an id cannot be sent in a header, or `None` if the value is
/// valid. A valid value consists of visible ASCII characters and is not empty.
///
/// The `http` crate would also accept tabs, leading and trailing spaces, and bytes above 127. If a
/// key contained such a character, the server would respond with a 401 status that is hard to
/// diagnose.
#[doc(hidden)]
pub fn token_problem(text: &str) -> Option<&'static str> {
    // Without an early exit, the compiler can vectorize this loop.
    let is_visible = text.bytes().fold(true, |all, byte| all & byte.is_ascii_graphic());
    if is_visible && !text.is_empty() {
        return None;
    }
    if text.trim().is_empty() {
        return Some("must not be empty");
    }
    if text.ends_with(['\n', '\r']) {
        return Some("must not end with a line break; if the value was read from a file, trim it");
    }
    Some("must not contain a space, a line break, a control character or a non-ASCII character")
}

/// Creates a sensitive header value from `text`, which is a secret token, possibly preceded by an
/// authentication scheme.
fn sensitive(name: &'static str, token: &str, text: &str) -> Result<HeaderValue, InvalidRequest> {
    if let Some(problem) = token_problem(token) {
        return Err(InvalidRequest::new(name, problem));
    }
    sensitive_value(name, Secret::new(text))
}

/// Creates a header value that is marked as sensitive.
fn sensitive_value(name: &'static str, text: Secret) -> Result<HeaderValue, InvalidRequest> {
    // The text is wiped from memory when the last clone of the value is dropped. Cloning does not
    // allocate. If the value were created from a string, its first clone would allocate.
    let bytes = Bytes::from_owner(SecretBytes(text));
    let mut value = HeaderValue::from_maybe_shared(bytes).map_err(|_| InvalidRequest::new(name, INVALID_VALUE))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Creates a header value from an argument that is not secret. The header value may contain spaces
/// between words.
#[doc(hidden)]
pub fn header_text(name: &'static str, text: impl fmt::Display) -> Result<HeaderValue, InvalidRequest> {
    let text = text.to_string();
    match token_problem(&text.replace(' ', "")) {
        Some(problem) => Err(InvalidRequest::new(name, problem)),
        None => parse_value(name, &text),
    }
}

fn parse_value(name: &'static str, text: &str) -> Result<HeaderValue, InvalidRequest> {
    HeaderValue::try_from(text).map_err(|_| InvalidRequest::new(name, INVALID_VALUE))
}

/// The bytes behind a sensitive header value.
struct SecretBytes(Secret);

impl AsRef<[u8]> for SecretBytes {
    fn as_ref(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

const INVALID_VALUE: &str = "must be a valid header value";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_header_values_are_sensitive_and_visible_ascii() {
        assert!(Secret::new("key").header_value("h").unwrap().is_sensitive());
        for invalid in ["", " ", "key\n", " key", "key ", "k\tey", "k\r\ny", "k\0y", "k\x7fy", "clé", "k y"] {
            let error = Secret::new(invalid).header_value("flinks-auth-key").unwrap_err();
            assert_eq!(error.field(), "flinks-auth-key");
            assert!(Authorization::bearer(&Secret::new(invalid)).header_value("authorization").is_err(), "{invalid:?}");
        }
    }

    #[test]
    fn a_header_text_may_contain_spaces_between_words() {
        assert_eq!(header_text("h", "two words").unwrap(), "two words");
        assert_eq!(header_text("h", 7).unwrap(), "7");
        for invalid in ["", " ", "a\nb", "a b\n", "a\tb", "clé", "a\0"] {
            let error = header_text("x-request-name", invalid).unwrap_err();
            assert_eq!(error.field(), "x-request-name");
        }
    }

    #[test]
    fn a_token_problem_describes_the_requirement() {
        assert_eq!(token_problem("!token~"), None);
        assert_eq!(token_problem(" \n"), Some("must not be empty"));
        assert!(token_problem("key\n").unwrap().starts_with("must not end with a line break"));
        assert!(token_problem("k ey").unwrap().starts_with("must not contain a space"));
    }

    #[test]
    fn basic_credentials_are_form_encoded_first() {
        let value = Authorization::basic("a:b", &Secret::new("c d&é")).header_value("authorization").unwrap();
        let encoded = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(encoded).unwrap(), b"a%3Ab:c+d%26%C3%A9");
        assert!(value.is_sensitive());
    }
}
