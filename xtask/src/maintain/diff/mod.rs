//! `cargo xtask diff`: what changed between two versions of the documents, and what it means for users.
//!
//! The documents are compared twice: in the form from which code is generated, which shows the effect, and as published,
//! which shows the rest (another server, another list of values in a reply). Changed descriptions are only counted.
//!
//! The public items of the generated code are compared as well, and each report lists the items that changed. If one of
//! them was changed or removed, the next version is a breaking one, whatever the changes of the document are called.

mod change;
mod compare;
mod facts;
mod model;
mod place;
mod prose;
mod report;
mod side;
mod step;
mod words;

use std::path::Path;

use semver::Version;

use super::versions;
use crate::generate::public_api::{Difference, PublicApi};
use crate::generate::{self, Generated, Inspected, SecretNames};
use crate::product::Product;
use crate::{Error, Result};
use model::Model;
use prose::{prose, reworded};

pub use change::{Change, Effect, Section};
pub use report::{changelog, markdown, terminal};
pub use side::Side;
pub use step::Step;

/// The changes for one crate.
#[derive(Debug)]
pub struct ProductDiff {
    /// The product.
    pub product: Product,
    /// The sha256 of the document before and after, if there is a document.
    pub sha256: [Option<String>; 2],
    /// The version before.
    pub version: Version,
    /// Whether that version is out. One that is not is what comes next, whatever changed.
    pub is_released: bool,
    /// The changes, those of the whole document first.
    pub changes: Vec<Change>,
    /// How many texts say something else.
    pub reworded: usize,
    /// The public items of the generated code that changed.
    pub interface: Vec<Difference>,
    /// The step of the version that the changes require.
    pub step: Step,
    /// Why no code can be made of one of the documents; what the change means is not known then.
    pub refused: Option<Error>,
}

/// Compares the documents below two folders.
///
/// # Errors
///
/// Where a document or a manifest cannot be read. A document that cannot be generated is reported in the result.
pub fn diff(old: &Path, new: &Path, products: &[Product]) -> Result<Vec<ProductDiff>> {
    products.iter().map(|product| product_diff(old, new, *product)).collect()
}

fn product_diff(old_root: &Path, new_root: &Path, product: Product) -> Result<ProductDiff> {
    let old = generate::inspect(old_root, product, SecretNames::Unchecked)?;
    let new = generate::inspect(new_root, product, SecretNames::Checked)?;
    let version = versions::of(old_root, product.crate_name())?;
    let sha256 = [&old, &new].map(|side| side.as_ref().map(|side| side.sha256.clone()));
    let mut published = match (&old, &new) {
        (Some(old), Some(new)) => {
            compare::published(&Model::published(&old.published), &Model::published(&new.published))
        }
        (None, Some(new)) => compare::published(&Model::default(), &Model::published(&new.published)),
        (Some(old), None) => compare::published(&Model::published(&old.published), &Model::default()),
        (None, None) => Vec::new(),
    };
    let generated = |side: Option<Inspected>| side.map(|side| side.generated).transpose();
    let (old, new, refused) = match (generated(old), generated(new)) {
        (Ok(old), Ok(new)) => (old, new, None),
        (Err(error), _) => (None, None, Some(Error::new(format!("of the older version no code can be made: {error}")))),
        (_, Err(error)) => (None, None, Some(error)),
    };
    let (mut changes, interface) = match refused {
        Some(_) => (Vec::new(), Vec::new()),
        None => effective(old.as_ref(), new.as_ref()),
    };
    if refused.is_some() {
        published.iter_mut().for_each(|change| change.effect = Effect::Unknown);
    }
    published.retain(|change| !changes.iter().any(|told| told.covers(change)));
    changes.extend(published);
    let texts =
        |side: &Option<Generated>| side.as_ref().map(|side| prose(&side.normalized.document)).unwrap_or_default();
    let reworded = reworded(&texts(&old), &texts(&new));
    let text = |side: &Option<Generated>| side.as_ref().map(|side| side.text.clone());
    let step = match refused {
        Some(_) => Step::None,
        None => required_step(&changes, &interface, text(&old) == text(&new)),
    };
    Ok(ProductDiff { product, sha256, version, is_released: true, changes, reworded, interface, step, refused })
}

/// The step of the version, which the document's changes and the generated code's public items require.
fn required_step(changes: &[Change], interface: &[Difference], is_same_text: bool) -> Step {
    let effect = changes.iter().map(|change| change.effect).max();
    match effect {
        _ if interface.iter().any(Difference::is_breaking) => Step::Major,
        Some(effect) if effect.is_breaking() => Step::Major,
        Some(Effect::Compatible) => Step::Minor,
        None if is_same_text => Step::None,
        _ => Step::Patch,
    }
}

/// The changes of the code, and of its interface.
fn effective(old: Option<&Generated>, new: Option<&Generated>) -> (Vec<Change>, Vec<Difference>) {
    let public_api = |side: Option<&Generated>| side.map(|side| side.public_api.clone()).unwrap_or_default();
    let model = |side: Option<&Generated>| side.map(|side| Model::effective(&side.normalized)).unwrap_or_default();
    let interface = PublicApi::differences(&public_api(old), &public_api(new));
    let changes = compare::effective(&model(old), &model(new), &interface);
    (changes, interface)
}

#[cfg(test)]
mod tests;
