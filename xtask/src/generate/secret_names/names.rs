//! Decides whether the name of a field looks like the name of a secret.
//!
//! The rules for each word are in the documentation of the parent module.

use heck::ToSnakeCase as _;

use super::words::{self, Words};

/// The surroundings of a field.
#[derive(Clone, Debug, Default)]
pub(super) struct Around {
    /// The names of the objects or path segments that contain the field.
    pub(super) containers: Vec<String>,
    /// The names of the other fields in the object, or of the other parameters.
    pub(super) siblings: Vec<String>,
    /// Whether the field is in an error response.
    pub(super) is_error: bool,
    /// Whether the field is a path parameter.
    pub(super) is_in_path: bool,
}

/// Returns whether a name looks like the name of a secret.
pub(super) fn looks_secret(name: &str, around: &Around) -> bool {
    let joined = singular(&name.replace(|c: char| !c.is_alphanumeric(), "").to_lowercase());
    // `JWTs` is one word, but would be split into two.
    let words = if is_secret_word(&joined) { vec![joined] } else { words(name) };
    let is_flag = match words.as_slice() {
        [number, of, ..] if number == "number" && of == "of" => true,
        [first, _, ..] => words::FLAG.contains(first),
        _ => false,
    };
    !is_flag && (0..words.len()).any(|index| is_secret_at(&words, index, around))
}

/// Returns whether a property, such as `value` in `access_token`, contains the secret that its
/// object is named after.
pub(super) fn is_value_of(name: &str, around: &Around) -> bool {
    let name = snake(name);
    around.containers.iter().any(|container| {
        let words = words(container);
        let last = words.last().map(String::as_str).unwrap_or_default();
        let is_value = words::VALUE.contains(&singular(&name)) || name == "plain_text";
        (is_value || last == "token" && name == "id")
            && !words::MESSAGE.contains(last)
            && looks_secret(container, &Around::default())
    })
}

/// Returns whether the word at `index` identifies a secret.
fn is_secret_at(words: &[String], index: usize, around: &Around) -> bool {
    let Some(word) = words.get(index).map(String::as_str) else { return false };
    let before = words.get(..index).unwrap_or_default();
    let after = words.get(index.saturating_add(1)..).unwrap_or_default();
    if !is_secret_word(word) || is_about(word, after) {
        return false;
    }
    let previous = before.last().map(String::as_str).unwrap_or_default();
    match word {
        "code" => is_secret_code(before, after, around),
        "key" if before.is_empty() && after.is_empty() => !around.has_sibling("value"),
        "key" if before.is_empty() && after.first().is_some_and(|word| words::KEY_ADJECTIVE.contains(word)) => false,
        "key" => !words::PLAIN_KEY.contains(previous),
        "token" => !words::PLAIN_TOKEN.iter().any(|plain| previous.ends_with(plain)),
        "bearer" => !words::PLAIN_BEARER.contains(previous),
        "pin" | "pincode" => !around.has_word(&words::ADDRESS),
        // In other positions, `pass` is a verb or an adjective, as in `pass_through`.
        "pass" | "tan" | "sas" => after.is_empty(),
        _ => true,
    }
}

/// Returns whether a field with `code` in its name contains a credential.
fn is_secret_code(before: &[String], after: &[String], around: &Around) -> bool {
    match (before, after) {
        ([], []) => is_secret_bare_code(around),
        ([], [verifier]) => verifier == "verifier",
        ([.., one, time], _) if one == "one" && time == "time" => true,
        ([.., pin], _) if pin == "pin" => !around.has_word(&words::ADDRESS),
        ([.., previous], _) => words::CODE.contains(previous),
        _ => false,
    }
}

