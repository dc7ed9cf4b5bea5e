//! `cargo xtask spec` prints the documents with their overlays applied, for use in other tools.
//!
//! The output is plain OpenAPI 3.0. The overlays add some members whose names start with `x-`.
//! Other tools ignore these members.

use std::path::Path;

use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_saphyr::DoubleQuoted;

use crate::generate::effective_document;
use crate::product::Product;
use crate::{Error, Result};

/// The format of the printed documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// YAML 1.2
    #[default]
    Yaml,
    /// JSON
    Json,
}

/// Returns the documents for `products` with their overlays applied. The members of each document
/// are in document order. In YAML, each document starts with `---`. In JSON, each document starts
/// on a new line.
///
/// # Errors
///
/// Returns an error if a document does not have the accepted hash, or if the document's overlay is
/// invalid, is stale or makes an example invalid.
pub fn spec(root: &Path, products: &[Product], format: Format) -> Result<String> {
    let mut text = String::new();
    for product in products {
        let document = effective_document(root, *product)?;
        let is_stream = products.len() > 1 && format == Format::Yaml;
        if is_stream {
            text += "---\n";
        }
        text += print(&document, format).map_err(|error| error.in_file(&product.document()))?.trim_end();
        text.push('\n');
    }
    Ok(text)
}

fn print(document: &Value, format: Format) -> Result<String> {
    let failed = |error: &dyn std::fmt::Display| Error::new(format!("failed to serialize the document: {error}"));
    match format {
        Format::Json => serde_json::to_string_pretty(document).map_err(|error| failed(&error)),
        Format::Yaml => {
            let options = serde_saphyr::ser_options! { compact_list_indent: false };
            serde_saphyr::to_string_with_options(&Portable(document), options).map_err(|error| failed(&error))
        }
    }
}

/// A value that is serialized so that YAML 1.1 parsers read it in the same way as YAML 1.2 parsers.
/// Many tools, such as those that use PyYAML, still read YAML 1.1. Object keys stay as they are,
/// because the serializer cannot quote keys.
struct Portable<'a>(&'a Value);

impl Serialize for Portable<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self.0 {
            Value::String(text) if has_other_type_in_yaml_1_1(text) => DoubleQuoted(text).serialize(serializer),
            Value::Array(entries) => serializer.collect_seq(entries.iter().map(Portable)),
            Value::Object(members) => serializer.collect_map(members.iter().map(|(key, value)| (key, Portable(value)))),
            other => other.serialize(serializer),
        }
    }
}

/// Returns whether a YAML 1.1 parser would read an unquoted string as a date, a time, a number in
/// base 60 or a merge key. The serializer quotes all other ambiguous strings.
fn has_other_type_in_yaml_1_1(text: &str) -> bool {
    let is_part_of_time = |c: char| c.is_ascii_digit() || ":-+._TtZz ".contains(c);
    let is_time = text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+')
        && text.contains([':', '-'])
        && text.chars().all(is_part_of_time);
    is_time || ["=", "<<"].contains(&text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::spec::read::yaml;

    #[test]
    fn yaml_keeps_strings_that_look_like_other_types() {
        let strings = [
            "on",
            "no",
            "Y",
            "true",
            "null",
            "~",
            "",
            " ",
            "3.0",
            "1e3",
            "0x1F",
            "0o7",
            "010",
            "1_000",
            "1:30",
            ".inf",
            "2020-01-01",
            "2020-01-01T00:00:00Z",
            "=",
            "<<",
            "- a",
            "a: b",
            "a #b",
            "#",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a`",
            "{a}",
            "[a]",
            "|",
            ">",
            "\"",
            "'",
            "\\",
            "\t",
            " a ",
            "a\n",
            "\na",
            "a\n\n\n b\n",
            "a\r\nb",
            "\u{85}",
            "\u{2028}",
            "\u{feff}",
            "…",
        ];
        let long =
            "a long text: it has more than eighty characters,  two spaces, and `backticks` in the middle of a line ";
        let keys: serde_json::Map<String, Value> = strings
            .iter()
            .map(|key| ((*key).to_owned(), json!([strings.to_vec(), long, 1, 1.5, true, null, {}, []])))
            .collect();
        let document = Value::Object(keys);
        let text = print(&document, Format::Yaml).unwrap();
        let parsed = yaml(text.as_bytes()).unwrap();
        assert_eq!(parsed.to_string(), document.to_string());
        for quoted in ["\"1:30\"", "\"2020-01-01\"", "\"2020-01-01T00:00:00Z\"", "\"=\"", "\"<<\""] {
            assert!(text.contains(&format!("- {quoted}\n")), "{quoted} is not quoted");
        }
    }
}
