//! A document, or a part of one, as text and as a value.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::read::{self, hex};
use super::schema::{self, Place};
use crate::Result;
use crate::product::Product;

/// A document, or a part of one, as text and as what it means.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its text.
    pub(crate) text: String,
    /// The value that the text stands for.
    pub(crate) value: Value,
}

impl Document {
    /// Reads a product's document, accepted or not. Returns `None` if there is none.
    ///
    /// # Errors
    ///
    /// Returns an error if the file exists and cannot be read.
    pub(crate) fn of_product(root: &Path, product: Product) -> Result<Option<Self>> {
        let source = read::any_document(root, product)?;
        Ok(source.map(|read::Source { text, value, .. }| Self { text, value }))
    }

    /// Its operations, such as `POST /api/v1/token`.
    pub(crate) fn operations(&self) -> BTreeSet<String> {
        schema::operations(&self.value).iter().map(Place::title).collect()
    }

    /// The sha256 of its bytes, in hexadecimal.
    pub(crate) fn sha256(&self) -> String {
        hex(&Sha256::digest(self.text.as_bytes()))
    }
}
