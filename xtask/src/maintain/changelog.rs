//! Reads and edits changelogs in the Keep a Changelog format. Two comments enclose the text that
//! `cargo xtask update` proposes.

use semver::Version;

use crate::{Error, Result};

const UNRELEASED: &str = "## [Unreleased]";
const BEGIN: &str = "<!-- proposed by `cargo xtask update`: ";
const END: &str = "<!-- end of the proposal -->";

/// Outside the proposal, a line that starts with this word requests a higher version.
const VERSION_REQUEST: &str = "Version:";

/// A proposed version of a crate, with the changelog entry for that version.
pub(crate) struct Proposal {
    /// The name of the crate.
    pub(crate) name: &'static str,
    pub(crate) version: Version,
    pub(crate) entry: String,
}

/// Puts a proposal at the start of the unreleased section and replaces any earlier proposal. If
/// `proposal` is `None`, only removes the earlier proposal.
///
/// # Errors
///
/// Returns an error if the text has no unreleased section, or if it has only one of the two
/// comments that enclose a proposal.
pub(crate) fn propose(text: &str, proposal: Option<&Proposal>) -> Result<String> {
    let Sections { before, unreleased, after } = split_sections(text)?;
    let (_, rest) = split_proposal(unreleased)?;
    let block = proposal.map(block);
    let body: Vec<&str> = block.as_deref().into_iter().chain([rest.trim()]).filter(|part| !part.is_empty()).collect();
    Ok(join(before, &body.join("\n\n"), after))
}

/// Returns a proposal with the comments that enclose it.
fn block(proposal: &Proposal) -> String {
    format!("{BEGIN}{} -->\n\n{}\n\n{END}", proposal.version, proposal.entry.trim())
}

/// Returns whether the changelog contains exactly this proposal. If `proposal` is `None`, returns
/// whether the changelog contains no proposal.
///
/// # Errors
///
/// Returns an error in the same cases as [`propose`].
pub(crate) fn is_proposed(text: &str, proposal: Option<&Proposal>) -> Result<bool> {
    let (found, _) = split_proposal(split_sections(text)?.unreleased)?;
    Ok(found.map(str::to_owned) == proposal.map(block))
}

/// Returns the version that a maintainer requested with a line such as `Version: 0.2.0` outside the
/// proposal.
///
/// # Errors
///
/// Returns an error in the same cases as [`propose`], and also if the line does not contain a valid
/// version.
pub(crate) fn requested_version(text: &str) -> Result<Option<Version>> {
    let (_, rest) = split_proposal(split_sections(text)?.unreleased)?;
    let Some(version) = rest.lines().find_map(|line| line.strip_prefix(VERSION_REQUEST)) else { return Ok(None) };
    let version = version.trim().trim_end_matches('.');
    version.parse().map(Some).map_err(|error| Error::new(format!("invalid version `{version}`: {error}")))
}

/// Returns the newest released version that the changelog lists.
pub(crate) fn newest(text: &str) -> Option<String> {
    let heading =
        text.lines().filter_map(|line| line.strip_prefix("## [")).find(|rest| !rest.starts_with("Unreleased"))?;
    heading.split_once(']').map(|(version, _)| version.to_owned())
}

/// Moves the content of the unreleased section to a new section for `version`.
///
/// # Errors
///
/// Returns an error in the same cases as [`propose`].
pub(crate) fn release(text: &str, version: &Version, day: &str) -> Result<String> {
    let Sections { before, unreleased, after } = split_sections(text)?;
    let (block, rest) = split_proposal(unreleased)?;
    let entry = block.and_then(|block| block.split_once("-->")?.1.strip_suffix(END)).unwrap_or_default();
    let rest: Vec<&str> = rest.lines().filter(|line| !line.starts_with(VERSION_REQUEST)).collect();
    let rest = rest.join("\n");
    let body: Vec<&str> = [entry.trim(), rest.trim()].into_iter().filter(|part| !part.is_empty()).collect();
    let after = format!("## [{version}] - {day}\n\n{}\n\n{}", body.join("\n\n"), after.trim_start());
    Ok(join(before, "", after.trim_end()))
}

/// The text of a changelog, split at its unreleased section.
struct Sections<'a> {
    before: &'a str,
    /// The content of the unreleased section, without its heading.
    unreleased: &'a str,
    after: &'a str,
}

fn split_sections(text: &str) -> Result<Sections<'_>> {
    let missing = || {
        Error::new(format!("the changelog has no `{UNRELEASED}` line"))
            .help("add the line above the newest version, as described at https://keepachangelog.com")
    };
    // Headings are whole lines: the preamble may mention `## [Unreleased]` in a sentence.
    let mut next_start = 0_usize;
    let lines = text.split_inclusive('\n').map(|line| {
        let start = next_start;
        next_start = next_start.saturating_add(line.len());
        (start, line)
    });
    let headings: Vec<(usize, &str)> = lines.filter(|(_, line)| line.starts_with("## ")).collect();
    let index = headings.iter().position(|(_, line)| line.trim_end() == UNRELEASED).ok_or_else(missing)?;
    let start = headings.get(index).map_or(0, |(start, _)| *start);
    let end = headings.get(index.saturating_add(1)).map_or(text.len(), |(start, _)| *start);
    let begin = start.saturating_add(UNRELEASED.len());
    let part = |range| text.get(range).ok_or_else(missing);
    Ok(Sections { before: part(0..start)?, unreleased: part(begin..end)?, after: part(end..text.len())? })
}

