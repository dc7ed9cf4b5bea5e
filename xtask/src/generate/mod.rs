//! Generates a product crate's code from a published document.
//!
//! [`generated`] runs all stages for one product. [`generate`] runs the stages that follow the
//! overlay. The stages run in this order:
//!
//! 1. [`read`] reads the document and checks its hash against `sources.toml`.
//! 2. [`overlay`] applies the corrections. [`examples`] checks that the examples still match their
//!    schemas.
//! 3. `prepare` removes everything that no operation uses, and gives operations and schemas Rust
//!    names.
//! 4. [`lint::check_outline`] checks the document shape that the next stage relies on.
//! 5. [`normalize`] converts the document to the form that the later stages expect.
//! 6. [`lint::check_normal_form`] rejects any part of the document that would make progenitor panic
//!    or that progenitor would silently drop.
//! 7. [`progenitor`] generates the `types` module. The rest of progenitor's output is not used.
//! 8. [`harden`] rewrites the types so that they cannot leak secrets, and generates the client and
//!    its operations.
//! 9. [`completeness`] compares the document with the code and reports any part that a stage
//!    dropped.
//! 10. [`output`] formats the file.
//! 11. [`secret_names`] checks that every field with a secret-looking name is marked or exempted.
//!     This stage reads the corrected document. It runs late so that other errors are reported
//!     first.
//! 12. [`public_api`] lists the public items in a second file.
//!
//! Invariants:
//!
//! - No stage uses the network.
//! - No document can make a stage panic: a failing stage returns an [`Error`] with the location of
//!   the problem.
//! - The same input always produces the same bytes.
//! - No module in `generate` uses [`maintain`](crate::maintain), which imports documents, compares
//!   them and releases crates.

mod catch_panic;
pub mod completeness;
pub mod harden;
pub mod lint;
pub mod normalize;
pub mod output;
mod prepare;
pub mod progenitor;
pub mod public_api;
pub mod refusals;
pub mod secret_names;

use std::path::{Path, PathBuf};

use crate::product::Product;
use crate::spec::{examples, overlay, read};
use crate::{Error, Result};
use normalize::form::Normalized;
use output::Header;
use public_api::PublicApi;
use refusals::Refusals;

/// The result of all stages for one document.
#[derive(Debug)]
pub struct Generated {
    /// The generated file, as text.
    pub text: String,
    /// The public items in the generated file.
    pub public_api: PublicApi,
    /// The corrected document, without unused parts and before normalization.
    pub prepared: serde_json::Value,
    /// The normalized document that the code was generated from.
    pub normalized: Normalized,
}

/// Whether fields with secret-looking names must be marked or exempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretNames {
    /// Reports fields that are neither marked nor exempted. Used to generate code.
    Checked,
    /// Accepts fields that are neither marked nor exempted. Used to read older versions of a
    /// document.
    Unchecked,
}

/// Runs all stages for a product's document. Reads files below `root` but writes none.
///
/// # Errors
///
/// Returns an error that lists the problems from all stages, with their locations.
pub fn generated(root: &Path, product: Product) -> Result<Generated> {
    let source = read::document(root, product)?;
    let document = correct(root, product, source.value)?.accepted()?;
    generate_product(product, document, &source.sha256, SecretNames::Checked)
}

/// Reads a product's document, applies the overlay, and returns the document that the code is
/// generated from.
///
/// # Errors
///
/// Returns an error if the document's hash is not the accepted hash, if the overlay is invalid or
/// stale, or if the overlay makes an example invalid.
pub fn effective_document(root: &Path, product: Product) -> Result<serde_json::Value> {
    correct(root, product, read::document(root, product)?.value)?.accepted()
}

/// A product's document and the result of generating code from the document. The document's hash
/// may differ from the accepted hash.
#[derive(Debug)]
pub struct Inspected {
    /// The document as published, before the overlay is applied.
    pub published: serde_json::Value,
    /// The SHA-256 hash of the document's bytes, in hexadecimal.
    pub sha256: String,
    /// The problems that stop [`generated`] but not a comparison: stale overlay actions, and examples
    /// that the overlay makes invalid. If an action is stale, this list also contains the fields that
    /// are neither marked as secrets nor exempted, because the action may have marked them.
    pub overlay_errors: Vec<Error>,
    /// Whether the overlay has stale actions, whose corrections are missing from the generated
    /// code.
    pub has_stale_actions: bool,
    /// The code generated without the stale actions, or an error that lists the problems from all
    /// stages.
    pub generated: Result<Generated>,
}