/// Returns whether a field named `code` contains a credential.
fn is_secret_bare_code(around: &Around) -> bool {
    if words::OAUTH.iter().any(|name| around.has_sibling(name)) {
        return true;
    }
    let is_listed = around.siblings.iter().any(|sibling| {
        let words = words(sibling);
        match words.as_slice() {
            // A response from an OAuth 2.0 server can have `code`, `state` and `error`.
            [first, ..] if first == "error" => !around.has_sibling("state"),
            [.., last] if last == "message" || last == "description" => true,
            [word] => words::LISTED.contains(word) || words::ADDRESS.contains(word),
            _ => false,
        }
    });
    if around.is_error || is_listed || around.containers.iter().any(|container| is_listed_object(container)) {
        return false;
    }
    // A path segment such as `teaminvite` is often written without a separator.
    let is_secret_segment = |segment: &String| words::CODE.iter().any(|end| words(segment).concat().ends_with(end));
    !around.is_in_path || around.containers.iter().any(is_secret_segment)
}

/// Returns whether the `code` field of an object with this name is a value from a list.
fn is_listed_object(name: &str) -> bool {
    let words = words(name);
    let subject = words.iter().rfind(|word| !words::MESSAGE.contains(word));
    words.iter().any(|word| word == "error")
        || subject.is_some_and(|subject| words::LISTED_OBJECT.contains(subject)) && !has_code_word(name)
}

/// Returns whether a name contains a word that states what a secret code is for, such as
/// `verification`.
fn has_code_word(name: &str) -> bool {
    words(name).iter().any(|word| words::CODE.contains(word))
}

/// Returns whether the words after a secret word show that the field describes the secret rather
/// than contains it.
fn is_about(word: &str, after: &[String]) -> bool {
    let is_about = |other: &String| {
        words::ABOUT.contains(other)
            || words::IDS.contains(other) && word != "token" && word != "secret"
            // `TokenResponse` can be the name of a body that is the token.
            || (other == "response" || other == "result") && words::SHORT.contains(word)
    };
    after.iter().any(is_about)
}

fn is_secret_word(word: &str) -> bool {
    words::WORDS.contains(word) || words::SHORT.contains(word)
}

impl Around {
    /// Returns whether one of the siblings has this name.
    fn has_sibling(&self, name: &str) -> bool {
        self.siblings.iter().any(|sibling| snake(sibling) == name)
    }

    /// Returns whether the name of one of the siblings contains one of these words.
    fn has_word(&self, list: &Words) -> bool {
        self.siblings.iter().any(|sibling| words(sibling).iter().any(|word| list.contains(word)))
    }
}

fn snake(name: &str) -> String {
    name.replace(|c: char| !c.is_alphanumeric(), "_").to_snake_case()
}

/// Splits a name into lowercase, singular words.
fn words(name: &str) -> Vec<String> {
    let mut name = snake(name);
    for half in ["word", "phrase", "code", "key", "wd"] {
        name = name.replace(&format!("pass_{half}"), &format!("pass{half}"));
    }
    name.split('_').map(singular).flat_map(|word| split(&word)).filter(|word| !word.is_empty()).collect()
}

/// Splits a word such as `idtoken`, `authcode` or `apikey`, whose last part identifies a secret.
fn split(word: &str) -> Vec<String> {
    for (end, starts) in [("code", &words::CODE), ("key", &words::KEY)] {
        if let Some(start) = word.strip_suffix(end)
            && !is_secret_word(word)
            && let Some(known) = starts.iter().find(|known| start.ends_with(known))
        {
            let first = start.strip_suffix(known).unwrap_or_default();
            return [first, known, end].map(str::to_owned).into();
        }
    }
    match words::WORDS.iter().find_map(|ending| Some((word.strip_suffix(ending)?, ending))) {
        Some((start, ending)) => vec![start.to_owned(), ending.to_owned()],
        None => vec![word.to_owned()],
    }
}

/// Returns a word without its number and its plural `s`: `tokens2` is treated as `token`.
fn singular(word: &str) -> String {
    let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_singular = ["ss", "us", "is", "sms", "dns", "pos", "sas", "has"].iter().any(|end| word.ends_with(end));
    word.strip_suffix('s').filter(|_| !is_singular).unwrap_or(word).to_owned()
}
