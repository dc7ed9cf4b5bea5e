//! Determines the product to which a slice belongs.

use std::path::Path;

use serde_json::Value;

use super::slices::Slice;
use crate::product::Product;
use crate::spec::document::Document;
use crate::{Error, Result};

/// Returns the product to which a slice belongs. The document name on the page determines the
/// product. A slice without a document name is matched by its title and servers, and then by its
/// operations. If the slice identifies exactly one product, `requested` must match that product.
/// Otherwise, `requested` determines the product.
pub(super) fn product_of(root: &Path, slice: &Slice, requested: Option<Product>) -> Result<Product> {
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
            let matches = |product: &Product| {
                names(title, *product) || product.server().is_some_and(|server| servers.contains(&server))
            };
            let found: Vec<Product> = Product::ALL.into_iter().filter(matches).collect();
            if found.is_empty() { by_operations(root, slice)? } else { found }
        }
    };
    let list = |products: &[Product]| products.iter().map(|product| product.name()).collect::<Vec<_>>().join(", ");
    match (found.as_slice(), requested) {
        ([product], None) => Ok(*product),
        ([product], Some(requested)) if *product != requested => Err(Error::new(format!(
            "the document belongs to product `{}`, not to product `{}`",
            product.name(),
            requested.name()
        ))
        .help("omit `--product`, which is only for files that do not name their product")),
        (_, Some(requested)) => Ok(requested),
        ([], None) => Err(Error::new(match &slice.document_name {
            Some(name) => format!("the page is part of `{name}`, which is not one of this project's documents"),
            None => "unknown product: the title, servers and operations match no product".into(),
        })
        .help("if the page documents a product that this project supports, specify the product with `--product`")),
        (several, None) => Err(Error::new(format!("the document matches several products: {}", list(several)))
            .help("name one with --product")),
    }
}

/// Returns the products whose documents contain at least one operation from the slice.
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
