//! Counts the changed descriptions in a document.

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
    let differs = |(at, text): &&(String, String)| new.iter().any(|(other_at, other)| at == other_at && text != other);
    old.iter().filter(differs).count()
}
