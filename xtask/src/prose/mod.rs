//! Finds phrases that have confused readers of this project.
//!
//! ```text
//! git ls-files ─► text: documents, comments, messages ─► patterns in prose.toml ─► findings
//! ```
//!
//! `text` splits a file into paragraphs, so a phrase is found even if it spans two lines.
//! `xtask/prose.toml` lists patterns, each with an example and a better wording, and allowed
//! phrases, each with a reason.

mod text;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use regex::Regex;
use serde::Deserialize;

use crate::git::git;
use crate::{Error, Result};

/// The path of the file that contains the patterns and the allowed phrases, relative to the
/// project's root.
const RULES: &str = "xtask/prose.toml";

/// The rules in `xtask/prose.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Files that were not written by hand. Each entry is the start or the end of a path.
    skip: Vec<String>,
    pattern: Vec<Pattern>,
    #[serde(default)]
    allow: Vec<Allowed>,
}

/// A phrase to avoid.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    name: String,
    /// Matches the phrase.
    #[serde(deserialize_with = "regex")]
    regex: Regex,
    /// Matches phrases that are plain English even though `regex` finds them.
    #[serde(default, deserialize_with = "optional_regex")]
    except: Option<Regex>,
    /// A sentence with the phrase.
    example: String,
    /// The same sentence in plain English.
    write: String,
}

/// A phrase that is allowed even though a pattern finds it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Allowed {
    path: String,
    text: String,
    /// Why the phrase is allowed. The code does not use this field.
    #[serde(rename = "reason")]
    _reason: String,
}

fn regex<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Regex, D::Error> {
    let text = String::deserialize(deserializer)?;
    Regex::new(&text).map_err(serde::de::Error::custom)
}

fn optional_regex<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Regex>, D::Error> {
    regex(deserializer).map(Some)
}

impl Pattern {
    /// Returns the positions of the phrases that the pattern finds in `text`.
    fn find<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
        let is_plain = |found: &str| self.except.as_ref().is_some_and(|except| except.is_match(found));
        self.regex.find_iter(text).filter(move |found| !is_plain(found.as_str())).map(|found| found.range())
    }
}

/// An occurrence of a phrase to avoid.
pub struct Finding {
    path: PathBuf,
    line: usize,
    pattern: String,
    text: String,
    write: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, pattern, text, write } = self;
        write!(f, "{}:{line}: {pattern}: {text}\n    write instead, for example: {write}", path.display())
    }
}

impl Rules {
    /// Reads the rules for the project at `root`.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, or if a pattern does not match its own example
    /// or matches its own rewrite.
    pub fn read(root: &Path) -> Result<Self> {
        let path = Path::new(RULES);
        let text = std::fs::read_to_string(root.join(path)).map_err(|error| read_error(path, &error))?;
        let rules: Self =
            toml::from_str(&text).map_err(|error| Error::new(format!("invalid rules: {error}")).in_file(path))?;
        for pattern in &rules.pattern {
            let problem = if pattern.find(&pattern.example).next().is_none() {
                "does not match its `example`"
            } else if pattern.find(&pattern.write).next().is_some() {
                "matches its `write`"
            } else {
                continue;
            };
            return Err(Error::new(format!("the pattern `{}` {problem}", pattern.name)).in_file(path));
        }
        Ok(rules)
    }

    /// Searches all tracked and untracked files in the project at `root`, except ignored files.
    ///
    /// # Errors
    ///
    /// Returns an error if git fails, if a file cannot be read, or if an allowed phrase is no
    /// longer found.
    pub fn check(&self, root: &Path) -> Result<Vec<Finding>> {
        let listed = git(root, &["ls-files", "--cached", "--others", "--exclude-standard", "-z"])?;
        let listed = String::from_utf8_lossy(&listed);
        let mut findings = Vec::new();
        for path in listed.split('\0').filter(|path| !path.is_empty() && !self.is_skipped(path)) {
            let path = Path::new(path);
            let bytes = match std::fs::read(root.join(path)) {
                Ok(bytes) => bytes,
                // Git lists a deleted file until its removal is staged.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(read_error(path, &error)),
            };
            // A binary file contains no text to search.
            let Ok(source) = String::from_utf8(bytes) else { continue };
            self.search(path, &source, &mut findings);
        }
        let stale = self.allow.iter().find(|allowed| !findings.iter().any(|finding| allowed.allows(finding)));
        if let Some(Allowed { path, text, .. }) = stale {
            let message = format!("the allowed text {text:?} no longer occurs in {path}: remove the `[[allow]]` entry");
            return Err(Error::new(message).in_file(Path::new(RULES)));
        }
        findings.retain(|finding| !self.allow.iter().any(|allowed| allowed.allows(finding)));
        Ok(findings)
    }

    fn is_skipped(&self, path: &str) -> bool {
        self.skip.iter().any(|skip| path.starts_with(skip.as_str()) || path.ends_with(skip.as_str()))
    }

    fn search(&self, path: &Path, source: &str, findings: &mut Vec<Finding>) {
        for paragraph in text::paragraphs(path, source) {
            for pattern in &self.pattern {
                findings.extend(pattern.find(&paragraph.text).map(|range| Finding {
                    path: path.to_owned(),
                    line: paragraph.line_of(range.start),
                    pattern: pattern.name.clone(),
                    text: text::around(&paragraph.text, range),
                    write: pattern.write.clone(),
                }));
            }
        }
    }
}

fn read_error(path: &Path, error: &io::Error) -> Error {
    Error::new(format!("failed to read the file: {error}")).in_file(path)
}

impl Allowed {
    fn allows(&self, finding: &Finding) -> bool {
        finding.path == Path::new(&self.path) && finding.text.contains(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    fn found(path: &str, source: &str) -> Vec<usize> {
        let mut findings = Vec::new();
        Rules::read(&root()).unwrap().search(Path::new(path), source, &mut findings);
        findings.into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn phrase_is_found_across_lines_of_a_comment() {
        assert_eq!(found("a.rs", "fn a() {}\n    // This is for\n    // who wants it.\n"), [2]);
    }

    #[test]
    fn phrase_is_found_in_documents_doc_comments_and_messages() {
        assert_eq!(found("a.md", "# A\n\nText.\n\n- This is for who wants it.\n"), [5]);
        assert_eq!(found("a.rs", "/// A.\n///\n/// This is for who wants it.\nstruct A;\n"), [3]);
        assert_eq!(found("a.rs", "fn a() {\n    panic!(\"this is for who wants it\");\n}\n"), [2]);
        let after_others = "/// \"A b\"\nfn a() {\n    b(\"A b\", 1, r#\"A\n b\"#);\n    c(\"for who wants it\");\n}\n";
        assert_eq!(found("a.rs", after_others), [5]);
        assert_eq!(found("a.toml", "a = 1\nb = 2 # this is for who wants it\n"), [2]);
    }

    #[test]
    fn every_phrase_of_a_paragraph_is_found() {
        assert_eq!(found("a.md", "This is for who wants it.\nThat is for who needs it.\n"), [1, 2]);
    }

    #[test]
    fn code_is_not_searched() {
        assert_eq!(found("a.md", "```text\nfor who wants it\n```\n"), [0_usize; 0]);
        assert_eq!(found("a.rs", "/// ```\n/// // for who wants it\n/// ```\nstruct A;\n"), [0_usize; 0]);
        assert_eq!(found("a.rs", "const A: &str = \"for-who-wants-it\";"), [0_usize; 0]);
    }
}