/// Reads a product's document and runs all stages, even if the document's hash is not the accepted
/// hash. Returns `None` if there is no document.
///
/// # Errors
///
/// Returns an error if the document exists but cannot be read.
pub fn inspect(root: &Path, product: Product, secret_names: SecretNames) -> Result<Option<Inspected>> {
    let Some(read::Source { value, sha256, .. }) = read::any_document(root, product)? else { return Ok(None) };
    let (has_stale_actions, overlay_errors, generated) = match correct(root, product, value.clone()) {
        Ok(corrected) => {
            let has_stale_actions = corrected.has_stale_actions;
            let (errors, generated) = generate_skipping_stale(product, corrected, &sha256, secret_names);
            (has_stale_actions, errors, generated)
        }
        Err(error) => (false, Vec::new(), Err(error)),
    };
    Ok(Some(Inspected { published: value, sha256, overlay_errors, has_stale_actions, generated }))
}

/// A document with its overlay applied, and the problems with the overlay.
struct Corrected {
    document: serde_json::Value,
    has_stale_actions: bool,
    errors: Vec<Error>,
}

impl Corrected {
    /// Returns the document if the overlay has no problems.
    fn accepted(self) -> Result<serde_json::Value> {
        Error::all(self.errors).map(|()| self.document)
    }
}

/// Applies the overlay and checks the examples. Skips and reports stale actions.
fn correct(root: &Path, product: Product, published: serde_json::Value) -> Result<Corrected> {
    let in_overlay = |error: Error| error.in_file(&product.overlay());
    let overlay = read::overlay(root, product)?;
    let overlay::Corrected { document, stale } = overlay::correct(published.clone(), &overlay).map_err(in_overlay)?;
    if !stale.is_empty() {
        let errors = stale.into_iter().map(in_overlay).collect();
        return Ok(Corrected { document, has_stale_actions: true, errors });
    }
    let both = document_with_overlay(product);
    let errors = examples::check(&published, &document).into_iter().map(|error| error.in_file(&both)).collect();
    Ok(Corrected { document, has_stale_actions: false, errors })
}

/// Returns the name that error messages use for a corrected document. The name includes the
/// overlay's path, because either the document or the overlay can be the cause of an error.
fn document_with_overlay(product: Product) -> PathBuf {
    format!("{} with {}", product.document().display(), product.overlay().display()).into()
}

/// For a product's document, runs the stages that follow the overlay.
fn generate_product(
    product: Product,
    document: serde_json::Value,
    sha256: &str,
    secret_names: SecretNames,
) -> Result<Generated> {
    let header = Header { document: product.document(), overlay: product.overlay(), sha256 };
    let generated = generate(document.clone(), &header, secret_names);
    generated.map_err(|error| {
        let all = all_problems(&document, &header, secret_names).unwrap_or(error);
        all.in_file(&document_with_overlay(product))
    })
}

/// Returns the problems from all stages. [`generate`] returns only those from the first stage that
/// fails.
fn all_problems(document: &serde_json::Value, header: &Header<'_>, secret_names: SecretNames) -> Option<Error> {
    let Refusals { mut errors, suspects, .. } = refusals::refusals(document, header);
    if secret_names == SecretNames::Checked {
        errors.extend(suspects);
    }
    Error::all(errors).err()
}

/// Runs the stages that follow the overlay, even if the overlay has problems. Returns the problems
/// and the generated code.
fn generate_skipping_stale(
    product: Product,
    corrected: Corrected,
    sha256: &str,
    secret_names: SecretNames,
) -> (Vec<Error>, Result<Generated>) {
    let Corrected { document, has_stale_actions, mut errors } = corrected;
    let result = generate_product(product, document.clone(), sha256, secret_names);
    let Err(error) = result else { return (errors, result) };
    if !has_stale_actions || secret_names == SecretNames::Unchecked {
        return (errors, Err(error));
    }
    // A skipped action may have marked or exempted a field.
    match generate_product(product, document, sha256, SecretNames::Unchecked) {
        Ok(generated) => {
            errors.extend(error.split());
            (errors, Ok(generated))
        }
        Err(_) => (errors, Err(error)),
    }
}

/// Runs the stages that follow the overlay and turns a corrected document into code.
///
/// # Errors
///
/// Returns the error from the first stage that fails. The error contains the location of the
/// problem.
pub fn generate(document: serde_json::Value, header: &Header<'_>, secret_names: SecretNames) -> Result<Generated> {
    lint::check_shape(&document).map_err(|error| error.or_help(lint::CORRECT))?;
    let prepared = prepare::prepare(document);
    match from_prepared(&prepared.document, header, secret_names) {
        Ok((text, public_api, normalized)) => {
            Ok(Generated { text, public_api, prepared: prepared.document, normalized })
        }
        Err(error) => Err(prepared.original(error)),
    }
}

