//! Secret text that is redacted in debug output and wiped from memory.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// Text that is redacted in `Debug` output and wiped from memory when dropped.
///
/// `Secret` does not implement `Display`, `PartialEq` or `Hash`. `Serialize` writes the plain text,
/// because request bodies must contain it. Serialize a value that contains a secret only in order
/// to send that value to Flinks.
///
/// Wiping is best effort: the copies that the HTTP client and the TLS library make are not wiped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Creates a secret from its plain text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// Returns the plain text. Keep the text out of logs, errors and URLs.
    pub fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Redacted.fmt(f)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose_secret())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            // With `deserialize_string`, serde_json's error would quote a value of the wrong type.
            return deserializer.deserialize_any(SecretVisitor);
        }
        deserializer.deserialize_string(SecretVisitor)
    }
}

/// Explicitly rejects every scalar type other than a string, because serde's default message for a
/// wrong type quotes the value.
struct SecretVisitor;

impl Visitor<'_> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Secret, E> {
        Err(E::custom("invalid type: boolean, expected a string"))
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<Secret, E> {
        Err(E::custom("invalid type: number, expected a string"))
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Secret, E> {
        Err(E::custom("invalid type: number, expected a string"))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Secret, E> {
        Err(E::custom("invalid type: number, expected a string"))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Secret, E> {
        Err(E::custom("invalid type: number, expected a string"))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
        Err(E::custom("invalid type: number, expected a string"))
    }
}

/// Defines a separate type for one kind of secret, so that secrets sent in the same header cannot
/// be confused.
///
/// The type has `new` and `expose_secret` methods. The `Debug` output of the type is redacted, and
/// the type implements `Serialize` and `Deserialize` in the same way as [`Secret`]. Types that this
/// macro defines do not convert into each other or into [`Secret`].
///
/// ```
/// flinks_core::secret_type! {
///     /// The key of a door.
///     pub struct DoorKey;
/// }
///
/// let key = DoorKey::new("open sesame");
/// assert_eq!(format!("{key:?}"), "DoorKey([redacted])");
/// ```
#[macro_export]
macro_rules! secret_type {
    ($(#[$attribute:meta])* $visibility:vis struct $name:ident;) => {
        $(#[$attribute])*
        #[derive(Clone, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(transparent)]
        $visibility struct $name($crate::Secret);

        impl $name {
            /// Creates a secret from its plain text.
            pub fn new(secret: impl ::std::convert::Into<$crate::Secret>) -> Self {
                Self(secret.into())
            }

            /// Returns the plain text. Keep the text out of logs, errors and URLs.
            pub fn expose_secret(&self) -> &str {
                self.0.expose_secret()
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.0).finish()
            }
        }

        impl $crate::generated::HeaderArgument for $name {
            fn header_value(
                &self,
                name: &'static str,
            ) -> ::std::result::Result<$crate::generated::HeaderValue, $crate::InvalidRequest> {
                self.0.header_value(name)
            }
        }
    };
}

/// A placeholder that prints `[redacted]` in `Debug` output.
#[doc(hidden)]
pub struct Redacted;

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a3_a_secret_is_redacted_in_debug_output_and_serialized_in_clear_text() {
        let secret = Secret::new("canary");
        assert_eq!(format!("{secret:?} {secret:#?}"), "[redacted] [redacted]");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"canary\"");
    }

    #[test]
    fn a3_a_value_of_the_wrong_type_is_not_quoted() {
        for text in ["71423", "-71423", "71423.5", "[71423]", "{\"71423\":71423}", "true", "null"] {
            let error = serde_json::from_str::<Secret>(text).unwrap_err().to_string();
            assert!(!error.contains("71423"), "{error}");
        }
    }
}
