//! The product that a slice belongs to.

use std::path::Path;

use serde_json::Value;

use super::slices::Slice;
use crate::product::Product;
use crate::spec::document::Document;
use crate::{Error, Result};

/// Which document a slice is a part of: by what the page calls it, or else by its title and servers, or else by its
/// operations, if we have them. The caller's choice holds if none of these shows it.
pub(super) fn product_of(root: &Path, slice: &Slice, said: Option<Product>) -> Result<Product> {
    let value = &slice.document.value;
    let names = |text: &str, product: Product| {
        text.to_ascii_lowercase().split(|c: char| !c.is_alphanumeric()).any(|word| word == product.name())
    };
    let found: Vec<Product> = match &slice.document_name {
        Some(name) => Product::ALL.into_iter().filter(|product| names(name, *product)).collect(),
        None => {
            let title = value.pointer("/info/title").and_then(Value::as_str).unwrap_or_default();
            let servers = value.get("servers").and_then(Value::as_array);
            let servers: Vec<&str> =
                servers.into_iter().flatten().filter_map(|server| server.get("url")?.as_str()).collect();
            let says = |product: &Product| {
                names(title, *product) || product.server().is_some_and(|server| servers.contains(&server))
            };
            let found: Vec<Product> = Product::ALL.into_iter().filter(says).collect();
            if found.is_empty() { by_operations(root, slice)? } else { found }
        }
    };
    let list = |products: &[Product]| products.iter().map(|product| product.name()).collect::<Vec<_>>().join(", ");
    match (found.as_slice(), said) {
        ([product], None) => Ok(*product),
        ([product], Some(said)) if *product != said => {
            Err(Error::new(format!("is of {}, and not of {}", product.name(), said.name()))
                .help("leave --product away: it is for what does not tell"))
        }
        (_, Some(said)) => Ok(said),
        ([], None) => Err(Error::new(match &slice.document_name {
            Some(name) => format!("is a part of `{name}`, which is none of our documents"),
            None => "does not tell which product it is of: neither its title, servers nor operations are known".into(),
        })
        .help("name the product with --product, if it is a product of this project")),
        (several, None) => {
            Err(Error::new(format!("could be of several products: {}", list(several))).help("name one with --product"))
        }
    }
}

fn by_operations(root: &Path, slice: &Slice) -> Result<Vec<Product>> {
    let mut found = Vec::new();
    for product in Product::ALL {
        let known = Document::of_product(root, product)?.map(|document| document.operations()).unwrap_or_default();
        if slice.document.operations().iter().any(|operation| known.contains(operation)) {
            found.push(product);
        }
    }
    Ok(found)
}
