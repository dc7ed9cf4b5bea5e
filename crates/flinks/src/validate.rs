//! Checks values in requests and responses, and encodes URL queries.

#[cfg(any(feature = "connect", feature = "outbound", feature = "pay"))]
use subtle::{Choice, ConstantTimeEq as _};

/// Checks whether a token, a key or an id can be sent in a header.
#[cfg(any(feature = "connect", feature = "outbound", feature = "pay"))]
pub(crate) use flinks_core::token_problem;

/// Returns whether a response echoes a secret from its request (C4). The comparison runs in
/// constant time.
#[cfg(any(feature = "connect", feature = "outbound", feature = "pay"))]
pub(crate) fn is_echo<'a>(received: &str, sent: impl IntoIterator<Item = &'a str>) -> bool {
    let is_equal = |sent: &str| received.as_bytes().ct_eq(sent.as_bytes());
    sent.into_iter().fold(Choice::from(0), |found, sent| found | is_equal(sent)).into()
}

/// Checks a token, a key or an id: returns the requirement that `text` does not meet, or `None` if
/// `text` meets every requirement.
#[cfg(any(feature = "connect", feature = "outbound", feature = "pay"))]
pub(crate) fn unmet_requirement(text: &str) -> Option<&'static str> {
    token_problem(text)?;
    if text.trim().is_empty() {
        return Some(MUST_NOT_BE_EMPTY);
    }
    Some("must contain only visible ASCII characters (no spaces or line breaks)")
}

/// The reason in an error about an empty argument.
pub(crate) const MUST_NOT_BE_EMPTY: &str = "must not be empty";

/// The reason in an error about a token that [`is_echo`] detects.
#[cfg(any(feature = "connect", feature = "outbound", feature = "pay"))]
pub(crate) const REPEATS_A_SECRET: &str = "echoes a secret from the request";
/// The reason in an error about a single-use token that has already appeared in an earlier
/// response.
#[cfg(any(feature = "connect", feature = "pay"))]
pub(crate) const HANDED_OUT_BEFORE: &str = "was handed out before";

/// Encodes a URL's query. Encodes a space as `%20`, because not every URL parser decodes `+`.
pub(crate) fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().replace('+', "%20")
}
