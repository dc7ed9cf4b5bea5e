//! A temporary repository with all files that `cargo xtask update` and `release` read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use xtask::Product;
use xtask::maintain::versions;

/// Frozen copies of the documents, which do not change when the real documents change.
const FROZEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/frozen");
pub(crate) const CRATES: [&str; 9] = [
    "flinks-core",
    "flinks-emulator",
    "flinks-pay",
    "flinks-connect",
    "flinks-outbound",
    "flinks",
    "flinks-consents",
    "flinks-redis",
    "flinks-postgres",
];

pub(crate) const SCOPE: &str = "                scope:\n                  type: string\n                  description: >-\n                    Use";

pub(crate) struct Repository(pub(crate) tempfile::TempDir);

impl Repository {
    /// Creates a repository with one commit and no released crates.
    pub(crate) fn new() -> Self {
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

    /// Creates a repository where every crate was released as version 0.1.0.
    pub(crate) fn released() -> Self {
        let repository = Self::new();
        let (code, text) = repository.xtask(&["release", "--day", "2026-11-21"]);
        assert_eq!(code, 0, "{text}");
        assert_eq!(text.matches("ready").count(), CRATES.len(), "{text}");
        let order: Vec<usize> = CRATES.iter().map(|name| text.find(&format!("--package {name}`")).unwrap()).collect();
        assert!(order.is_sorted(), "{text}");
        repository.commit("first release");
        repository
    }

    pub(crate) fn write(&self, path: &Path, text: &str) {
        let to = self.path().join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, text).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn git(&self, arguments: &[&str]) {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]);
        let output = git.current_dir(self.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    /// Runs the command. Returns the command's exit code and everything that it printed.
    pub(crate) fn xtask(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let output = command.args(arguments).arg("--root").arg(self.path()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    }

    pub(crate) fn changelog_path(&self, name: &str) -> PathBuf {
        self.path().join("crates").join(name).join("CHANGELOG.md")
    }

    pub(crate) fn changelog(&self, name: &str) -> String {
        fs::read_to_string(self.changelog_path(name)).unwrap()
    }

    /// Returns the files that git lists as changed.
    pub(crate) fn status(&self) -> String {
        let output = Command::new("git").current_dir(self.path()).args(["status", "--short"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn read(&self, path: &Path) -> String {
        fs::read_to_string(self.path().join(path)).unwrap()
    }

    /// Replaces `from` with `to` in the Outbound document and writes a page with the result.
    /// Returns the page's path.
    pub(crate) fn page(&self, from: &str, to: &str) -> String {
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

    pub(crate) fn version(&self, name: &str) -> String {
        versions::crate_version(self.path(), name).unwrap().to_string()
    }
}