/// Splits the unreleased section into two parts: the proposal, including the comments that enclose
/// it, and the rest.
fn split_proposal(unreleased: &str) -> Result<(Option<&str>, String)> {
    let begin = unreleased.find(BEGIN);
    let end = unreleased.find(END).and_then(|end| end.checked_add(END.len()));
    match (begin, end) {
        (None, None) => Ok((None, unreleased.to_owned())),
        (Some(begin), Some(end)) if begin < end => {
            let part = |range| unreleased.get(range).unwrap_or_default();
            let rest = [part(0..begin).trim(), part(end..unreleased.len()).trim()];
            Ok((Some(part(begin..end)), rest.join("\n\n")))
        }
        _ => Err(Error::new("one of the two comments around the proposal is missing")
            .help("remove the other comment and the proposed text")),
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

    fn proposal(version: &Version, entry: &str) -> Proposal {
        Proposal { name: "flinks-pay", version: version.clone(), entry: entry.to_owned() }
    }

    fn proposed_version(text: &str) -> Result<Option<Version>> {
        let (block, _) = split_proposal(split_sections(text)?.unreleased)?;
        let Some(version) =
            block.and_then(|block| block.strip_prefix(BEGIN)?.split_once(" -->")).map(|(version, _)| version)
        else {
            return Ok(None);
        };
        version.parse().map(Some).map_err(|error| Error::new(format!("invalid version `{version}`: {error}")))
    }

    const OLD: &str = "# Changelog\n\nThe heading is `## [Unreleased]`.\n\n## [Unreleased]\n\n### Fixed\n\n- By hand.\n\n## [0.1.0] - 2026-11-21\n\nFirst.\n";

    #[test]
    fn a_proposal_is_added_replaced_removed_and_released() {
        let version = Version::new(0, 2, 0);
        assert_eq!(proposed_version(OLD).unwrap(), None);
        let with = propose(OLD, Some(&proposal(&version, "### Added\n\n- A field.\n"))).unwrap();
        assert_eq!(
            with,
            "# Changelog\n\nThe heading is `## [Unreleased]`.\n\n## [Unreleased]\n\n<!-- proposed by `cargo xtask update`: 0.2.0 -->\n\n### Added\n\n- A field.\n\n\
             <!-- end of the proposal -->\n\n### Fixed\n\n- By hand.\n\n## [0.1.0] - 2026-11-21\n\nFirst.\n"
        );
        assert_eq!(proposed_version(&with).unwrap(), Some(version.clone()));
        let is = |entry: &str| is_proposed(&with, Some(&proposal(&version, entry))).unwrap();
        assert!(is("### Added\n\n- A field."));
        assert!(!is("Other."));
        assert!(!is_proposed(&with, None).unwrap());
        assert!(is_proposed(OLD, None).unwrap());
        let other = propose(&with, Some(&proposal(&Version::new(0, 1, 1), "Other."))).unwrap();
        assert!(other.contains("0.1.1"), "{other}");
        assert!(!other.contains("0.2.0"), "{other}");
        assert!(other.contains("By hand"), "{other}");
        assert_eq!(propose(&with, None).unwrap(), OLD);
        assert_eq!(
            release(&with, &version, "2026-12-24").unwrap(),
            "# Changelog\n\nThe heading is `## [Unreleased]`.\n\n## [Unreleased]\n\n## [0.2.0] - 2026-12-24\n\n### Added\n\n- A field.\n\n### Fixed\n\n- By hand.\n\n\
             ## [0.1.0] - 2026-11-21\n\nFirst.\n"
        );
    }

    #[test]
    fn a_line_in_the_changelog_can_request_a_version() {
        let text = OLD.replace("### Fixed", "Version: 0.3.0\n\n### Fixed");
        assert_eq!(requested_version(OLD).unwrap(), None);
        assert_eq!(requested_version(&text).unwrap(), Some(Version::new(0, 3, 0)));
        assert!(requested_version(&OLD.replace("### Fixed", "Version: more")).is_err());
        let released = release(&text, &Version::new(0, 3, 0), "2026-12-24").unwrap();
        assert!(released.contains("## [0.3.0] - 2026-12-24\n\n### Fixed\n\n- By hand."), "{released}");
        assert_eq!(newest(OLD).as_deref(), Some("0.1.0"));
        assert_eq!(newest(&released).as_deref(), Some("0.3.0"));
    }

    #[test]
    fn an_empty_changelog_takes_its_first_release() {
        let text = "# Changelog\n\n## [Unreleased]\n";
        let with = propose(text, Some(&proposal(&Version::new(0, 1, 1), "Entry."))).unwrap();
        assert_eq!(propose(&with, None).unwrap(), text);
        assert!(
            release(&with, &Version::new(0, 1, 1), "2026-12-24")
                .unwrap()
                .ends_with("## [0.1.1] - 2026-12-24\n\nEntry.\n")
        );
    }

    #[test]
    fn a_malformed_changelog_is_an_error() {
        for text in [
            "",
            "# Changelog\n",
            "## [Unreleased]\n\n<!-- end of the proposal -->\n",
            "## [Unreleased]\n\n<!-- proposed by `cargo xtask update`: 1 -->\n",
        ] {
            assert!(propose(text, None).is_err(), "{text}");
        }
        let bad = "## [Unreleased]\n\n<!-- proposed by `cargo xtask update`: one -->\n<!-- end of the proposal -->\n";
        assert!(proposed_version(bad).is_err());
    }
}