/// Runs the stages that follow the preparation.
fn from_prepared(
    document: &serde_json::Value,
    header: &Header<'_>,
    secret_names: SecretNames,
) -> Result<(String, PublicApi, Normalized)> {
    lint::check_outline(document)?;
    let normalized = normalize::normalize(document.clone())?;
    let openapi = lint::check_normal_form(&normalized)?;
    let types = progenitor::types(&openapi, &normalized)?;
    let (text, public_api) = catch_panic::catch_panic(|| {
        let file = harden::harden(types, &normalized, &header.constants(&openapi))?;
        completeness::check(document, &file)?;
        Ok((output::print(&file, header), public_api::read_generated(&file)?))
    })?;
    if secret_names == SecretNames::Checked {
        secret_names::check(document)?;
    }
    Ok((text, public_api, normalized))
}

/// How a generated file on disk compares with newly generated text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The file is up to date.
    Fresh,
    /// The file differs and was not written. Contains the difference.
    Stale(String),
    /// The file differed or was missing, and has been written.
    Wrote,
}

/// Whether to write files that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Writes files that differ.
    Write,
    /// Reports files that differ and writes nothing.
    Check,
}

/// Compares the generated files for `products` with newly generated text. If `mode` is
/// [`Mode::Write`], writes the files that differ. Nothing is written if code generation fails for
/// any of the documents.
///
/// # Errors
///
/// Returns one error for each product whose code could not be generated or written. If code
/// generation fails, the old files are kept.
pub fn regenerate(root: &Path, products: &[Product], mode: Mode) -> Vec<(Product, Result<Outcome>)> {
    let all: Vec<_> = products.iter().map(|product| (*product, generated(root, *product))).collect();
    let has_failed = all.iter().any(|(_, generated)| generated.is_err());
    let mode = if has_failed { Mode::Check } else { mode };
    let mut outcomes = Vec::new();
    for (product, generated) in all {
        let outcome = generated.and_then(|generated| {
            let code = write_or_compare(root, &product.generated(), &generated.text, mode)?;
            let api = format!("{PUBLIC_API_HEAD}{}", generated.public_api);
            Ok(code.and(write_or_compare(root, &product.public_api(), &api, mode)?))
        });
        outcomes.push((product, outcome));
    }
    outcomes
}

/// The hand-written crates whose public items are listed, in dependency order.
pub const LISTED_CRATES: [&str; 6] =
    ["flinks-core", "flinks", "flinks-consents", "flinks-redis", "flinks-postgres", "flinks-emulator"];

/// For each crate in [`LISTED_CRATES`], compares the list of public items with the crate's code. If
/// `mode` is [`Mode::Write`], writes the lists that differ. Skips crates that do not exist below
/// `root`.
///
/// # Errors
///
/// Returns one error for each crate whose public items cannot be listed or written.
pub fn list_crates(root: &Path, mode: Mode) -> Vec<(&'static str, Result<Outcome>)> {
    let mut outcomes = Vec::new();
    for name in LISTED_CRATES {
        let folder = Path::new("crates").join(name);
        if root.join(&folder).join("src/lib.rs").exists() {
            let list = public_api::read_crate(root, &folder).map(|api| format!("{CRATE_API_HEAD}{api}"));
            let outcome = list.and_then(|list| write_or_compare(root, &folder.join("public-api.txt"), &list, mode));
            outcomes.push((name, outcome));
        }
    }
    outcomes
}

const CRATE_API_HEAD: &str = "\
# @generated by `cargo xtask regenerate`. Do not edit.
# The public items of this crate with all features, one item per line. Every change in this file affects dependents.

";

const PUBLIC_API_HEAD: &str = "\
# @generated by `cargo xtask regenerate`. Do not edit.
# The public items of the generated code, one item per line. Every change in this file affects dependents.

";

impl Outcome {
    /// Combines the outcomes for two files of one product.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Stale(one), Self::Stale(other)) => Self::Stale(one + &other),
            (Self::Fresh, other) | (other, Self::Fresh) => other,
            (stale @ Self::Stale(_), _) | (_, stale @ Self::Stale(_)) => stale,
            (Self::Wrote, Self::Wrote) => Self::Wrote,
        }
    }
}

/// Compares a file with `wanted`. If the file differs and `mode` is [`Mode::Write`], writes
/// `wanted` to the file.
pub(crate) fn write_or_compare(root: &Path, path: &Path, wanted: &str, mode: Mode) -> Result<Outcome> {
    let found = match std::fs::read_to_string(root.join(path)) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        // A file that is not UTF-8 is treated as missing.
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => None,
        Err(error) => return Err(Error::new(format!("failed to read the file: {error}")).in_file(path)),
    };
    if found.as_deref() == Some(wanted) {
        return Ok(Outcome::Fresh);
    }
    match mode {
        Mode::Check => Ok(Outcome::Stale(output::diff(path, &found.unwrap_or_default(), wanted))),
        Mode::Write => {
            output::write(&root.join(path), wanted).map_err(|error| error.in_file(path))?;
            Ok(Outcome::Wrote)
        }
    }
}
