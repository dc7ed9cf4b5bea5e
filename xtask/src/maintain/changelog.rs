//! Changelogs in the form of Keep a Changelog, with what `cargo xtask update` proposes between two comments.

use semver::Version;

use crate::{Error, Result};

const UNRELEASED: &str = "## [Unreleased]";
const BEGIN: &str = "<!-- proposed by `cargo xtask update`: ";
const END: &str = "<!-- end of the proposal -->";

/// Puts a proposal at the head of what is not released yet, in the place of an earlier one; none takes that away.
///
/// # Errors
///
/// Where the text is no such changelog, or somebody cut a proposal in half.
pub(crate) fn propose(text: &str, proposal: Option<(&Version, &str)>) -> Result<String> {
    let Parts { before, unreleased, after } = parts(text)?;
    let (_, rest) = split(unreleased)?;
    let block = proposal.map(block);
    let body: Vec<&str> = block.as_deref().into_iter().chain([rest.trim()]).filter(|part| !part.is_empty()).collect();
    Ok(join(before, &body.join("\n\n"), after))
}

/// A proposal between its comments.
fn block((version, entry): (&Version, &str)) -> String {
    format!("{BEGIN}{version} -->\n\n{}\n\n{END}", entry.trim())
}

/// Whether this, word by word, is what is proposed.
///
/// # Errors
///
/// As for [`propose`].
pub(crate) fn is_proposed(text: &str, proposal: Option<(&Version, &str)>) -> Result<bool> {
    let (found, _) = split(parts(text)?.unreleased)?;
    Ok(found.map(str::to_owned) == proposal.map(block))
}

/// The version that somebody asks for, in a line of its own outside of the proposal: `Version: 0.2.0`.
///
/// # Errors
///
/// As for [`propose`].
pub(crate) fn wanted(text: &str) -> Result<Option<Version>> {
    let (_, rest) = split(parts(text)?.unreleased)?;
    let Some(version) = rest.lines().find_map(|line| line.strip_prefix(WANTED)) else { return Ok(None) };
    let version = version.trim().trim_end_matches('.');
    version.parse().map(Some).map_err(|error| Error::new(format!("`{version}` is not a version: {error}")))
}

const WANTED: &str = "Version:";

/// The newest version that has a heading.
pub(crate) fn newest(text: &str) -> Option<String> {
    let heading =
        text.lines().filter_map(|line| line.strip_prefix("## [")).find(|rest| !rest.starts_with("Unreleased"))?;
    heading.split_once(']').map(|(version, _)| version.to_owned())
}

/// Makes a version of what is not released yet.
///
/// # Errors
///
/// As for [`propose`].
pub(crate) fn release(text: &str, version: &Version, day: &str) -> Result<String> {
    let Parts { before, unreleased, after } = parts(text)?;
    let (block, rest) = split(unreleased)?;
    let entry = block.and_then(|block| block.split_once("-->")?.1.strip_suffix(END)).unwrap_or_default();
    let rest: Vec<&str> = rest.lines().filter(|line| !line.starts_with(WANTED)).collect();
    let rest = rest.join("\n");
    let body: Vec<&str> = [entry.trim(), rest.trim()].into_iter().filter(|part| !part.is_empty()).collect();
    let after = format!("## [{version}] - {day}\n\n{}\n\n{}", body.join("\n\n"), after.trim_start());
    Ok(join(before, "", after.trim_end()))
}

struct Parts<'a> {
    before: &'a str,
    unreleased: &'a str,
    after: &'a str,
}

fn parts(text: &str) -> Result<Parts<'_>> {
    let missing = || Error::new(format!("has no line `{UNRELEASED}`")).help("Keep a Changelog begins with it");
    // Lines as they stand, each with where it begins: the heading may be spoken of elsewhere.
    let mut starts = 0_usize;
    let lines = text.split_inclusive('\n').map(|line| {
        let start = starts;
        starts = starts.saturating_add(line.len());
        (start, line)
    });
    let headings: Vec<(usize, &str)> = lines.filter(|(_, line)| line.starts_with("## ")).collect();
    let index = headings.iter().position(|(_, line)| line.trim_end() == UNRELEASED).ok_or_else(missing)?;
    let start = headings.get(index).map_or(0, |(start, _)| *start);
    let end = headings.get(index.saturating_add(1)).map_or(text.len(), |(start, _)| *start);
    let begin = start.saturating_add(UNRELEASED.len());
    let part = |range| text.get(range).ok_or_else(missing);
    Ok(Parts { before: part(0..start)?, unreleased: part(begin..end)?, after: part(end..text.len())? })
}

