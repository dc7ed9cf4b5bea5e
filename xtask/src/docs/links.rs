//! Finds broken links.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{documents, read};
use crate::Result;

/// Returns a description of each relative link in the documents that points to a missing file or
/// heading.
///
/// # Errors
///
/// Returns an error if a document cannot be read.
pub fn broken(root: &Path) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    let mut headings: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for path in documents(root)?.into_iter().flat_map(|(_, paths)| paths) {
        for target in targets(&read(root, &path)?) {
            // An external target is a URL or an item that rustdoc resolves.
            let is_external = target.contains(':') || !target.starts_with('#') && !target.contains(['/', '.']);
            if is_external {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = if file.is_empty() { path.clone() } else { path.parent().unwrap_or(&path).join(file) };
            if !root.join(&file).exists() {
                broken.push(format!("{}: {target}", path.display()));
                continue;
            }
            if anchor.is_empty() || file.extension().is_none_or(|extension| extension != "md") {
                continue;
            }
            if !headings.contains_key(&file) {
                headings.insert(file.clone(), slugs(&read(root, &file)?));
            }
            if !headings.get(&file).is_some_and(|slugs| slugs.iter().any(|slug| slug == anchor)) {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    Ok(broken)
}

fn targets(text: &str) -> Vec<String> {
    let events = Parser::new_ext(text, Options::ENABLE_TABLES);
    let target = |event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(dest_url.into_string()),
        _ => None,
    };
    events.filter_map(target).collect()
}

/// Returns the anchors that mdBook and code forges derive from the headings.
fn slugs(text: &str) -> Vec<String> {
    let mut slugs = Vec::new();
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match (event, &mut heading) {
            (Event::Start(Tag::Heading { .. }), _) => heading = Some(String::new()),
            (Event::Text(text) | Event::Code(text), Some(heading)) => heading.push_str(&text),
            (Event::End(TagEnd::Heading(_)), Some(_)) => slugs.extend(heading.take().map(|heading| slug(&heading))),
            _ => {}
        }
    }
    slugs
}

fn slug(heading: &str) -> String {
    let is_kept = |character: &char| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_');
    heading
        .to_lowercase()
        .chars()
        .filter(is_kept)
        .map(|character| if character == ' ' { '-' } else { character })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_have_the_anchors_of_forges() {
        assert_eq!(slugs("# Which token?\n\n## In `docker compose`\n"), ["which-token", "in-docker-compose"]);
    }

    #[test]
    fn links_and_images_are_found() {
        assert_eq!(targets("[a](b.md#c) ![d](e.svg)\n\n| t |\n| --- |\n| [f](g) |\n"), ["b.md#c", "e.svg", "g"]);
    }
}
