//! `cargo xtask diff` reports what changed between two versions of the documents and how the
//! changes affect users of the generated crates.
//!
//! The documents are compared twice. Code is generated from the normal form, so the normal form
//! shows the effect of a change. The published form shows changes that do not affect the code, such
//! as a different server or a different list of values in a response. Changed descriptions are
//! counted but not listed.
//!
//! The public items in the generated code are also compared, and each report lists the items that
//! changed. If an item was changed or removed, the next version is a breaking release, even if all
//! changes to the document are reported as compatible.

mod change;
mod compare;
mod facts;
mod model;
mod place;
mod prose;
mod reasons;
mod report;
mod side;
mod step;
mod tree;
mod words;

use std::collections::HashMap;
use std::path::Path;

use semver::Version;
use serde_json::Value;

use super::versions;
use crate::generate::public_api::{Difference, PublicApi};
use crate::generate::{self, Generated, Inspected, SecretNames};
use crate::product::Product;
use crate::{Error, Result};
use model::Model;
use prose::{prose, reworded};
use reasons::Causes;

pub use change::{Change, Effect, Section};
pub use report::{changelog, markdown, terminal};
pub use side::Side;
pub use step::Step;

/// The changes for one crate.
#[derive(Debug)]
pub struct ProductDiff {
    /// The product.
    pub product: Product,
    /// The document's SHA-256 hash before and after the changes. A hash is `None` if the document
    /// did not exist.
    pub sha256: [Option<String>; 2],
    /// The version of the crate before the changes.
    pub version: Version,
    /// Whether `version` was released. An unreleased version does not need to change.
    pub is_released: bool,
    /// The changes, starting with those that affect the whole document.
    pub changes: Vec<Change>,
    /// The number of changed descriptions.
    pub reworded: usize,
    /// The changed public items in the generated code.
    pub interface: Vec<Difference>,
    /// The version increment that the changes require.
    pub step: Step,
    /// The problems with the newer version's overlay, such as stale actions. Code cannot be
    /// generated until these problems are corrected. The changes are still known, because the
    /// comparison skips stale actions.
    pub overlay_errors: Vec<Error>,
    /// Whether the older version's overlay has stale actions. The comparison skips them.
    pub is_older_overlay_stale: bool,
    /// The error that made code generation fail, if any. If code generation fails, the effect of
    /// the changes is unknown.
    pub refused: Option<Error>,
}

/// Compares the documents in two folders.
///
/// # Errors
///
/// Returns an error if a document or a manifest cannot be read. If code cannot be generated from a
/// document, the returned [`ProductDiff`] contains the error.
pub fn diff(old: &Path, new: &Path, products: &[Product]) -> Result<Vec<ProductDiff>> {
    products.iter().map(|product| product_diff(old, new, *product)).collect()
}

fn product_diff(old_root: &Path, new_root: &Path, product: Product) -> Result<ProductDiff> {
    let (old, new) = inspect_both(old_root, new_root, product)?;
    let version = versions::crate_version(old_root, product.crate_name())?;
    let sha256 = [&old, &new].map(|side| side.as_ref().map(|side| side.sha256.clone()));
    let is_older_overlay_stale = old.as_ref().is_some_and(|old| old.has_stale_actions);
    let (old_published, old, _) = split(old);
    let (new_published, new, overlay_errors) = split(new);
    let (old, new, refused) = match (old.transpose(), new.transpose()) {
        (Ok(old), Ok(new)) => (old, new, None),
        (Err(error), _) => (
            None,
            None,
            Some(Error::new(format!("failed to generate code from the older version of the document: {error}"))),
        ),
        (_, Err(error)) => (None, None, Some(error)),
    };
    let (effective, mut published) = both(
        || if refused.is_some() { Effective::default() } else { effective(old.as_ref(), new.as_ref()) },
        || published(old_published.as_ref(), new_published.as_ref()),
    );
    let Effective { mut changes, interface, reworded } = effective;
    if refused.is_some() {
        for change in &mut published {
            change.effect = Effect::Unknown;
        }
    }
    changes.extend(uncovered(published, &changes));
    let text = |side: &Option<Generated>| side.as_ref().map(|side| side.text.clone());
    let step =
        if refused.is_some() { Step::None } else { required_step(&changes, &interface, text(&old) == text(&new)) };
    Ok(ProductDiff {
        product,
        sha256,
        version,
        is_released: true,
        changes,
        reworded,
        interface,
        step,
        overlay_errors,
        is_older_overlay_stale,
        refused,
    })
}

