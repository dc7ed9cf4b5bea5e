//! Copies an entry from one YAML string into another, line by line. All other lines keep their
//! layout.
//!
//! Only block mappings are supported. The caller parses the result, compares it with the expected
//! value, and re-serializes the expected value if the result differs. Unsupported input may lose
//! its layout but never its meaning.

use std::ops::Range;

use serde_json::Value;

/// Copies the entry at `path` in `from` to the same path in `into`. The entry replaces the old
/// entry or, if none exists, becomes the last of its siblings. Returns `None` if the layout of
/// either string is not supported.
pub(crate) fn replace_entry(into: &str, from: &str, path: &[&str]) -> Option<String> {
    let into: Vec<&str> = into.lines().collect();
    let from: Vec<&str> = from.lines().collect();
    let new = from.get(trimmed(&from, find(&from, path)?))?;
    let (place, siblings) = match find(&into, path) {
        Some(old) => (trimmed(&into, old.clone()), indent(into.get(old.start)?)),
        None => {
            let (_, parents) = path.split_last()?;
            let parent = match parents {
                [] => 0..into.len(),
                parents => find(&into, parents)?,
            };
            let first = entries(&into, below(&parent, parents))?.first()?.1.start;
            let end = trimmed(&into, parent).end;
            (end..end, indent(into.get(first)?))
        }
    };
    if new.first().is_none_or(|line| indent(line) != siblings) {
        return None;
    }
    let lines = into.get(..place.start)?.iter().chain(new).chain(into.get(place.end..)?);
    Some(lines.map(|line| format!("{line}\n")).collect())
}

/// Returns the lines of the entry at `path`, including the line with its key.
fn find(lines: &[&str], path: &[&str]) -> Option<Range<usize>> {
    let mut range = 0..lines.len();
    for (depth, step) in path.iter().enumerate() {
        let entries = entries(lines, below(&range, path.get(..depth)?))?;
        range = entries.into_iter().find(|(key, _)| key == step)?.1;
    }
    Some(range)
}

/// Returns the lines of an entry without the line that contains its key. If the entry is the whole
/// document, it has no key, so all lines are returned.
fn below(entry: &Range<usize>, path: &[&str]) -> Range<usize> {
    let key = usize::from(!path.is_empty());
    entry.start.saturating_add(key)..entry.end
}

/// Returns the entries of a block mapping that fills the given range of lines. Each entry consists
/// of a key and a range of lines.
fn entries(lines: &[&str], range: Range<usize>) -> Option<Vec<(String, Range<usize>)>> {
    let mut entries: Vec<(String, Range<usize>)> = Vec::new();
    let mut column = None;
    for (index, line) in lines.iter().enumerate().take(range.end).skip(range.start) {
        let content = line.trim_start();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let column = *column.get_or_insert(indent(line));
        match indent(line) {
            deeper if deeper > column => continue,
            same if same == column => {}
            _ => return None,
        }
        if content.starts_with("- ") && !entries.is_empty() {
            continue; // the items of a list can start in the same column as their key
        }
        if let Some((_, last)) = entries.last_mut() {
            last.end = index;
        }
        entries.push((key(content)?, index..range.end));
    }
    Some(entries)
}

/// Returns the key at the start of a line, parsed as YAML.
fn key(content: &str) -> Option<String> {
    let quote = content.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let end = match quote {
        Some(quote) => content
            .match_indices(quote)
            .map(|(index, _)| index)
            .skip(1)
            .find(|index| content.get(index.saturating_add(1)..).is_some_and(|rest| rest.starts_with(':')))?
            .saturating_add(1),
        None => content.match_indices(':').map(|(index, _)| index).find(|index| {
            content.get(index.saturating_add(1)..).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })?,
    };
    let entry = crate::spec::read::yaml(format!("{}: 0", content.get(..end)?).as_bytes()).ok()?;
    match entry {
        Value::Object(entry) => entry.keys().next().cloned(),
        _ => None,
    }
}

fn indent(line: &str) -> usize {
    line.len().saturating_sub(line.trim_start_matches(' ').len())
}

/// Shrinks a line range to exclude trailing empty lines and comments, which belong to the next
/// entry.
fn trimmed(lines: &[&str], range: Range<usize>) -> Range<usize> {
    let own = lines.get(range.clone()).unwrap_or_default();
    let key = own.first().map_or(0, |line| indent(line));
    let last = own.iter().rposition(|line| {
        let content = line.trim_start();
        // A `#` that is indented more deeply than the key can be part of a block scalar.
        !content.is_empty() && (!content.starts_with('#') || indent(line) > key)
    });
    range.start..range.start.saturating_add(last.map_or(0, |last| last.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::replace_entry;

    const INTO: &str = "a: 1\n\n# about paths\npaths:\n  /x: # here\n    get:\n      d: |\n        text: not a key\n\n        # not a comment\n      e: 2\n    'post':\n    - 1\n\n  \"/y z\":\n    get: {}\n# the end\nlast: x\n";

    #[test]
    fn an_entry_is_replaced_or_appended_and_other_lines_stay() {
        let from = "paths:\n  /x:\n    get:\n      e: 3\n\n";
        assert_eq!(
            replace_entry(INTO, from, &["paths", "/x", "get"]).unwrap(),
            "a: 1\n\n# about paths\npaths:\n  /x: # here\n    get:\n      e: 3\n    'post':\n    - 1\n\n  \"/y z\":\n    get: {}\n# the end\nlast: x\n"
        );
        let from = "a: 2\npaths:\n  /y z:\n    put: 1\n";
        let text = replace_entry(INTO, from, &["paths", "/y z", "put"]).unwrap();
        assert!(text.contains("    get: {}\n    put: 1\n# the end\n"), "{text}");
        assert!(replace_entry(INTO, from, &["a"]).unwrap().starts_with("a: 2\n\n# about paths"));
        let from = "paths:\n  /z:\n    get: 4\nb: 5\n";
        let text = replace_entry(INTO, from, &["paths", "/z"]).unwrap();
        assert!(text.contains("    get: {}\n  /z:\n    get: 4\n# the end\n"), "{text}");
        assert!(replace_entry(INTO, from, &["b"]).unwrap().ends_with("last: x\nb: 5\n"));
    }

    #[test]
    fn an_unsupported_layout_returns_none() {
        for (into, from, path) in [
            ("{a: 1}\n", "a: 2\n", &["a"][..]),
            ("paths: {}\n", "paths:\n  /x: 1\n", &["paths", "/x"]),
            ("paths:\n    /x: 1\n", "paths:\n  /x: 2\n", &["paths", "/x"]),
            ("  a: 1\nb: 2\n", "a: 2\n", &["a"]),
            ("a: 1\n", "b: 2\n", &["a"]),
            ("a: 1\n", "c:\n  d: 2\n", &["c", "d"]),
            ("", "a: 1\n", &["a"]),
        ] {
            assert_eq!(replace_entry(into, from, path), None, "{into}");
        }
    }
}
