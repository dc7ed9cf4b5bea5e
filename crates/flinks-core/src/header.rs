//! Checks and creates header values, and marks secret ones as sensitive.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;

use crate::error::InvalidRequest;
use crate::secret::Secret;

/// The value of an `Authorization` header: HTTP Basic (RFC 7617) or a bearer token (RFC 6750).
#[derive(Clone)]
pub struct Authorization(Secret);

impl Authorization {
    /// Creates the value of HTTP Basic from client credentials, each form-encoded first as RFC 6749
    /// section 2.3.1 requires.
    pub fn basic(client_id: &str, client_secret: &Secret) -> Self {
        let encode = |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
        let pair = Secret::new(format!("{}:{}", encode(client_id), encode(client_secret.expose_secret())));
        Self(Secret::new(format!("Basic {}", STANDARD.encode(pair.expose_secret()))))
    }

    /// Creates the value of a bearer token.
    pub fn bearer(token: &Secret) -> Self {
        Self(Secret::new(format!("Bearer {}", token.expose_secret())))
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authorization").field(&self.0).finish()
    }
}

/// A secret that travels in a header. Its value is marked sensitive, so that no HTTP library prints
/// it.
#[doc(hidden)]
pub trait HeaderArgument {
    /// Returns the value of the header `name`.
    fn header_value(&self, name: &'static str) -> Result<HeaderValue, InvalidRequest>;
}

impl HeaderArgument for Secret {
    fn header_value(&self, name: &'static str) -> Result<HeaderValue, InvalidRequest> {
        sensitive(name, None, self.expose_secret())
    }
}

impl HeaderArgument for Authorization {
    fn header_value(&self, name: &'static str) -> Result<HeaderValue, InvalidRequest> {
        match self.0.expose_secret().split_once(' ') {
            Some((scheme, token)) => sensitive(name, Some(scheme), token),
            None => Err(InvalidRequest::new(name, "has no scheme")),
        }
    }
}

/// Returns why a token, a key or an id cannot travel in a header: it must be visible ASCII, and not
/// empty.
///
/// The `http` crate would also take a tab, a space at either end and bytes above 127. A key that
/// was read from a file with its newline would then cause a 401 that nothing explains.
#[doc(hidden)]
pub fn token_problem(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() {
        return Some("is empty");
    }
    if text.ends_with(['\n', '\r']) {
        return Some("ends with a line break, as one that was read from a file does");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some("holds a space, a line break, a control or a non-ASCII character");
    }
    None
}

/// Creates the value of a header that holds a secret token, after its scheme if there is one.
fn sensitive(name: &'static str, scheme: Option<&str>, token: &str) -> Result<HeaderValue, InvalidRequest> {
    if let Some(problem) = token_problem(token) {
        return Err(InvalidRequest::new(name, problem));
    }
    let mut value = match scheme {
        Some(scheme) => parse_value(name, Secret::new(format!("{scheme} {token}")).expose_secret())?,
        None => parse_value(name, token)?,
    };
    value.set_sensitive(true);
    Ok(value)
}

/// Creates the value of a header argument that is not secret. It may have spaces between its words.
#[doc(hidden)]
pub fn header_text(name: &'static str, text: impl fmt::Display) -> Result<HeaderValue, InvalidRequest> {
    let text = text.to_string();
    match token_problem(&text.replace(' ', "")) {
        Some(problem) => Err(InvalidRequest::new(name, problem)),
        None => parse_value(name, &text),
    }
}

fn parse_value(name: &'static str, text: &str) -> Result<HeaderValue, InvalidRequest> {
    HeaderValue::try_from(text).map_err(|_| InvalidRequest::new(name, "is not a header value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_values_are_sensitive_and_visible_ascii() {
        assert!(Secret::new("key").header_value("h").unwrap().is_sensitive());
        for bad in ["", " ", "key\n", " key", "key ", "k\tey", "k\r\ny", "k\0y", "k\x7fy", "clé", "k y"] {
            let error = Secret::new(bad).header_value("flinks-auth-key").unwrap_err();
            assert_eq!(error.field(), "flinks-auth-key");
            assert!(Authorization::bearer(&Secret::new(bad)).header_value("authorization").is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_header_text_may_have_spaces_between_its_words() {
        assert_eq!(header_text("h", "two words").unwrap(), "two words");
        assert_eq!(header_text("h", 7).unwrap(), "7");
        for bad in ["", " ", "a\nb", "a b\n", "a\tb", "clé", "a\0"] {
            let error = header_text("x-request-name", bad).unwrap_err();
            assert_eq!(error.field(), "x-request-name");
        }
    }

    #[test]
    fn a_token_problem_names_what_is_wrong() {
        assert_eq!(token_problem("!token~"), None);
        assert_eq!(token_problem(" \n"), Some("is empty"));
        assert!(token_problem("key\n").unwrap().starts_with("ends with a line break"));
        assert!(token_problem("k ey").unwrap().starts_with("holds a space"));
    }

    #[test]
    fn basic_is_form_encoded_first() {
        let value = Authorization::basic("a:b", &Secret::new("c d&é")).header_value("authorization").unwrap();
        let encoded = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(encoded).unwrap(), b"a%3Ab:c+d%26%C3%A9");
        assert!(value.is_sensitive());
    }
}