/// The stack size of a thread that generates code. This is the usual stack size of a main thread.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// Generates the code for both sides.
fn inspect_both(old: &Path, new: &Path, product: Product) -> Result<(Option<Inspected>, Option<Inspected>)> {
    let (old, new) = both(
        || generate::inspect(old, product, SecretNames::Unchecked),
        || generate::inspect(new, product, SecretNames::Checked),
    );
    Ok((old?, new?))
}

/// Runs two functions at the same time, because each function can take several seconds for a large
/// document.
fn both<A: Send, B>(first: impl Fn() -> A + Sync, second: impl FnOnce() -> B) -> (A, B) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, &first);
        let second = second();
        let first = match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => first(),
        };
        (first, second)
    })
}

/// For one side of a comparison, returns the published document, the generated code, and the
/// problems with the overlay.
fn split(side: Option<Inspected>) -> (Option<Value>, Option<Result<Generated>>, Vec<Error>) {
    match side {
        Some(side) => (Some(side.published), Some(side.generated), side.overlay_errors),
        None => (None, None, Vec::new()),
    }
}

/// Returns the changes to the published document.
fn published(old: Option<&Value>, new: Option<&Value>) -> Vec<Change> {
    let model = |side: Option<&Value>| side.map(Model::published).unwrap_or_default();
    compare::published(&model(old), &model(new))
}

/// Returns the changes to the published document that `reported` does not cover.
fn uncovered(mut published: Vec<Change>, reported: &[Change]) -> Vec<Change> {
    let mut by_operation: HashMap<Option<&str>, Vec<&Change>> = HashMap::new();
    for change in reported {
        by_operation.entry(change.operation.as_deref()).or_default().push(change);
    }
    published.retain(|change| {
        let reported = by_operation.get(&change.operation.as_deref()).map(Vec::as_slice).unwrap_or_default();
        !reported.iter().any(|reported| reported.covers(change))
    });
    published
}

/// Returns the version increment required by the changes to a document and to the generated public
/// items.
fn required_step(changes: &[Change], interface: &[Difference], is_same_text: bool) -> Step {
    if interface.iter().any(Difference::is_breaking) {
        return Step::Major;
    }
    match changes.iter().map(|change| change.effect).max() {
        Some(effect) if effect.is_breaking() => Step::Major,
        Some(Effect::Compatible) => Step::Minor,
        None if is_same_text => Step::None,
        _ => Step::Patch,
    }
}

/// The changes to the generated code and to the documents that it was generated from.
#[derive(Default)]
struct Effective {
    changes: Vec<Change>,
    interface: Vec<Difference>,
    /// The number of changed descriptions.
    reworded: usize,
}

/// Compares the generated code and the normalized documents of two versions.
fn effective(old: Option<&Generated>, new: Option<&Generated>) -> Effective {
    let none = PublicApi::default();
    let (old_api, new_api) = (old.map_or(&none, |side| &side.public_api), new.map_or(&none, |side| &side.public_api));
    let model = |side: Option<&Generated>| side.map(|side| Model::effective(&side.normalized)).unwrap_or_default();
    let texts = |side: Option<&Generated>| side.map(|side| prose(&side.normalized.document)).unwrap_or_default();
    let mut interface = old_api.differences(new_api);
    let causes = old.zip(new).map(|(old, new)| Causes::new(old, new));
    if let Some(causes) = &causes {
        causes.add_reasons(&mut interface);
    }
    let changes = compare::effective(&model(old), &model(new), &interface, causes.as_ref());
    Effective { changes, interface, reworded: reworded(&texts(old), &texts(new)) }
}

#[cfg(test)]
mod tests;
