//! The read stage: the bytes of a document, and whether they are the accepted ones.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::product::Product;
use crate::{Error, Result};

/// Where the hashes are, from the project's root.
pub const SOURCES: &str = "openapi/sources.toml";

/// A document as read.
#[derive(Debug)]
pub struct Source {
    /// Its text.
    pub text: String,
    /// What that means.
    pub value: Value,
    /// The sha256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// One entry of `sources.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    version: String,
    sha256: String,
    #[serde(rename = "slices")]
    _slices: Vec<Slice>,
}

/// What one page says of a document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // for people, and for the next import
struct Slice {
    operations: Vec<String>,
    page: String,
    retrieved: toml::value::Datetime,
    sha256: String,
}

/// Reads a product's document, whose bytes must be the ones that `sources.toml` tells.
///
/// # Errors
///
/// Where a file is missing, is not YAML, or is not the one that was accepted.
pub fn document(root: &Path, product: Product) -> Result<Source> {
    let path = product.document();
    let bytes = bytes(root, &path)?;
    let entry = entry(root, product)?;
    let sha256 = hex(&Sha256::digest(&bytes));
    let value = yaml(&bytes).map_err(|error| error.in_file(&path));
    if sha256 != entry.sha256 {
        // All that has to change, at once.
        let mut lines = vec![format!("sha256 = \"{sha256}\"")];
        if let Some(version) = value.as_ref().ok().and_then(version).filter(|version| *version != entry.version) {
            lines.push(format!("version = \"{version}\""));
        }
        return Err(Error::new("is not the document that was accepted: its sha256 differs from the one on record")
            .in_file(&path)
            .help(format!(
                "`cargo xtask import` takes a published page and keeps this record; if the document was changed by hand, and \
                 `cargo xtask diff` shows what is wanted, set in {SOURCES}, under [{}]:\n        {}",
                product.crate_name(),
                lines.join("\n        ")
            )));
    }
    let value = value?;
    match version(&value) {
        Some(version) if version != entry.version => {
            Err(Error::new(format!("is of version {version}, but {SOURCES} says {}", entry.version))
                .in_file(&path)
                .at("/info/version")
                .help(format!("set `version` under [{}] in {SOURCES}", product.crate_name())))
        }
        // That a document has a version at all is the lint's business.
        _ => Ok(Source { text: text(bytes), value, sha256 }),
    }
}

/// Reads a product's document, whether it was accepted or not; `None` where there is none.
///
/// # Errors
///
/// Where the file cannot be read, or is not YAML.
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

/// Bytes that were read as YAML, and so are UTF-8.
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
/// Where the file is missing or is not YAML.
pub fn overlay(root: &Path, product: Product) -> Result<Value> {
    let path = product.overlay();
    yaml(&bytes(root, &path)?).map_err(|error| error.in_file(&path))
}

/// Reads YAML, of which JSON is a part. A key that stands twice is an error, and aliases cannot grow without bound.
///
/// # Errors
///
/// Where it is neither; the message shows the line.
pub fn yaml(bytes: &[u8]) -> Result<Value> {
    let text = std::str::from_utf8(bytes).map_err(|error| Error::new(format!("is not UTF-8: {error}")))?;
    // As YAML 1.2 has it: `y`, `on` and `no` (Ontario, Norway) are text.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| Error::new(format!("is not YAML: {error}")))
}

fn bytes(root: &Path, path: &Path) -> Result<Vec<u8>> {
    std::fs::read(root.join(path)).map_err(|error| Error::new(format!("cannot be read: {error}")).in_file(path))
}

fn entry(root: &Path, product: Product) -> Result<Entry> {
    let path = Path::new(SOURCES);
    let text = String::from_utf8_lossy(&bytes(root, path)?).into_owned();
    let mut entries: BTreeMap<String, Entry> =
        toml::from_str(&text).map_err(|error| Error::new(format!("cannot be read: {error}")).in_file(path))?;
    entries
        .remove(product.crate_name())
        .ok_or_else(|| Error::new(format!("has no entry [{}]", product.crate_name())).in_file(path))
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_keeps_its_order_and_takes_numbers_as_keys() {
        let value = yaml(b"z: 1\na:\n  200: x\n  4XX: y\n  on: true\n").unwrap();
        assert_eq!(serde_json::to_string(&value).unwrap(), r#"{"z":1,"a":{"200":"x","4XX":"y","on":true}}"#);
    }

    #[test]
    fn what_is_no_yaml_is_located() {
        for text in ["a: b: c", "a: [1", "a: 1\na: 2", "\u{0}", "&a [*a]"] {
            let error = yaml(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("not YAML") && error.contains("line"), "{error}");
        }
        assert!(yaml(b"\xff").unwrap_err().to_string().contains("UTF-8"));
    }

    #[test]
    fn nested_aliases_and_brackets_end() {
        let mut bomb = String::from("a0: &a0 [x, x]\n");
        for level in 1..40 {
            let below = level - 1;
            bomb += &format!("a{level}: &a{level} [*a{below}, *a{below}]\n");
        }
        assert!(yaml(bomb.as_bytes()).is_err());
        assert!(yaml("[".repeat(100_000).as_bytes()).is_err());
    }
}
