//! Tests what `update` proposes, what `release` writes, and the states that each command rejects.

use std::fs;
use std::path::Path;

use xtask::Product;

use super::repository::{CRATES, Repository, SCOPE};

#[test]
fn nothing_is_proposed_before_the_first_release() {
    let repository = Repository::new();
    let page = repository.page(SCOPE, &format!("                device:\n                  type: string\n{SCOPE}"));
    let (code, summary) = repository.xtask(&["update", &page]);
    assert_eq!(code, 0, "{summary}");
    assert!(summary.contains("| `flinks-outbound` | compatible | 0.1.0, not released yet |"), "{summary}");
    assert!(!summary.contains("`flinks` 0.1.0 → "), "{summary}");
    assert_eq!(repository.changelog("flinks-outbound"), "# Changelog\n\n## [Unreleased]\n\nFirst.\n");
    assert!(repository.read(&Product::Outbound.generated()).contains("pub device: "));
    // A line in the changelog requests a version.
    let path = Path::new("crates/flinks-pay/CHANGELOG.md");
    repository.write(path, &repository.read(path).replace("First.", "Version: 0.5.0\n\nFirst."));
    let (_, text) = repository.xtask(&["release"]);
    assert_eq!(text.matches(" 0.1.0: ").count(), CRATES.len() - 1, "{text}");
    assert_eq!(["flinks-outbound", "flinks-pay"].map(|name| repository.version(name)), ["0.1.0", "0.5.0"]);
}

#[test]
fn a_release_contains_only_reviewed_changes() {
    let repository = Repository::released();
    let page = repository.page(SCOPE, &format!("                device:\n                  type: string\n{SCOPE}"));
    let refused = |arguments: &[&str], part: &str| {
        let before = repository.status();
        let (code, text) = repository.xtask(arguments);
        assert_ne!(code, 0, "{part}: {text}");
        assert!(text.contains(part), "{part}: {text}");
        assert_eq!(repository.status(), before, "{part}");
    };
    refused(&["release", "--day", "tomorrow"], "invalid day `tomorrow`");
    refused(&["update", "--retrieved", "yesterday", &page], "invalid day `yesterday`");
    refused(&["update", "--since", "nosuch", &page], "`nosuch`");
    repository.xtask(&["update", &page]);

    // `release` refuses these manual changes after the update: an overlay that does not apply,
    // stale generated code and an edited proposal.
    let overlay = repository.read(&Product::Pay.overlay());
    repository.write(&Product::Pay.overlay(), &overlay.replace("expires_in", "gone"));
    refused(&["release"], "matches nothing");
    repository.write(&Product::Pay.overlay(), &overlay);
    let code = repository.read(&Product::Pay.generated());
    repository.write(&Product::Pay.generated(), &format!("{code}// by hand\n"));
    refused(&["release"], "the generated code is stale");
    repository.write(&Product::Pay.generated(), &code);
    let path = Path::new("crates/flinks-outbound/CHANGELOG.md");
    let proposal = repository.read(path);
    for (from, to) in [("0.1.1 -->", "0.9.0 -->"), ("`device` added", "`device` removed")] {
        repository.write(path, &proposal.replace(from, to));
        refused(&["release"], "is out of date");
    }
    // A maintainer requests a version with a line outside the proposal.
    repository.write(
        path,
        &proposal.replace("<!-- end of the proposal -->", "<!-- end of the proposal -->\n\nVersion: 0.1.0"),
    );
    assert_eq!(repository.xtask(&["update"]).0, 0);
    assert!(repository.read(path).contains("Version: 0.1.0"));
    repository.write(path, &repository.read(path).replace("Version: 0.1.0", "Version: 0.3.0"));

    // The facade's proposal must contain the requested version.
    refused(&["release"], "is out of date");
    assert_eq!(repository.xtask(&["update"]).0, 0);
    assert!(repository.changelog("flinks").contains("- Updated `flinks-outbound` to 0.3.0."));

    let (code, text) = repository.xtask(&["release"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("flinks-outbound 0.3.0"), "{text}");
    assert!(text.contains("flinks 0.1.1"), "{text}");
    // Neither command continues until the release is committed.
    refused(&["update"], "no commit contains 0.3.0");
    refused(&["release"], "no commit contains");
    repository.commit("release");
    let manifest = Path::new("crates/flinks-outbound/Cargo.toml");
    let text = repository.read(manifest);
    repository.write(manifest, &text.replace("0.3.0", "0.4.0"));
    refused(&["update"], "the newest version in the changelog is 0.3.0, but the manifest has version 0.4.0");
}

#[test]
fn a_reverted_change_removes_its_proposals() {
    let repository = Repository::released();
    let old = repository.page("operationId: token", "operationId: token");
    let old = fs::read_to_string(old).unwrap();
    let page = repository.page(SCOPE, &format!("                device:\n                  type: string\n{SCOPE}"));
    repository.xtask(&["update", &page]);
    assert!(repository.changelog("flinks").contains("Updated `flinks-outbound`"));
    assert!(repository.changelog("flinks-outbound").contains("device"));
    fs::write(&page, old).unwrap();
    let (_, text) = repository.xtask(&["update", &page]);
    assert!(text.starts_with("## No Flinks document changed"), "{text}");
    assert!(!repository.changelog("flinks").contains("Updated"));
    assert!(!repository.changelog("flinks-outbound").contains("device"));
    assert_eq!(repository.xtask(&["release"]).1, "no changelog proposes a version\n");
}

#[test]
fn a_release_is_found_after_later_edits_of_its_changelog_entry() {
    let repository = Repository::released();
    let page = repository.page(SCOPE, &format!("                device:\n                  type: string\n{SCOPE}"));
    repository.xtask(&["update", &page]);
    repository.commit("add a field");
    let path = Path::new("crates/flinks-outbound/CHANGELOG.md");
    let text = repository.read(path).replace("2026-11-21", "2026-11-22");
    repository.write(path, &text.replace("First.", "First. See `## [0.1.0]`, and\n## [0.1.0] is above."));
    repository.commit("edit the changelog");
    let (_, summary) = repository.xtask(&["update"]);
    assert!(summary.contains("| `flinks-outbound` | compatible | 0.1.0 → 0.1.1 |"), "{summary}");
    assert!(repository.read(path).contains("`device` added"));
}

#[test]
fn a_shallow_clone_is_refused() {
    let repository = Repository::released();
    fs::write(repository.path().join("more"), "").unwrap();
    repository.commit("more");
    let clone = tempfile::tempdir().unwrap();
    let from = format!("file://{}", repository.path().display());
    repository.git(&["clone", "--quiet", "--depth", "1", &from, &clone.path().display().to_string()]);
    let (code, text) = Repository(clone).xtask(&["update"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("shallow"), "{text}");
    assert!(text.contains("--unshallow"), "{text}");
}
