//! Counts the changed descriptions in a document.

use std::collections::HashMap;

use serde_json::Value;

/// Returns all descriptions and summaries in a document, each with its JSON pointer.
pub(super) fn prose(document: &Value) -> Vec<(String, String)> {
    fn collect(value: &Value, at: &str, texts: &mut Vec<(String, String)>) {
        match value {
            Value::Object(object) => {
                for (key, child) in object {
                    match (key.as_str(), child) {
                        ("description" | "summary", Value::String(text)) => {
                            texts.push((format!("{at}/{key}"), text.clone()));
                        }
                        ("example" | "examples", _) => {}
                        _ => collect(child, &format!("{at}/{key}"), texts),
                    }
                }
            }
            Value::Array(array) => {
                array.iter().enumerate().for_each(|(index, child)| collect(child, &format!("{at}/{index}"), texts));
            }
            _ => {}
        }
    }
    let mut texts = Vec::new();
    collect(document, "", &mut texts);
    texts
}

/// Returns the number of descriptions that exist in both documents but differ.
pub(super) fn reworded(old: &[(String, String)], new: &[(String, String)]) -> usize {
    let new: HashMap<&str, &str> = new.iter().map(|(at, text)| (at.as_str(), text.as_str())).collect();
    let differs = |(at, text): &&(String, String)| new.get(at.as_str()).is_some_and(|other| text != other);
    old.iter().filter(differs).count()
}
