//! The lifetime in a token response.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The value of `expires_in`: the lifetime of a token in seconds, counted from just before the
/// token request was sent.
///
/// The value is read leniently, because an unusual lifetime must not make the token unusable.
/// `299`, `299.0` and `"299"` all mean 299 seconds. `null`, `0` and anything that does not
/// represent a finite number mean that the lifetime is *unknown*. A lifetime is at most
/// [`ExpiresIn::MAX`], so arithmetic on lifetimes cannot overflow.
///
/// ```
/// use flinks_core::ExpiresIn;
/// use std::time::Duration;
///
/// let expires_in: ExpiresIn = serde_json::from_str("299")?;
/// assert_eq!(expires_in.lifetime(), Some(Duration::from_secs(299)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiresIn(Option<i64>);

impl ExpiresIn {
    /// The maximum lifetime: 24 hours. Longer lifetimes are reduced to this maximum. The longest
    /// lifetime that Flinks documents is 30 minutes.
    pub const MAX: Duration = Duration::from_secs(24 * 60 * 60);

    /// Creates a lifetime of `seconds`, limited to [`ExpiresIn::MAX`]. A value of 0 means that the
    /// lifetime is unknown.
    pub fn from_seconds(seconds: i64) -> Self {
        if seconds == 0 {
            return Self(None);
        }
        let max = i64::try_from(Self::MAX.as_secs()).unwrap_or(i64::MAX);
        Self(Some(seconds.min(max)))
    }

    /// Returns the lifetime, or `None` if it is unknown. A negative lifetime is returned as
    /// [`Duration::ZERO`], because the token had already expired when it arrived.
    pub fn lifetime(self) -> Option<Duration> {
        self.0.map(|seconds| u64::try_from(seconds).map_or(Duration::ZERO, Duration::from_secs))
    }

    fn parse(text: &str) -> Self {
        if let Ok(seconds) = text.parse() {
            return Self::from_seconds(seconds);
        }
        match text.parse::<f64>() {
            // The cast saturates.
            Ok(seconds) if seconds.is_finite() => Self::from_seconds(seconds as i64),
            _ => Self(None),
        }
    }
}

impl Serialize for ExpiresIn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0.unwrap_or(0))
    }
}

impl<'de> Deserialize<'de> for ExpiresIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Reads the raw JSON first, because serde_json fails on out-of-range numbers.
        let json = Box::<RawValue>::deserialize(deserializer)?;
        // Reading a number as a string would fail, and creating the error costs more than parsing.
        if !json.get().starts_with('"') {
            return Ok(Self::parse(json.get()));
        }
        let text: Cow<'_, str> = serde_json::from_str(json.get()).unwrap_or_default();
        Ok(Self::parse(text.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetime(json: &str) -> Option<u64> {
        let expires_in: ExpiresIn = serde_json::from_str(json).unwrap();
        expires_in.lifetime().map(|lifetime| lifetime.as_secs())
    }

    #[test]
    fn t10_a_lifetime_never_fails_to_parse_and_never_overflows() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for (json, seconds) in [
            ("299", Some(299)),
            ("299.0", Some(299)),
            ("299.9", Some(299)),
            ("\"299\"", Some(299)),
            ("\" 299.0 \"", Some(299)),
            ("1", Some(1)),
            ("86401", Some(86_400)),
            ("18446744073709551615", Some(86_400)),
            ("1e20", Some(86_400)),
            ("1e300", Some(86_400)),
            ("\"1e20\"", Some(86_400)),
            ("\"inf\"", None),
            ("1e400", None),
            ("-1e400", None),
            ("\"1e400\"", None),
            ("-1", Some(0)),
            ("-9223372036854775808", Some(0)),
            ("0", None),
            ("0.4", None),
            ("\"soon\"", None),
            ("\"\"", None),
            ("\"nan\"", None),
            ("null", None),
            ("true", None),
            ("[299,[300]]", None),
            ("{\"seconds\":299}", None),
            ("[1e400]", None),
            (&deep, None),
        ] {
            assert_eq!(lifetime(json), seconds, "{json:.60}");
        }
    }
}
