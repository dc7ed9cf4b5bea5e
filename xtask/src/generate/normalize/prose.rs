//! Converts a document's prose to rustdoc.

use pulldown_cmark::{CodeBlockKind, CowStr, Event, LinkType, Parser, Tag, TagEnd, TextMergeStream};
use pulldown_cmark_to_cmark::{Options, cmark_with_options};
use serde_json::Value;

/// Converts each `description` and `summary` to rustdoc. Leaves example data unchanged, and treats
/// a property that happens to be named `description` or `summary` like any other property.
pub(super) fn sanitize_prose(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match (key.as_str(), value) {
                    ("description" | "summary", Value::String(text)) => *text = rustdoc(text),
                    ("example" | "examples" | "default" | "enum", _) => {}
                    // The keys of these objects are names, so a `default` among them is also a
                    // name.
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

/// Makes arbitrary Markdown safe for rustdoc: bare URLs become links, HTML and square brackets
/// become plain text, relative links are replaced with their text, and code never becomes a
/// doctest.
pub(crate) fn rustdoc(text: &str) -> String {
    let mut rewriter = Rewriter::default();
    for event in TextMergeStream::new(Parser::new(text)) {
        rewriter.event(event);
    }
    let options = Options { code_block_token_count: 3, list_token: '-', ..Options::default() };
    let mut markdown = String::new();
    match cmark_with_options(rewriter.events.iter(), &mut markdown, pulldown_cmark::Options::empty(), options) {
        Ok(_) => markdown.trim().to_owned(),
        // If the events cannot be written as Markdown, the text is shown as code, which is always
        // safe.
        Err(_) => format!("```text\n{}\n```", text.replace("```", "")),
    }
}

/// Rewrites the events of parsed Markdown.
#[derive(Default)]
struct Rewriter<'a> {
    events: Vec<Event<'a>>,
    is_code: bool,
    /// Whether each open link is kept.
    links: Vec<bool>,
}

impl<'a> Rewriter<'a> {
    fn event(&mut self, event: Event<'a>) {
        match event {
            // Code that is not marked as `text` could be compiled as a doctest.
            Event::Start(Tag::CodeBlock(_)) => {
                self.is_code = true;
                self.events.push(Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced("text".into()))));
            }
            Event::End(TagEnd::CodeBlock) => {
                self.is_code = false;
                // Without the line break, the closing fence would be lost.
                if matches!(self.events.last(), Some(Event::Text(code)) if !code.ends_with('\n')) {
                    self.events.push(Event::Text("\n".into()));
                }
                self.events.push(Event::End(TagEnd::CodeBlock));
            }
            Event::Start(Tag::HtmlBlock) => self.events.push(Event::Start(Tag::Paragraph)),
            Event::End(TagEnd::HtmlBlock) => self.events.push(Event::End(TagEnd::Paragraph)),
            Event::Html(text) | Event::InlineHtml(text) => self.text(&text),
            Event::Start(Tag::Link { link_type, dest_url, title, .. }) => {
                let is_kept = is_address(&dest_url);
                self.links.push(is_kept);
                // Reference links are written inline, because their definitions could be lost if
                // the text became part of another text.
                let link_type = if link_type == LinkType::Autolink { link_type } else { LinkType::Inline };
                let link = Event::Start(Tag::Link { link_type, dest_url, title, id: CowStr::Borrowed("") });
                self.events.extend(is_kept.then_some(link));
            }
            Event::End(TagEnd::Link) => {
                let is_kept = self.links.pop().unwrap_or_default();
                self.events.extend(is_kept.then_some(event));
            }
            Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => {}
            Event::Text(text) if self.is_code || self.links.contains(&true) => self.events.push(Event::Text(text)),
            Event::Text(text) => self.text(&text),
            other => self.events.push(other),
        }
    }

    /// Converts each bare URL in a piece of text to a link.
    fn text(&mut self, text: &str) {
        let mut rest = text;
        while let Some(start) = ["http://", "https://"].iter().filter_map(|scheme| rest.find(scheme)).min() {
            let (before, from) = rest.split_at_checked(start).unwrap_or((rest, ""));
            let end = from.find(|c: char| c.is_whitespace() || "<>\"'()[]{}`".contains(c)).unwrap_or(from.len());
            let (address, _) = from.split_at_checked(end).unwrap_or((from, ""));
            let address = address.trim_end_matches(['.', ',', ';', ':', '!', '?']);
            self.plain(before);
            let link = Tag::Link {
                link_type: LinkType::Autolink,
                dest_url: address.to_owned().into(),
                title: CowStr::Borrowed(""),
                id: CowStr::Borrowed(""),
            };
            self.events.extend([Event::Start(link), Event::Text(address.to_owned().into()), Event::End(TagEnd::Link)]);
            rest = from.get(address.len()..).unwrap_or_default();
        }
        self.plain(rest);
    }

    fn plain(&mut self, text: &str) {
        if !text.is_empty() {
            self.events.push(Event::Text(text.to_owned().into()));
        }
    }
}

fn is_address(target: &str) -> bool {
    target.starts_with("http://") || target.starts_with("https://")
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
            ("a <p class=\"h4\">b</p> Vec<u8>", "a \\<p class=\"h4\">b\\</p> Vec\\<u8>"),
            ("an [intra] link, `[code]` `<b>`", "an \\[intra\\] link, `[code]` `<b>`"),
            ("a lone ` tick <b>", "a lone \\` tick \\<b>"),
            ("``a ` b`` and [x](https://a.b 'title')", "``a ` b`` and [x](https://a.b \"title\")"),
            ("[a][b] and ![c](./c.png)\n\n[b]: https://a.b", "[a](https://a.b) and c"),
            ("a\n\n    code()\n\tmore()", "a\n\n```text\ncode()\nmore()\n```"),
            ("```json theme={null}\n{}\n```", "```text\n{}\n```"),
            ("```\nopen", "```text\nopen\n```"),
            ("- `a`\n\n- `b`\n", "- `a`\n\n- `b`"),
        ] {
            assert_eq!(rustdoc(prose), doc);
        }
    }
}
