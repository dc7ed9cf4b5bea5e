//! A catalogue of changes that Flinks might make. Each case is a small edit to one of our
//! documents, with the expected diff lines and the expected version increment. The code generated
//! from each changed document must compile.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // helpers of tests are test code too

mod document;
mod errors;
mod parameters;
mod requests;
mod responses;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use xtask::Product;
use xtask::generate::public_api::Difference;
use xtask::generate::{SecretNames, inspect};
use xtask::maintain::diff::{ProductDiff, Step, diff};

use Expected::{Refused, Reported, Stale};

/// Frozen copies of the documents. The cases replace strings that the real documents may no longer
/// contain.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/frozen");

/// A string in the document and its replacement.
type Edit = (&'static str, &'static str);

struct Case {
    name: &'static str,
    product: Product,
    document: &'static [Edit],
    overlay: &'static [Edit],
    expected: Expected,
}

enum Expected {
    /// The diff contains these lines, each with its effect, and requires this version increment.
    Reported(Step, &'static [&'static str]),
    /// The diff contains these lines and requires this version increment, even though overlay
    /// actions are stale. The last list contains one part of each expected error.
    Stale(Step, &'static [&'static str], &'static [&'static str]),
    /// Code generation fails, and the error messages contain these parts.
    Refused(&'static [&'static str]),
}

/// Returns all cases.
fn cases() -> impl Iterator<Item = &'static Case> {
    [requests::CASES, responses::CASES, errors::CASES, parameters::CASES, document::CASES].into_iter().flatten()
}

/// The outcome of a case. It contains no temporary folder, because a value in a `static` is never
/// dropped.
struct Outcome {
    diff: ProductDiff,
    /// The diff in the other direction, and the code generated from the changed document. `None` if
    /// code generation fails.
    generated: Option<(ProductDiff, String)>,
}

fn outcomes() -> &'static [Outcome] {
    static OUTCOMES: OnceLock<Vec<Outcome>> = OnceLock::new();
    OUTCOMES.get_or_init(|| cases().map(outcome).collect())
}

fn outcome(case: &Case) -> Outcome {
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
    // The older side of a comparison needs a manifest, but the manifest's version does not matter.
    let manifest = folder.path().join(case.product.folder());
    fs::create_dir_all(&manifest).unwrap();
    fs::write(manifest.join("Cargo.toml"), "[package]\nversion = \"1.2.3\"\n").unwrap();

    let compare = |old: &Path, new: &Path| diff(old, new, &[case.product]).unwrap().remove(0);
    let there = compare(Path::new(ROOT), folder.path());
    let generated = there.refused.is_none().then(|| {
        let code = inspect(folder.path(), case.product, SecretNames::Checked).unwrap().unwrap().generated.unwrap();
        (compare(folder.path(), Path::new(ROOT)), code.text)
    });
    Outcome { diff: there, generated }
}

fn lines(diff: &ProductDiff) -> Vec<String> {
    diff.changes.iter().map(|change| format!("{} [{}]", change.text(), change.effect.words())).collect()
}

fn texts(errors: &[xtask::Error]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn each_change_is_reported_with_its_effect() {
    assert!(cases().count() >= 30);
    for (case, Outcome { diff, .. }) in cases().zip(outcomes()) {
        let error = diff.refused.as_ref().map(ToString::to_string);
        match (&case.expected, error) {
            (Reported(step, expected), None) => {
                assert_eq!(lines(diff), *expected, "{}", case.name);
                assert_eq!(diff.step, *step, "{}", case.name);
                assert_eq!(texts(&diff.overlay_errors), Vec::<String>::new(), "{}", case.name);
            }
            (Stale(step, expected, parts), None) => {
                assert_eq!(lines(diff), *expected, "{}", case.name);
                assert_eq!(diff.step, *step, "{}", case.name);
                let errors = texts(&diff.overlay_errors);
                assert_eq!(errors.len(), parts.len(), "{}: {errors:#?}", case.name);
                for (error, part) in errors.iter().zip(*parts) {
                    assert!(error.contains(part), "{}: {part}: {error}", case.name);
                    assert!(error.contains("help: "), "{}: {error}", case.name);
                    assert!(error.contains("at: /"), "{}: {error}", case.name);
                }
            }
            (Refused(parts), Some(error)) => {
                let error = [vec![error], texts(&diff.overlay_errors)].concat().join("\n\n");
                assert!(error.contains("help: "), "{}: {error}", case.name);
                assert!(error.contains("at: /"), "{}: {error}", case.name);
                parts.iter().for_each(|part| assert!(error.contains(part), "{}: {part}: {error}", case.name));
            }
            (Reported(..) | Stale(..), Some(error)) => panic!("{}: {error}", case.name),
            (Refused(_), None) => panic!("{}: code was generated", case.name),
        }
    }
}

/// A change is reported as breaking if and only if a public item was changed or removed. Each
/// change is tested in both directions.
#[test]
fn a_change_is_reported_as_breaking_only_if_the_public_api_breaks() {
    for (case, Outcome { diff, generated }) in cases().zip(outcomes()) {
        let Some((back, _)) = generated else { continue };
        for diff in [diff, back] {
            let breaks = diff.interface.iter().any(Difference::is_breaking);
            // Changed credentials break every call but not the build, because the header and its
            // type stay the same.
            let is_visible = |line: &&xtask::maintain::diff::Change| !line.text().starts_with("the credentials");
            let reported = diff.changes.iter().filter(is_visible).any(|change| change.effect.is_breaking());
            assert_eq!(breaks, reported, "{}: {:?}\n{:#?}", case.name, lines(diff), diff.interface);
        }
    }
}

#[test]
fn the_code_for_each_change_compiles() {
    let mut modules = Vec::new();
    for (index, (case, Outcome { generated, .. })) in cases().zip(outcomes()).enumerate() {
        if let Some((_, text)) = generated {
            let words = case.name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
            let name = words.collect::<Vec<_>>().join("_").to_lowercase();
            modules.push((format!("case{index}_{name}"), text.clone()));
        }
    }
    assert!(modules.len() >= 30);
    support::compile("changes", &modules);
}
