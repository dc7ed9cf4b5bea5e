//! An OpenAPI document or part of one.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::read::{self, hex};
use super::schema::{self, Place};
use crate::Result;
use crate::product::Product;

/// An OpenAPI document or part of one, as text and as a parsed value.
#[derive(Clone, Debug)]
pub struct Document {
    /// The document's text, as published.
    pub(crate) text: String,
    /// The parsed text.
    pub(crate) value: Value,
}

impl Document {
    /// Reads a product's document without checking the document's hash. Returns `None` if the file
    /// does not exist.
    ///
    /// # Errors
    ///
    /// Returns an error if the file exists but cannot be read or is not valid YAML.
    pub(crate) fn of_product(root: &Path, product: Product) -> Result<Option<Self>> {
        let source = read::any_document(root, product)?;
        Ok(source.map(|read::Source { text, value, .. }| Self { text, value }))
    }

    /// Returns the titles of the operations, such as `POST /api/v1/token`.
    pub(crate) fn operations(&self) -> BTreeSet<String> {
        schema::operations(&self.value).iter().map(Place::title).collect()
    }

    /// Returns the text's SHA-256 hash in hexadecimal.
    pub(crate) fn sha256(&self) -> String {
        hex(&Sha256::digest(self.text.as_bytes()))
    }
}
