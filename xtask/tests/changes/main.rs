//! A catalogue of what Flinks may change: each a small patch on one of our documents, with what the diff must say of it, the
//! step that follows, and code that compiles.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // helpers of tests are tests too

mod document;
mod errors;
mod parameters;
mod replies;
mod requests;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use xtask::Product;
use xtask::generate::public_api::Difference;
use xtask::generate::{SecretNames, inspect};
use xtask::maintain::diff::{ProductDiff, Step, diff};

use Expected::{Refused, Told};

/// The documents as they were when this was written: a text that is replaced must be there. The real ones go on.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/frozen");

/// A text of the document and what stands there afterwards.
type Edit = (&'static str, &'static str);

struct Case {
    name: &'static str,
    product: Product,
    document: &'static [Edit],
    overlay: &'static [Edit],
    expected: Expected,
}

enum Expected {
    /// The lines of the diff, each with its meaning, and the step.
    Told(Step, &'static [&'static str]),
    /// The document cannot be generated; the message has these parts.
    Refused(&'static [&'static str]),
}

/// All cases, by what they change.
fn cases() -> impl Iterator<Item = &'static Case> {
    [requests::CASES, replies::CASES, errors::CASES, parameters::CASES, document::CASES].into_iter().flatten()
}

/// The outcome of each case: the newer project, and its diff.
fn outcomes() -> &'static [(tempfile::TempDir, ProductDiff)] {
    static OUTCOMES: OnceLock<Vec<(tempfile::TempDir, ProductDiff)>> = OnceLock::new();
    OUTCOMES.get_or_init(|| cases().map(outcome).collect())
}

fn outcome(case: &Case) -> (tempfile::TempDir, ProductDiff) {
    let folder = tempfile::tempdir().unwrap();
    let files = [(case.product.document(), case.document), (case.product.overlay(), case.overlay)];
    for (path, edits) in files {
        let mut text = fs::read_to_string(Path::new(ROOT).join(&path)).unwrap();
        for (from, to) in edits {
            assert!(text.contains(from), "{}: the document no longer has {from:?}", case.name);
            text = text.replace(from, to);
        }
        fs::create_dir_all(folder.path().join(&path).parent().unwrap()).unwrap();
        fs::write(folder.path().join(&path), text).unwrap();
    }
    let diff = diff(Path::new(ROOT), folder.path(), &[case.product]).unwrap().remove(0);
    (folder, diff)
}

fn lines(diff: &ProductDiff) -> Vec<String> {
    diff.changes.iter().map(|change| format!("{} [{}]", change.text(), change.effect.words())).collect()
}

#[test]
fn each_change_is_told_with_what_it_means() {
    assert!(cases().count() >= 30);
    for (case, (_, diff)) in cases().zip(outcomes()) {
        let error = diff.refused.as_ref().map(ToString::to_string);
        match (&case.expected, error) {
            (Told(step, expected), None) => {
                assert_eq!(lines(diff), *expected, "{}", case.name);
                assert_eq!(diff.step, *step, "{}", case.name);
            }
            (Refused(parts), Some(error)) => {
                assert!(error.contains("help: ") && error.contains("at: /"), "{}: {error}", case.name);
                parts.iter().for_each(|part| assert!(error.contains(part), "{}: {part}: {error}", case.name));
            }
            (Told(..), Some(error)) => panic!("{}: {error}", case.name),
            (Refused(_), None) => panic!("{}: generated", case.name),
        }
    }
}

/// There and back: a word says that something breaks if, and only if, the generated interface breaks.
#[test]
fn the_words_and_the_interface_agree() {
    for (case, (folder, there)) in cases().zip(outcomes()) {
        if there.refused.is_some() {
            continue;
        }
        // Going back needs a manifest there, whose version does not matter.
        let manifest = folder.path().join(case.product.folder());
        fs::create_dir_all(&manifest).unwrap();
        fs::write(manifest.join("Cargo.toml"), "[package]\nversion = \"1.2.3\"\n").unwrap();
        let back = diff(folder.path(), Path::new(ROOT), &[case.product]).unwrap().remove(0);
        for diff in [there, &back] {
            let breaks = diff.interface.iter().any(Difference::is_breaking);
            // Credentials of another kind go where the others went: no build breaks, and every call does.
            let is_seen = |line: &&xtask::maintain::diff::Change| !line.text().starts_with("the credentials");
            let said = diff.changes.iter().filter(is_seen).any(|change| change.effect.is_breaking());
            assert_eq!(breaks, said, "{}: {:?}\n{:#?}", case.name, lines(diff), diff.interface);
        }
    }
}

#[test]
fn the_code_of_each_change_compiles() {
    let mut modules = Vec::new();
    for (index, (case, (folder, diff))) in cases().zip(outcomes()).enumerate() {
        if diff.refused.is_none() {
            let text =
                inspect(folder.path(), case.product, SecretNames::Checked).unwrap().unwrap().generated.unwrap().text;
            let words = case.name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
            let name = words.collect::<Vec<_>>().join("_").to_lowercase();
            modules.push((format!("case{index}_{name}"), text));
        }
    }
    assert!(modules.len() >= 30);
    support::compile("changes", &modules);
}
