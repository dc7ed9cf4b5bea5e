//! Checks of the texts in requests and replies, and the query of a URL.

#[cfg(any(feature = "connect", feature = "outbound", feature = "pay"))]
use subtle::{Choice, ConstantTimeEq as _};

/// The rule for every token, key and id is that of the headers that carry them.
#[cfg(any(feature = "connect", feature = "outbound", feature = "pay"))]
pub(crate) use flinks_core::token_problem;

/// Whether a reply repeats a secret that its request sent (C4). Compares in constant time.
#[cfg(any(feature = "connect", feature = "outbound", feature = "pay"))]
pub(crate) fn is_echo<'a>(replied: &str, sent: impl IntoIterator<Item = &'a str>) -> bool {
    let is_equal = |sent: &str| replied.as_bytes().ct_eq(sent.as_bytes());
    sent.into_iter().fold(Choice::from(0), |found, sent| found | is_equal(sent)).into()
}

/// The reason why a token that [`is_echo`] is malformed.
#[cfg(any(feature = "connect", feature = "outbound", feature = "pay"))]
pub(crate) const ECHO: &str = "repeats a secret of the request";
/// The reason why a one-time token that came in an earlier reply, too, is malformed.
#[cfg(any(feature = "connect", feature = "pay"))]
pub(crate) const REPEATED: &str = "was handed out before";

/// The query of a URL. A form has `+` for a space, which not every reader of a URL knows.
pub(crate) fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().replace('+', "%20")
}
