//! Tests the whole loop, from a changed page to a released crate, in a temporary repository.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // helpers of tests are test code too

mod releases;
mod repository;

use std::fs;
use std::path::Path;

use repository::{Repository, SCOPE};
use xtask::Product;

#[test]
fn from_a_changed_page_to_a_released_crate() {
    let repository = Repository::released();
    assert!(repository.changelog("flinks-outbound").contains("## [0.1.0] - 2026-11-21\n\nFirst."));

    // An additional optional field is compatible.
    let page = repository.page(SCOPE, &format!("                device:\n                  type: string\n{SCOPE}"));
    let (code, summary) = repository.xtask(&["update", &page]);
    assert_eq!(code, 0, "{summary}");
    for part in [
        "openapi/flinks-outbound.yaml: replaces POST /api/v1/token",
        "| `flinks-pay` | unchanged | 0.1.0 |",
        "| `flinks-outbound` | compatible | 0.1.0 → 0.1.1 |",
        "| `POST /api/v1/token` | request field `device` added: text, optional | compatible |",
        "+ field types::TokenRequest.device: Option<String>",
        "`flinks` 0.1.0 → 0.1.1",
    ] {
        assert!(summary.contains(part), "{part}: {summary}");
    }
    assert!(repository.read(&Product::Outbound.generated()).contains("pub device: "));
    assert!(repository.read(&Product::Outbound.public_api()).contains("TokenRequest.device"));
    let proposal = repository.changelog("flinks-outbound");
    let hash = repository.read(Path::new("openapi/sources.toml")).split("[flinks-outbound]").nth(1).unwrap().to_owned();
    let hash = hash.split("sha256 = \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(proposal.contains(&format!("sha256 `{hash}`")), "{proposal}");
    assert!(
        proposal.contains("### Added\n\n- `POST /api/v1/token`: request field `device` added: text, optional.\n"),
        "{proposal}"
    );
    assert!(repository.changelog("flinks").contains("- Updated `flinks-outbound` to 0.1.1."));
    assert!(!repository.changelog("flinks-pay").contains("proposed"));

    // A second update gives the same result, even after a commit.
    let (_, again) = repository.xtask(&["update"]);
    assert!(again.contains("device"), "{again}");
    repository.commit("add a field");
    assert_eq!(repository.xtask(&["update"]).1, again);
    assert_eq!(repository.changelog("flinks-outbound"), proposal);

    // The next change is breaking. The proposal contains all changes since the last release.
    let page = repository.page(
        "              required:\n                - grant_type\n",
        "              required:\n                - grant_type\n                - redirect_uri\n",
    );
    let (code, summary) = repository.xtask(&["update", &page]);
    assert_eq!(code, 0, "{summary}");
    assert!(summary.contains("| `flinks-outbound` | breaking | 0.1.0 → 0.2.0 |"), "{summary}");
    let proposal = repository.changelog("flinks-outbound");
    assert!(proposal.contains("`device` added"), "{proposal}");
    let breaking = "- **Breaking:** `POST /api/v1/token`: request field `redirect_uri` is now required.";
    assert!(proposal.contains(breaking), "{proposal}");
    assert_eq!(proposal.matches("proposed by").count(), 1);

    let (code, text) = repository.xtask(&["release", "--day", "2026-12-24"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("flinks-outbound 0.2.0"), "{text}");
    assert!(text.contains("flinks 0.1.1"), "{text}");
    assert!(!text.contains("flinks-pay"), "{text}");
    let versions = ["flinks-outbound", "flinks", "flinks-pay"].map(|name| repository.version(name));
    assert_eq!(versions, ["0.2.0", "0.1.1", "0.1.0"]);
    assert!(repository.read(Path::new("Cargo.toml")).contains("crates/flinks-outbound\", version = \"0.2.0\""));
    let changelog = repository.changelog("flinks-outbound");
    let release = "## [Unreleased]\n\n## [0.2.0] - 2026-12-24\n\nGenerated from";
    assert!(changelog.contains(release), "{changelog}");
    assert!(!changelog.contains("<!--"), "{changelog}");
    repository.commit("release");
    let (_, summary) = repository.xtask(&["update"]);
    assert_eq!(summary.matches("unchanged").count(), 3, "{summary}");
    assert_eq!(repository.xtask(&["release"]).1, "no changelog proposes a version\n");
}

/// Runs the worked example in xtask/README.md and compares every line of output that the example
/// shows.
#[test]
fn the_worked_example_of_the_readme_is_accurate() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, example) = readme.split_once("## Example").unwrap();
    let (example, _) = example.split_once("\n## ").unwrap();
    let blocks = |language: &str| {
        let open = format!("```{language}\n");
        example
            .split(open.as_str())
            .skip(1)
            .map(|block| block.split("\n```").next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let repository = Repository::released();
    // Insert the added lines before the line that follows them in the example.
    let mut document = repository.read(&Product::Outbound.document());
    let mut added = String::new();
    for line in blocks("diff")[0].lines() {
        match line.strip_prefix('+') {
            Some(line) => added += &format!("{line}\n"),
            None if line == "@@" && added.is_empty() => {}
            // An addition at the end of a list is inserted after the line above it.
            None if line == "@@" => {
                let last = "              required:\n                - grant_type\n";
                document = document.replacen(last, &format!("{last}{added}"), 1);
                added.clear();
            }
            None if added.is_empty() => {}
            None => {
                let before = format!("{}\n", line.strip_prefix(' ').unwrap());
                document = document.replacen(&before, &format!("{added}{before}"), 1);
                added.clear();
            }
        }
    }
    let page = repository.path().join("token.md");
    fs::write(&page, format!("# Token\n\n````yaml /openapi-outbound-auth.yaml POST /api/v1/token\n{document}\n````\n"))
        .unwrap();

    let (code, first) = repository.xtask(&["update", &page.display().to_string()]);
    assert_eq!(code, 1, "{first}");
    let overlay = repository.path().join(Product::Outbound.overlay());
    fs::write(&overlay, format!("{}\n{}\n", fs::read_to_string(&overlay).unwrap(), blocks("yaml")[0])).unwrap();
    let (code, second) = repository.xtask(&["update"]);
    assert_eq!(code, 0, "{second}");
    let (_, third) = repository.xtask(&["release"]);
    for (shown, printed) in blocks("text").iter().zip([&first, &second, &third]) {
        for line in shown.lines() {
            assert!(printed.contains(line), "{line}\n{printed}");
        }
    }
    assert_eq!(blocks("text").len(), 3);
    let commands: Vec<String> =
        blocks("console").iter().map(|block| block.trim_start_matches("$ cargo xtask ").to_owned()).collect();
    assert_eq!(commands, ["update token.md", "update", "release"]);
}

#[test]
fn an_update_that_is_refused_continues_once_the_overlay_is_fixed() {
    let repository = Repository::released();
    let before = repository.read(&Product::Outbound.generated());
    let page = repository.page("        4XX:\n", "        '400':\n");
    let (code, summary) = repository.xtask(&["update", &page]);
    assert_eq!(code, 1);
    for part in [
        "| `flinks-outbound` | breaking, overlay must be corrected | 0.1.0 → 0.2.0 |",
        "Correct the overlay before you generate code.",
        "responses['4XX']",
        "which contains: 200, 400, 5XX",
        "| `POST /api/v1/token` | error 400 added: object | compatible |",
        "+ struct types::TokenError: non_exhaustive",
        "without files",
    ] {
        assert!(summary.contains(part), "{part}: {summary}");
    }
    assert_eq!(repository.read(&Product::Outbound.generated()), before);
    assert!(!repository.changelog("flinks-outbound").contains("proposed"));
    assert!(!summary.contains("is unknown"), "{summary}");
    let (code, text) = repository.xtask(&["regenerate"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("responses['4XX'].content['application/json'].schema` matches nothing"), "{text}");

    // A document with a different hash is a separate error.
    let sources = repository.read(Path::new("openapi/sources.toml"));
    let (before, outbound) = sources.split_once("[flinks-outbound]").unwrap();
    let other = format!("{before}[flinks-outbound]{}", outbound.replacen("sha256 = \"", "sha256 = \"0", 1));
    repository.write(Path::new("openapi/sources.toml"), &other);
    let (code, summary) = repository.xtask(&["update"]);
    assert_eq!(code, 1, "{summary}");
    for part in ["| `flinks-outbound` | cannot be generated |", "its SHA-256 hash differs", "responses['4XX']"] {
        assert!(summary.contains(part), "{part}: {summary}");
    }
    repository.write(Path::new("openapi/sources.toml"), &sources);

    let overlay = repository.path().join(Product::Outbound.overlay());
    fs::write(&overlay, fs::read_to_string(&overlay).unwrap().replace("responses['4XX']", "responses['400']")).unwrap();
    let (code, summary) = repository.xtask(&["update"]);
    assert_eq!(code, 0, "{summary}");
    assert!(summary.contains("| `flinks-outbound` | compatible | 0.1.0 → 0.1.1 |"), "{summary}");
}

#[test]
fn diff_reports_changes_and_stale_actions_on_both_sides() {
    let repository = Repository::released();
    let path = Product::Outbound.document();
    let field = "                  expires_in:\n                    type: integer\n                    default: 0\n                    description: The number of seconds until the access token expires.\n";
    let document = repository.read(&path);
    assert!(document.contains(field));
    repository.write(&path, &document.replace(field, ""));
    let removed = "response 200 field `expires_in` removed";
    let (code, text) = repository.xtask(&["diff"]);
    assert_eq!(code, 0, "{text}");
    for part in ["0.1.0 -> 0.2.0  breaking, overlay must be corrected", removed, "expires_in` matches nothing"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (_, markdown) = repository.xtask(&["diff", "--markdown"]);
    for part in [
        "| `flinks-outbound` | breaking, overlay must be corrected | 0.1.0 → 0.2.0 |",
        "This report shows the changes without the stale actions.\n\n```text\nopenapi/overlays/flinks-outbound.yaml: the action",
        "| `POST /api/v1/token` | response 200 field `expires_in` removed | breaking for code that reads it |",
    ] {
        assert!(markdown.contains(part), "{part}: {markdown}");
    }

    repository.commit("a stale overlay");
    repository.write(&path, &document);
    let (_, text) = repository.xtask(&["diff"]);
    assert!(text.contains("response 200 field `expires_in` added"), "{text}");
    assert!(text.contains("The overlay of the older version has stale actions."), "{text}");
    assert!(!text.contains("overlay must be corrected"), "{text}");
    let (_, text) = repository.xtask(&["diff", "HEAD~1"]);
    assert!(!text.contains("stale"), "{text}");
}

#[test]
fn diff_compares_commits_folders_and_the_working_tree() {
    let repository = Repository::released();
    let (_, same) = repository.xtask(&["diff"]);
    assert_eq!(same.matches("unchanged").count(), 3, "{same}");
    let path = repository.path().join(Product::Outbound.document());
    let old = fs::read_to_string(&path).unwrap();
    fs::write(&path, old.replace("operationId: token", "operationId: exchange")).unwrap();
    let (_, changed) = repository.xtask(&["diff"]);
    assert!(changed.contains("operation `exchange` was previously named `token`"), "{changed}");
    assert!(changed.contains("breaking for callers"), "{changed}");
    repository.commit("rename the operation");
    let (_, since) = repository.xtask(&["diff", "HEAD~1"]);
    assert_eq!(since, changed);
    let (_, back) = repository.xtask(&["diff", "HEAD", "HEAD~1", "--product", "outbound"]);
    assert!(back.contains("operation `token` was previously named `exchange`"), "{back}");
    let (_, folder) = repository.xtask(&["diff", "HEAD~1", &repository.path().display().to_string()]);
    assert_eq!(folder, changed);
    let (_, markdown) = repository.xtask(&["diff", "HEAD~1", "--markdown"]);
    let row = "| `POST /api/v1/token` | operation `exchange` was previously named `token` | breaking for callers |";
    assert!(markdown.contains(row), "{markdown}");
    let (_, draft) = repository.xtask(&["diff", "HEAD~1", "--changelog"]);
    assert!(draft.starts_with("## flinks-outbound 0.2.0\n\nGenerated from the document with sha256"), "{draft}");
    for arguments in
        [&["diff", "no-such-commit"][..], &["diff", "HEAD", "/no/such/folder"], &["diff", "--product"], &["diff", "-x"]]
    {
        let (code, text) = repository.xtask(arguments);
        assert!(code == 1 || code == 2, "{arguments:?}: {text}");
    }
    fs::write(&path, "[").unwrap();
    let (code, text) = repository.xtask(&["diff"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("flinks-outbound.yaml: invalid YAML"), "{text}");
}
