//! Rewrites the prose of a document as rustdoc takes it.

use serde_json::Value;

/// Puts the text of `description` and `summary` into the form that rustdoc takes, but not where these words are
/// names or data.
pub(super) fn sanitize_prose(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match (key.as_str(), value) {
                    ("description" | "summary", Value::String(text)) => *text = rustdoc(text),
                    ("example" | "examples" | "default" | "enum", _) => {}
                    // Keys of these are names, so `default` among them is none of the above.
                    (
                        "properties" | "schemas" | "responses" | "parameters" | "requestBodies" | "headers" | "paths",
                        Value::Object(named),
                    ) => named.values_mut().for_each(sanitize_prose),
                    (_, value) => sanitize_prose(value),
                }
            }
        }
        Value::Array(array) => array.iter_mut().for_each(sanitize_prose),
        _ => {}
    }
}

/// Makes Markdown of unknown origin safe for rustdoc: bare addresses become links, HTML and square brackets become
/// text, links within the documentation site become their text, and code is never taken for a doctest.
pub(crate) fn rustdoc(text: &str) -> String {
    let mut fenced = false;
    let lines = text.trim().lines().map(|line| {
        let content = line.trim_start();
        if content.starts_with("```") || content.starts_with("~~~") {
            fenced = !fenced;
            return String::from(if fenced { "```text" } else { "```" });
        }
        if fenced {
            return line.trim_end().to_owned();
        }
        // Four spaces make a code block, and code blocks are run.
        let indent = (line.len() - content.len()).min(3);
        let indent = if line.starts_with('\t') { 0 } else { indent };
        format!("{}{}", " ".repeat(indent), inline(content.trim_end()))
    });
    let mut lines: Vec<String> = lines.collect();
    if fenced {
        lines.push(String::from("```"));
    }
    lines.join("\n")
}

fn inline(line: &str) -> String {
    let parts: Vec<&str> = line.split('`').collect();
    // A backtick without its partner is no code.
    if parts.len().is_multiple_of(2) {
        return plain(&line.replace('`', "'"));
    }
    let parts = parts.iter().enumerate().map(|(index, part)| match index % 2 {
        0 => plain(part),
        _ => format!("`{part}`"),
    });
    parts.collect()
}

fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((label, target, after)) = link(rest) {
            match target.starts_with("http://") || target.starts_with("https://") {
                true => out.push_str(&format!("[{}]({target})", plain(label))),
                false => out.push_str(&plain(label)),
            }
            rest = after;
        } else if let Some((address, after)) = address(rest) {
            out.push_str(&format!("<{address}>"));
            rest = after;
        } else {
            if matches!(first, '<' | '>' | '[' | ']') {
                out.push('\\');
            }
            out.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

/// `[label](target)` at the start of `text`, and what follows it.
fn link(text: &str) -> Option<(&str, &str, &str)> {
    let (label, rest) = text.strip_prefix('[')?.split_once("](")?;
    let (target, rest) = rest.split_once(')')?;
    (!label.contains(['[', ']']) && !target.contains(char::is_whitespace)).then_some((label, target, rest))
}

/// An address at the start of `text`, with or without angle brackets, and what follows it.
fn address(text: &str) -> Option<(&str, &str)> {
    let bare = text.strip_prefix('<').unwrap_or(text);
    if !bare.starts_with("http://") && !bare.starts_with("https://") {
        return None;
    }
    let end = bare.find(|c: char| c.is_whitespace() || "<>\"'()[]{}`".contains(c)).unwrap_or(bare.len());
    let (address, _) = bare.split_at_checked(end)?;
    let address = address.trim_end_matches(['.', ',', ';', ':', '!', '?']);
    let (_, after) = bare.split_at_checked(address.len())?;
    let bracketed = bare.len() < text.len();
    Some((address, if bracketed { after.strip_prefix('>').unwrap_or(after) } else { after }))
}

#[cfg(test)]
mod tests {
    use super::rustdoc;

    #[test]
    fn prose_becomes_rustdoc() {
        for (prose, doc) in [
            ("See https://docs.flinks.com.", "See <https://docs.flinks.com>."),
            ("See <https://a.b> now", "See <https://a.b> now"),
            ("[Docs](https://a.b/c) and [here](./authorize)", "[Docs](https://a.b/c) and here"),
            ("a <p class=\"h4\">b</p> Vec<u8>", "a \\<p class=\"h4\"\\>b\\</p\\> Vec\\<u8\\>"),
            ("an [intra] link, `[code]` `<b>`", "an \\[intra\\] link, `[code]` `<b>`"),
            ("a lone ` tick <b>", "a lone ' tick \\<b\\>"),
            ("a\n\n    code()\n\tmore()", "a\n\n   code()\nmore()"),
            ("```json theme={null}\n{}\n```", "```text\n{}\n```"),
            ("```\nopen", "```text\nopen\n```"),
            ("- `a`\n\n- `b`\n", "- `a`\n\n- `b`"),
        ] {
            assert_eq!(rustdoc(prose), doc);
        }
    }
}
