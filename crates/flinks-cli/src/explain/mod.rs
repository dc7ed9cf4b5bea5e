//! The codes and messages that `flinks explain` knows.
//!
//! The text is in `topics.toml`, so that the runbook can be generated from the same file. A message
//! that the user pastes may contain secrets, so it is only compared with the topics: no function
//! returns or logs any part of the message.

mod topic;

use std::sync::LazyLock;

pub(crate) use self::topic::Topic;
use self::topic::{Kind, Table};

const SOURCE: &str = include_str!("topics.toml");

/// The topics, in the same order as in the file. A test proves that the file can be parsed, so the
/// list is not empty.
static TOPICS: LazyLock<Vec<Topic>> = LazyLock::new(|| parse().unwrap_or_default().topic);

/// The maximum length, in bytes, of a text for which similar names are suggested.
const MAX_NAME_LENGTH: usize = 64;
/// The maximum number of suggestions.
const MAX_SUGGESTIONS: usize = 5;
/// The minimum similarity, from 0 to 1, at which a name is suggested.
const MIN_SIMILARITY: f64 = 0.8;
/// The minimum length of a text for which every name that contains the text is suggested. A shorter
/// text occurs in many names.
const MIN_PART_LENGTH: usize = 4;

fn parse() -> Result<Table, toml::de::Error> {
    toml::from_str(SOURCE)
}

/// Returns all topics.
pub(crate) fn all() -> &'static [Topic] {
    &TOPICS
}

/// Finds the topics for a name, an HTTP status, an exit code or a pasted message.
///
/// - Names are compared without regard to case, and `-`, `_` and white space are treated as equal.
///   Two codes can differ only in case, such as `INVALID_REQUEST` and `invalid_request`. The code
///   that is spelled exactly like the text then comes first.
/// - A number is an HTTP status or an exit code.
/// - A message can contain fragments of several topics. Its topic is the one with the longest of
///   these fragments. The topics for codes that the message contains as whole words come first,
///   because they are more specific.
pub(crate) fn find(text: &str) -> Vec<&'static Topic> {
    let text = text.trim();
    let named = find_by_name(text);
    if !named.is_empty() {
        return named;
    }
    if let Ok(number) = text.parse::<u16>() {
        return find_by_number(number);
    }
    find_in_message(text)
}

fn find_by_name(text: &str) -> Vec<&'static Topic> {
    let name = normalized(text);
    let mut found: Vec<_> = all().iter().filter(|topic| normalized(&topic.name) == name).collect();
    found.sort_by_key(|topic| topic.name != text);
    found
}

fn find_by_number(number: u16) -> Vec<&'static Topic> {
    let exit = format!("exit-{number}");
    all().iter().filter(|topic| topic.statuses.contains(&number) || topic.name == exit).collect()
}

fn find_in_message(text: &str) -> Vec<&'static Topic> {
    let words: Vec<_> = text.split(|character: char| !character.is_alphanumeric() && character != '_').collect();
    let is_in_text = |topic: &&Topic| topic.kind != Kind::Message && words.contains(&topic.name.as_str());
    let mut found: Vec<_> = all().iter().filter(is_in_text).collect();
    found.extend(find_by_fragment(text));
    found
}

/// Finds the longest fragment that occurs in the text, and returns its topic. The text may be
/// wrapped.
fn find_by_fragment(text: &str) -> Option<&'static Topic> {
    let text = folded(text);
    let mut longest = 0;
    let mut found = None;
    for topic in all() {
        for fragment in &topic.fragments {
            if fragment.len() > longest && text.contains(&folded(fragment)) {
                longest = fragment.len();
                found = Some(topic);
            }
        }
    }
    found
}

/// Returns the names that are similar to the text or contain it, most similar first.
pub(crate) fn suggestions(text: &str) -> Vec<&'static str> {
    let text = normalized(text.trim());
    if text.is_empty() || text.len() > MAX_NAME_LENGTH {
        return Vec::new();
    }
    let mut similar: Vec<_> = all()
        .iter()
        .map(|topic| (similarity(&normalized(&topic.name), &text), topic.name.as_str()))
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .collect();
    similar.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    similar.into_iter().take(MAX_SUGGESTIONS).map(|(_, name)| name).collect()
}

fn similarity(name: &str, text: &str) -> f64 {
    if text.len() >= MIN_PART_LENGTH && name.contains(text) { 1.0 } else { strsim::jaro_winkler(name, text) }
}

/// Normalizes a name for comparison.
fn normalized(name: &str) -> String {
    name.to_lowercase().replace(|character: char| character == '-' || character.is_whitespace(), "_")
}

/// Returns a text in lower case with single spaces.
fn folded(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

#[cfg(test)]
mod tests;
