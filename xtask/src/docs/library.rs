//! Lists all documents and combines their text.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::read;
use crate::Result;

const SUMMARY: &str = "The authorization side of Flinks (Canadian open banking) for Pay, Connect and Outbound: \
tokens that can be used once, consents that are kept alive, and errors that state what to do next.";

/// The guide's table of contents.
const CONTENTS: &str = "crates/flinks-guide/pages/SUMMARY.md";

/// The documents other than the guide's pages, grouped by section.
const SECTIONS: [(&str, &[&str]); 3] = [
    (
        "Crates",
        &[
            "README.md",
            "crates/flinks/README.md",
            "crates/flinks-consents/README.md",
            "crates/flinks-redis/README.md",
            "crates/flinks-postgres/README.md",
            "crates/flinks-cli/README.md",
            "crates/flinks-emulator/README.md",
            "crates/flinks-pay/README.md",
            "crates/flinks-connect/README.md",
            "crates/flinks-outbound/README.md",
            "crates/flinks-core/README.md",
            "crates/flinks-demo/README.md",
        ],
    ),
    (
        "Reference",
        &[
            "crates/flinks/RULES.md",
            "crates/flinks-consents/OBSERVABILITY.md",
            "crates/flinks-redis/SCALE.md",
            "crates/flinks-emulator/SETTINGS.md",
            "crates/flinks-emulator/SCENARIOS.md",
            "crates/flinks-emulator/in-your-tests/README.md",
        ],
    ),
    (
        "Optional",
        &["xtask/README.md", ".github/CONTRIBUTING.md", ".github/SECURITY.md", "crates/flinks-bench/README.md"],
    ),
];

/// Returns the paths of all documents, relative to the project's root and grouped by section.
///
/// # Errors
///
/// Returns an error if the guide's table of contents cannot be read.
pub fn documents(root: &Path) -> Result<Vec<(&'static str, Vec<PathBuf>)>> {
    let contents = Path::new(CONTENTS);
    let folder = contents.parent().unwrap_or(contents);
    let text = read(root, contents)?;
    let pages = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let mut sections = vec![("Guide", pages.map(|(page, _)| folder.join(page)).collect())];
    for (section, paths) in SECTIONS {
        sections.push((section, paths.iter().map(PathBuf::from).collect()));
    }
    Ok(sections)
}

/// Returns the content of `llms.txt`.
pub(super) fn list(root: &Path) -> Result<String> {
    let mut list = format!("# Flinks for Rust\n\n> {SUMMARY}\n");
    for (section, paths) in documents(root)? {
        let _ = write!(list, "\n## {section}\n\n");
        for path in paths {
            let text = read(root, &path)?;
            let _ = writeln!(list, "- [{}]({}): {}", title(&text), path.display(), first_sentence(&text));
        }
    }
    Ok(list)
}

/// Returns the content of `llms-full.txt`.
pub(super) fn full_text(root: &Path) -> Result<String> {
    let mut full = format!("# Flinks for Rust\n\n> {SUMMARY}\n");
    for (_, paths) in documents(root)? {
        for path in paths {
            // This README consists mostly of benchmark figures.
            if path.starts_with("crates/flinks-bench") {
                continue;
            }
            let _ = write!(
                full,
                "\n<document path=\"{}\">\n\n{}\n</document>\n",
                path.display(),
                read(root, &path)?.trim()
            );
        }
    }
    Ok(full)
}

/// Returns the text of the first heading.
fn title(text: &str) -> &str {
    text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or("Rules of Flinks")
}

/// Returns the first sentence of the first paragraph, on one line and without links.
fn first_sentence(text: &str) -> String {
    let is_text =
        |paragraph: &&str| paragraph.starts_with(|start: char| start.is_alphabetic() || matches!(start, '`' | '['));
    let paragraph = text.split("\n\n").map(str::trim).find(is_text).unwrap_or_default();
    let line: String = paragraph.lines().collect::<Vec<_>>().join(" ");
    let end = line.find(". ").unwrap_or(line.len());
    let sentence = line.get(..end).unwrap_or(&line).trim_end_matches(['.', ':']);
    let mut plain = String::new();
    let mut rest = sentence;
    // Replaces `[text](target)` with `text`.
    while let Some((before, after)) = rest.split_once('[') {
        plain.push_str(before);
        let Some((label, after)) = after.split_once(']') else {
            plain.push('[');
            rest = after;
            continue;
        };
        plain.push_str(label);
        rest = match after.strip_prefix('(').and_then(|target| target.split_once(')')) {
            Some((_, after)) => after,
            None => after,
        };
    }
    plain + rest + "."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_sentence_has_no_links() {
        let text = "# Title\n\nThe [client](a.md) for\n`x` is [documented](b). More.\n";
        assert_eq!(first_sentence(text), "The client for `x` is documented.");
        assert_eq!(title(text), "Title");
        assert_eq!(first_sentence("<!-- note -->\n\n# T\n\n- list\n\nText without an end"), "Text without an end.");
    }
}
