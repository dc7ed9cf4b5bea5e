//! What texts must be like, and how they go into a URL.

/// A token, a key or an id that can travel in a header: visible ASCII, and some of it.
pub(crate) fn token_problem(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() {
        Some("is empty")
    } else if text.ends_with(['\n', '\r']) {
        Some("ends with a line break, as one that was read from a file does")
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some("holds a space, a line break, a control or a non-ASCII character")
    } else {
        None
    }
}

/// The query of a URL. A form has `+` for a space, which not every reader of a URL knows.
pub(crate) fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().replace('+', "%20")
}
