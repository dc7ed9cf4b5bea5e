//! The names and patterns of text that is shown unchanged.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::http::KNOWN_FIELDS;
use crate::operation::Operation;

/// The headers whose values are shown unchanged. They describe the protocol and the client, and
/// never carry a credential.
pub(super) const PLAIN_HEADERS: [&str; 22] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "pragma",
    "retry-after",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "te",
    "transfer-encoding",
    "user-agent",
];

/// The fields whose values are shown if they are words or numbers.
pub(super) const PLAIN_FIELDS: [&str; 26] = [
    "DaysOfTransactions",
    "MostRecentCached",
    "Save",
    "WithAccountIdentity",
    "WithKYC",
    "WithTransactions",
    "amount",
    "cancel",
    "count",
    "decision",
    "demo",
    "error",
    "error_description",
    "expires_in",
    "grant_type",
    "institution",
    "institution_id",
    "language",
    "provider_id",
    "response_type",
    "scope",
    "step",
    "theme",
    "token_type",
    "Institution",
    "Language",
];

/// The fields that contain an address to return to.
pub(super) const URL_FIELDS: [&str; 2] = ["redirectUrl", "redirect_uri"];

/// The response fields that contain a link, which may have a query.
pub(super) const LINK_FIELDS: [&str; 2] = ["PaymentLink", "href"];

/// The response fields that repeat a value from the request.
pub(super) const ECHOED_FIELDS: [&str; 7] =
    ["ReferenceId", "Tag", "customerEmail", "customerName", "referenceId", "reference_id", "state"];

/// The names of fields that are shown in addition to [`KNOWN_FIELDS`] and [`PLAIN_FIELDS`].
const FIELDS: [&str; 4] = ["access_token", "code_challenge", "code_verifier", "loginId"];

/// Returns whether an endpoint of the emulator has a field with this name. An unknown name may be a
/// misplaced credential.
pub(super) fn is_field(name: &str) -> bool {
    KNOWN_FIELDS.contains(&name) || PLAIN_FIELDS.contains(&name) || FIELDS.contains(&name)
}

/// Returns whether a path segment is part of a route.
pub(super) fn is_route_segment(segment: &str) -> bool {
    ROUTE_SEGMENTS.contains(segment)
}

static ROUTE_SEGMENTS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let routes = Operation::ALL.into_iter().flat_map(|operation| operation.routes().iter());
    routes.flat_map(|route| route.split('/').skip(1)).chain(["favicon.ico", "iframe-demo"]).collect()
});

/// Returns whether a string is a short word without digits, unlike a generated credential.
pub(super) fn is_word(text: &str) -> bool {
    text.len() <= 24 && text.bytes().all(|byte| byte.is_ascii_alphabetic() || b"_-.,`".contains(&byte))
}

/// Returns whether a string consists of words, or is a number of at most twelve digits.
pub(super) fn is_phrase(text: &str) -> bool {
    let is_number = text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_number || (text.len() <= 256 && text.split([' ', ':']).all(|word| is_word(word) || is_step(word)))
}

/// Returns whether a word is the name of a step on the iframe page, such as `login-1` or
/// `question-0-1`.
fn is_step(word: &str) -> bool {
    let mut parts = word.split('-');
    let is_number = |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    parts.next().is_some_and(|name| ["institution", "login", "question", "cancelled"].contains(&name))
        && parts.clone().count() <= 2
        && parts.all(is_number)
}
