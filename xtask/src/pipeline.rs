//! The generator from top to bottom.

use std::path::{Path, PathBuf};

use crate::output::{self, Header};
use crate::{Error, Result, generate, harden, lint, normalize, overlay, read, suspects};

/// A Flinks product, which has one document and one crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[allow(missing_docs)]
pub enum Product {
    Pay,
    Connect,
    Outbound,
}

impl Product {
    /// All of them, in the order in which they are generated.
    pub const ALL: [Self; 3] = [Self::Pay, Self::Connect, Self::Outbound];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::Connect => "connect",
            Self::Outbound => "outbound",
        }
    }

    /// The server of its document, by which a slice is known that does not name the document.
    pub fn server(self) -> &'static str {
        match self {
            Self::Pay => "https://www.{baseurl}.com",
            Self::Connect => "https://{instance}-api.private.fin.ag",
            Self::Outbound => "https://{host}",
        }
    }

    /// The name of the crate, which is the name of the document too.
    pub fn crate_name(self) -> &'static str {
        match self {
            Self::Pay => "flinks-pay",
            Self::Connect => "flinks-connect",
            Self::Outbound => "flinks-outbound",
        }
    }

    /// The document, from the project's root.
    pub fn document(self) -> PathBuf {
        Path::new("openapi").join(self.crate_name()).with_extension("yaml")
    }

    /// Our corrections of it, from the project's root.
    pub fn overlay(self) -> PathBuf {
        Path::new("openapi/overlays").join(self.crate_name()).with_extension("yaml")
    }

    /// The generated file, from the project's root.
    pub fn generated(self) -> PathBuf {
        Path::new("crates").join(self.crate_name()).join("src/generated.rs")
    }
}

/// The text of a product's `generated.rs`. Reads files below `root`, and writes none.
///
/// # Errors
///
/// One located error, from the first stage that fails.
pub fn generated_text(root: &Path, product: Product) -> Result<String> {
    let source = read::document(root, product)?;
    let overlay = read::overlay(root, product)?;
    let header = Header { document: product.document(), overlay: product.overlay(), sha256: &source.sha256 };
    let corrected = overlay::apply(source.value, &overlay).map_err(|error| error.in_file(&product.overlay()))?;
    // Behind the overlay, a place may be the document's or the overlay's.
    let both = format!("{} with {}", product.document().display(), product.overlay().display());
    code(corrected, &header).map_err(|error| error.in_file(Path::new(&both)))
}

/// The stages behind the overlay: from a corrected document to code.
///
/// # Errors
///
/// One located error, from the first stage that fails.
pub fn code(document: serde_json::Value, header: &Header<'_>) -> Result<String> {
    lint::outline(&document)?;
    suspects::check(&document)?;
    let normalized = normalize::normalize(document)?;
    let openapi = lint::lint(&normalized)?;
    let tokens = generate::generate(&openapi, &normalized)?;
    generate::caught(|| {
        let file = harden::harden(tokens, &normalized, &header.constants(&openapi))?;
        Ok(output::print(&file, header))
    })
}

/// How a generated file on disk stands to what would be generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is the same.
    Fresh,
    /// It differs, and was left alone. Holds the difference.
    Stale(String),
    /// It differed or was missing, and was written.
    Wrote,
}

/// Compares the generated files of `products` with what would be generated, and unless `check` says otherwise, writes
/// those that differ. Nothing is written where a document of one of them could not be generated.
///
/// # Errors
///
/// For each product one located error, from a stage or from the disk. The old file stands then.
pub fn regenerate(root: &Path, products: &[Product], check: bool) -> Vec<(Product, Result<Outcome>)> {
    let texts: Vec<_> = products.iter().map(|product| (*product, generated_text(root, *product))).collect();
    let check = check || texts.iter().any(|(_, text)| text.is_err());
    let settle = |(product, text): (Product, Result<String>)| {
        (product, text.and_then(|wanted| settle(root, product, &wanted, check)))
    };
    texts.into_iter().map(settle).collect()
}

fn settle(root: &Path, product: Product, wanted: &str, check: bool) -> Result<Outcome> {
    let path = product.generated();
    let found = match std::fs::read_to_string(root.join(&path)) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        // Not text: as different as can be.
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => None,
        Err(error) => return Err(Error::new(format!("cannot be read: {error}")).in_file(&path)),
    };
    match (found, check) {
        (Some(found), _) if found == wanted => Ok(Outcome::Fresh),
        (found, true) => Ok(Outcome::Stale(output::diff(&path, &found.unwrap_or_default(), wanted))),
        (_, false) => {
            output::write(&root.join(&path), wanted).map_err(|error| error.in_file(&path))?;
            Ok(Outcome::Wrote)
        }
    }
}
