//! The read stage reads a document and compares its hash with the accepted hash.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::product::Product;
use crate::{Error, Result};

/// The path of the file with the accepted hashes, relative to the project root.
pub const SOURCES: &str = "openapi/sources.toml";

/// A document and its hash, as read from a file.
#[derive(Debug)]
pub struct Source {
    /// The document's text, as published.
    pub text: String,
    /// The parsed text.
    pub value: Value,
    /// The SHA-256 hash of the bytes, in hexadecimal.
    pub sha256: String,
}

/// An entry in `sources.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    version: String,
    sha256: String,
    #[serde(rename = "slices")]
    _slices: Vec<Slice>,
}

/// The page from which a part of a document was imported.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // read by people and by `Sources`
struct Slice {
    operations: Vec<String>,
    page: String,
    retrieved: toml::value::Datetime,
    sha256: String,
}

/// Reads a product's document and checks its hash and version against `sources.toml`.
///
/// # Errors
///
/// Returns an error if a file is missing or invalid, or if the hash or the version differs from the
/// accepted value.
pub fn document(root: &Path, product: Product) -> Result<Source> {
    let path = product.document();
    let bytes = bytes(root, &path)?;
    let entry = entry(root, product)?;
    let sha256 = hex(&Sha256::digest(&bytes));
    let value = yaml(&bytes).map_err(|error| error.in_file(&path));
    if sha256 != entry.sha256 {
        // The advice lists all values that must change.
        let mut lines = vec![format!("sha256 = \"{sha256}\"")];
        if let Some(version) = value.as_ref().ok().and_then(version).filter(|version| *version != entry.version) {
            lines.push(format!("version = \"{version}\""));
        }
        return Err(Error::new(format!("the document has changed: its SHA-256 hash differs from the hash in {SOURCES}"))
            .in_file(&path)
            .help(format!(
                "use `cargo xtask import` to import a page and to update {SOURCES}; if you edited the document by hand, and \
                 `cargo xtask diff` shows the intended change, set the following under [{}] in {SOURCES}:\n        {}",
                product.crate_name(),
                lines.join("\n        ")
            )));
    }
    let value = value?;
    match version(&value) {
        Some(version) if version != entry.version => {
            Err(Error::new(format!("the document has version {version}, but {SOURCES} has version {}", entry.version))
                .in_file(&path)
                .at("/info/version")
                .help(format!("set `version` under [{}] in {SOURCES}", product.crate_name())))
        }
        // The lint checks that the document has a version.
        _ => Ok(Source { text: text(bytes), value, sha256 }),
    }
}

/// Reads a product's document without checking the document's hash. Returns `None` if the file does
/// not exist.
///
/// # Errors
///
/// Returns an error if the file cannot be read or is not valid YAML.
pub fn any_document(root: &Path, product: Product) -> Result<Option<Source>> {
    let path = product.document();
    if !root.join(&path).exists() {
        return Ok(None);
    }
    let bytes = bytes(root, &path)?;
    let value = yaml(&bytes).map_err(|error| error.in_file(&path))?;
    let sha256 = hex(&Sha256::digest(&bytes));
    Ok(Some(Source { text: text(bytes), value, sha256 }))
}

/// Converts bytes to text. The bytes were already parsed as YAML, so they are valid UTF-8.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_default()
}

fn version(document: &Value) -> Option<&str> {
    document.pointer("/info/version")?.as_str()
}

/// Reads a product's overlay.
///
/// # Errors
///
/// Returns an error if the file is missing or is not valid YAML.
pub fn overlay(root: &Path, product: Product) -> Result<Value> {
    let path = product.overlay();
    yaml(&bytes(root, &path)?).map_err(|error| error.in_file(&path))
}

/// Parses YAML or JSON. A duplicate key is an error, and the expansion of aliases is limited.
///
/// # Errors
///
/// Returns an error if the text is not valid YAML. The error states the line number.
pub fn yaml(bytes: &[u8]) -> Result<Value> {
    let text = std::str::from_utf8(bytes).map_err(|error| Error::new(format!("invalid UTF-8: {error}")))?;
    // As in YAML 1.2, `y`, `on` and `no` are strings. Two of these words can be codes: `on` for
    // Ontario and `no` for Norway.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| Error::new(format!("invalid YAML: {error}")))
}

fn bytes(root: &Path, path: &Path) -> Result<Vec<u8>> {
    std::fs::read(root.join(path))
        .map_err(|error| Error::new(format!("failed to read the file: {error}")).in_file(path))
}

fn entry(root: &Path, product: Product) -> Result<Entry> {
    let path = Path::new(SOURCES);
    let text = String::from_utf8_lossy(&bytes(root, path)?).into_owned();
    let mut entries: BTreeMap<String, Entry> = toml::from_str(&text)
        .map_err(|error| Error::new(format!("failed to parse the file: {error}")).in_file(path))?;
    entries
        .remove(product.crate_name())
        .ok_or_else(|| Error::new(format!("missing entry [{}]", product.crate_name())).in_file(path))
}

/// Formats bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_keeps_the_order_and_accepts_numbers_as_keys() {
        let value = yaml(b"z: 1\na:\n  200: x\n  4XX: y\n  on: true\n").unwrap();
        assert_eq!(serde_json::to_string(&value).unwrap(), r#"{"z":1,"a":{"200":"x","4XX":"y","on":true}}"#);
    }

    #[test]
    fn invalid_yaml_is_reported_with_its_line() {
        for text in ["a: b: c", "a: [1", "a: 1\na: 2", "\u{0}", "&a [*a]"] {
            let error = yaml(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("invalid YAML"), "{error}");
            assert!(error.contains("line"), "{error}");
        }
        assert!(yaml(b"\xff").unwrap_err().to_string().contains("UTF-8"));
    }

    #[test]
    fn deeply_nested_aliases_and_brackets_are_rejected() {
        let mut nested_aliases = String::from("a0: &a0 [x, x]\n");
        for level in 1..40 {
            let below = level - 1;
            nested_aliases += &format!("a{level}: &a{level} [*a{below}, *a{below}]\n");
        }
        assert!(yaml(nested_aliases.as_bytes()).is_err());
        assert!(yaml("[".repeat(100_000).as_bytes()).is_err());
    }
}
