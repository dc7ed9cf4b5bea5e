//! The generator from top to bottom.

use std::path::{Path, PathBuf};

use crate::output::{self, Header};
use crate::surface::Surface;
use crate::{Error, Result, audit, generate, harden, lint, normalize, overlay, read, suspects};

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

    /// The server of its document, by which a slice is known that does not name the document; none, where the server is any
    /// host at all.
    pub fn server(self) -> Option<&'static str> {
        match self {
            Self::Pay => Some("https://www.{baseurl}.com"),
            Self::Connect => Some("https://{instance}-api.private.fin.ag"),
            Self::Outbound => None,
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
        self.folder().join("src/generated.rs")
    }

    /// The list of what the generated file makes public, from the project's root.
    pub fn public_api(self) -> PathBuf {
        self.folder().join("public-api.txt")
    }

    /// The folder of the crate, from the project's root.
    pub fn folder(self) -> PathBuf {
        Path::new("crates").join(self.crate_name())
    }
}

/// What a product's document becomes. Reads files below `root`, and writes none.
///
/// # Errors
///
/// One located error, from the first stage that fails.
pub fn generated(root: &Path, product: Product) -> Result<Generated> {
    let source = read::document(root, product)?;
    behind_overlay(root, product, source.value, &source.sha256, code)
}

/// A product's document, whoever accepted it, and what it becomes.
#[derive(Debug)]
pub struct Inspected {
    /// The document as Flinks publishes it.
    pub published: serde_json::Value,
    /// The sha256 of its bytes.
    pub sha256: String,
    /// What it becomes, if it can.
    pub generated: Result<Generated>,
}

/// Reads a product's document and generates by `stages`, without asking whether it was accepted; `None` where there is none.
///
/// # Errors
///
/// Where the document is there and cannot be read.
pub fn inspect(root: &Path, product: Product, stages: Stages) -> Result<Option<Inspected>> {
    let Some(read::Source { value, sha256, .. }) = read::any_document(root, product)? else { return Ok(None) };
    let generated = behind_overlay(root, product, value.clone(), &sha256, stages);
    Ok(Some(Inspected { published: value, sha256, generated }))
}

fn behind_overlay(
    root: &Path,
    product: Product,
    document: serde_json::Value,
    sha256: &str,
    stages: Stages,
) -> Result<Generated> {
    let overlay = read::overlay(root, product)?;
    let header = Header { document: product.document(), overlay: product.overlay(), sha256 };
    let corrected = overlay::apply(document, &overlay).map_err(|error| error.in_file(&product.overlay()))?;
    // Behind the overlay, a place may be the document's or the overlay's.
    let both = format!("{} with {}", product.document().display(), product.overlay().display());
    stages(corrected, &header).map_err(|error| error.in_file(Path::new(&both)))
}

/// The stages behind the overlay: from a corrected document to code.
///
/// # Errors
///
/// One located error, from the first stage that fails.
pub fn code(document: serde_json::Value, header: &Header<'_>) -> Result<Generated> {
    let generated = generate_only(document.clone(), header)?;
    suspects::check(&document)?;
    Ok(generated)
}

/// The stages behind the overlay.
type Stages = fn(serde_json::Value, &Header<'_>) -> Result<Generated>;

/// The same, without asking for marks: an older document is not held to what is asked of a new one.
///
/// # Errors
///
/// One located error, from the first stage that fails.
pub fn generate_only(document: serde_json::Value, header: &Header<'_>) -> Result<Generated> {
    lint::outline(&document)?;
    let normalized = normalize::normalize(document.clone())?;
    let openapi = lint::lint(&normalized)?;
    let tokens = generate::generate(&openapi, &normalized)?;
    let text = generate::caught(|| {
        let file = harden::harden(tokens, &normalized, &header.constants(&openapi))?;
        audit::check(&document, &file)?;
        Ok(output::print(&file, header))
    })?;
    Ok(Generated { surface: Surface::read(&text)?, text, normalized })
}

/// What a document becomes.
#[derive(Debug)]
pub struct Generated {
    /// The text of the generated file.
    pub text: String,
    /// What it makes public.
    pub surface: Surface,
    /// The document in the form that it was generated from.
    pub normalized: normalize::Normalized,
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
    let all: Vec<_> = products.iter().map(|product| (*product, generated(root, *product))).collect();
    let check = check || all.iter().any(|(_, generated)| generated.is_err());
    let settle = |(product, generated): (Product, Result<Generated>)| {
        let outcome = generated.and_then(|generated| {
            let code = settle(root, &product.generated(), &generated.text, check)?;
            let api = format!("{PUBLIC_API_HEAD}{}", generated.surface);
            Ok(code.and(settle(root, &product.public_api(), &api, check)?))
        });
        (product, outcome)
    };
    all.into_iter().map(settle).collect()
}

const PUBLIC_API_HEAD: &str = "\
# @generated by `cargo xtask regenerate`. Do not edit.
# What the generated code makes public, a line an item: a change of it is a change for whoever depends on the crate.

";

impl Outcome {
    /// How two files stand.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Stale(one), Self::Stale(other)) => Self::Stale(one + &other),
            (Self::Fresh, other) | (other, Self::Fresh) => other,
            (stale @ Self::Stale(_), _) | (_, stale @ Self::Stale(_)) => stale,
            (Self::Wrote, Self::Wrote) => Self::Wrote,
        }
    }
}

fn settle(root: &Path, path: &Path, wanted: &str, check: bool) -> Result<Outcome> {
    let found = match std::fs::read_to_string(root.join(path)) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        // Not text: as different as can be.
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => None,
        Err(error) => return Err(Error::new(format!("cannot be read: {error}")).in_file(path)),
    };
    match (found, check) {
        (Some(found), _) if found == wanted => Ok(Outcome::Fresh),
        (found, true) => Ok(Outcome::Stale(output::diff(path, &found.unwrap_or_default(), wanted))),
        (_, false) => {
            output::write(&root.join(path), wanted).map_err(|error| error.in_file(path))?;
            Ok(Outcome::Wrote)
        }
    }
}
