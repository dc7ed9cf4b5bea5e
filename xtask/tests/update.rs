//! The whole loop, from a changed page to a released crate, in a repository of its own.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // helpers of tests are tests too

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use xtask::Product;
use xtask::maintain::versions;

/// The documents as they were when this was written; the real ones go on.
const FROZEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/frozen");
const CRATES: [&str; 7] =
    ["flinks-core", "flinks-emulator", "flinks-pay", "flinks-connect", "flinks-outbound", "flinks", "flinks-redis"];

struct Repository(tempfile::TempDir);

impl Repository {
    /// A commit with all that the loop reads, and nothing that was ever released.
    fn new() -> Self {
        let repository = Self(tempfile::tempdir().unwrap());
        for product in Product::ALL {
            for file in [product.document(), product.overlay(), "openapi/sources.toml".into()] {
                repository.write(&file, &fs::read_to_string(Path::new(FROZEN).join(&file)).unwrap());
            }
        }
        let mut workspace = String::from("[workspace.package]\nversion = \"0.1.0\"\n\n[workspace.dependencies]\n");
        for name in CRATES {
            workspace += &format!("{name} = {{ path = \"crates/{name}\", version = \"0.1.0\" }}\n");
            let folder = Path::new("crates").join(name);
            repository.write(
                &folder.join("Cargo.toml"),
                &format!("[package]\nname = \"{name}\"\nversion.workspace = true\n"),
            );
            repository.write(&folder.join("CHANGELOG.md"), "# Changelog\n\n## [Unreleased]\n\nFirst.\n");
            fs::create_dir(repository.path().join(folder).join("src")).unwrap();
        }
        repository.write(Path::new("Cargo.toml"), &workspace);
        assert_eq!(repository.xtask(&["regenerate"]).0, 0);
        repository.git(&["init", "--quiet"]);
        repository.commit("before the first release");
        repository
    }

    /// The same, with every crate released as what it is.
    fn released() -> Self {
        let repository = Self::new();
        let (code, text) = repository.xtask(&["release", "--day", "2026-11-21"]);
        assert_eq!((code, text.matches("ready").count()), (0, 7), "{text}");
        let order: Vec<usize> = CRATES.iter().map(|name| text.find(&format!("--package {name}`")).unwrap()).collect();
        assert!(order.is_sorted(), "{text}");
        repository.commit("first release");
        repository
    }

