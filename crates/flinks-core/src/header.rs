//! Header values: what they may hold, and which of them no log shows.

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
    /// Client credentials as HTTP Basic, each form-encoded first, as RFC 6749 section 2.3.1 asks for.
    pub fn basic(client_id: &str, client_secret: &Secret) -> Self {
        let encode = |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
        let pair = Secret::new(format!("{}:{}", encode(client_id), encode(client_secret.expose_secret())));
        Self(Secret::new(format!("Basic {}", STANDARD.encode(pair.expose_secret()))))
    }

    /// A bearer token.
    pub fn bearer(token: &Secret) -> Self {
        Self(Secret::new(format!("Bearer {}", token.expose_secret())))
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authorization").field(&self.0).finish()
    }
}

/// A secret that travels in a header: its value is marked sensitive, so that no HTTP library prints it.
#[doc(hidden)]
pub trait HeaderArgument {
    /// The value of the header `name`.
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

/// Visible ASCII only. `http` would take a tab, a space at either end and bytes above 127: a key read from a file
/// with its newline would then be a silent 401, and worse things than that have been smuggled in headers.
fn sensitive(name: &'static str, scheme: Option<&str>, token: &str) -> Result<HeaderValue, InvalidRequest> {
    if token.is_empty() {
        return Err(InvalidRequest::new(name, "is empty"));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(InvalidRequest::new(name, "holds a space, a line break, a control or a non-ASCII character"));
    }
    let value = match scheme {
        Some(scheme) => HeaderValue::try_from(Secret::new(format!("{scheme} {token}")).expose_secret()),
        None => HeaderValue::try_from(token),
    };
    let mut value = value.map_err(|_| InvalidRequest::new(name, "is no header value"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A header argument that is no secret.
#[doc(hidden)]
pub fn header_text(name: &'static str, value: impl fmt::Display) -> Result<HeaderValue, InvalidRequest> {
    let value = value.to_string();
    // `http` takes bytes above 127 too.
    let is_plain = value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    let value = HeaderValue::try_from(value).ok().filter(|_| is_plain);
    value.ok_or(InvalidRequest::new(name, "holds a control or a non-ASCII character"))
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
    fn basic_is_form_encoded_first() {
        let value = Authorization::basic("a:b", &Secret::new("c d&é")).header_value("authorization").unwrap();
        let encoded = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(encoded).unwrap(), b"a%3Ab:c+d%26%C3%A9");
        assert!(value.is_sensitive());
    }
}