/// The proposal with its comments, and the rest.
fn split(unreleased: &str) -> Result<(Option<&str>, String)> {
    let (begin, end) = (unreleased.find(BEGIN), unreleased.find(END));
    match (begin, end.and_then(|end| end.checked_add(END.len()))) {
        (None, None) => Ok((None, unreleased.to_owned())),
        (Some(begin), Some(end)) if begin < end => {
            let part = |range| unreleased.get(range).unwrap_or_default();
            let rest = [part(0..begin).trim(), part(end..unreleased.len()).trim()];
            Ok((Some(part(begin..end)), rest.join("\n\n")))
        }
        _ => Err(Error::new("one of the two comments around the proposal is missing")
            .help("remove the other one, with what is proposed")),
    }
}

fn join(before: &str, unreleased: &str, after: &str) -> String {
    let parts = [&format!("{before}{UNRELEASED}"), unreleased, after.trim()];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("{}\n", parts.join("\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The version of the proposal, if there is one.
    fn proposed(text: &str) -> Result<Option<Version>> {
        let (block, _) = split(parts(text)?.unreleased)?;
        let Some(version) =
            block.and_then(|block| block.strip_prefix(BEGIN)?.split_once(" -->")).map(|(version, _)| version)
        else {
            return Ok(None);
        };
        version.parse().map(Some).map_err(|error| Error::new(format!("`{version}` is not a version: {error}")))
    }

    const OLD: &str = "# Changelog\n\nWords on `## [Unreleased]`.\n\n## [Unreleased]\n\n### Fixed\n\n- By hand.\n\n## [0.1.0] - 2026-11-21\n\nFirst.\n";

    #[test]
    fn a_proposal_comes_goes_and_is_released() {
        let version = Version::new(0, 2, 0);
        assert_eq!(proposed(OLD).unwrap(), None);
        let with = propose(OLD, Some((&version, "### Added\n\n- A field.\n"))).unwrap();
        assert_eq!(
            with,
            "# Changelog\n\nWords on `## [Unreleased]`.\n\n## [Unreleased]\n\n<!-- proposed by `cargo xtask update`: 0.2.0 -->\n\n### Added\n\n- A field.\n\n\
             <!-- end of the proposal -->\n\n### Fixed\n\n- By hand.\n\n## [0.1.0] - 2026-11-21\n\nFirst.\n"
        );
        assert_eq!(proposed(&with).unwrap(), Some(version.clone()));
        let is = |entry: &str| is_proposed(&with, Some((&version, entry))).unwrap();
        assert!(
            is("### Added\n\n- A field.")
                && !is("Other.")
                && !is_proposed(&with, None).unwrap()
                && is_proposed(OLD, None).unwrap()
        );
        let other = propose(&with, Some((&Version::new(0, 1, 1), "Other."))).unwrap();
        assert!(other.contains("0.1.1") && !other.contains("0.2.0") && other.contains("By hand"), "{other}");
        assert_eq!(propose(&with, None).unwrap(), OLD);
        assert_eq!(
            release(&with, &version, "2026-12-24").unwrap(),
            "# Changelog\n\nWords on `## [Unreleased]`.\n\n## [Unreleased]\n\n## [0.2.0] - 2026-12-24\n\n### Added\n\n- A field.\n\n### Fixed\n\n- By hand.\n\n\
             ## [0.1.0] - 2026-11-21\n\nFirst.\n"
        );
    }

    #[test]
    fn somebody_may_ask_for_more() {
        let text = OLD.replace("### Fixed", "Version: 0.3.0\n\n### Fixed");
        assert_eq!((wanted(OLD).unwrap(), wanted(&text).unwrap()), (None, Some(Version::new(0, 3, 0))));
        assert!(wanted(&OLD.replace("### Fixed", "Version: more")).is_err());
        let released = release(&text, &Version::new(0, 3, 0), "2026-12-24").unwrap();
        assert!(released.contains("## [0.3.0] - 2026-12-24\n\n### Fixed\n\n- By hand."), "{released}");
        assert_eq!((newest(OLD).as_deref(), newest(&released).as_deref()), (Some("0.1.0"), Some("0.3.0")));
    }

    #[test]
    fn the_first_release_has_nothing_before_it() {
        let text = "# Changelog\n\n## [Unreleased]\n";
        let with = propose(text, Some((&Version::new(0, 1, 1), "Entry."))).unwrap();
        assert_eq!(propose(&with, None).unwrap(), text);
        assert!(
            release(&with, &Version::new(0, 1, 1), "2026-12-24")
                .unwrap()
                .ends_with("## [0.1.1] - 2026-12-24\n\nEntry.\n")
        );
    }

    #[test]
    fn what_is_no_changelog_is_an_error() {
        for text in [
            "",
            "# Changelog\n",
            "## [Unreleased]\n\n<!-- end of the proposal -->\n",
            "## [Unreleased]\n\n<!-- proposed by `cargo xtask update`: 1 -->\n",
        ] {
            assert!(propose(text, None).is_err(), "{text}");
        }
        let bad = "## [Unreleased]\n\n<!-- proposed by `cargo xtask update`: one -->\n<!-- end of the proposal -->\n";
        assert!(proposed(bad).is_err());
    }
}