    fn write(&self, path: &Path, text: &str) {
        let to = self.path().join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, text).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn git(&self, arguments: &[&str]) {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]);
        let output = git.current_dir(self.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    /// The exit code, and all that was printed.
    fn xtask(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let output = command.args(arguments).arg("--root").arg(self.path()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    }

    fn changelog_path(&self, name: &str) -> PathBuf {
        self.path().join("crates").join(name).join("CHANGELOG.md")
    }

    fn changelog(&self, name: &str) -> String {
        fs::read_to_string(self.changelog_path(name)).unwrap()
    }

    /// What git sees as changed.
    fn status(&self) -> String {
        let output = Command::new("git").current_dir(self.path()).args(["status", "--short"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn read(&self, path: &Path) -> String {
        fs::read_to_string(self.path().join(path)).unwrap()
    }

    /// A page with the Outbound document, changed.
    fn page(&self, from: &str, to: &str) -> String {
        let document = self.read(&Product::Outbound.document());
        assert!(document.contains(from));
        let path = self.path().join("token.md");
        let page = format!(
            "# Token\n\n````yaml /openapi-outbound-auth.yaml POST /api/v1/token\n{}\n````\n",
            document.replace(from, to)
        );
        fs::write(&path, page).unwrap();
        path.display().to_string()
    }

    fn version(&self, name: &str) -> String {
        versions::of(self.path(), name).unwrap().to_string()
    }
}

const SCOPE: &str = "                scope:\n                  type: string\n                  description: >-\n                    Use";

#[test]
fn from_a_changed_page_to_a_released_crate() {
    let repository = Repository::released();
    assert!(repository.changelog("flinks-outbound").contains("## [0.1.0] - 2026-11-21\n\nFirst."));

    // A field more is compatible.
    let page = repository.page(SCOPE, &format!("                device:\n                  type: string\n{SCOPE}"));
    let (code, summary) = repository.xtask(&["update", &page]);
    assert_eq!(code, 0, "{summary}");
    for part in [
        "openapi/flinks-outbound.yaml: replaces POST /api/v1/token",
        "| `flinks-pay` | unchanged | 0.1.0 |",
        "| `flinks-outbound` | compatible | 0.1.0 → 0.1.1 |",
        "| `POST /api/v1/token` | request field `device` added: text, optional | compatible |",
        "+ field types::TokenRequest.device: Option<String>",
        "`flinks` 0.1.0 → 0.1.1 at least",
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
    assert!(repository.changelog("flinks").contains("- Built on `flinks-outbound` 0.1.1."));
    assert!(!repository.changelog("flinks-pay").contains("proposed"));

    // Once more, and after a commit: the same.
    let (_, again) = repository.xtask(&["update"]);
    assert!(again.contains("device"), "{again}");
    repository.commit("a field more");
    assert_eq!(repository.xtask(&["update"]).1, again);
    assert_eq!(repository.changelog("flinks-outbound"), proposal);

    // The next change breaks. Since the last release it is both.
    let page = repository.page(
        "              required:\n                - grant_type\n",
        "              required:\n                - grant_type\n                - redirect_uri\n",
    );
    let (code, summary) = repository.xtask(&["update", &page]);
    assert!(code == 0 && summary.contains("| `flinks-outbound` | breaking | 0.1.0 → 0.2.0 |"), "{summary}");
    let proposal = repository.changelog("flinks-outbound");
    assert!(
        proposal.contains("`device` added")
            && proposal.contains("- **Breaking:** `POST /api/v1/token`: request field `redirect_uri` is required now."),
        "{proposal}"
    );
    assert_eq!(proposal.matches("proposed by").count(), 1);

    let (code, text) = repository.xtask(&["release", "--day", "2026-12-24"]);
    assert!(code == 0 && text.contains("flinks-outbound 0.2.0") && text.contains("flinks 0.1.1"), "{text}");
    assert!(!text.contains("flinks-pay"), "{text}");
    let versions = ["flinks-outbound", "flinks", "flinks-pay"].map(|name| repository.version(name));
    assert_eq!(versions, ["0.2.0", "0.1.1", "0.1.0"]);
    assert!(repository.read(Path::new("Cargo.toml")).contains("crates/flinks-outbound\", version = \"0.2.0\""));
    let changelog = repository.changelog("flinks-outbound");
    assert!(
        changelog.contains("## [Unreleased]\n\n## [0.2.0] - 2026-12-24\n\nGenerated from")
            && !changelog.contains("<!--"),
        "{changelog}"
    );
    repository.commit("release");
    let (_, summary) = repository.xtask(&["update"]);
    assert_eq!(summary.matches("unchanged").count(), 3, "{summary}");
    assert_eq!(repository.xtask(&["release"]).1, "no changelog proposes a version\n");
}

#[test]
fn before_the_first_release_nothing_is_proposed() {
    let repository = Repository::new();
    let page = repository.page(SCOPE, &format!("                device:\n                  type: string\n{SCOPE}"));
    let (code, summary) = repository.xtask(&["update", &page]);
    assert_eq!(code, 0, "{summary}");
    assert!(
        summary.contains("| `flinks-outbound` | compatible | 0.1.0, not released yet |")
            && !summary.contains("at least"),
        "{summary}"
    );
    assert_eq!(repository.changelog("flinks-outbound"), "# Changelog\n\n## [Unreleased]\n\nFirst.\n");
    assert!(repository.read(&Product::Outbound.generated()).contains("pub device: "));
    // A version that somebody asks for.
    let path = Path::new("crates/flinks-pay/CHANGELOG.md");
    repository.write(path, &repository.read(path).replace("First.", "Version: 0.5.0\n\nFirst."));
    let (_, text) = repository.xtask(&["release"]);
    assert_eq!(text.matches(" 0.1.0: ").count(), CRATES.len() - 1, "{text}");
    assert_eq!(["flinks-outbound", "flinks-pay"].map(|name| repository.version(name)), ["0.1.0", "0.5.0"]);
}

#[test]
fn a_release_is_of_what_was_read_and_of_nothing_else() {
    let repository = Repository::released();
    let page = repository.page(SCOPE, &format!("                device:\n                  type: string\n{SCOPE}"));
    let refused = |arguments: &[&str], part: &str| {
        let before = repository.status();
        let (code, text) = repository.xtask(arguments);
        assert!(code != 0 && text.contains(part), "{part}: {text}");
        assert_eq!(repository.status(), before, "{part}");
    };
    refused(&["release", "--day", "tomorrow"], "`tomorrow` is not a day");
    refused(&["update", "--retrieved", "yesterday", &page], "`yesterday` is not a day");
    refused(&["update", "--since", "nosuch", &page], "`nosuch`");
    repository.xtask(&["update", &page]);

    // Behind the back of the command: an overlay of which no code comes, code that is stale, a proposal that is not meant.
    let overlay = repository.read(&Product::Pay.overlay());
    repository.write(&Product::Pay.overlay(), &overlay.replace("expires_in", "gone"));
    refused(&["release"], "matches nothing");
    repository.write(&Product::Pay.overlay(), &overlay);
    let code = repository.read(&Product::Pay.generated());
    repository.write(&Product::Pay.generated(), &format!("{code}// by hand\n"));
    refused(&["release"], "is not what would be generated");
    repository.write(&Product::Pay.generated(), &code);
    let path = Path::new("crates/flinks-outbound/CHANGELOG.md");
    let proposal = repository.read(path);
    for (from, to) in [("0.1.1 -->", "0.9.0 -->"), ("`device` added", "`device` removed")] {
        repository.write(path, &proposal.replace(from, to));
        refused(&["release"], "is not of what is there");
    }
    // A version by hand is a line outside of the proposal.
    repository.write(
        path,
        &proposal.replace("<!-- end of the proposal -->", "<!-- end of the proposal -->\n\nVersion: 0.1.0"),
    );
    assert_eq!(repository.xtask(&["update"]).0, 0);
    assert!(repository.read(path).contains("Version: 0.1.0"));
    repository.write(path, &repository.read(path).replace("Version: 0.1.0", "Version: 0.3.0"));

    // What is built on it must hear of that.
    refused(&["release"], "is not of what is there");
    assert_eq!(repository.xtask(&["update"]).0, 0);
    assert!(repository.changelog("flinks").contains("- Built on `flinks-outbound` 0.3.0."));

    let (code, text) = repository.xtask(&["release"]);
    assert!(code == 0 && text.contains("flinks-outbound 0.3.0") && text.contains("flinks 0.1.1"), "{text}");
    // Not committed yet: neither command goes on from it.
    refused(&["update"], "0.3.0 is in no commit");
    refused(&["release"], "is in no commit");
    repository.commit("release");
    let manifest = Path::new("crates/flinks-outbound/Cargo.toml");
    let text = repository.read(manifest);
    repository.write(manifest, &text.replace("0.3.0", "0.4.0"));
    refused(&["update"], "its newest version is 0.3.0, and the manifest says 0.4.0");
}

#[test]
fn what_is_taken_back_takes_its_proposals_with_it() {
    let repository = Repository::released();
    let old = repository.page("operationId: token", "operationId: token");
    let old = fs::read_to_string(old).unwrap();
    let page = repository.page(SCOPE, &format!("                device:\n                  type: string\n{SCOPE}"));
    repository.xtask(&["update", &page]);
    assert!(
        repository.changelog("flinks").contains("Built on")
            && repository.changelog("flinks-outbound").contains("device")
    );
    fs::write(&page, old).unwrap();
    let (_, text) = repository.xtask(&["update", &page]);
    assert!(text.starts_with("## The documents of Flinks are as they were"), "{text}");
    assert!(
        !repository.changelog("flinks").contains("Built on")
            && !repository.changelog("flinks-outbound").contains("device")
    );
    assert_eq!(repository.xtask(&["release"]).1, "no changelog proposes a version\n");
}

#[test]
fn a_release_is_found_whatever_is_written_about_it_later() {
    let repository = Repository::released();
    let page = repository.page(SCOPE, &format!("                device:\n                  type: string\n{SCOPE}"));
    repository.xtask(&["update", &page]);
    repository.commit("a field more");
    let path = Path::new("crates/flinks-outbound/CHANGELOG.md");
    let text = repository.read(path).replace("2026-11-21", "2026-11-22");
    repository.write(path, &text.replace("First.", "First. See `## [0.1.0]`, and\n## [0.1.0] is above."));
    repository.commit("words");
    let (_, summary) = repository.xtask(&["update"]);
    assert!(summary.contains("| `flinks-outbound` | compatible | 0.1.0 → 0.1.1 |"), "{summary}");
    assert!(repository.read(path).contains("`device` added"));
}

#[test]
fn a_shallow_clone_knows_no_release() {
    let repository = Repository::released();
    fs::write(repository.path().join("more"), "").unwrap();
    repository.commit("more");
    let clone = tempfile::tempdir().unwrap();
    let from = format!("file://{}", repository.path().display());
    repository.git(&["clone", "--quiet", "--depth", "1", &from, &clone.path().display().to_string()]);
    let (code, text) = Repository(clone).xtask(&["update"]);
    assert!(code == 1 && text.contains("shallow") && text.contains("--unshallow"), "{text}");
}

/// The example of xtask/README.md, word by word.
#[test]
fn the_worked_example_is_what_happens() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, example) = readme.split_once("## An example").unwrap();
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
    // The lines that are added, each before the line that it stands before in the example.
    let mut document = repository.read(&Product::Outbound.document());
    let mut added = String::new();
    for line in blocks("diff")[0].lines() {
        match line.strip_prefix('+') {
            Some(line) => added += &format!("{line}\n"),
            None if line == "@@" && added.is_empty() => {}
            // The end of a list: behind the line that is above it.
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
fn what_cannot_be_generated_is_told_and_goes_on_when_the_overlay_is_mended() {
    let repository = Repository::released();
    let before = repository.read(&Product::Outbound.generated());
    let page = repository.page("        4XX:\n", "        '400':\n");
    let (code, summary) = repository.xtask(&["update", &page]);
    assert_eq!(code, 1);
    for part in [
        "| `flinks-outbound` | cannot be generated |",
        "responses['4XX']",
        "there is now: 200, 400, 5XX",
        "error 400 added",
        "without files",
    ] {
        assert!(summary.contains(part), "{part}: {summary}");
    }
    assert_eq!(repository.read(&Product::Outbound.generated()), before);
    assert!(!repository.changelog("flinks-outbound").contains("proposed"));

    let overlay = repository.path().join(Product::Outbound.overlay());
    fs::write(&overlay, fs::read_to_string(&overlay).unwrap().replace("responses['4XX']", "responses['400']")).unwrap();
    let (code, summary) = repository.xtask(&["update"]);
    assert!(code == 0 && summary.contains("| `flinks-outbound` | compatible | 0.1.0 → 0.1.1 |"), "{summary}");
}

#[test]
fn diff_compares_commits_folders_and_what_is_there() {
    let repository = Repository::released();
    let (_, same) = repository.xtask(&["diff"]);
    assert_eq!(same.matches("unchanged").count(), 3, "{same}");
    let path = repository.path().join(Product::Outbound.document());
    let old = fs::read_to_string(&path).unwrap();
    fs::write(&path, old.replace("operationId: token", "operationId: exchange")).unwrap();
    let (_, changed) = repository.xtask(&["diff"]);
    assert!(
        changed.contains("operation `exchange` was called `token`") && changed.contains("breaking for callers"),
        "{changed}"
    );
    repository.commit("another id");
    let (_, since) = repository.xtask(&["diff", "HEAD~1"]);
    assert_eq!(since, changed);
    let (_, back) = repository.xtask(&["diff", "HEAD", "HEAD~1", "--product", "outbound"]);
    assert!(back.contains("operation `token` was called `exchange`"), "{back}");
    let (_, folder) = repository.xtask(&["diff", "HEAD~1", &repository.path().display().to_string()]);
    assert_eq!(folder, changed);
    let (_, markdown) = repository.xtask(&["diff", "HEAD~1", "--markdown"]);
    assert!(
        markdown.contains("| `POST /api/v1/token` | operation `exchange` was called `token` | breaking for callers |"),
        "{markdown}"
    );
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
    assert!(code == 1 && text.contains("flinks-outbound.yaml: is not YAML"), "{text}");
}
